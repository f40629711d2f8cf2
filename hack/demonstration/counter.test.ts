// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCounter } from './counter.ts';

test('counts the demand that has come', () => {
  const counter = createCounter({ demandAt: (seconds) => (seconds < 100 ? 10 : 20) }, 0);
  expect(counter.at(0)).toBe(0);
  expect(counter.at(90)).toBeCloseTo(900, 9);
  expect(counter.at(110)).toBeCloseTo(1200, 9);
});

test('is absent where there is no row, and goes on afterwards from where it was', () => {
  const counter = createCounter({ demandAt: (seconds) => (seconds >= 60 && seconds < 120 ? Number.NaN : 1) }, 0);
  expect(counter.at(55)).toBe(55);
  expect(counter.at(60)).toBeUndefined();
  expect(counter.at(180)).toBeCloseTo(120, 9);
});

test('never falls, however it is asked', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true })), (waits) => {
      const counter = createCounter({ demandAt: (seconds) => 100 + 50 * Math.sin(seconds) }, 0);
      let at = 0;
      let last = 0;
      for (const wait of waits) {
        at += wait;
        const total = counter.at(at) ?? Number.NaN;
        expect(total).toBeGreaterThanOrEqual(last);
        last = total;
      }
    }),
  );
});
