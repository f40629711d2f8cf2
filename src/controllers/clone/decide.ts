// SPDX-License-Identifier: Apache-2.0
import type { Scaling } from '../../api/clone-labels.ts';
import type { ClonePoolStatus, CloneWindow } from '../../api/v1alpha1/clone-pool.ts';
import { parseQuantity } from '../../base/quantity.ts';
import { buildClone } from '../../capacity/clones/build-pod.ts';
import type { PodManifest } from '../../capacity/clones/build-pod.ts';
import { extendDeadlines, planPopulation } from '../../capacity/clones/population.ts';
import type { Extension, Population, WantedWindow } from '../../capacity/clones/population.ts';
import { revisionOf } from '../../capacity/clones/target.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { Victim } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import { judge } from './judge.ts';
import type { Judgement } from './judge.ts';
import { announce, renderStatus } from './render.ts';
import type { EventDraft } from './render.ts';
import type { PlannedWindow, PlanWindows, Snapshot } from './snapshot.ts';

/** What to write into the spec of a pool. */
export interface SpecToWrite {
  readonly windows: readonly CloneWindow[];
  readonly replicas: number;
}

/** What is to be done about a pool, in this order. */
export interface Decision {
  /** Undefined in mode Scale, and where nothing may be said about it. */
  readonly spec: SpecToWrite | undefined;
  /** Undefined where as many clones are wanted as before. */
  readonly scaling: { readonly reason: Scaling; readonly message: string } | undefined;
  readonly creates: readonly PodManifest[];
  /** Are there clones to make, now or when they are not refused any more? */
  readonly wantsMore: boolean;
  readonly extensions: readonly Extension[];
  /** Surplus and outdated clones; the sweeper ends the others by itself. */
  readonly victims: readonly Victim[];
  /** Those of them that go for no other reason than to make room, which no sweeper knows of. */
  readonly room: readonly Victim[];
  readonly status: ClonePoolStatus;
  readonly events: readonly EventDraft[];
  /** For the memory of the next look. */
  readonly dropSince: number | undefined;
  /** When something is to be done next, if nothing changes; epoch seconds. */
  readonly nextAt: number;
}

/** What does not change between looks. */
export interface DecideOptions {
  readonly planWindows: PlanWindows;
  /** A PriorityClass that never preempts; undefined when there is none. */
  readonly priorityClassName: string | undefined;
}

/** With clones, and while a window is near; and otherwise. Status must not become older than two minutes. */
const busySeconds = 15;
const quietSeconds = 60;
/** A sudden fall by more than half is believed when it still stands after so long. */
const holdSeconds = 30;
/** How long a clone takes to become Ready, until some have. */
const usualStartSeconds = 30;
/** Pods that nobody schedules for so long: the scheduler that they name may not be there. */
const schedulerPatienceSeconds = 30;

/** What to do about a pool, from what was seen; `now` is in epoch seconds of the apiserver's clock. */
export function decide(snapshot: Snapshot, now: number, options: DecideOptions): Decision {
  const { pool } = snapshot;
  const clones = ownClones(snapshot);
  const plan = planned(snapshot, now, options);
  const windows = plan?.windows;
  const wanted = wantedWindows(snapshot, windows, { clones, now });
  const revision = revisionIn(snapshot);
  const population = populate(snapshot, wanted, { clones, revision, now });
  const count = wanted.reduce((sum, { replicas }) => sum + replicas, 0);
  const hasPlan = windows !== undefined;
  const judgement = judge(snapshot, { clones, wanted: count, population, revision, hasPlan, now });
  const { victims, dropSince } = restrain(snapshot, { clones, population, now });
  const drafts = [...judgement.drafts, ...(snapshot.others ?? [])];
  const spec = specToWrite(snapshot, windows, count);
  return {
    spec,
    scaling: spec === undefined ? undefined : scalingOf(snapshot, count, plan?.reason ?? ''),
    creates: judgement.mayCreate ? build(snapshot, { population, judgement, clones, now }, options) : [],
    wantsMore: population.creates.length > 0,
    extensions: extensions(snapshot, wanted, clones),
    victims,
    room: victims.slice(0, population.room),
    status: renderStatus(pool, { clones, windows: wanted, revision, perClone: perClone(snapshot), drafts }, now),
    // What the sweeper says it also tells.
    events: announce(judgement.drafts, pool.status?.conditions ?? []),
    dropSince,
    nextAt: nextAt(snapshot, { windows, clones, dropSince, now }),
  };
}

