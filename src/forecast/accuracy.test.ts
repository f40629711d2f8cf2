// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { coverage, mase, pinball, wape } from './accuracy.ts';

const of = (...values: number[]): Float64Array => Float64Array.from(values);

test('pinball loss weighs what is above by the level, what is below by the rest', () => {
  expect(pinball(12, 10, 0.9)).toBeCloseTo(1.8, 9);
  expect(pinball(8, 10, 0.9)).toBeCloseTo(0.2, 9);
  expect(pinball(10, 10, 0.9)).toBe(0);
});

test('coverage counts outcomes at or below the forecast, and leaves out gaps', () => {
  expect(coverage(of(1, 2, 3, Number.NaN), of(1, 1, 4, 4))).toBeCloseTo(2 / 3, 9);
});

test('wape is the error over the demand', () => {
  expect(wape(of(10, 30, Number.NaN), of(12, 26, 5))).toBeCloseTo(6 / 40, 9);
});

test('mase is the error over that of the seasonal naive within the history', () => {
  expect(mase(of(10, 12), of(11, 11), { history: of(1, 2, 3, 6), seasonSteps: 2 })).toBeCloseTo(1 / 3, 9);
});
