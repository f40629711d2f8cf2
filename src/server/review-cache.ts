// SPDX-License-Identifier: Apache-2.0
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';

/** How long an answer holds. */
interface Lifetime {
  /** Older answers are not used. */
  readonly ttlMs: number;
  /** Older answers are used, and asked for again meanwhile; `ttlMs` or more means never. */
  readonly refreshAfterMs: number;
}

/** What bounds the cache. */
export interface ReviewCacheOptions<T> {
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly lifetime: (answer: T) => Lifetime;
}

/** Answers of the apiserver about who a user is and what a user may do. */
export interface ReviewCache<T> {
  /**
   * The answer under the key, from the cache or from `load`; callers that come meanwhile share one `load`.
   * @throws what `load` throws; failures are not kept
   */
  get(key: string, load: () => Promise<T>): Promise<T>;
}

/** Keys hold what a client sent; all keys together are bounded too. */
const maxKeyCharacters = 8 * 1024 * 1024;

/** A bounded cache with one flight per key and refresh behind the answer. */
export function createReviewCache<T>(options: ReviewCacheOptions<T>): ReviewCache<T> {
  const { clock, maxEntries, lifetime } = options;
  const answers = new LRUCache<string, { readonly answer: T; readonly atMs: number }>({
    max: maxEntries,
    maxSize: maxKeyCharacters,
    sizeCalculation: (_entry, key) => key.length + 1,
  });
  const flights = new Map<string, Promise<T>>();
  const fly = async (key: string, load: () => Promise<T>): Promise<T> => {
    const answer = await load();
    answers.set(key, { answer, atMs: clock.nowMs() });
    return answer;
  };
  const ask = (key: string, load: () => Promise<T>): Promise<T> => {
    const standing = flights.get(key);
    if (standing !== undefined) return standing;
    const flight = fly(key, load).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
  return {
    get: async (key, load) => {
      const entry = answers.get(key);
      const ageMs = entry === undefined ? Number.NaN : clock.nowMs() - entry.atMs;
      // A clock that was set back makes an age negative; such an entry would live too long.
      if (entry === undefined || ageMs < 0 || ageMs > lifetime(entry.answer).ttlMs) return await ask(key, load);
      if (ageMs > lifetime(entry.answer).refreshAfterMs) {
        // A refresh that fails changes nothing; the answer runs out by itself.
        ask(key, load).catch(() => undefined);
      }
      return entry.answer;
    },
  };
}
