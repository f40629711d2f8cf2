// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolSpec } from '../../api/v1alpha1/clone-pool.ts';
import { formatDuration } from '../../base/duration.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { findRuns, splitDemand } from './bursts.ts';
import type { Base, DemandCurve, Run, Step } from './bursts.ts';
import { clonesFor, decideCapacity, retireBelow, short } from './decide-capacity.ts';

/** A burst that clones carry; `spec.windows` of a ClonePool with epoch seconds for times. */
export interface BurstWindow {
  readonly id: string;
  /** When its clones are to be made. */
  readonly startTime: number;
  /** Their deadline. */
  readonly endTime: number;
  readonly replicas: number;
}

/** What is planned from. */
export interface PlanInput {
  /** `status.forecast` of the DemandForecast; undefined when there is none that may be used. */
  readonly curve: DemandCurve | undefined;
  readonly capacityPerClone: number;
  readonly base: Base;
  readonly spec: Pick<ClonePoolSpec, 'minBurstReplicas' | 'maxBurstSeconds' | 'maxReplicas'> & {
    readonly lifetime: Pick<ClonePoolSpec['lifetime'], 'maxSeconds' | 'marginSeconds'>;
  };
  /** From the decision to a Ready clone. */
  readonly leadSeconds: number;
  /** How far ahead each value of the curve looks: see `lookAheadSeconds` of hand-off.ts. */
  readonly lookAheadSeconds: number;
  readonly now: number;
  /** The windows that stand. */
  readonly previous: readonly BurstWindow[];
}

/** Windows by start, and how many clones there are to be now. */
export interface Plan {
  readonly windows: readonly BurstWindow[];
  readonly wanted: number;
  readonly reason: string;
}

/** What one look has in common. */
interface Look extends PlanInput {
  readonly steps: readonly Step[];
  /** What the HPA may have scaled the base down to, told what clones carry. */
  readonly told: number;
}

/** Runs and windows that touch each other; `end` is undefined where no burst is left. */
interface Group {
  readonly start: number;
  readonly end: number | undefined;
  readonly standing: readonly BurstWindow[];
}

/** Of the CRD. */
const maxWindows = 32;
/** An end that comes nearer by less stays, so that deadlines are not written anew at every look. */
const toleranceSteps = 2;

/**
 * Plans the bursts that clones carry.
 *
 * A window is made for each run of steps that need at least minBurstReplicas clones (what of them is the base's:
 * splitDemand). It begins one lead before the forecast exceeds the base, and ends one look-ahead and a margin after
 * that is over: clones count for the base's metric only while they outlast the look-ahead (baseDemand), so that the base
 * has all that time to take over. Windows that touch are one. A window ends at lifetime.maxSeconds in any case; what is
 * left of the burst gets the next one, whose clones are Ready when the first ones stop counting. Two windows overlap
 * only there.
 *
 * A window that has begun keeps its id and its start while it moves. Its clones become more at once, but fewer only by
 * the rule of decideCapacity, against a base that is no larger than what is Ready and what its HPA was told to keep.
 * When its burst is gone from the forecast it ends one look-ahead from now. Without a forecast all windows stand.
 */
export function planBursts(input: PlanInput): Plan {
  const { now, spec, lookAheadSeconds, capacityPerClone } = input;
  const previous = input.previous.filter(({ endTime }) => endTime > now).toSorted(byStart);
  const longestBurstSeconds = Math.min(spec.maxBurstSeconds, spec.lifetime.maxSeconds);
  const isUsable = capacityPerClone > 0 && Number.isFinite(capacityPerClone);
  const steps =
    input.curve === undefined || !isUsable ? [] : splitDemand({ ...input, curve: input.curve, longestBurstSeconds });
  const [first] = steps;
  if (first === undefined)
    return conclude(
      input,
      previous.map((window) => cap(window, spec.maxReplicas)),
      steps,
    );
  const counted = previous.filter((window) => isActive(window, now) && window.endTime > now + lookAheadSeconds);
  const atLeast = input.base.minReplicas * input.base.capacityPerReplica;
  const told = Math.max(atLeast, first.demand - sum(counted) * capacityPerClone);
  const look: Look = { ...input, previous, steps, told };
  const windows: BurstWindow[] = [];
  for (const group of groupBursts(look)) windows.push(...layOut(look, group, new Set(windows.map(({ id }) => id))));
  return conclude(input, windows.toSorted(byStart).slice(0, maxWindows), steps);
}

function isActive({ startTime }: BurstWindow, now: number): boolean {
  return startTime <= now;
}

function byStart(a: { readonly startTime: number }, b: { readonly startTime: number }): number {
  return a.startTime - b.startTime;
}

