// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../base/clock.ts';

/** How fast something may go on for long, and how much of it at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Hands out what has been saved up. */
export interface TokenBucket {
  /** Takes up to so many tokens; gives how many there were. */
  take(most: number): number;
  setRate(rate: Rate): void;
}

/** What may be ended of a pool: never more than a second's worth at once, so that a pile is worked off evenly. */
export function poolRate(maxPerMinute: number): Rate {
  return { perSecond: maxPerMinute / 60, burst: Math.max(1, Math.floor(maxPerMinute / 60)) };
}

/** A full bucket. */
export function createTokenBucket(initial: Rate, clock: Pick<Clock, 'nowMs'>): TokenBucket {
  let rate = initial;
  let tokens = rate.burst;
  let filledMs = clock.nowMs();
  return {
    take: (most) => {
      const nowMs = clock.nowMs();
      // A clock that was set back gives nothing, and takes nothing.
      const seconds = Math.max(0, nowMs - filledMs) / 1000;
      filledMs = nowMs;
      tokens = Math.min(rate.burst, tokens + seconds * rate.perSecond);
      // 1 - 1e-16 is a token.
      const taken = Math.max(0, Math.min(most, Math.floor(tokens + 1e-9)));
      tokens -= taken;
      return taken;
    },
    setRate: (next) => {
      rate = next;
    },
  };
}
