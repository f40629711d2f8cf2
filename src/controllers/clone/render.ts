// SPDX-License-Identifier: Apache-2.0
import { cloneLabels } from '../../api/clone-labels.ts';
import { mergeConditions } from '../../api/conditions.ts';
import type { ClonePoolCondition, ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePoolConditionType, ClonePoolReason } from '../../api/reasons.ts';
import type { ClonePool, ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { renderCarrying } from '../../capacity/clones/carrying.ts';
import type { WantedWindow } from '../../capacity/clones/population.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';

/** A Kubernetes Event to record about the pool. */
export interface EventDraft {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly message: string;
}

const maxMessage = 600;
/** Usual in the life of a pool, and no reason to worry. */
const harmless: ReadonlySet<string> = new Set<ClonePoolReason>([
  'NoneWanted',
  'ClonesStarting',
  'Suspended',
  'Deleting',
  'TargetPaused',
  'TargetScaledToZero',
  'NoForecast',
  'Replacing',
  'OutdatedKept',
  'NoHPA',
  'LabelsSplit',
  'Hidden',
  'ExternalAverageValue',
  'NotBlocked',
  'NoUtilizationExit',
  'NotFrozen',
  'PoolBusy',
  'BurstExpected',
]);

/** Those whose True is bad news. */
const named: ReadonlySet<ClonePoolConditionType> = new Set([
  'CreationBlocked',
  'HPASelectorOverlap',
  'ExitFrozen',
  'PDBBlocked',
] as const);

/** A condition, its message no longer than people read. */
export function draft<T extends ClonePoolConditionType>(
  type: T,
  status: ClonePoolCondition['status'],
  reason: ClonePoolReason<T>,
  message: string,
): ClonePoolConditionDraft<T> {
  const short = message.length > maxMessage ? `${message.slice(0, maxMessage - 1)}…` : message;
  return { type, status, reason, message: short } as ClonePoolConditionDraft<T>;
}

/** The status that is applied; `exits` is the sweeper's. */
export function renderStatus(
  pool: ClonePool,
  given: {
    readonly clones: readonly CloneView[];
    readonly windows: readonly WantedWindow[];
    readonly revision: string | undefined;
    readonly perClone: number | undefined;
    readonly drafts: readonly ClonePoolConditionDraft[];
  },
  now: number,
): ClonePoolStatus {
  const { clones, windows, revision, perClone, drafts } = given;
  const alive = clones.filter(isAlive);
  const next = alive.reduce((least, { effectiveDeadline }) => Math.min(least, effectiveDeadline), Infinity);
  const own = new Set<string>(drafts.map(({ type }) => type));
  const standing = (pool.status?.conditions ?? []).filter(({ type }) => own.has(type));
  const at = { observedGeneration: pool.metadata.generation, now: formatRfc3339(now) };
  const targetRevision = revision ?? pool.status?.targetRevision;
  return {
    observedGeneration: pool.metadata.generation,
    replicas: alive.length,
    readyReplicas: alive.filter(({ isReady }) => isReady).length,
    retiringReplicas: clones.filter(({ state }) => state === 'Retiring' || state === 'Terminating').length,
    // Present from the first write on: an HPA refuses a scale without one.
    selector: `${cloneLabels.pool}=${pool.metadata.name}`,
    ...(Number.isFinite(next) ? { nextDeadline: formatRfc3339(next) } : {}),
    ...(targetRevision === undefined ? {} : { targetRevision }),
    ...(perClone === undefined ? {} : { carrying: renderCarrying({ clones, windows, perClone }, now) }),
    conditions: mergeConditions<ClonePoolCondition>(standing, drafts, at),
  };
}

/** Events for the conditions that say something new. */
export function announce(
  drafts: readonly ClonePoolConditionDraft[],
  standing: readonly Pick<ClonePoolCondition, 'type' | 'status' | 'reason'>[],
): EventDraft[] {
  return drafts.flatMap((item) => {
    const last = standing.find(({ type }) => type === item.type);
    const isBad = item.status === (named.has(item.type) ? 'True' : 'False');
    const isNews = last === undefined ? isBad : last.status !== item.status || last.reason !== item.reason;
    if (!isNews) return [];
    const type = isBad && !harmless.has(item.reason) ? ('Warning' as const) : ('Normal' as const);
    return [{ type, reason: item.reason, action: item.type, message: item.message }];
  });
}
