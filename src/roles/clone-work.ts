// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../capacity/hpa.ts';
import type { CloneObject } from '../controllers/clone/clone-object.ts';
import type { KubeObject } from '../kube/client.ts';
import type { ServerTime } from '../kube/server-time.ts';
import { limitWrites } from '../kube/write-limit.ts';
import { aborted, clock } from './shared.ts';
import type { Followed, Shared } from './shared.ts';

/** What is kept in memory for clones. */
export interface CloneCollections {
  readonly forecasts: Followed<DemandForecast & KubeObject>;
  readonly hpas: Followed<HorizontalPodAutoscaler & KubeObject>;
  readonly pools: Followed<ClonePool & KubeObject>;
  readonly templates: Followed<CloneTemplate & KubeObject>;
  readonly clones: Followed<CloneObject>;
}

/** What works while this replica leads. */
interface Worker {
  /** Works until the signal aborts; may be run again. */
  run(signal: AbortSignal): Promise<void>;
}

/** Makes clones and ends them: the work of the replica that leads. */
export function createCloneWork(
  shared: Shared,
  _known: CloneCollections & { readonly time: ServerTime },
): { run(leading: AbortSignal): Promise<void> } {
  const { config, client } = shared;
  // Both controllers write in turn; the Lease does not wait behind them.
  const _limited = limitWrites(client, { perSecond: config.clonesQps, burst: 2 * config.clonesQps, clock });
  const workers: readonly Worker[] = [{ run: aborted }];
  return { run: async (leading) => void (await Promise.all(workers.map(async (worker) => await worker.run(leading)))) };
}
