// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { TimeSeries } from '../series/time-series.ts';
import { demandSeries } from '../testing/demand.ts';
import { observedMaximum, runContest, windowMaximum } from './contest.ts';
import { models } from './registry.ts';

const of = (...values: number[]): Float64Array => Float64Array.from(values);
const setup = { target: { windowSteps: 8, lastPosition: 60 }, timeZone: 'UTC' };

describe('windowMaximum', () => {
  test('looks at the steps from the position to the end of the window', () => {
    expect(windowMaximum(of(9, 1, 5, 2, 8), 1, 2)).toBe(5);
    expect(windowMaximum(of(9, 1, 5, 2, 8), 1, 0)).toBe(1);
    expect(windowMaximum(of(-3, -1), 0, 1)).toBe(-1);
  });

  test('leaves out what is not known', () => {
    expect(windowMaximum(of(Number.NaN, 1, Number.NaN), 0, 2)).toBe(1);
    expect(windowMaximum(of(Number.NaN), 0, 5)).toBeNaN();
  });
});

test('the maximum of what was observed is not known with more than a fifth missing', () => {
  expect(observedMaximum(of(1, 5, Number.NaN, 2, 3), 0, 4)).toBe(5);
  expect(observedMaximum(of(1, Number.NaN, Number.NaN, 2, 3), 0, 4)).toBeNaN();
  expect(observedMaximum(of(1, 2), 0, 4)).toBeNaN();
});

describe('runContest', () => {
  const history = demandSeries({ seed: 51, days: 4, stepSeconds: 60 });
  const contest = runContest(history, Object.values(models), setup);
  const width = contest.positions.length;

  test('notes forecasts of every model and what came, at the same origins and positions', () => {
    expect(contest.positions).toEqual([0, 1, 2, 4, 8, 16, 32, 60]);
    expect(contest.tracks.map(({ model }) => model.name)).toEqual(Object.keys(models));
    for (const { forecasts } of contest.tracks) expect(forecasts).toHaveLength(contest.origins.length * width);
    expect(contest.actual).toHaveLength(contest.origins.length * width);
    const [first] = contest.origins;
    expect(first?.weight).toBeCloseTo(0.5 ** (2 / 4), 9);
    const start = history.values.length / 2;
    expect(contest.actual[0]).toBe(Math.max(...history.values.slice(start - 1, start + 8)));
  });

  test('does not know what has not come yet', () => {
    const last = (contest.origins.length - 1) * width;
    expect(contest.actual[last + width - 1]).toBeNaN();
  });

  test('lets no model see what comes after an origin', () => {
    const cut = 3 * 1440;
    const changed: TimeSeries = {
      ...history,
      values: history.values.map((value, index) => (index < cut ? value : 1e6)),
    };
    const other = runContest(changed, Object.values(models), setup);
    const before = contest.origins.filter(({ weight }) => weight <= 0.5 ** (1 / 4)).length * width;
    expect(before).toBeGreaterThan(100);
    for (const [index, { forecasts }] of contest.tracks.entries()) {
      expect(other.tracks[index]?.forecasts.slice(0, before)).toEqual(forecasts.slice(0, before));
    }
  });

  test('gives the reasons of models that cannot be fitted', () => {
    const young = demandSeries({ seed: 51, days: 0.5, stepSeconds: 60 });
    const { tracks, refusals } = runContest(young, Object.values(models), setup);
    expect(tracks.map(({ model }) => model.name)).toEqual(['naive', 'drift']);
    const seasonal = Object.keys(models).filter((name) => name !== 'naive' && name !== 'drift');
    expect(refusals.map(({ name }) => name)).toEqual(seasonal);
  });
});
