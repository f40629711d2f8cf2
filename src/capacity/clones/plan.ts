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
  /** Divided as the base is: what clones are made by. */
  readonly steps: readonly Step[];
  /** Divided as if the base had done what it was told: what clones end by. */
  readonly cautious: readonly Step[];
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
/** Lives of a minute, one beginning at half of the other, for longer than any forecast. */
const maxSlots = 1000;
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
 * When its burst is gone from the forecast it ends one look-ahead from now. Without a forecast, and where a clone would
 * not live longer than it takes to start, all windows stand.
 */
export function planBursts(input: PlanInput): Plan {
  const { now, spec } = input;
  const previous = input.previous
    .map((window) => ({
      ...window,
      endTime: Math.min(window.endTime, window.startTime + spec.lifetime.maxSeconds),
      replicas: Math.min(window.replicas, spec.maxReplicas),
    }))
    .filter(({ endTime }) => endTime > now)
    .toSorted(byStart);
  const look = lookAt({ ...input, previous });
  if (look === undefined) return conclude(input, previous, []);
  return conclude(input, planWindows(look), look.steps);
}

/** Windows are laid out around those that have begun: again without one that turns out to need no clones any more. */
function planWindows(look: Look): readonly BurstWindow[] {
  const windows: BurstWindow[] = [];
  for (const group of groupBursts(look)) windows.push(...layOut(look, group, windows));
  const ids = new Set(windows.map(({ id }) => id));
  const previous = look.previous.filter((window) => !isActive(window, look.now) || ids.has(window.id));
  if (previous.length < look.previous.length) return planWindows({ ...look, previous });
  return windows.toSorted(byStart).slice(0, maxWindows);
}

