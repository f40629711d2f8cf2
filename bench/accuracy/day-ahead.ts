// SPDX-License-Identifier: Apache-2.0
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import { runEntrants } from './headstart.ts';
import { packageReferences } from './packages.ts';
import { resultOf } from './protocol.ts';
import type { Settings, Task, TaskResult } from './protocol.ts';
import { dayReferences } from './references.ts';
import { createTally } from './tally.ts';
import {
  daySeconds,
  extentOf,
  gridOf,
  hourSeconds,
  indexOf,
  isEnough,
  readTrace,
  timeOf,
  toSamples,
} from './traces.ts';
import type { Extent } from './traces.ts';

const horizonSteps = 24;
const wantedOrigins = 7;
/** The coarsest step and the shortest span. */
export const dayAheadNeeds: Extent = { stepSeconds: hourSeconds, spanSeconds: 14 * daySeconds };
const longestHistorySeconds = 400 * daySeconds;
const lastDays = 28;

/**
 * Hourly means, from 7 midnights of the last 28 days of the last quarter, 24 hours each; MASE with the mean absolute
 * difference to the day before up to the first origin.
 */
export function evaluateDayAhead(task: Task, settings: Settings): TaskResult | undefined {
  const { samples, grid: native } = readTrace(settings.folder, task.series);
  if (!isEnough(extentOf(native), dayAheadNeeds)) return undefined;
  const whole = gridOf(samples, hourSeconds);
  const origins = midnights(whole);
  const [first] = origins;
  if (first === undefined) return undefined;
  const grid = tail(whole, Math.max(0, indexOf(whole, first - longestHistorySeconds)));
  const scale = dailyDifference(grid.values.subarray(0, indexOf(grid, first)));
  const request = { origins, stepSeconds: hourSeconds, horizonSeconds: daySeconds };
  const runs = runEntrants(toSamples(grid), request, settings.entrants);
  const references = { ...dayReferences, ...(settings.packages ? packageReferences() : {}) };
  const tally = createTally('MASE');
  for (const origin of origins) {
    const index = indexOf(grid, origin);
    const paths = {
      ...Object.fromEntries(
        Object.entries(runs).map(([name, { forecasts }]) => [name, forecasts.get(origin)?.quantiles[0]]),
      ),
      ...Object.fromEntries(
        Object.entries(references).map(([name, reference]) => [name, reference(grid, index, horizonSteps)]),
      ),
    };
    for (let row = 0; row < horizonSteps; row += 1) {
      const actual = at(grid.values, index + row);
      const errors = Object.entries(paths).map(([name, path]) => [
        name,
        Math.abs(actual - (path?.[row] ?? Number.NaN)),
      ]);
      tally.add(origin, scale, Object.fromEntries(errors));
    }
  }
  return resultOf(task, runs, [tally.metric()]);
}

/** Midnights (UTC), spread over the last quarter, or its last four weeks, that leave a day to forecast. */
function midnights(grid: TimeSeries): number[] {
  const end = timeOf(grid, grid.values.length);
  const from = Math.max(timeOf(grid, Math.floor(grid.values.length * 0.75)), end - lastDays * daySeconds);
  const all: number[] = [];
  for (let time = Math.ceil(from / daySeconds) * daySeconds; time + daySeconds <= end; time += daySeconds)
    all.push(time);
  const places = Array.from({ length: wantedOrigins }, (_, place) =>
    Math.round((place * (all.length - 1)) / (wantedOrigins - 1)),
  );
  return [...new Set(places)].flatMap((place) => all[place] ?? []);
}

function tail(grid: TimeSeries, from: number): TimeSeries {
  return { ...grid, startSeconds: timeOf(grid, from), values: grid.values.slice(from) };
}

/** Mean absolute difference to the day before. */
export function dailyDifference(values: Float64Array): number {
  let sum = 0;
  let count = 0;
  for (let index = horizonSteps; index < values.length; index += 1) {
    const difference = Math.abs(at(values, index) - at(values, index - horizonSteps));
    if (Number.isNaN(difference)) continue;
    sum += difference;
    count += 1;
  }
  return sum / count;
}
