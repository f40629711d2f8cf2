// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionType, ClonePoolReason } from '../../api/reasons.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import { formatDuration } from '../../base/duration.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Snapshot } from '../snapshot.ts';

/** The first look at a new pool, and a few more. */
const patienceSeconds = 120;

/** Status and fix of the conditions that tell of something wrong; Ready repeats the others, but for NoForecast. */
const told = {
  TargetResolved: { isBad: 'False', fix: 'the message names the field; docs/clones.md says what cannot be cloned' },
  CreationBlocked: {
    isBad: 'True',
    fix: 'QuotaExceeded: raise the quota or lower maxReplicas; Refused and InvalidPod: the message says who refused, and what; StartsFail and Unschedulable: kubectl describe one of the clones',
  },
  HPASelectorOverlap: { isBad: 'True', fix: 'docs/clones.md has the ways out; the message names them' },
  MetricsAvailable: {
    isBad: 'False',
    fix: 'see the check metrics-server, or spec.utilizationExit.query in Prometheus',
  },
  ExitFrozen: { isBad: 'True', fix: 'see MetricsAvailable; clones end by their deadline meanwhile' },
  PDBBlocked: {
    isBad: 'True',
    fix: 'look at the PodDisruptionBudgets that match the clones; after evictTimeoutSeconds clones are deleted anyway',
  },
  Ready: { isBad: 'False', fix: 'see spec.forecastRef and the check forecast' },
} as const satisfies Partial<Record<ClonePoolConditionType, { readonly isBad: string; readonly fix: string }>>;
type Told = keyof typeof told;

/** Meant so, or over by itself. */
const asMeant: ReadonlySet<string> = new Set<ClonePoolReason>([
  'TargetPaused',
  'TargetScaledToZero',
  'PoolBusy',
  'BurstExpected',
  'OverlapAccepted',
]);

/** What is wrong with each pool, by its own words. */
export function checkClonePools(snapshot: Snapshot, now: number): Finding[] {
  const { pools, namespace } = snapshot;
  if ('failure' in pools) return [notRead('clone-pool', pools.failure)];
  if (pools.value === undefined) return [];
  if (pools.value.length === 0) {
    const message = `there is no ClonePool in ${namespace === undefined ? 'the cluster' : `namespace ${namespace}`}`;
    return [finding('clone-pool', 'NoPools', { message, fix: 'docs/clones.md has an example' })];
  }
  return pools.value.flatMap((pool) => judge(snapshot, pool, now));
}

function judge(snapshot: Snapshot, pool: ClonePool, now: number): Finding[] {
  const { namespace, name, generation, creationTimestamp } = pool.metadata;
  const object = { kind: 'ClonePool', namespace, name };
  const { conditions = [], observedGeneration = 0 } = pool.status ?? {};
  // The generation moves with the windows that are planned, too: the status lags behind it for a moment.
  if (observedGeneration === 0) {
    const age = now - parseTimestamp(creationTimestamp, 'metadata.creationTimestamp');
    const message = `nobody has looked at ${name} (generation ${generation}, ${formatDuration(age)} old)`;
    if (age > patienceSeconds) {
      return [finding('clone-pool', 'NotReconciled', { message, fix: 'see the checks leader and access', object })];
    }
  }
  const failing = conditions.flatMap(({ type, status, reason, message }) => {
    const known = type in told ? (type as Told) : undefined;
    const isLeftOut = asMeant.has(reason) || (type === 'Ready' && reason !== 'NoForecast');
    if (known === undefined || told[known].isBad !== status || isLeftOut) return [];
    const { fix } = told[known];
    return [finding('clone-pool', known, { message: `${type} of ${name}: ${reason}: ${message}`, fix, object })];
  });
  const all = [...failing, ...judgeHpa(snapshot, pool)];
  if (all.length > 0) return all;
  return [finding('clone-pool', 'Healthy', { message: `nothing is wrong with ${name}`, object })];
}

/** The larger of two metrics counts, and observed demand is the same with clones as without. */
function judgeHpa({ hpas }: Snapshot, { metadata, spec }: ClonePool): Finding[] {
  const { namespace, name } = metadata;
  const own = ('failure' in hpas ? [] : hpas.value).filter(
    ({ metadata: of, spec: { scaleTargetRef: ref } }) =>
      of.namespace === namespace && ref.kind === 'Deployment' && ref.name === spec.targetRef.name,
  );
  return own.flatMap((hpa) => {
    const isReader = hpa.spec.metrics?.some(({ external }) => external?.metric.name === 'observed_demand') === true;
    if (!isReader || spec.mode === 'Scale') return [];
    const message = `HPA ${hpa.metadata.name} also reads observed_demand, which clones do not lower: the Deployment grows in a burst as if ${name} had none`;
    const fix = 'let it read predicted_demand alone, which is never less than what the base must carry';
    return [finding('clone-pool', 'ReadsObserved', { message, fix, object: { kind: 'ClonePool', namespace, name } })];
  });
}
