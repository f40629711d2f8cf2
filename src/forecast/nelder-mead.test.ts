// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { minimise } from './nelder-mead.ts';

const limits = { size: 0.5, mostEvaluations: 2000, tolerance: 1e-14 };

describe('the simplex search', () => {
  test('finds the end of the valley of Rosenbrock', () => {
    const valley = ([x = 0, y = 0]: Float64Array): number => 100 * (y - x * x) ** 2 + (1 - x) ** 2;
    const { point, value } = minimise(valley, new Float64Array([-1.2, 1]), limits);
    expect(value).toBeLessThan(1e-10);
    expect(point[0]).toBeCloseTo(1, 4);
    expect(point[1]).toBeCloseTo(1, 4);
  });

  test('finds the minimum of any bowl, wherever it starts', () => {
    const coordinate = fc.double({ min: -5, max: 5, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(coordinate, coordinate), { minLength: 1, maxLength: 4 }), (pairs) => {
        const bowl = (point: Float64Array): number =>
          pairs.reduce((sum, [centre], axis) => sum + (axis + 1) * ((point[axis] ?? 0) - centre) ** 2, 0);
        const start = Float64Array.from(pairs, ([, from]) => from);
        const { point } = minimise(bowl, start, limits);
        for (const [axis, [centre]] of pairs.entries())
          expect(Math.abs((point[axis] ?? 9) - centre)).toBeLessThan(0.01);
      }),
      { numRuns: 50 },
    );
  });

  test('does not take two corners of the same value, with the minimum between them, for the end', () => {
    const bowl = ([x = 0]: Float64Array): number => (x - 1.25) ** 2;
    expect(minimise(bowl, new Float64Array([1]), limits).point[0]).toBeCloseTo(1.25, 6);
  });

  test('keeps away from where the objective is no number', () => {
    const half = ([x = 0]: Float64Array): number => (x < 0 ? Number.NaN : (x - 1) ** 2);
    expect(minimise(half, new Float64Array([0.2]), limits).point[0]).toBeCloseTo(1, 5);
  });

  test('evaluates a function of nothing once', () => {
    expect(minimise(() => 7, new Float64Array(0), limits)).toEqual({
      point: new Float64Array(0),
      value: 7,
      evaluations: 1,
    });
  });

  test('stops near the evaluations that it may take', () => {
    const slope = ([x = 0]: Float64Array): number => -x;
    expect(minimise(slope, new Float64Array([0]), { ...limits, mostEvaluations: 30 }).evaluations).toBeLessThan(34);
  });
});
