// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTokenBucket, poolRate } from './rate.ts';

/** A bucket, and a clock that a test sets. */
function bucketOf(maxPerMinute: number) {
  const world = { nowMs: 1_800_000_000_000 };
  const clock = { nowMs: () => world.nowMs };
  return { bucket: createTokenBucket(poolRate(maxPerMinute), clock), world };
}

test.each([
  ['60 a minute are one a second', 60, [1, 1, 1]],
  ['600 a minute are ten a second', 600, [10, 10, 10]],
  ['30 a minute are one every other second', 30, [1, 0, 1]],
])('%s', (_, maxPerMinute, want) => {
  const { bucket, world } = bucketOf(maxPerMinute);
  const taken = want.map(() => {
    const count = bucket.take(1000);
    world.nowMs += 1000;
    return count;
  });
  expect(taken).toEqual(want);
});

test('after hours of downtime there is no more than after a second', () => {
  const { bucket, world } = bucketOf(600);
  bucket.take(10);
  world.nowMs += 7_200_000;
  expect(bucket.take(1000)).toBe(10);
});

test('a clock that is set back takes nothing away', () => {
  const { bucket, world } = bucketOf(600);
  bucket.take(10);
  world.nowMs -= 3_600_000;
  expect(bucket.take(1000)).toBe(0);
  world.nowMs += 1000;
  expect(bucket.take(1000)).toBe(10);
});

test('in no stretch of time is more taken than the rate allows, and one second of it', () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 50 }));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6000 }), fc.array(step, { maxLength: 30 }), (maxPerMinute, steps) => {
      const { bucket, world } = bucketOf(maxPerMinute);
      const startMs = world.nowMs;
      let taken = 0;
      for (const [waitMs, most] of steps) {
        world.nowMs += waitMs;
        taken += bucket.take(most);
      }
      const { perSecond, burst } = poolRate(maxPerMinute);
      expect(taken).toBeLessThanOrEqual(burst + ((world.nowMs - startMs) / 1000) * perSecond + 1e-6);
    }),
  );
});
