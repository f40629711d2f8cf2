// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { demandSeries, monday } from '../testing/demand.ts';
import { findLevelShift, relevel } from './shift.ts';

const day = 86_400;
const shape = { seed: 5, stepSeconds: 300, weekend: 0.5, noise: 0.1 };
const cases: Record<string, [Parameters<typeof demandSeries>[0], number | undefined]> = {
  'no shift, on a workday': [{ ...shape, days: 17.5 }, undefined],
  'no shift, on a quiet Sunday': [{ ...shape, days: 13.5 }, undefined],
  'demand that doubled seven hours ago': [{ ...shape, days: 15 + 7 / 24, shift: { day: 15, factor: 2 } }, 2],
  'demand that halved seven hours ago': [{ ...shape, days: 15 + 7 / 24, shift: { day: 15, factor: 0.5 } }, 0.5],
  'too little history': [{ ...shape, days: 7, shift: { day: 6.5, factor: 3 } }, undefined],
};

describe('findLevelShift', () => {
  test.each(Object.entries(cases))('%s', (_, [of, factor]) => {
    const found = findLevelShift(demandSeries(of));
    expect(found === undefined).toBe(factor === undefined);
    // The offset under the logarithm takes a part of the ratio.
    expect(Math.abs(Math.log((found?.ratio ?? 1) / (factor ?? 1)))).toBeLessThan(0.3);
  });

  test('says since when', () => {
    const found = findLevelShift(demandSeries({ ...shape, days: 15.25, shift: { day: 15, factor: 2 } }));
    expect(found?.atSeconds).toBe(monday + 15 * day);
  });
});

test('relevel brings the past before a shift to the level after it', () => {
  const series = { startSeconds: 0, stepSeconds: 60, values: Float64Array.of(1, 2, 6, 8) };
  expect(relevel(series, { atSeconds: 120, ratio: 3 }).values).toEqual(Float64Array.of(3, 6, 6, 8));
});
