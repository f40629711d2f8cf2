// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { CloneObject } from '../controllers/clone/clone-object.ts';
import type { HorizontalPodAutoscaler } from '../capacity/hpa.ts';
import type { KubeObject } from '../kube/client.ts';
import { aborted } from './shared.ts';
import type { Followed, Shared } from './shared.ts';

/** What is kept in memory for clones. */
export interface CloneCollections {
  readonly forecasts: Followed<DemandForecast & KubeObject>;
  readonly hpas: Followed<HorizontalPodAutoscaler & KubeObject>;
  readonly pools: Followed<ClonePool & KubeObject>;
  readonly templates: Followed<CloneTemplate & KubeObject>;
  readonly clones: Followed<CloneObject>;
}

/** The work of the replica that leads: makes clones, and ends them. */
export function createCloneWork(_shared: Shared, _collections: CloneCollections) {
  return {
    /** Works until the signal aborts; may be run again. */
    run: async (leading: AbortSignal): Promise<void> => {
      await aborted(leading);
    },
  };
}
