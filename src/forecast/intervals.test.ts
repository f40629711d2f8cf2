// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { naiveContest } from '../testing/contest.ts';
import { calibrate, createCalibration, kernelOf, weightedQuantiles } from './intervals.ts';
import type { ResidualRule } from './intervals.ts';

const flat = Number.POSITIVE_INFINITY;
const weighted = fc
  .array(
    fc.record({
      value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      weight: fc.double({ min: 0.01, max: 1, noNaN: true }),
    }),
    {
      minLength: 1,
      maxLength: 50,
    },
  )
  .map((entries) => {
    const sorted = entries.toSorted((a, b) => a.value - b.value);
    return {
      values: Float64Array.from(sorted, ({ value }) => value),
      weights: Float64Array.from(sorted, ({ weight }) => weight),
    };
  });

describe('weightedQuantiles', () => {
  const cases: Record<string, [number[], number[], number, number]> = {
    'the median of an odd number': [[1, 2, 9], [1, 1, 1], 0.5, 2],
    'the median of an even number lies between': [[1, 3], [1, 1], 0.5, 2],
    'weights shift it': [[1, 3], [3, 1], 0.5, 1.5],
    'a value without weight does not count': [[1, 2, 9], [1, 1, 0], 1, 2],
    'the ends are the ends': [[1, 2, 3], [1, 1, 1], 0, 1],
  };
  test.each(Object.entries(cases))('%s', (_, [values, weights, level, expected]) => {
    const [quantile] = weightedQuantiles(Float64Array.from(values), Float64Array.from(weights), [level]);
    expect(quantile).toBeCloseTo(expected, 9);
  });

  test('is not known without values', () => {
    expect(weightedQuantiles(new Float64Array(), new Float64Array(), [0.5])).toEqual([Number.NaN]);
  });

  test('never falls when the level rises', () => {
    const level = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(weighted, level, level, ({ values, weights }, one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const [below, above] = weightedQuantiles(values, weights, [low, high]);
        expect(below).toBeLessThanOrEqual((above ?? 0) + 1e-6);
        expect(weightedQuantiles(values, weights, [high])).toEqual([above]);
      }),
    );
  });
});

describe('kernelOf', () => {
  test('counts all times alike without a time of day', () => {
    expect(kernelOf({ power: 1, timeOfDaySeconds: flat })).toBeUndefined();
  });

  test('counts near times most, around midnight too', () => {
    const kernel = kernelOf({ power: 1, timeOfDaySeconds: 3600 }) ?? new Float64Array();
    expect(kernel[0]).toBeGreaterThan(5 * (kernel[180] ?? 0));
    expect(kernel[1430]).toBeCloseTo(kernel[10] ?? 0, 9);
    expect(kernel[720]).toBeGreaterThan(0);
  });
});

describe('createCalibration', () => {
  // The naive model is low by 10, 20, … 100 % of its forecast at position 0, by twice that at position 4.
  const contest = naiveContest({
    positions: [0, 4],
    forecasts: Array.from({ length: 10 }, () => [100, 100]),
    actual: Array.from({ length: 10 }, (_, index) => [100 + 10 * (index + 1), 100 + 20 * (index + 1)]),
  });
  const track = contest.tracks[0] ?? expect.fail('no track');
  const calibrated = (how: { rule: ResidualRule; mean: number }) => createCalibration(calibrate(contest, track, how));

  test('adds the quantile of the residuals', () => {
    const calibration = calibrated({ rule: { power: 0, timeOfDaySeconds: flat }, mean: 100 });
    const median = calibration.curve(0, () => 0.5);
    expect(calibration.state.size).toBe(10);
    expect(median(100, 0)).toBeCloseTo(155, 6);
    expect(median(50, 0)).toBeCloseTo(105, 6);
  });

  test('scales residuals with the forecast when they are relative', () => {
    const calibration = calibrated({ rule: { power: 1, timeOfDaySeconds: flat }, mean: 100 });
    expect(calibration.curve(0, () => 0.5)(50, 0)).toBeCloseTo(50 * 1.55, 6);
  });

  test('lies between positions, and widens beyond the last', () => {
    const calibration = calibrated({ rule: { power: 0, timeOfDaySeconds: flat }, mean: 100 });
    const median = calibration.curve(0, () => 0.5);
    expect(median(100, 4)).toBeCloseTo(210, 6);
    expect(median(100, 2)).toBeGreaterThan(155);
    expect(median(100, 2)).toBeLessThan(210);
    expect(median(100, 19)).toBeCloseTo(100 + 110 * 2, 6);
  });

  test('asks for another level at another position', () => {
    const calibration = calibrated({ rule: { power: 0, timeOfDaySeconds: flat }, mean: 100 });
    const curve = calibration.curve(0, (position) => (position === 0 ? 1 : 0));
    expect([curve(100, 0), curve(100, 4)]).toEqual([200, 120]);
  });

  test('goes on beyond the largest and the smallest residual with the slope of the outer fifth', () => {
    const calibration = calibrated({ rule: { power: 0, timeOfDaySeconds: flat }, mean: 100 });
    const at = (level: number): number => calibration.curve(0, () => level)(0, 0);
    expect(at(1.1) - at(1)).toBeCloseTo((at(1) - at(0.8)) / 2, 6);
    expect(at(0) - at(-0.1)).toBeCloseTo((at(0.2) - at(0)) / 2, 6);
  });
});
