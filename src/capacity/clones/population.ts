// SPDX-License-Identifier: Apache-2.0
import { expiryBucket } from './affinity.ts';
import { cloneName } from './build-pod.ts';
import { chooseVictims, isAlive, nodeOrder } from './victims.ts';
import type { Victim } from './victims.ts';
import type { CloneView } from './view.ts';

/** A burst that clones are wanted for now. */
export interface WantedWindow {
  /** Undefined in mode Scale. */
  readonly id: string | undefined;
  /** Epoch seconds at which its clones end; undefined in mode Scale, where they end by their time to live. */
  readonly deadline: number | undefined;
  readonly replicas: number;
}

/** Which clone to make. */
export interface Slot {
  readonly window: WantedWindow;
  readonly index: number;
  readonly generation: number;
}

/** What there is and what is wanted. */
export interface PopulationInput {
  readonly pool: { readonly name: string; readonly uid: string };
  /** The clones that the pool controls. */
  readonly clones: readonly CloneView[];
  /** Names of all pods of the namespace that are known, whoever owns them. */
  readonly taken: ReadonlySet<string>;
  /** In the order in which they get clones. */
  readonly windows: readonly WantedWindow[];
  readonly maxReplicas: number;
  /** Clones of another revision are replaced; undefined when they are as good as others. */
  readonly revision: string | undefined;
  /** A clone that would be there for less is not made, seconds. */
  readonly minLifeSeconds: number;
  readonly now: number;
}

/** What is to become of the clones of a pool. */
export interface Population {
  /** Clones to make, in this order. */
  readonly creates: readonly Slot[];
  /** Surplus and outdated ones. */
  readonly victims: readonly Victim[];
  /** Of the victims those that go for no other reason than to make room for new ones. */
  readonly room: number;
  /** Clones that are wanted, but would end before they are of use. */
  readonly late: number;
  readonly outdated: number;
}

/**
 * The clones to make and to end, so that there are as many as the windows want, and never more than `maxReplicas`.
 * Clones of another revision stay until those in their place are Ready; where there is no room for both, a quarter of
 * them makes room at a time. Whoever has passed its deadline is left to the sweeper.
 */
export function planPopulation(input: PopulationInput): Population {
  const { clones, windows, maxReplicas, revision, now } = input;
  const alive = clones.filter(isAlive);
  const lasting = alive.filter(({ effectiveDeadline }) => effectiveDeadline > now);
  const isCurrent = (clone: CloneView): boolean => revision === undefined || clone.revision === revision;
  const current = lasting.filter(isCurrent);
  const outdated = lasting.filter((clone) => !isCurrent(clone));
  const wanted = windows.reduce((sum, { replicas }) => sum + replicas, 0);
  const missing = Math.max(0, wanted - current.length);
  const room = Math.max(0, maxReplicas - alive.length);
  const { slots, late } = chooseSlots(input, current, missing);
  const isFull = slots.length > 0 && room === 0;
  const given = { current, outdated, wanted, over: lasting.length - maxReplicas };
  const spare = outdatedToEnd({ ...given, isFull: false });
  const leaving = outdatedToEnd({ ...given, isFull });
  const surplus = notReadyFirst(current, Math.max(0, current.length - wanted));
  return {
    creates: slots.slice(0, room),
    victims: [
      ...notReadyFirst(outdated, leaving).map((clone) => ({ clone, reason: 'Outdated' as const })),
      ...surplus.map((clone) => ({ clone, reason: 'Surplus' as const })),
    ],
    room: leaving - spare,
    late,
    outdated: outdated.length,
  };
}

function outdatedToEnd(given: {
  readonly current: readonly CloneView[];
  readonly outdated: readonly CloneView[];
  readonly wanted: number;
  readonly isFull: boolean;
  readonly over: number;
}): number {
  const { current, outdated, wanted, isFull, over } = given;
  const ready = current.filter(({ isReady }) => isReady).length;
  const needed = Math.max(0, wanted - ready);
  const spare = Math.min(outdated.length, Math.max(0, outdated.length - needed, over));
  if (spare > 0 || !isFull || ready < current.length) return spare;
  return Math.min(outdated.length, Math.max(1, Math.floor(wanted / 4)));
}

/** Those that serve nobody go first; among equals the node-emptying order counts. */
function notReadyFirst(clones: readonly CloneView[], count: number): CloneView[] {
  if (count === 0) return [];
  const idle = nodeOrder(
    clones.filter(({ isReady }) => !isReady),
    clones,
    undefined,
  ).slice(0, count);
  const serving = clones.filter(({ isReady }) => isReady);
  const victims = chooseVictims(serving, Number.NEGATIVE_INFINITY, { count: count - idle.length });
  return [...idle, ...victims.map(({ clone }) => clone)];
}

function chooseSlots(
  input: PopulationInput,
  current: readonly CloneView[],
  missing: number,
): { readonly slots: readonly Slot[]; readonly late: number } {
  const { windows, minLifeSeconds, now } = input;
  const slots: Slot[] = [];
  let late = 0;
  for (const window of windows) {
    const used = occupied(current, window.id);
    const count = Math.min(missing - slots.length - late, window.replicas - used.count);
    if (count <= 0) continue;
    if (window.deadline !== undefined && window.deadline - now < minLifeSeconds) late += count;
    else slots.push(...freeSlots(input, window, { indexes: used.indexes, count }));
  }
  return { slots, late };
}

function occupied(current: readonly CloneView[], windowId: string | undefined) {
  const ofWindow = current.filter((clone) => clone.windowId === windowId);
  const indexes = new Set(ofWindow.map(({ name }) => Number(/-(\d+)(?:-g\d+)?$/.exec(name)?.[1])));
  return { count: ofWindow.length, indexes };
}

function freeSlots(
  { pool, taken }: PopulationInput,
  window: WantedWindow,
  { indexes, count }: { readonly indexes: ReadonlySet<number>; readonly count: number },
): Slot[] {
  const slots: Slot[] = [];
  for (let index = 0; slots.length < count; index += 1) {
    if (indexes.has(index)) continue;
    let generation = 1;
    while (taken.has(cloneName(pool, { windowId: window.id, index, generation }))) generation += 1;
    slots.push({ window, index, generation });
  }
  return slots;
}

/** A deadline to be moved to a later time, epoch seconds. */
export interface Extension {
  readonly clone: CloneView;
  readonly deadline: number;
  readonly bucket: number;
}

/**
 * Clones whose window ends later than they do: they may stay, within their time to live. Only by whole buckets, as each
 * costs a write. A window that ends sooner changes nothing: who is too many then ends as surplus.
 */
export function extendDeadlines(
  clones: readonly CloneView[],
  windows: readonly WantedWindow[],
  { maxSeconds, bucketSeconds }: { readonly maxSeconds: number; readonly bucketSeconds: number },
): Extension[] {
  const deadlines = new Map(windows.map(({ id, deadline }) => [id, deadline]));
  return clones.filter(isAlive).flatMap((clone) => {
    const deadline = clone.windowId === undefined ? undefined : deadlines.get(clone.windowId);
    const end = Math.min(deadline ?? Number.NEGATIVE_INFINITY, clone.createdAt + maxSeconds);
    const bucket = expiryBucket(end, bucketSeconds);
    const isLater = bucket > expiryBucket(clone.effectiveDeadline, bucketSeconds);
    return isLater && deadline !== undefined ? [{ clone, deadline, bucket }] : [];
  });
}
