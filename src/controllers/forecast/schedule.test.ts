// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { untilNextLookMs } from './schedule.ts';

test('looks are an interval apart, in its first third, and not before the minute has settled', () => {
  fc.assert(
    fc.property(fc.integer({ min: 5, max: 300 }), fc.string(), fc.nat(2 ** 31), (intervalSeconds, uid, nowMs) => {
      const intervalMs = intervalSeconds * 1000;
      const first = nowMs + untilNextLookMs(nowMs, intervalSeconds, uid);
      expect(first).toBeGreaterThan(nowMs);
      expect(first - nowMs).toBeLessThanOrEqual(intervalMs);
      expect(first % intervalMs).toBeGreaterThanOrEqual(1000);
      expect(first % intervalMs).toBeLessThanOrEqual(1000 + intervalMs / 3);
      expect(untilNextLookMs(first, intervalSeconds, uid)).toBe(intervalMs);
    }),
  );
});

test('forecasts are spread', () => {
  const offsets = Array.from({ length: 1000 }, (_, index) => untilNextLookMs(0, 60, `uid-${index}`));
  expect(new Set(offsets).size).toBeGreaterThan(900);
});
