// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePool, ClonePoolSpec, UtilizationExit } from '../../api/v1alpha1/clone-pool.ts';
import type { IdleDecision } from '../../capacity/clones/utilization.ts';
import type { CloneGroup } from '../../capacity/clones/scan.ts';
import { chooseVictims, isAlive } from '../../capacity/clones/victims.ts';
import type { NodeFacts, Victim } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';

/** What is to be there of one pool; `spec` is undefined for clones that no pool owns. */
export interface Wanted {
  readonly spec: ClonePoolSpec | undefined;
  /** Revision of the target's pod template; undefined while it is not known. */
  readonly targetRevision: string | undefined;
  /** Since when the target is gone, or has no replicas, epoch seconds; undefined while it is there. */
  readonly targetGoneSince?: number | undefined;
}

/** What is planned from about one pool. */
export interface PlanInput extends Wanted {
  /** Clones whose end has not been begun. */
  readonly clones: readonly CloneView[];
  readonly lostReadiness: ReadonlyMap<string, number>;
  readonly idle: ReadonlySet<string>;
  readonly nodes?: ReadonlyMap<string, NodeFacts>;
  /** Since when more than half of the clones have been too many, epoch seconds. */
  readonly dropSince: number | undefined;
}

/** Who is to end now. */
export interface Plan {
  readonly victims: readonly Victim[];
  /** To be given to the next plan. */
  readonly dropSince: number | undefined;
}

/** A fall of spec.replicas by more than half must last so long: `kubectl replace` of a file without it sets it to 0. */
export const holdDropSeconds = 60;

/** Who of a pool is to end now, the most urgent first. */
export function planPool(input: PlanInput, now: number): Plan {
  const { spec, clones, lostReadiness, nodes } = input;
  if (spec === undefined) {
    return { victims: chooseVictims(clones, now, { idle: input.idle }), dropSince: undefined };
  }
  const due = {
    startupBudgetSeconds: spec.lifetime.startupBudgetSeconds,
    maxSeconds: spec.lifetime.maxSeconds,
    lostReadiness,
    idle: input.idle,
    ...(nodes === undefined ? {} : { nodes }),
  };
  const options = { ...due, outdated: findOutdated(input, () => chooseVictims(clones, now, due)) };
  const count = Math.max(countUnwanted(input), countSurplus(input));
  const isDrop = isSuddenDrop(spec, { count, clones: clones.length }, now);
  const dropSince = isDrop ? (input.dropSince ?? now) : undefined;
  const isHeld = input.targetGoneSince === undefined && dropSince !== undefined && now - dropSince < holdDropSeconds;
  return { victims: chooseVictims(clones, now, isHeld ? options : { ...options, count }), dropSince };
}

/**
 * Is nobody of a pool to end, as far as can be told without another look at each clone? Then planPool says the same.
 * Pools with an utilisation exit are not quiet.
 */
export function isQuiet(
  { clones, notServing, firstDeadline, firstCreation, revision }: CloneGroup,
  { spec, targetRevision, targetGoneSince: goneSince }: Wanted,
  now: number,
): boolean {
  if (spec === undefined || spec.utilizationExit !== undefined || notServing.length > 0) return false;
  if (goneSince !== undefined) return false;
  if (Math.min(firstDeadline, firstCreation + spec.lifetime.maxSeconds) <= now) return false;
  const isFollowed = spec.onTargetChange === 'Retire' && targetRevision !== undefined;
  return clones.length <= spec.replicas && (!isFollowed || revision === targetRevision);
}

/**
 * Clones of another revision that may go: as many as there are clones beyond spec.replicas, where new ones count once
 * they are Ready, and those that end anyway do not. So the new ones come first.
 */
function findOutdated({ spec, targetRevision, clones }: PlanInput, due: () => readonly Victim[]): ReadonlySet<string> {
  if (spec === undefined || targetRevision === undefined || spec.onTargetChange === 'Keep') return new Set();
  if (clones.every(({ revision }) => revision === targetRevision)) return new Set();
  const ending = new Set(due().map(({ clone }) => clone.uid));
  const alive = clones.filter((clone) => isAlive(clone) && !ending.has(clone.uid));
  const old = alive.filter(({ revision }) => revision !== targetRevision);
  const ready = alive.filter(({ revision, isReady }) => revision === targetRevision && isReady);
  const most = Math.max(0, old.length + ready.length - spec.replicas);
  const first = old.toSorted((a, b) => a.effectiveDeadline - b.effectiveDeadline || (a.name < b.name ? -1 : 1));
  return new Set(first.slice(0, most).map(({ uid }) => uid));
}

/** How many there are beyond spec.replicas; while old ones are replaced, new ones count once they are Ready. */
function countSurplus({ spec, targetRevision, clones }: PlanInput): number {
  // Nearly always: then no clone is looked at.
  if (spec === undefined || clones.length <= spec.replicas) return 0;
  const followed = spec.onTargetChange === 'Retire' ? targetRevision : undefined;
  let [old, ready, others] = [0, 0, 0];
  for (const clone of clones) {
    if (!isAlive(clone)) continue;
    if (followed !== undefined && clone.revision !== followed) old += 1;
    else if (clone.isReady) ready += 1;
    else others += 1;
  }
  return Math.max(0, old + ready + (old > 0 ? 0 : others) - spec.replicas);
}

