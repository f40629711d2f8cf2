// SPDX-License-Identifier: Apache-2.0
import { runEntrants } from './headstart.ts';
import type { Entrants, Run } from './headstart.ts';
import { randomOrigins } from './minutes.ts';
import { addQuantiles, quantileTallies, skillReference } from './quantile-tallies.ts';
import { resultOf } from './protocol.ts';
import type { Settings, Task, TaskResult } from './protocol.ts';
import { ours } from './tally.ts';
import type { Metric } from './tally.ts';
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
import type { Extent, Trace } from './traces.ts';

/** A day ahead is judged at this step, or the series' own where that is coarser. */
const dayStepSeconds = 300;
const mostDayOrigins = 100;
/** The coarsest step and the shortest span. */
export const quantilesNeeds: Extent = { stepSeconds: hourSeconds, spanSeconds: 7 * daySeconds };

const shiftBuckets = [300, 900, hourSeconds];
const shiftFactor = 1.5;
/** Judged from the second day after the shift, for a week, every half hour. */
const shiftSeconds = 8 * daySeconds;
const shiftEverySeconds = 1800;
const shiftNeeds: Extent = { stepSeconds: 900, spanSeconds: 21 * daySeconds };

/** How the suffix of the metrics after the level shift reads. */
export const shiftSuffix = ' after a shift';

/** Quantiles of the next 24 hours, and of the next hour after a level shift that is injected eight days before the end. */
export function evaluateQuantiles(task: Task, settings: Settings): TaskResult | undefined {
  const trace = readTrace(settings.folder, task.series);
  if (!isEnough(extentOf(trace.grid), quantilesNeeds)) return undefined;
  const day = judgeDay(trace, settings);
  const shifted = judgeShift(trace, settings.entrants);
  return resultOf(task, day.runs, [...day.metrics, ...shifted]);
}

function judgeDay(trace: Trace, settings: Settings): { runs: Record<string, Run>; metrics: Metric[] } {
  const stepSeconds = Math.max(dayStepSeconds, trace.grid.stepSeconds);
  const grid = stepSeconds === trace.grid.stepSeconds ? trace.grid : gridOf(trace.samples, stepSeconds);
  const end = grid.startSeconds + grid.values.length * stepSeconds - daySeconds;
  const wanted = Math.min(mostDayOrigins, settings.origins);
  const origins = randomOrigins(grid, wanted).filter((origin) => origin <= end);
  const entrants = { ...settings.entrants, each: false };
  const runs = runEntrants(toSamples(grid), { origins, stepSeconds, horizonSeconds: daySeconds }, entrants);
  // All rows up to the day, those of the next hour too: they are 4 % of it.
  const tallies = quantileTallies([daySeconds]);
  const skill = skillReference(grid);
  for (const [origin, { quantiles }] of runs[ours]?.forecasts ?? []) {
    const index = indexOf(grid, origin);
    addQuantiles(tallies, grid, { index, quantiles, reference: skill(index) });
  }
  return { runs, metrics: tallies.metrics() };
}

/** From the shift on all values are larger by half. */
function judgeShift({ grid }: Trace, entrants: Entrants): Metric[] {
  const { stepSeconds, startSeconds } = grid;
  if (!isEnough(extentOf(grid), shiftNeeds)) return [];
  const end = timeOf(grid, grid.values.length);
  const shift = Math.floor((end - shiftSeconds - hourSeconds) / stepSeconds) * stepSeconds;
  const from = indexOf(grid, shift);
  const values = grid.values.map((value, index) => (index >= from ? shiftFactor * value : value));
  const shifted = { ...grid, values };
  const origins: number[] = [];
  for (let origin = shift + daySeconds; origin < shift + shiftSeconds; origin += shiftEverySeconds) {
    origins.push(startSeconds + indexOf(grid, origin) * stepSeconds);
  }
  const request = { origins, stepSeconds, horizonSeconds: hourSeconds };
  const runs = runEntrants(toSamples(shifted), request, { ...entrants, each: false });
  const tallies = quantileTallies(
    shiftBuckets.filter((bucket) => bucket >= stepSeconds),
    shiftSuffix,
  );
  const skill = skillReference(shifted);
  for (const [origin, { quantiles }] of runs[ours]?.forecasts ?? []) {
    const index = indexOf(shifted, origin);
    addQuantiles(tallies, shifted, { index, quantiles, reference: skill(index) });
  }
  return tallies.metrics();
}
