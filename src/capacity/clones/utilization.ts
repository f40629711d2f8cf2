// SPDX-License-Identifier: Apache-2.0
import type { UtilizationExit } from '../../api/v1alpha1/clone-pool.ts';
import { nodeOrder } from './victims.ts';
import type { NodeFacts } from './victims.ts';
import type { CloneView } from './view.ts';

/** When a clone counts as idle. */
export type IdleRule = Pick<
  UtilizationExit,
  | 'belowPercent'
  | 'clearAbovePercent'
  | 'sustainedSeconds'
  | 'minSamples'
  | 'warmupSeconds'
  | 'maxSampleAgeSeconds'
  | 'poolGuardPercent'
  | 'cooldownSeconds'
>;

export type MeasuredResource = 'cpu' | 'memory';

/** A container of a clone that runs for as long as the pod does: sidecars among the init containers too. */
export interface MeasuredContainer {
  readonly name: string;
  readonly isRunning: boolean;
  readonly restarts: number;
  /** Requests: cores and bytes. */
  readonly cpu: number | undefined;
  readonly memory: number | undefined;
}

/** What is measured against, as the pod's spec and status say it now. */
export interface MeasuredPod {
  readonly containers: readonly MeasuredContainer[];
  /** Requests of the pod as a whole (spec.resources), which go before those of its containers. */
  readonly cpu: number | undefined;
  readonly memory: number | undefined;
}

/** What the containers of a pod used over the window that ends at `timestamp`: cores or bytes, by name. */
export interface ContainerUsage {
  readonly timestamp: number;
  readonly windowSeconds: number;
  readonly byContainer: ReadonlyMap<string, number>;
}

/** How much of what it may use a clone used. */
export interface UsageSample {
  readonly timestamp: number;
  readonly windowSeconds: number;
  /** Cores, bytes, or percent when it comes from a query. */
  readonly used: number;
  /** In the same unit: what `used` is a part of; 100 when it comes from a query. */
  readonly requested: number;
  /** Changes when the pod is resized or one of its containers has restarted. */
  readonly shape: string;
}

export type Measurement =
  | ({ readonly kind: 'sample' } & UsageSample)
  | { readonly kind: 'unknown'; readonly reason: 'NoRequest' | 'ContainerMissing' };

/**
 * Usage over requests of one clone: of the containers that have a request, or of all where the pod has one as a whole.
 * Unknown when a container that runs was not measured: what is missing is never zero.
 */
export function measureUsage(resource: MeasuredResource, pod: MeasuredPod, usage: ContainerUsage): Measurement {
  const { timestamp, windowSeconds, byContainer } = usage;
  if (pod.containers.some(({ name, isRunning }) => isRunning && !byContainer.has(name))) {
    return { kind: 'unknown', reason: 'ContainerMissing' };
  }
  const whole = pod[resource];
  const counted = pod.containers.filter((container) => whole !== undefined || (container[resource] ?? 0) > 0);
  const requested = whole ?? sum(counted.map((container) => container[resource] ?? 0));
  if (!(requested > 0)) return { kind: 'unknown', reason: 'NoRequest' };
  const measured = counted.map(({ name }) => byContainer.get(name));
  // Not one of those that count has been measured: they wait, or have ended.
  if (measured.every((value) => value === undefined)) return { kind: 'unknown', reason: 'ContainerMissing' };
  const restarts = sum(pod.containers.map((container) => container.restarts));
  const used = sum(measured.map((value) => value ?? 0));
  return { kind: 'sample', timestamp, windowSeconds, used, requested, shape: `${requested}/${restarts}` };
}

/** What is known of how busy a clone was. Immutable. */
export interface IdleRecord {
  /** The last valid sample. */
  readonly last: UsageSample | undefined;
  /** Samples in a row that were below, without those of the band between the two bounds. */
  readonly samples: number;
  /** Seconds between samples that were both below. */
  readonly coveredSeconds: number;
}

/** Of a clone of which nothing is known. */
export const noRecord: IdleRecord = { last: undefined, samples: 0, coveredSeconds: 0 };

/**
 * Takes a sample in, if it says something: it is new, not old, and its whole window lies after the warm-up. A valid
 * one below `belowPercent` makes the streak longer, one from `clearAbovePercent` on ends it, one in between does
 * neither. A resize, a restart, and a gap longer than `maxSampleAgeSeconds`, of which nothing is known, end it too.
 */
export function recordSample(
  record: IdleRecord,
  sample: UsageSample,
  { rule, readyAt, now }: { readonly rule: IdleRule; readonly readyAt: number | undefined; readonly now: number },
): IdleRecord {
  if (!isValid(record, sample, { rule, readyAt, now })) return record;
  const { last } = record;
  const gapSeconds = last === undefined ? Number.POSITIVE_INFINITY : sample.timestamp - last.timestamp;
  const goesOn = last !== undefined && last.shape === sample.shape && gapSeconds <= rule.maxSampleAgeSeconds;
  const percent = percentOf(sample);
  if (percent >= rule.clearAbovePercent) return { ...noRecord, last: sample };
  const streak = goesOn ? record : noRecord;
  if (percent >= rule.belowPercent) return { ...streak, last: sample };
  const isBoth = goesOn && percentOf(last) < rule.belowPercent;
  return {
    last: sample,
    samples: streak.samples + 1,
    coveredSeconds: streak.coveredSeconds + (isBoth ? gapSeconds : 0),
  };
}

