// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { demandSeries, monday } from '../testing/demand.ts';
import { describeSeries } from './explain.ts';

const day = 86_400;

describe('describeSeries', () => {
  test('finds a season of a day, and none in noise', () => {
    const seasonal = describeSeries(demandSeries({ seed: 1, days: 14, stepSeconds: 300 }));
    const noise = describeSeries(demandSeries({ seed: 1, days: 14, stepSeconds: 300, wave: 0, noise: 0.3 }));
    expect(seasonal.seasons[0]).toEqual({ seconds: day, strength: expect.closeTo(0.98, 1) });
    for (const { strength } of noise.seasons) expect(strength).toBeLessThan(0.05);
    expect([seasonal.changePoints, noise.changePoints]).toEqual([[], []]);
  });

  test('a level shift makes no season', () => {
    const shift = { day: 7, factor: 3 };
    const { seasons } = describeSeries(demandSeries({ seed: 2, days: 14, stepSeconds: 300, wave: 0, shift }));
    for (const { strength } of seasons) expect(strength).toBeLessThan(0.1);
  });

  test('a season needs two cycles to be measured', () => {
    const { seasons } = describeSeries(demandSeries({ seed: 3, days: 10, stepSeconds: 300 }));
    expect(seasons.map(({ strength }) => Number.isNaN(strength))).toEqual([false, true]);
  });

  test('names the day from which on demand was on another level, weekends aside', () => {
    const shift = { day: 20, factor: 1.6 };
    const series = demandSeries({ seed: 4, days: 35, stepSeconds: 300, weekend: 0.6, shift });
    const { changePoints } = describeSeries(series);
    expect(changePoints.map(({ timestamp }) => (timestamp - monday) / day)).toEqual([20]);
    const [{ before, after } = { before: 1, after: 0 }] = changePoints;
    expect(after / before).toBeGreaterThan(1.4);
    expect(after / before).toBeLessThan(1.8);
  });

  test('counts gaps', () => {
    const series = demandSeries({ seed: 5, days: 2, stepSeconds: 3600 });
    for (const index of [3, 10, 11, 12]) series.values[index] = Number.NaN;
    expect(describeSeries(series)).toMatchObject({ points: 44, missing: 4, gaps: 2, longestGapSeconds: 3 * 3600 });
  });

  test.each([
    ['no points', []],
    ['one point', [1]],
    ['only gaps', Array.from({ length: 5000 }, () => Number.NaN)],
    ['only zeros', Array.from({ length: 5000 }, () => 0)],
  ])('stands %s', (_, values) => {
    const facts = describeSeries({ startSeconds: 0, stepSeconds: 300, values: Float64Array.from(values) });
    expect(facts.changePoints).toEqual([]);
    for (const { strength } of facts.seasons) expect(strength === 0 || Number.isNaN(strength)).toBe(true);
  });
});
