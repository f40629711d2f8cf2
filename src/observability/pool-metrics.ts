// SPDX-License-Identifier: Apache-2.0
import type { Registry } from 'prom-client';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import { catalogue } from './catalogue.ts';
import { gauge } from './metrics.ts';

/**
 * Says at each scrape what the ClonePools say: `list` gives none where others tell of them. A ClonePool that is gone has
 * no series from the next scrape on.
 */
export function registerPoolMetrics(registry: Registry, list: () => readonly ClonePool[]): void {
  gauge(registry, catalogue.poolCondition, (set) => {
    for (const { metadata, status } of list()) {
      const { namespace, name } = metadata;
      for (const { type, status: value, reason } of status?.conditions ?? []) {
        set({ namespace, name, condition: type, status: value, reason }, 1);
      }
    }
  });
  gauge(registry, catalogue.poolReplicas, (set) => {
    for (const { metadata, spec, status = { replicas: 0 } } of list()) {
      const { namespace, name } = metadata;
      const { replicas, readyReplicas = 0, retiringReplicas = 0 } = status;
      const counts = { wanted: spec.replicas, live: replicas, ready: readyReplicas, retiring: retiringReplicas };
      for (const [state, count] of Object.entries(counts)) set({ namespace, name, state }, count);
    }
  });
}
