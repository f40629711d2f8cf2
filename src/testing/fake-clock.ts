// SPDX-License-Identifier: Apache-2.0
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';

/** A clock that stands until `advance` moves it. */
export interface FakeClock extends Clock {
  /** Moves the time on by `ms`, waking each sleeper at its own time and letting it run before the next one. */
  advance(ms: number): Promise<void>;
  /** How many sleep now. */
  sleepers(): number;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A FakeClock that stands at `startMs`. */
export function createFakeClock(startMs = 1_800_000_000_000): FakeClock {
  let nowMs = startMs;
  const sleepers = new Set<Sleeper>();
  const advanceTo = async (endMs: number): Promise<void> => {
    await settle();
    for (let next = earliest(sleepers); next !== undefined && next.atMs <= endMs; next = earliest(sleepers)) {
      nowMs = Math.max(nowMs, next.atMs);
      next.wake();
      await settle();
    }
    nowMs = endMs;
    await settle();
  };
  return {
    nowMs: () => nowMs,
    sleep: async (ms, signal) =>
      await new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const leave = (): void => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', abort);
        };
        const abort = (): void => {
          leave();
          reject(signal?.reason);
        };
        const wake = (): void => {
          leave();
          resolve();
        };
        const sleeper = { atMs: nowMs + Math.max(0, ms), wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', abort, { once: true });
      }),
    advance: async (ms) => await advanceTo(nowMs + ms),
    sleepers: () => sleepers.size,
  };
}

/** Lets every promise that can go on do so, whatever its number of steps. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await turn();
}

function earliest(sleepers: ReadonlySet<Sleeper>): Sleeper | undefined {
  let first: Sleeper | undefined;
  for (const sleeper of sleepers) if (first === undefined || sleeper.atMs < first.atMs) first = sleeper;
  return first;
}