/** Undefined where the pod template, or the CloneTemplate, is not known. */
function revisionIn({ target, template }: Snapshot): string | undefined {
  if (target.kind !== 'found') return undefined;
  if (template === undefined) return revisionOf(target.value, undefined);
  return template.kind === 'found' ? revisionOf(target.value, template.value) : undefined;
}

function populate(
  { pool, pods }: Snapshot,
  windows: readonly WantedWindow[],
  given: { readonly clones: readonly CloneView[]; readonly revision: string | undefined; readonly now: number },
): Population {
  const { clones, revision, now } = given;
  return planPopulation({
    pool: pool.metadata,
    clones,
    taken: new Set(pods.map(({ name }) => name)),
    windows,
    maxReplicas: pool.spec.maxReplicas,
    revision: pool.spec.onTargetChange === 'Keep' ? undefined : revision,
    minLifeSeconds: 2 * startSeconds(clones),
    now,
  });
}

/** Only what this very pool controls: a pod of another, or of an earlier pool of the name, is never touched. */
function ownClones({ pool, pods }: Snapshot): CloneView[] {
  return pods.filter(({ owner }) => owner?.isPool === true && owner.uid === pool.metadata.uid);
}

/** What is planned now; undefined in mode Scale. Without a forecast the windows that were planned run out. */
function planned(snapshot: Snapshot, now: number, { planWindows }: DecideOptions): ReturnType<PlanWindows> {
  const { pool } = snapshot;
  if (pool.spec.mode === 'Scale') return undefined;
  const previous = standingWindows(snapshot).filter(({ endTime }) => endTime > now);
  const plan = planWindows(snapshot, previous, now);
  return plan ?? { windows: previous, reason: 'there is no forecast to plan from; what was planned runs out' };
}

/** By comparison with the last look; spec.replicas is also lowered for each clone that ends. */
function scalingOf({ pool, target, memory }: Snapshot, count: number, why: string): Decision['scaling'] {
  const before = memory.wanted ?? pool.spec.replicas;
  if (count === before) return undefined;
  const isWithoutTarget = count === 0 && isGone(target);
  const because = isWithoutTarget ? `Deployment ${pool.spec.targetRef.name} is gone or has spec.replicas 0` : why;
  const message = `${count} clones are wanted, ${before} before: ${because}`;
  return { reason: count > before ? 'ScaledUp' : 'ScaledDown', message };
}

function isGone(target: Snapshot['target']): boolean {
  return target.kind === 'missing' || (target.kind === 'found' && target.value.spec.replicas === 0);
}

function standingWindows({ pool }: Snapshot): PlannedWindow[] {
  return (pool.spec.windows ?? []).map(({ id, startTime, endTime, replicas }) => ({
    id,
    startTime: parseTimestamp(startTime, 'spec.windows.startTime'),
    endTime: parseTimestamp(endTime, 'spec.windows.endTime'),
    replicas,
  }));
}

/** The windows that clones are wanted for now, less the clones that had nothing to do, and at most maxReplicas in all. */
function wantedWindows(
  snapshot: Snapshot,
  windows: readonly PlannedWindow[] | undefined,
  { clones, now }: { readonly clones: readonly CloneView[]; readonly now: number },
): readonly WantedWindow[] {
  const { pool, target, memory } = snapshot;
  const { maxReplicas, replicas, suspend } = pool.spec;
  if (isGone(target)) return [];
  const open: readonly WantedWindow[] =
    windows === undefined
      ? [{ id: undefined, deadline: undefined, replicas }]
      : windows
          .filter(({ startTime, endTime }) => startTime <= now && now < endTime)
          .toSorted((a, b) => a.startTime - b.startTime || (a.id < b.id ? -1 : 1))
          .map((window) => ({
            id: window.id,
            deadline: window.endTime,
            replicas: Math.max(0, window.replicas - (memory.idle.get(window.id) ?? 0)),
          }));
  // Suspended, those that are there stay for as long as they live, and nobody takes their place.
  let left = suspend ? Math.min(maxReplicas, clones.filter(isAlive).length) : maxReplicas;
  return open.map((window) => {
    const granted = Math.min(left, window.replicas);
    left -= granted;
    return { ...window, replicas: granted };
  });
}

function specToWrite(
  { pool }: Snapshot,
  windows: readonly PlannedWindow[] | undefined,
  replicas: number,
): SpecToWrite | undefined {
  if (windows === undefined || pool.metadata.deletionTimestamp !== undefined) return undefined;
  return {
    windows: windows.map(({ id, startTime, endTime, replicas: count }) => ({
      id,
      startTime: formatRfc3339(startTime),
      endTime: formatRfc3339(endTime),
      replicas: count,
    })),
    replicas,
  };
}