/** Divides the forecast; undefined when there is none that may be used, or clones would end before they are Ready. */
function lookAt(input: PlanInput): Look | undefined {
  const { curve, capacityPerClone, base, spec, leadSeconds, lookAheadSeconds, now, previous } = input;
  const isUsable = capacityPerClone > 0 && Number.isFinite(capacityPerClone) && spec.lifetime.maxSeconds > leadSeconds;
  if (curve === undefined || !isUsable) return undefined;
  const longestBurstSeconds = Math.min(spec.maxBurstSeconds, spec.lifetime.maxSeconds);
  const split = { curve, base, longestBurstSeconds, lookAheadSeconds, leadSeconds, now };
  const steps = splitDemand(split);
  const [first] = steps;
  if (first === undefined) return undefined;
  const { minReplicas, readyReplicas, capacityPerReplica } = base;
  const counted = previous.filter((window) => isActive(window, now) && window.endTime > now + lookAheadSeconds);
  const told = Math.max(minReplicas * capacityPerReplica, first.demand - sum(counted) * capacityPerClone);
  const standing = Math.min(readyReplicas, Math.ceil(told / capacityPerReplica));
  const cautious = splitDemand({ ...split, base: { ...base, readyReplicas: standing } });
  return { ...input, steps, cautious, told };
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
function layOut(look: Look, group: Group, before: readonly BurstWindow[]): readonly BurstWindow[] {
  const { now } = look;
  const ids = new Set([...look.previous, ...before].map(({ id }) => id));
  const begun = group.standing.filter((window) => isActive(window, now));
  const later = new Set(group.standing.filter((window) => !isActive(window, now)));
  const windows: BurstWindow[] = [];
  let { start } = group;
  let covered = Number.NEGATIVE_INFINITY;
  const add = (id: string, times: Times, replicas: number): void => {
    ids.add(id);
    if (replicas > 0 && times.endTime > now) windows.push({ id, ...times, replicas });
    covered = Math.max(covered, times.endTime);
    start = successorStart(look, times);
  };
  for (const old of begun) {
    const times = moveBegun(look, old, group.end);
    add(old.id, times, size(look, times, old.replicas));
  }
  const endTime = group.end ?? covered;
  for (let slot = 0; slot < maxSlots && covered < endTime; slot += 1) {
    const old = nearest(later, start, start + look.spec.lifetime.maxSeconds);
    // Only the first one moves with the forecast: the others begin as those before them end.
    const isFirst = slot === 0 && begun.length === 0;
    const span = { startTime: isFirst ? settleStart(look, old, start) : start, endTime };
    const { times, replicas } = fill(look, old, span);
    add(old?.id ?? freshId(ids, times.startTime + look.leadSeconds), times, replicas);
    if (old !== undefined && replicas > 0) later.delete(old);
  }
  return windows;
}

type Times = Pick<BurstWindow, 'startTime' | 'endTime'>;

/** A window that has not begun; where nothing is needed, time goes on all the same. */
function fill(look: Look, old: BurstWindow | undefined, span: Times): { times: Times; replicas: number } {
  const times = moveLater(look, old, span);
  const replicas = size(look, times, undefined);
  return replicas > 0 ? { times, replicas } : { times: moveLater(look, undefined, span), replicas };
}

/** Of the windows that overlap a time the one that begins nearest to its start. */
function nearest(windows: ReadonlySet<BurstWindow>, startTime: number, endTime: number): BurstWindow | undefined {
  const distance = (window: BurstWindow): number => Math.abs(window.startTime - startTime);
  return [...windows]
    .filter((window) => window.startTime < endTime && startTime < window.endTime)
    .toSorted((a, b) => distance(a) - distance(b))[0];
}

function moveBegun(look: Look, old: BurstWindow, end: number | undefined): Times {
  const { startTime } = old;
  const latest = startTime + look.spec.lifetime.maxSeconds;
  if (end !== undefined) return { startTime, endTime: settleEnd(look, old, Math.min(end, latest), latest) };
  return { startTime, endTime: Math.min(latest, isForgone(look, old) ? takeOver(look, old.endTime) : old.endTime) };
}

function moveLater(look: Look, old: BurstWindow | undefined, { startTime, endTime: end }: Times): Times {
  const latest = startTime + look.spec.lifetime.maxSeconds;
  return { startTime, endTime: settleEnd(look, old, Math.min(end, latest), latest) };
}

/** Earlier at once, later only when it is worth writing. */
function settleStart({ steps }: Look, old: BurstWindow | undefined, start: number): number {
  const later = start - (old?.startTime ?? start);
  return later > 0 && later <= stepOf(steps) ? start - later : start;
}

/** Later at once, earlier only when it is worth writing. */
function settleEnd({ steps }: Look, old: BurstWindow | undefined, end: number, latest: number): number {
  const earlier = (old?.endTime ?? end) - end;
  const stays = earlier > 0 && earlier <= toleranceSteps * stepOf(steps) && end + earlier <= latest;
  return stays ? end + earlier : end;
}

function stepOf([first]: readonly Step[]): number {
  return first === undefined ? 0 : first.end - first.start;
}

/** Is all that is left of the forecast for a window well below what base and clones carry? */
function isForgone(look: Look, window: BurstWindow): boolean {
  const rest = during(look.cautious, window);
  const carried = window.replicas * look.capacityPerClone;
  return rest.length > 0 && rest.every(({ demand, base }) => demand < retireBelow * (base + carried));
}

function takeOver({ now, lookAheadSeconds, spec }: Look, endTime: number): number {
  const handedOver = now + lookAheadSeconds;
  // Later than that, or its clones would not count from now on.
  return Math.min(endTime, Math.max(Math.ceil(handedOver + spec.lifetime.marginSeconds), Math.floor(handedOver) + 1));
}

/** The next clones are Ready when those of `window` stop counting. */
function successorStart({ now, lookAheadSeconds, leadSeconds }: Look, { startTime, endTime }: Times): number {
  const handOver = endTime - lookAheadSeconds - leadSeconds;
  return Math.floor(Math.max(now, handOver, (startTime + endTime) / 2));
}

function during(steps: readonly Step[], { startTime, endTime }: Times): readonly Step[] {
  return steps.filter(({ start, end }) => end > startTime && start < endTime);
}

/** Clones of a window; `held` is what one that has begun has, and what stays where the forecast does not reach. */
function size(look: Look, times: Times, held: number | undefined): number {
  const { capacityPerClone, spec, base, now, leadSeconds, told } = look;
  const needed = during(look.steps, times).map((step) => clonesFor(step.demand - step.base, capacityPerClone));
  if (held === undefined) return Math.min(spec.maxReplicas, Math.max(0, ...needed));
  const safe = Math.min(told, base.readyReplicas * base.capacityPerReplica);
  const kept = during(look.cautious, times).map((step) => {
    const carried = step.start < now + leadSeconds ? Math.min(step.base, safe) : step.base;
    const { maxReplicas } = spec;
    const given = { predicted: step.demand, base: carried, clones: held, capacityPerClone, maxReplicas };
    return Math.min(held, decideCapacity(given).clones);
  });
  return Math.min(spec.maxReplicas, Math.max(...needed, ...(kept.length === 0 ? [held] : kept)));
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