/**
 * Nobody wants clones of a target that is gone, which in mode Scale whoever sets spec.replicas does not know; those that
 * are younger were made as it was back.
 */
function countUnwanted({ targetGoneSince: since, clones }: PlanInput): number {
  return since === undefined ? 0 : clones.filter((clone) => isAlive(clone) && clone.createdAt <= since).length;
}

/** Since when there is nothing to clone, by the status that the clone controller wrote; epoch seconds. */
export function targetGoneSince({ status }: ClonePool): number | undefined {
  const target = status?.conditions?.find(({ type }) => type === 'TargetResolved');
  const isGone = target?.reason === 'TargetNotFound' || target?.reason === 'TargetScaledToZero';
  return isGone ? parseTimestamp(target.lastTransitionTime, 'lastTransitionTime') : undefined;
}

function isSuddenDrop(
  { mode, windows = [] }: ClonePoolSpec,
  { count, clones }: { readonly count: number; readonly clones: number },
  now: number,
): boolean {
  const isWanted = windows.some(
    ({ startTime, endTime }) =>
      parseTimestamp(startTime, 'startTime') <= now && now < parseTimestamp(endTime, 'endTime'),
  );
  return mode === 'Predictive' && isWanted && count > clones / 2;
}

/** What is known of the measurements of one pool. */
export interface MeasuringState {
  /** Why they cannot be read; undefined when they can. */
  readonly failure:
    | { readonly reason: 'MetricsUnavailable' | 'QueryFailed' | 'UnknownServer'; readonly message: string }
    | undefined;
  /** Clones without a request for the resource. */
  readonly withoutRequests: number;
  readonly decision: IdleDecision | undefined;
}

/** The conditions MetricsAvailable and ExitFrozen of a pool. */
export function idleConditions(
  exit: UtilizationExit | undefined,
  { failure, withoutRequests, decision }: MeasuringState,
): ClonePoolConditionDraft<'MetricsAvailable' | 'ExitFrozen'>[] {
  const available = (status: 'True' | 'False', reason: AvailableReason, message: string) =>
    ({ type: 'MetricsAvailable', status, reason, message }) as const;
  if (exit === undefined) {
    return [
      available('True', 'NoUtilizationExit', 'spec.utilizationExit is not set: none is measured'),
      frozen('False', 'NotFrozen', 'clones end by their deadline'),
    ];
  }
  if (failure !== undefined) {
    return [
      available('False', failure.reason, failure.message),
      frozen('True', 'MetricsUnavailable', 'clones end by their deadline only, as long as nothing is measured'),
    ];
  }
  const first =
    withoutRequests > 0
      ? available('False', 'NoRequests', `${withoutRequests} clones have no request for ${exit.resource ?? 'cpu'}`)
      : available('True', 'MetricsRead', 'the clones are measured');
  return [first, frozenBy(decision)];
}

type AvailableReason = ClonePoolConditionDraft<'MetricsAvailable'>['reason'];
type FrozenReason = ClonePoolConditionDraft<'ExitFrozen'>['reason'];

function frozenBy(decision: IdleDecision | undefined): ClonePoolConditionDraft<'ExitFrozen'> {
  switch (decision?.reason) {
    case 'ExitFrozen': {
      const { unmeasured, measurable } = decision;
      return frozen(
        'True',
        'MetricsMissing',
        `${unmeasured} of ${measurable} clones have no metrics: none ends as Idle`,
      );
    }
    case 'PoolGuard':
      return frozen('True', 'PoolBusy', 'the others could not carry what the idle clones still do');
    case 'BurstAhead':
      return frozen('True', 'BurstExpected', 'a window is about to begin: idle clones are kept for it');
    default:
      return frozen('False', 'NotFrozen', 'clones that have nothing to do end');
  }
}

function frozen(status: 'True' | 'False', reason: FrozenReason, message: string) {
  return { type: 'ExitFrozen', status, reason, message } as const;
}

/** The condition PDBBlocked of a pool. */
export function blockedCondition(
  { budgetExhausted, severalBudgets }: { readonly budgetExhausted: number; readonly severalBudgets: number },
  evictTimeoutSeconds: number,
): ClonePoolConditionDraft<'PDBBlocked'> {
  const after = `they are deleted ${evictTimeoutSeconds} s after the first refusal`;
  const type = 'PDBBlocked';
  if (severalBudgets > 0) {
    const message = `${severalBudgets} clones have several PodDisruptionBudgets and cannot be evicted; ${after}`;
    return { type, status: 'True', reason: 'SeveralBudgets', message };
  }
  if (budgetExhausted > 0) {
    const message = `a PodDisruptionBudget refuses that ${budgetExhausted} clones end; ${after}`;
    return { type, status: 'True', reason: 'BudgetExhausted', message };
  }
  return { type, status: 'False', reason: 'NotBlocked', message: 'no clone is kept from ending' };
}