/**
 * Nobody is ended where the target cannot be read, and a fall by more than half, which a `kubectl replace` makes of a
 * manifest without replicas, must last for a while. Windows that end as they were to have no part in it: their clones
 * have passed their deadline then.
 */
function restrain(
  { pool, target, template, memory }: Snapshot,
  given: {
    readonly clones: readonly CloneView[];
    readonly population: Population;
    readonly now: number;
  },
): { readonly victims: readonly Victim[]; readonly dropSince: number | undefined } {
  const { clones, population, now } = given;
  const isUnknown = target.kind === 'unreadable' || template?.kind === 'unreadable';
  if (isUnknown || pool.metadata.deletionTimestamp !== undefined) return { victims: [], dropSince: undefined };
  const alive = clones.filter(isAlive).length;
  const surplus = population.victims.filter(({ reason }) => reason === 'Surplus').length;
  if (surplus <= alive / 2 || target.kind === 'missing') return { victims: population.victims, dropSince: undefined };
  const dropSince = memory.dropSince ?? now;
  return { victims: now - dropSince >= holdSeconds ? population.victims : [], dropSince };
}

function build(
  snapshot: Snapshot,
  given: {
    readonly population: Population;
    readonly judgement: Judgement;
    readonly clones: readonly CloneView[];
    readonly now: number;
  },
  { priorityClassName }: DecideOptions,
): PodManifest[] {
  const { pool, target, template } = snapshot;
  const { population, judgement, clones, now } = given;
  if (target.kind !== 'found') return [];
  const waits = clones.some(
    ({ state, createdAt }) => state === 'Pending' && now - createdAt > schedulerPatienceSeconds,
  );
  const isFallback = pool.spec.placement.strategy === 'Scheduler' && waits;
  return population.creates.map(({ window, index, generation }) =>
    buildClone({
      pool,
      target: target.value,
      template: template?.kind === 'found' ? template.value : undefined,
      window:
        window.id === undefined || window.deadline === undefined
          ? undefined
          : { id: window.id, deadline: window.deadline },
      index,
      generation,
      now,
      labels: judgement.labels,
      priorityClassName,
      ...(isFallback ? { placement: 'Affinity' as const } : {}),
    }),
  );
}

function extensions({ pool }: Snapshot, wanted: readonly WantedWindow[], clones: readonly CloneView[]): Extension[] {
  if (pool.metadata.deletionTimestamp !== undefined) return [];
  const { maxSeconds } = pool.spec.lifetime;
  return extendDeadlines(clones, wanted, { maxSeconds, bucketSeconds: pool.spec.placement.bucketSeconds });
}

/** Demand that a clone carries; undefined when it is not known. */
function perClone({ pool, forecast }: Snapshot): number | undefined {
  const given = pool.spec.capacityPerClone ?? forecast?.spec.capacityPerReplica;
  return given === undefined ? undefined : parseQuantity(String(given), 'spec.capacityPerClone');
}

/** The 90th percentile of the time from creation to Ready. */
function startSeconds(clones: readonly CloneView[]): number {
  const times = clones
    .flatMap(({ createdAt, readyAt }) => (readyAt === undefined ? [] : [Math.max(0, readyAt - createdAt)]))
    .toSorted((a, b) => a - b);
  return times[Math.ceil(0.9 * times.length) - 1] ?? usualStartSeconds;
}

function nextAt(
  { pool, memory }: Snapshot,
  given: {
    readonly windows: readonly PlannedWindow[] | undefined;
    readonly clones: readonly CloneView[];
    readonly dropSince: number | undefined;
    readonly now: number;
  },
): number {
  const { windows = [], clones, dropSince, now } = given;
  const { mode, replicas } = pool.spec;
  // A target that comes back is only seen by looking.
  const isWaitedFor = mode === 'Scale' && replicas > 0;
  const isBusy = clones.length > 0 || isWaitedFor || windows.some(({ startTime }) => startTime <= now + quietSeconds);
  const times = [
    now + (isBusy ? busySeconds : quietSeconds),
    memory.retryAt,
    ...windows.flatMap(({ startTime, endTime }) => [startTime, endTime]),
    ...(dropSince === undefined ? [] : [dropSince + holdSeconds]),
  ];
  return Math.min(...times.filter((time) => time > now));
}
