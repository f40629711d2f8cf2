// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countPresent, lastPresent, meanPresent, robustMean } from './robust.ts';

const of = (...values: number[]): Float64Array => Float64Array.from(values);
const mean = (values: number[], weights: number[]): number => robustMean(of(...values), of(...weights), values.length);

describe('robustMean', () => {
  const cases: Record<string, [number[], number[], number]> = {
    'one value is itself': [[7], [1], 7],
    'two values: their mean': [[2, 4], [1, 1], 3],
    'weights count, and a light value far out counts less': [[2, 6], [3, 1], 2.5],
    'values without an odd one: nearly the mean': [[1, 2, 3, 4, 5], [1, 1, 1, 1, 1], 3],
    'an odd one is pulled in to twice the mean deviation': [[10, 10, 10, 10, 110], [1, 1, 1, 1, 1], 18],
  };
  test.each(Object.entries(cases))('%s', (_, [values, weights, expected]) => {
    expect(mean(values, weights)).toBeCloseTo(expected, 9);
  });

  test('of nothing there is none', () => {
    expect(mean([], [])).toBeNaN();
  });

  test('lies between the smallest and the largest, in whatever order they come', () => {
    const pair = fc.tuple(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.double({ min: 1e-3, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1, maxLength: 40 }), (pairs) => {
        const values = pairs.map(([value]) => value);
        const found = mean(
          values,
          pairs.map(([, weight]) => weight),
        );
        expect(found).toBeGreaterThanOrEqual(Math.min(...values) * (1 - 1e-9));
        expect(found).toBeLessThanOrEqual(Math.max(...values) * (1 + 1e-9));
      }),
    );
  });
});

test('what is present is what is not NaN', () => {
  const values = of(Number.NaN, 2, 4, Number.NaN);
  expect([countPresent(values), meanPresent(values), lastPresent(values)]).toEqual([2, 3, 4]);
  expect([meanPresent(of()), lastPresent(of())]).toEqual([Number.NaN, Number.NaN]);
});
