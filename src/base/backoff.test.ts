// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

test('the wait grows to its bound and is never below half of it', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (failures, random) => {
      const wait = backoffMs(failures, { baseMs: 100, maxMs: 30_000, random: () => random });
      const ceiling = Math.min(30_000, 100 * 2 ** failures);
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThan(ceiling);
    }),
  );
});
