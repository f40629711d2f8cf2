// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { dot, fitHuber, fitRidge } from './ridge.ts';
import type { Rows } from './ridge.ts';

function lineRows(count: number, outlier = 0): Rows {
  const random = createRandom(8);
  const features = new Float64Array(2 * count);
  const targets = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const x = random();
    features.set([1, x], 2 * index);
    targets[index] = 3 + 2 * x + (index % 10 === 0 ? outlier : 0);
  }
  return { width: 2, features, targets, weights: new Float64Array(count).fill(0.5) };
}

describe('fitRidge', () => {
  test.each([3, 4, 50, 100])('finds the line through %i points, whatever the length of the last block', (count) => {
    const [constant, slope] = fitRidge(lineRows(count), 0);
    expect(constant).toBeCloseTo(3, 9);
    expect(slope).toBeCloseTo(2, 9);
  });

  test('shrinks the slope by 1 / (1 + ridge), and the constant with it only to keep the mean', () => {
    const rows = lineRows(100);
    const [, slope = 0] = fitRidge(rows, 1);
    expect(slope).toBeCloseTo(1, 9);
  });

  test('a feature that never varies gets no coefficient', () => {
    const rows = lineRows(20);
    const [, slope] = fitRidge(
      { ...rows, features: rows.features.map((value, index) => (index % 2 === 1 ? 7 : value)) },
      0.01,
    );
    expect(Math.abs(slope ?? 1)).toBeLessThan(0.3);
  });
});

test('fitHuber is carried away less by outliers', () => {
  const rows = lineRows(200, 50);
  const error = (coefficients: Float64Array): number => Math.abs(dot(coefficients, Float64Array.of(1, 0.5), 0) - 4);
  expect(error(fitHuber(rows, 0, 5))).toBeLessThan(error(fitRidge(rows, 0)) / 2);
});