function isValid(
  record: IdleRecord,
  { timestamp, windowSeconds, used, requested }: UsageSample,
  { rule, readyAt, now }: { readonly rule: IdleRule; readonly readyAt: number | undefined; readonly now: number },
): boolean {
  const isNumber = Number.isFinite(timestamp) && windowSeconds >= 0 && used >= 0 && requested > 0;
  const isNew = timestamp > (record.last?.timestamp ?? Number.NEGATIVE_INFINITY);
  const isWarm = readyAt !== undefined && timestamp - windowSeconds >= readyAt + rule.warmupSeconds;
  // A clock that is ahead may not make a sample valid for longer either.
  return isNumber && isNew && isWarm && Math.abs(now - timestamp) <= rule.maxSampleAgeSeconds;
}

/** Utilisation in percent. */
function percentOf({ used, requested }: UsageSample): number {
  return (100 * used) / requested;
}

/** Why no clone, or which, ends for want of work. */
export type IdleReason =
  | 'Idle'
  | 'Busy'
  | 'ExitFrozen'
  | 'Cooldown'
  | 'BurstAhead'
  /** The rest would be used more than `poolGuardPercent`. */
  | 'PoolGuard';

/** What `decideExits` says. */
export interface IdleDecision {
  readonly exits: readonly CloneView[];
  readonly reason: IdleReason;
  /** Clones past their warm-up, and how many of them have no sample that is recent enough. */
  readonly measurable: number;
  readonly unmeasured: number;
}

/** What the decision about one pool rests on. */
export interface IdleInput {
  /** All clones of the pool. */
  readonly clones: readonly CloneView[];
  /** By uid. */
  readonly records: ReadonlyMap<string, IdleRecord>;
  readonly rule: IdleRule;
  /** Starts of the pool's windows, epoch seconds. */
  readonly windowStarts: readonly number[];
  /** A window that begins within so much keeps the clones that are there. */
  readonly leadSeconds: number;
  /** When clones of the pool were last ended as Idle. */
  readonly lastExitAt: number | undefined;
  readonly nodes?: ReadonlyMap<string, NodeFacts>;
}

/** From this part of the clones on without metrics, nobody ends: rather the metrics have failed than the work. */
const frozenFrom = 0.3;
/** Of the pool, at a time. */
const mostAtOnce = 0.1;
/** Whoever was idle must have been so until just now: traffic may have come since. */
const freshSeconds = 30;

/**
 * Which clones of a pool end for want of work. At most a tenth, and one at least, at a time; none while a window is
 * about to begin, while too many have no metrics, and where the rest could not carry what they do.
 */
export function decideExits(input: IdleInput, now: number): IdleDecision {
  const { rule, records, windowStarts, leadSeconds, lastExitAt } = input;
  const serving = input.clones.filter(({ state, isReady }) => state === 'Serving' && isReady);
  const measurable = serving.filter((clone) => isMeasurable(clone, rule, now));
  const unmeasured = measurable.filter(({ uid }) => !isRecent(records.get(uid), rule.maxSampleAgeSeconds, now)).length;
  const none = (reason: IdleReason): IdleDecision => ({ exits: [], reason, measurable: measurable.length, unmeasured });
  if (unmeasured > 0 && unmeasured >= frozenFrom * measurable.length) return none('ExitFrozen');
  const idle = measurable.filter(({ uid }) => isIdle(records.get(uid), rule, now));
  if (idle.length === 0) return none('Busy');
  if (lastExitAt !== undefined && now - lastExitAt < rule.cooldownSeconds) return none('Cooldown');
  if (windowStarts.some((start) => start > now && start <= now + leadSeconds)) return none('BurstAhead');
  const exits = guarded(input, { serving, idle }, now);
  return { exits, reason: exits.length === 0 ? 'PoolGuard' : 'Idle', measurable: measurable.length, unmeasured };
}

/** Has it been Ready for long enough that a sample of it could be valid, and could have come? */
function isMeasurable({ readyAt }: CloneView, rule: IdleRule, now: number): boolean {
  return readyAt !== undefined && readyAt + rule.warmupSeconds + rule.maxSampleAgeSeconds <= now;
}

function isRecent(record: IdleRecord | undefined, maxAgeSeconds: number, now: number): boolean {
  return record?.last !== undefined && Math.abs(now - record.last.timestamp) <= maxAgeSeconds;
}

/** Has it had nothing to do for long enough, until just now? */
export function isIdle(record: IdleRecord | undefined, rule: IdleRule, now: number): boolean {
  if (record?.last === undefined || !isRecent(record, freshSeconds, now)) return false;
  const isLong = record.samples >= rule.minSamples && record.coveredSeconds >= rule.sustainedSeconds;
  return isLong && percentOf(record.last) < rule.belowPercent;
}

/** As many as may go, one after the other: those that stay must be able to carry what all of them carry now. */
function guarded(
  { records, rule, nodes }: IdleInput,
  { serving, idle }: { readonly serving: readonly CloneView[]; readonly idle: readonly CloneView[] },
  now: number,
): CloneView[] {
  // Clones of which nothing is known carry their own work, and take nothing over.
  const known = serving
    .map(({ uid }) => records.get(uid))
    .filter((record) => isRecent(record, rule.maxSampleAgeSeconds, now))
    .flatMap((record) => record?.last ?? []);
  const used = sum(known.map((sample) => sample.used));
  let requested = sum(known.map((sample) => sample.requested));
  const most = Math.max(1, Math.floor(mostAtOnce * serving.length));
  const going = new Set(idle);
  const stay = serving.filter((clone) => !going.has(clone));
  const exits: CloneView[] = [];
  for (const clone of nodeOrder(idle, stay, nodes)) {
    const left = requested - (records.get(clone.uid)?.last?.requested ?? 0);
    const isCarried = left > 1e-9 && 100 * used <= rule.poolGuardPercent * left;
    if (exits.length >= most || !isCarried) continue;
    requested = left;
    exits.push(clone);
  }
  return exits;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
