// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createReviewCache } from './review-cache.ts';

function setUp(lifetime = { ttlMs: 30_000, refreshAfterMs: 10_000 }) {
  const clock = createFakeClock();
  const cache = createReviewCache<string>({ clock, maxEntries: 2, lifetime: () => lifetime });
  let loads = 0;
  const load = async (): Promise<string> => {
    loads += 1;
    return `answer ${loads}`;
  };
  return { clock, cache, load, loads: () => loads };
}

describe('the cache', () => {
  test('asks once and then remembers', async () => {
    const { clock, cache, load } = setUp();
    expect(await cache.get('a', load)).toBe('answer 1');
    await clock.advance(10_000);
    expect(await cache.get('a', load)).toBe('answer 1');
    expect(await cache.get('b', load)).toBe('answer 2');
  });
  test('gives an older answer at once and renews it behind', async () => {
    const { clock, cache, load } = setUp();
    await cache.get('a', load);
    await clock.advance(15_000);
    expect(await cache.get('a', load)).toBe('answer 1');
    await settle();
    expect(await cache.get('a', load)).toBe('answer 2');
  });
  test('keeps an answer whose renewal fails until it is too old', async () => {
    const { clock, cache, load } = setUp();
    const fail = async (): Promise<string> => await Promise.reject(new Error('no apiserver'));
    await cache.get('a', load);
    await clock.advance(30_000);
    expect(await cache.get('a', fail)).toBe('answer 1');
    await clock.advance(1);
    await expect(cache.get('a', fail)).rejects.toThrow('no apiserver');
    expect(await cache.get('a', load)).toBe('answer 2');
  });
  test('does not trust an answer from the future', async () => {
    let nowMs = 1000;
    const clock = { nowMs: () => nowMs, sleep: async () => undefined };
    const cache = createReviewCache<number>({
      clock,
      maxEntries: 2,
      lifetime: () => ({ ttlMs: 10, refreshAfterMs: 10 }),
    });
    await cache.get('a', async () => 1);
    nowMs = 0;
    expect(await cache.get('a', async () => 2)).toBe(2);
  });
  test('asks once for callers that come together', async () => {
    const { cache, load, loads } = setUp();
    expect(await Promise.all([cache.get('a', load), cache.get('a', load), cache.get('a', load)])).toEqual([
      'answer 1',
      'answer 1',
      'answer 1',
    ]);
    expect(loads()).toBe(1);
  });
  test('forgets what was not used for longest, and never keeps a huge key', async () => {
    const { cache, load, loads } = setUp();
    for (const key of ['a', 'b', 'a', 'c', 'a']) await cache.get(key, load);
    expect(loads()).toBe(3);
    await cache.get('b', load);
    expect(loads()).toBe(4);
    const huge = 'x'.repeat(9 * 1024 * 1024);
    await cache.get(huge, load);
    await cache.get(huge, load);
    expect(loads()).toBe(6);
  });
});
