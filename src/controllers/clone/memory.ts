// SPDX-License-Identifier: Apache-2.0
import type { CloneView } from '../../capacity/clones/view.ts';
import type { Change } from '../../kube/store.ts';
import type { CloneObject } from './clone-object.ts';
import type { CreationFailure, Memory } from './snapshot.ts';

/** What is remembered of each pool, by its uid. Lost with the process, which costs a few requests and no more. */
export interface Memories {
  of(poolUid: string): Memory;
  /** Learns from what becomes of a clone. */
  observe(change: Change<CloneObject>): void;
  /** A creation was refused, at a time in epoch seconds; waits longer each time. */
  refused(poolUid: string, failure: CreationFailure, now: number): void;
  /** Clones were made, or none are wanted any more. */
  unblocked(poolUid: string): void;
  dropped(poolUid: string, since: number | undefined): void;
  wanted(poolUid: string, count: number): void;
  /** Forgets the windows that are over. */
  keepWindows(poolUid: string, ids: readonly string[]): void;
  forget(poolUid: string): void;
}

interface Entry {
  failure: CreationFailure | undefined;
  refusals: number;
  retryAt: number;
  startFailures: number;
  startFailedAt: number;
  dropSince: number | undefined;
  wanted: number | undefined;
  /** Uids of clones that were idle, by window. */
  readonly idle: Map<string, Set<string>>;
}

const retry = { firstSeconds: 10, maxSeconds: 300 } as const;

/** Memories of nothing yet. @param now epoch seconds of the apiserver's clock */
export function createMemories(now: () => number): Memories {
  const entries = new Map<string, Entry>();
  const entryOf = (uid: string): Entry => {
    const entry = entries.get(uid) ?? newEntry();
    entries.set(uid, entry);
    return entry;
  };
  return {
    of: (uid) => {
      const { idle, refusals: _refusals, ...rest } = entryOf(uid);
      const counts = new Map([...idle].map(([id, uids]) => [id, uids.size]));
      return { ...rest, idle: counts };
    },
    observe: (change) => {
      const { owner } = change.object.clone;
      if (owner?.isPool !== true) return;
      learn(entryOf(owner.uid), change, now());
    },
    refused: (uid, failure, at) => {
      const entry = entryOf(uid);
      entry.failure = failure;
      entry.retryAt = at + Math.min(retry.maxSeconds, retry.firstSeconds * 2 ** Math.min(10, entry.refusals));
      entry.refusals += 1;
    },
    unblocked: (uid) => {
      Object.assign(entryOf(uid), { failure: undefined, refusals: 0, retryAt: 0 });
    },
    dropped: (uid, since) => {
      entryOf(uid).dropSince = since;
    },
    wanted: (uid, count) => {
      entryOf(uid).wanted = count;
    },
    keepWindows: (uid, ids) => {
      const { idle } = entryOf(uid);
      for (const id of idle.keys()) if (!ids.includes(id)) idle.delete(id);
    },
    forget: (uid) => void entries.delete(uid),
  };
}

function newEntry(): Entry {
  return {
    failure: undefined,
    refusals: 0,
    retryAt: 0,
    startFailures: 0,
    startFailedAt: 0,
    dropSince: undefined,
    wanted: undefined,
    idle: new Map(),
  };
}

function learn(entry: Entry, change: Change<CloneObject>, now: number): void {
  const { clone } = change.object;
  const before = change.type === 'modified' ? change.old.clone : undefined;
  if (clone.exitReason === 'Idle' && clone.windowId !== undefined) {
    entry.idle.set(clone.windowId, (entry.idle.get(clone.windowId) ?? new Set()).add(clone.uid));
  }
  if (before === undefined) return;
  if (clone.isReady && !before.isReady) entry.startFailures = 0;
  if (hasFailedToStart(before, clone)) {
    entry.startFailures += 1;
    entry.startFailedAt = now;
  }
}

/** Ended before it was Ready, by itself or for that. */
function hasFailedToStart(before: CloneView, clone: CloneView): boolean {
  const hasEnded = clone.state === 'Ended' && before.state !== 'Ended' && before.state !== 'Retiring';
  const wasGivenUp = clone.exitReason === 'StartFailed' && before.exitReason === undefined;
  return wasGivenUp || (hasEnded && !before.isReady);
}
