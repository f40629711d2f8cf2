// SPDX-License-Identifier: Apache-2.0
import { exitMeanings } from '../../api/clone-labels.ts';
import type { ExitReason } from '../../api/clone-labels.ts';
import type { EventToRecord } from '../../kube/recorder.ts';
import type { Exit } from './ending.ts';

/** Exits that no Event has told of yet. */
export interface ExitEvents {
  /** Counts a clone that ended; `about` is its ClonePool, or the pod itself where it has none. */
  add(about: EventToRecord['regarding'], exit: Exit): void;
  /** The Events that are due. */
  take(nowMs: number): EventToRecord[];
}

/** Between two Events of one object with one reason: as often as the recorder lets one object speak for ever. */
const gapMs = 5 * 60_000;
/** Somebody has to look why. */
const alarming: ReadonlySet<ExitReason> = new Set<ExitReason>(['StartFailed', 'Failed']);

interface Entry {
  about: EventToRecord['regarding'];
  readonly reason: ExitReason;
  count: number;
  last: string;
  toldMs: number;
}

/** Aggregates exits: the first ones are told at once, those of the next five minutes in one Event. */
export function createExitEvents(): ExitEvents {
  const entries = new Map<string, Entry>();
  return {
    add: (about, { namespace, name, reason }) => {
      // Pods without a pool are counted by namespace.
      const key = [about.kind, about.kind === 'Pod' ? namespace : about.uid, reason].join(' ');
      const entry = entries.get(key) ?? { about, reason, count: 0, last: name, toldMs: Number.NEGATIVE_INFINITY };
      entries.set(key, { ...entry, about, count: entry.count + 1, last: name });
    },
    take: (nowMs) => {
      const due: EventToRecord[] = [];
      for (const [key, entry] of entries) {
        if (nowMs - entry.toldMs < gapMs) continue;
        if (entry.count === 0) {
          entries.delete(key);
          continue;
        }
        due.push(describe(entry));
        entry.count = 0;
        entry.toldMs = nowMs;
      }
      return due;
    },
  };
}

function describe({ about, reason, count, last }: Entry): EventToRecord {
  const type = alarming.has(reason) ? ('Warning' as const) : ('Normal' as const);
  const what = count === 1 ? `a clone was ended, ${last}` : `${count} clones were ended, the last one ${last}`;
  return { regarding: about, type, reason, action: 'Retire', note: `${what}: ${exitMeanings[reason]}` };
}