function sum(windows: readonly BurstWindow[]): number {
  return windows.reduce((total, { replicas }) => total + replicas, 0);
}

function cap(window: BurstWindow, maxReplicas: number): BurstWindow {
  return { ...window, replicas: Math.min(window.replicas, maxReplicas) };
}

/** Puts together what touches: runs with the time around them, and windows that have begun. */
function groupBursts(look: Look): readonly Group[] {
  const { steps, capacityPerClone, spec, previous, now } = look;
  const begun = previous.filter((window) => isActive(window, now));
  const spans = [
    ...findRuns(steps, capacityPerClone, spec.minBurstReplicas).map((run) => ({
      ...spanOf(look, run),
      window: undefined,
    })),
    ...begun.map((window) => ({ startTime: Math.floor(now), endTime: window.endTime, window })),
  ].toSorted(byStart);
  const groups: { startTime: number; until: number; end: number | undefined; standing: BurstWindow[] }[] = [];
  for (const { startTime, endTime, window } of spans) {
    let group = groups.at(-1);
    if (group === undefined || startTime > group.until) {
      group = { startTime, until: endTime, end: undefined, standing: [] };
      groups.push(group);
    }
    group.until = Math.max(group.until, endTime);
    if (window === undefined) group.end = Math.max(group.end ?? endTime, endTime);
    else group.standing.push(window);
  }
  // A window that has not begun gives its id to the first group that it overlaps, and is gone without one.
  for (const window of previous.filter((item) => !isActive(item, now))) {
    const heir = groups.find(
      ({ startTime, until, end }) => end !== undefined && window.startTime < until && startTime < window.endTime,
    );
    heir?.standing.push(window);
  }
  return groups.map(({ startTime, end, standing }) => ({
    start: startTime,
    end,
    standing: standing.toSorted(byStart),
  }));
}

function spanOf({ leadSeconds, lookAheadSeconds, spec, now }: Look, run: Run): { startTime: number; endTime: number } {
  return {
    startTime: Math.floor(Math.max(run.start - leadSeconds, now)),
    endTime: Math.ceil(run.end + lookAheadSeconds + spec.lifetime.marginSeconds),
  };
}

/** The windows of a group: those that have begun, and as many more as it takes to its end. */
function layOut(look: Look, group: Group, taken: ReadonlySet<string>): readonly BurstWindow[] {
  const { now } = look;
  const ids = new Set([...taken, ...look.previous.map(({ id }) => id)]);
  const windows: BurstWindow[] = [];
  const standing = [...group.standing];
  let { start } = group;
  let covered = Number.NEGATIVE_INFINITY;
  for (let count = 0; count < maxWindows; count += 1) {
    const old = standing.shift();
    const mustStay = old !== undefined && isActive(old, now);
    if (!mustStay && covered >= (group.end ?? Number.NEGATIVE_INFINITY)) break;
    const times = place(look, group, { old, start });
    const replicas = size(look, times, mustStay ? old.replicas : undefined);
    const id = old?.id ?? freshId(ids, times.startTime + look.leadSeconds);
    ids.add(id);
    if (replicas > 0 && times.endTime > now) windows.push({ id, ...times, replicas });
    covered = Math.max(covered, times.endTime);
    start = successorStart(look, times);
  }
  return windows;
}

type Times = Pick<BurstWindow, 'startTime' | 'endTime'>;

function place(look: Look, { end }: Group, { old, start }: { old: BurstWindow | undefined; start: number }): Times {
  const { now, spec } = look;
  const startTime = old === undefined || !isActive(old, now) ? settleStart(look, old, start) : old.startTime;
  const latest = startTime + spec.lifetime.maxSeconds;
  if (end !== undefined) return { startTime, endTime: settleEnd(look, old, Math.min(end, latest)) };
  const standing = old?.endTime ?? now;
  return {
    startTime,
    endTime: Math.min(latest, old !== undefined && isForgone(look, old) ? takeOver(look, standing) : standing),
  };
}

function settleStart({ steps, now }: Look, old: BurstWindow | undefined, start: number): number {
  const later = start - (old?.startTime ?? start);
  return old !== undefined && later > 0 && later <= stepOf(steps) && old.startTime > now ? old.startTime : start;
}

/** Later at once, earlier only when it is worth writing. */
function settleEnd({ steps, spec }: Look, old: BurstWindow | undefined, end: number): number {
  if (old === undefined) return end;
  const earlier = old.endTime - end;
  const isWithinLife = old.endTime <= old.startTime + spec.lifetime.maxSeconds;
  return earlier > 0 && earlier <= toleranceSteps * stepOf(steps) && isWithinLife ? old.endTime : end;
}

