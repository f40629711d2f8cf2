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

/** Of the process: less than client-go's default for controllers that write much. */
export const writeRate: Rate = { perSecond: 50, burst: 40 };

/** What may be ended of a pool: never more than a second's worth at once, so that a pile is worked off evenly. */
export function poolRate(maxPerMinute: number): Rate {
  return { perSecond: maxPerMinute / 60, burst: Math.max(1, Math.floor(maxPerMinute / 60)) };
}

/** A full bucket. */
export function createTokenBucket(initial: Rate, clock: Clock): TokenBucket {
  const account = createAccount(initial, clock);
  return {
    take: (most) => {
      // 1 - 1e-16 is a token.
      const taken = Math.min(most, Math.floor(account.refill() + 1e-9));
      account.spend(Math.max(0, taken));
      return Math.max(0, taken);
    },
    setRate: account.setRate,
  };
}

/** Waits until the next write may be sent, first come, first served; throws the signal's reason when it aborts. */
export type WriteLimit = (signal: AbortSignal) => Promise<void>;

/** A WriteLimit with a full bucket. */
export function createWriteLimit(rate: Rate, clock: Clock): WriteLimit {
  const account = createAccount(rate, clock);
  return async (signal) => {
    signal.throwIfAborted();
    const left = account.refill() - 1;
    account.spend(1);
    if (left >= -1e-9) return;
    try {
      await clock.sleep((-left / rate.perSecond) * 1000, signal);
    } catch (error) {
      account.spend(-1);
      throw error;
    }
  };
}

function createAccount(initial: Rate, clock: Clock) {
  let rate = initial;
  let tokens = rate.burst;
  let filledMs = clock.nowMs();
  return {
    refill: (): number => {
      const nowMs = clock.nowMs();
      // A clock that was set back gives nothing, and takes nothing.
      const seconds = Math.max(0, nowMs - filledMs) / 1000;
      filledMs = nowMs;
      tokens = Math.min(rate.burst, tokens + seconds * rate.perSecond);
      return tokens;
    },
    spend: (count: number): void => {
      tokens -= count;
    },
    setRate: (next: Rate): void => {
      rate = next;
    },
  };
}
