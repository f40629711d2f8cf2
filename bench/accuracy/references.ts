// SPDX-License-Identifier: Apache-2.0
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import { daySeconds, hourSeconds } from './traces.ts';

/** Forecasts of the `steps` points from `index` on, from the points before it. */
export type Reference = (grid: TimeSeries, index: number, steps: number) => Float64Array;

const weeks = [1, 2, 3, 4];

/** The references of minutes ahead, by name. */
export const minuteReferences: Readonly<Record<string, Reference>> = {
  'last value': lastValue,
  'mean of the last 15 min': meanOfLastQuarterHour,
  'seasonal naive, day': (grid, index, steps) => seasonalNaive(grid, index, { steps, seasonSeconds: daySeconds }),
  'seasonal naive, week': (grid, index, steps) => seasonalNaive(grid, index, { steps, seasonSeconds: 7 * daySeconds }),
  'mean of 4 weeks': meanOfFourWeeks,
  'yesterday × level': yesterdayTimesLevel,
};

/** The references of a day ahead, by name. */
export const dayReferences: Readonly<Record<string, Reference>> = {
  'last value': lastValue,
  'seasonal naive, day': (grid, index, steps) => seasonalNaive(grid, index, { steps, seasonSeconds: daySeconds }),
  'seasonal naive, week': (grid, index, steps) => seasonalNaive(grid, index, { steps, seasonSeconds: 7 * daySeconds }),
  'mean of 4 weeks': meanOfFourWeeks,
};

/** The last point that is there. */
function lastValue({ values }: TimeSeries, index: number, steps: number): Float64Array {
  let last = index - 1;
  while (last > 0 && Number.isNaN(at(values, last))) last -= 1;
  return new Float64Array(steps).fill(at(values, last));
}

/** Mean of the points of the last 15 minutes, at least of one; the last value when they are missing. */
function meanOfLastQuarterHour(grid: TimeSeries, index: number, steps: number): Float64Array {
  const back = Math.max(1, Math.round(900 / grid.stepSeconds));
  const value = mean(grid.values.subarray(Math.max(0, index - back), index));
  return Number.isNaN(value) ? lastValue(grid, index, steps) : new Float64Array(steps).fill(value);
}

/** The same time one season before, or as many seasons as it takes to find a point. */
function seasonalNaive(
  grid: TimeSeries,
  index: number,
  { steps, seasonSeconds }: { steps: number; seasonSeconds: number },
): Float64Array {
  const season = Math.round(seasonSeconds / grid.stepSeconds);
  const [fallback = Number.NaN] = lastValue(grid, index, 1);
  return Float64Array.from({ length: steps }, (_, row) => {
    let from = index + row - season;
    while (from >= index) from -= season;
    while (from > 0 && Number.isNaN(at(grid.values, from))) from -= season;
    const value = at(grid.values, from);
    return Number.isNaN(value) ? fallback : value;
  });
}

/** The mean of the same time in up to four weeks before. */
function meanOfFourWeeks(grid: TimeSeries, index: number, steps: number): Float64Array {
  const week = Math.round((7 * daySeconds) / grid.stepSeconds);
  const fallback = seasonalNaive(grid, index, { steps, seasonSeconds: daySeconds });
  return fallback.map((instead, row) => {
    const value = mean(Float64Array.from(weeks, (back) => at(grid.values, index + row - back * week)));
    return Number.isNaN(value) ? instead : value;
  });
}

/** The same time yesterday times the ratio of the last hour to the same hour yesterday. */
function yesterdayTimesLevel(grid: TimeSeries, index: number, steps: number): Float64Array {
  const { values, stepSeconds } = grid;
  const day = Math.round(daySeconds / stepSeconds);
  const back = Math.max(1, Math.round(hourSeconds / stepSeconds));
  const level = mean(values.subarray(Math.max(0, index - back), index));
  const yesterday = mean(values.subarray(Math.max(0, index - back - day), Math.max(0, index - day)));
  const ratio = yesterday > 0 && !Number.isNaN(level) ? level / yesterday : 1;
  return seasonalNaive(grid, index, { steps, seasonSeconds: daySeconds }).map((value) => value * ratio);
}

function mean(values: Float64Array): number {
  const present = values.filter((value) => !Number.isNaN(value));
  return present.reduce((sum, value) => sum + value, 0) / present.length;
}