function stepOf([first]: readonly Step[]): number {
  return first === undefined ? 0 : first.end - first.start;
}

/** Is all that is left of the forecast for a window well below what base and clones carry? */
function isForgone(look: Look, window: BurstWindow): boolean {
  const rest = stepsOf(look, window);
  const carried = window.replicas * look.capacityPerClone;
  return rest.length > 0 && rest.every(({ demand, base }) => demand < retireBelow * (base + carried));
}

function takeOver({ now, lookAheadSeconds, spec }: Look, endTime: number): number {
  return Math.min(endTime, Math.ceil(now + lookAheadSeconds + spec.lifetime.marginSeconds));
}

/** The next clones are Ready when those of `window` stop counting. */
function successorStart({ now, lookAheadSeconds, leadSeconds }: Look, { startTime, endTime }: Times): number {
  const handOver = endTime - lookAheadSeconds - leadSeconds;
  return Math.floor(Math.max(now, handOver, (startTime + endTime) / 2));
}

function stepsOf({ steps }: Look, { startTime, endTime }: Times): readonly Step[] {
  return steps.filter(({ start, end }) => end > startTime && start < endTime);
}

/** Clones of a window; `held` is what one that has begun has, and what stays where the forecast does not reach. */
function size(look: Look, times: Times, held: number | undefined): number {
  const { capacityPerClone, spec, base, now, leadSeconds, told } = look;
  const steps = stepsOf(look, times);
  const needed = Math.max(0, ...steps.map((step) => clonesFor(step.demand - step.base, capacityPerClone)));
  if (held === undefined) return Math.min(spec.maxReplicas, needed);
  const safe = Math.min(told, base.readyReplicas * base.capacityPerReplica);
  const kept = steps.map((step) => {
    const carried = step.start < now + leadSeconds ? Math.min(step.base, safe) : step.base;
    const { clones } = decideCapacity({
      ...spec,
      predicted: step.demand,
      base: carried,
      clones: held,
      capacityPerClone,
    });
    return Math.min(held, clones);
  });
  return Math.min(spec.maxReplicas, Math.max(needed, ...(kept.length === 0 ? [held] : kept)));
}

/** `w-20260901-115700`: when the clones are needed; with a number where two windows would have the same. */
function freshId(taken: ReadonlySet<string>, needed: number): string {
  const id = `w-${formatRfc3339(needed).replaceAll(/[-:Z]/g, '').replace('T', '-')}`;
  let number = 2;
  if (!taken.has(id)) return id;
  while (taken.has(`${id}-${number}`)) number += 1;
  return `${id}-${number}`;
}

function conclude(input: PlanInput, windows: readonly BurstWindow[], steps: readonly Step[]): Plan {
  const { now, spec } = input;
  const active = windows.filter((window) => isActive(window, now));
  const wanted = Math.min(spec.maxReplicas, sum(active));
  return {
    windows,
    wanted,
    reason: `${describeNow(active, wanted, spec.maxReplicas)}; ${describeNext(input, windows, steps)}`,
  };
}

function describeNow(active: readonly BurstWindow[], wanted: number, maxReplicas: number): string {
  const [first] = active;
  if (first === undefined) return 'no clones now';
  const ends = Math.max(...active.map(({ endTime }) => endTime));
  const limit = wanted === maxReplicas ? ` (maxReplicas ${maxReplicas})` : '';
  return `${wanted} clones now${limit}, the last ones to ${formatRfc3339(ends)}`;
}

function describeNext(
  { now, spec, capacityPerClone }: PlanInput,
  windows: readonly BurstWindow[],
  steps: readonly Step[],
): string {
  if (steps.length === 0) return 'without a forecast windows stand as they are';
  const peak = steps.reduce((highest, step) =>
    step.demand - step.base > highest.demand - highest.base ? step : highest,
  );
  const numbers = `of predicted ${short(peak.demand)} at ${formatRfc3339(peak.start)} the base carries ${short(peak.base)}`;
  const needed = clonesFor(peak.demand - peak.base, capacityPerClone);
  const next = windows.find((window) => !isActive(window, now));
  const rest = `${numbers}, clones of ${short(capacityPerClone)} the rest`;
  if (next !== undefined) return `${next.replicas} clones from ${formatRfc3339(next.startTime)} on: ${rest}`;
  if (needed === 0) return `${numbers}: no clones are needed`;
  const { minBurstReplicas, maxBurstSeconds } = spec;
  const few = needed < minBurstReplicas;
  return few
    ? `${numbers}: ${needed} clones would do, a burst has at least ${minBurstReplicas}`
    : `${rest}; what lasts longer than ${formatDuration(maxBurstSeconds)} is the base's`;
}
