// SPDX-License-Identifier: Apache-2.0
import type { Condition } from '../api/conditions.ts';
import type { ConditionType, Reason } from '../api/reasons.ts';
import type { ClonePool, ClonePoolSpec, ClonePoolStatus } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast, DemandForecastSpec, DemandForecastStatus } from '../api/v1alpha1/demand-forecast.ts';

/** A DemandForecast of the Deployment web in the namespace shop, as the apiserver gives it, defaults filled in. */
export function demandForecast(changes: {
  readonly name?: string;
  readonly metadata?: Partial<DemandForecast['metadata']>;
  readonly spec?: Partial<DemandForecastSpec>;
  readonly status?: DemandForecastStatus;
}): DemandForecast {
  const { name = 'web', metadata, spec, status } = changes;
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-of-${name}`,
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-08-01T00:00:00Z',
      ...metadata,
    },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      source: { prometheus: { query: 'sum(rate(http_requests_total[1m]))', serverRef: 'default' } },
      capacityPerReplica: '50',
      mode: 'Auto',
      gate: { override: true },
      lead: 'auto',
      quantile: '0.7',
      history: { window: '14d' },
      timeZone: 'UTC',
      staleAfter: '3m',
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

/** A ClonePool of the Deployment web in the namespace shop, as the apiserver gives it, defaults filled in. */
export function clonePool(changes: {
  readonly name?: string;
  readonly metadata?: Partial<ClonePool['metadata']>;
  readonly spec?: Partial<ClonePoolSpec>;
  readonly status?: ClonePoolStatus;
}): ClonePool {
  const { name = 'web', metadata, spec, status } = changes;
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: {
      name,
      namespace: 'shop',
      uid: 'pool-uid',
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-09-01T00:00:00Z',
      ...metadata,
    },
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      forecastRef: { name: 'web' },
      capacityPerClone: 50,
      minBurstReplicas: 2,
      maxBurstSeconds: 3600,
      mode: 'Predictive',
      replicas: 0,
      maxReplicas: 10,
      suspend: false,
      lifetime: { maxSeconds: 3600, marginSeconds: 60, startupBudgetSeconds: 180 },
      serving: 'ServiceLabels',
      onTargetChange: 'Retire',
      termination: { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 60 },
      placement: { strategy: 'None', bucketSeconds: 300 },
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

/** A condition as it stands in a status. */
export function condition<T extends ConditionType>(type: T, status: Condition['status'], reason: Reason<T>): Condition {
  return {
    type,
    status,
    reason,
    message: 'as it stood',
    observedGeneration: 1,
    lastTransitionTime: '2026-08-31T00:00:00Z',
  } as Condition;
}
