// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { createMinuteHistory } from './minute-history.ts';

const sample = (minute: number, value: number, second = 0) => ({ timestamp: minute * 60 + second, value });

describe('createMinuteHistory', () => {
  test('knows nothing at first', () => {
    const history = createMinuteHistory();
    expect(history.range()).toBeUndefined();
    expect(history.at(5)).toBeNaN();
  });

  test('keeps minutes and leaves gaps', () => {
    const history = createMinuteHistory();
    history.put([sample(10, 1), sample(12, 3)]);
    expect(history.range()).toEqual({ first: 10, head: 13 });
    expect(history.series(0)).toEqual({
      startSeconds: 600,
      stepSeconds: 60,
      values: Float64Array.of(1, Number.NaN, 3),
    });
    expect([...history.series(12).values]).toEqual([3]);
  });

  test('averages the samples of a minute, also when they come one by one or twice', () => {
    const history = createMinuteHistory();
    history.put([sample(10, 1)]);
    history.put([sample(10, 3, 30)]);
    history.put([sample(10, 3, 30)]);
    expect(history.at(10)).toBe(2);
  });

  test('counts what fills a minute behind the head', () => {
    const history = createMinuteHistory();
    expect(history.put([sample(10, 1), sample(11, 1), sample(30, 1)])).toBe(0);
    expect(history.put([sample(29, 1), sample(12, 1), sample(10, 9)])).toBe(2);
    expect(history.at(10)).toBe(1);
    expect(history.at(12)).toBe(1);
  });

  test('takes older history afterwards', () => {
    const history = createMinuteHistory();
    history.put([sample(1000, 1)]);
    expect(history.put([sample(500, 2), sample(501, 2)])).toBe(2);
    expect(history.range()).toEqual({ first: 500, head: 1001 });
  });

  test('forgets what is older than 28 days, and is empty in between after a long silence', () => {
    const history = createMinuteHistory();
    history.put([sample(0, 1), sample(1, 1)]);
    history.put([sample(28 * 1440, 2)]);
    expect(history.range()).toEqual({ first: 1, head: 28 * 1440 + 1 });
    expect(history.at(1)).toBe(1);
    history.put([sample(100 * 1440, 3)]);
    expect(history.series(0).values.filter((value) => !Number.isNaN(value))).toEqual(Float64Array.of(3));
    expect(history.put([sample(5, 1)])).toBe(0);
  });

  test('keeps no more than is wanted of it, and an hour, but at least a day', () => {
    const days = (count: number) => Array.from({ length: count * 1440 }, (_, minute) => sample(minute, minute));
    for (const [wantedHours, keptMinutes] of [
      [2, 25 * 60],
      [24, 25 * 60],
      [48, 49 * 60],
    ] as const) {
      const history = createMinuteHistory(wantedHours * 3600);
      history.put(days(4));
      expect(history.range()).toEqual({ first: 5760 - keptMinutes, head: 5760 });
      expect(history.series(0).values).toEqual(
        Float64Array.from({ length: keptMinutes }, (_, i) => 5760 - keptMinutes + i),
      );
      expect(history.at(5760 - keptMinutes - 1)).toBeNaN();
    }
  });

  test('holds a sample until the next where they are further apart than a minute, five minutes at most', () => {
    const history = createMinuteHistory();
    history.put([sample(0, 1), sample(3, 2), sample(6, 3)]);
    expect(history.at(1)).toBeNaN();
    history.measureSpacing();
    expect([...history.series(0).values]).toEqual([1, 1, 1, 2, 2, 2, 3]);
    const sparse = createMinuteHistory();
    sparse.put([sample(0, 1), sample(10, 2), sample(20, 3)]);
    sparse.measureSpacing();
    expect([sparse.at(4), sparse.at(5)]).toEqual([1, Number.NaN]);
  });

  test('skips what is not a number', () => {
    const history = createMinuteHistory();
    history.put([sample(1, Number.NaN), sample(2, Number.POSITIVE_INFINITY), { timestamp: Number.NaN, value: 1 }]);
    expect(history.range()).toBeUndefined();
  });
});
