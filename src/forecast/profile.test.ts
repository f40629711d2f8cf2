// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { localCalendar } from '../series/calendar.ts';
import { monday } from '../testing/demand.ts';
import { tuneShape } from './profile-tuning.ts';
import { buildProfile, createDayProfile } from './profile.ts';
import type { DayRow, DayWeights } from './profile.ts';

const alike: DayWeights = { halfLifeDays: 10, sameClass: 1, otherClass: 1 };
const weekdays: DayWeights = { halfLifeDays: 21, sameClass: 0.3, otherClass: 0.02 };
const firstDay = monday / 86_400;

/** Days of two slots with the values that `valueOf` gives for Monday, Tuesday, … */
function days(count: number, valueOf: (index: number) => [number, number]): DayRow[] {
  return Array.from({ length: count }, (_, index) => ({
    day: firstDay + index,
    slots: Float64Array.from(valueOf(index)),
  }));
}

describe('buildProfile', () => {
  const weekly = days(14, (index) => (index % 7 >= 5 ? [10, 20] : [100, 200]));

  test('with all days alike, mixes them', () => {
    const [first] = buildProfile(weekly, firstDay + 14, { weights: alike, smoothing: 1 });
    expect(first).toBeGreaterThan(60);
    expect(first).toBeLessThan(100);
  });

  test('with weekdays apart, a Monday is like Mondays and a Saturday like Saturdays', () => {
    const shape = { weights: weekdays, smoothing: 1 };
    expect(buildProfile(weekly, firstDay + 14, shape)[0]).toBeCloseTo(100, -1);
    expect(buildProfile(weekly, firstDay + 19, shape)[0]).toBeCloseTo(10, -1);
  });

  test('before there is any Saturday, it is like the days there are', () => {
    const workdays = days(5, () => [100, 200]);
    expect([...buildProfile(workdays, firstDay + 5, { weights: weekdays, smoothing: 1 })]).toEqual([100, 200]);
  });

  test('bridges holes, around midnight too', () => {
    const row = { day: firstDay, slots: Float64Array.of(Number.NaN, 10, Number.NaN, 30, Number.NaN, Number.NaN) };
    const slots = buildProfile([row], firstDay + 1, { weights: alike, smoothing: 1 });
    expect([...slots]).toEqual([15, 10, 20, 30, 25, 20]);
  });

  test('averages neighbours when told', () => {
    const row = { day: firstDay, slots: Float64Array.of(0, 3, 6, 0) };
    expect([...buildProfile([row], firstDay + 1, { weights: alike, smoothing: 3 })]).toEqual([1.5, 3, 3, 3]);
  });
});

describe('tuneShape', () => {
  test('finds out that weekends differ', () => {
    const rows = days(22, (index) => (index % 7 >= 5 ? [10, 20] : [100, 200]));
    expect(tuneShape(rows, 43_200, false).weights.otherClass).toBeLessThan(0.1);
  });

  test('keeps to the last days when demand grows', () => {
    const rows = days(22, (index) => [100 * 1.1 ** index, 200 * 1.1 ** index]);
    expect(tuneShape(rows, 43_200, false).weights.halfLifeDays).toBe(3);
  });

  test('has something to offer without any day to compare', () => {
    expect(tuneShape([], 60, true).weights.halfLifeDays).toBeGreaterThan(0);
  });
});

describe('createDayProfile', () => {
  test('expects of a day what the days before it showed, not what the day itself shows', () => {
    const profile = createDayProfile(localCalendar('UTC'), 3600, { weights: alike, smoothing: 1 });
    for (let hour = 0; hour < 36; hour += 1) profile.add(monday + hour * 3600, hour < 24 ? 10 : 99);
    expect(profile.expected(monday + 40 * 3600)).toBe(10);
    expect(profile.expected(monday + 49 * 3600)).toBeGreaterThan(10);
  });

  test('an hour that the clock repeats counts as one', () => {
    // Berlin, 2026-10-25: 02:00 to 03:00 comes twice, from 00:00Z and from 01:00Z.
    const profile = createDayProfile(localCalendar('Europe/Berlin'), 3600, { weights: alike, smoothing: 1 });
    const midnight = Date.UTC(2026, 9, 24, 22) / 1000;
    for (let hour = 0; hour < 25; hour += 1) profile.add(midnight + hour * 3600, hour === 2 ? 10 : hour === 3 ? 30 : 5);
    expect(profile.days()[0]?.slots[2]).toBe(20);
    expect(profile.days()[0]?.slots[3]).toBe(5);
  });
});
