// SPDX-License-Identifier: Apache-2.0
import type { BatchForecast } from '../../src/forecast/batch.ts';
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import { createRandom } from '../../src/forecast/random.ts';
import { levels, runEntrants } from './headstart.ts';
import { addQuantiles, quantileTallies, skillReference } from './quantile-tallies.ts';
import { resultOf } from './protocol.ts';
import type { Settings, Task, TaskResult } from './protocol.ts';
import { minuteReferences } from './references.ts';
import { createTally, ours } from './tally.ts';
import type { Tally } from './tally.ts';
import { daySeconds, extentOf, hourSeconds, indexOf, isEnough, readTrace, timeOf } from './traces.ts';
import type { Extent } from './traces.ts';

const horizons = [900, hourSeconds];
/** The coarsest step and the shortest span. */
export const minutesNeeds: Extent = { stepSeconds: 900, spanSeconds: 4 * daySeconds };

/** Quantiles are judged in these buckets of the lead, by their upper ends. */
const buckets = [300, 900, hourSeconds];

/**
 * The series' own step, up to 400 random origins (seed 7) of the last quarter; WAPE over all steps to the horizon, and
 * quantiles by bucket of the lead.
 */
export function evaluateMinutes(task: Task, settings: Settings): TaskResult | undefined {
  const { samples, grid } = readTrace(settings.folder, task.series);
  const { stepSeconds } = grid;
  if (!isEnough(extentOf(grid), minutesNeeds)) return undefined;
  const origins = randomOrigins(grid, settings.origins);
  const runs = runEntrants(samples, { origins, stepSeconds, horizonSeconds: hourSeconds }, settings.entrants);
  const errors = horizons.map((horizon) => createTally(`WAPE ${horizon / 60} min`));
  const quantiles = quantileTallies(buckets.filter((bucket) => bucket >= stepSeconds));
  const skill = skillReference(grid);
  for (const origin of origins) {
    const index = indexOf(grid, origin);
    const steps = Math.floor(hourSeconds / stepSeconds);
    const paths = Object.entries(minuteReferences).map(([name, of]) => [name, of(grid, index, steps)] as const);
    const own = Object.entries(runs).map(([name, { forecasts }]) => [name, forecasts.get(origin)] as const);
    addErrors(errors, grid, {
      index,
      paths: [...own.map(([name, made]) => [name, medianOf(made)] as const), ...paths],
    });
    const made = own.find(([name]) => name === ours)?.[1];
    if (made !== undefined)
      addQuantiles(quantiles, grid, { index, quantiles: made.quantiles, reference: skill(index) });
  }
  const metrics = [...errors.map((tally) => tally.metric()), ...quantiles.metrics()];
  return resultOf(task, runs, metrics);
}

function medianOf(made: BatchForecast | undefined): Float64Array {
  return made?.quantiles[levels.indexOf(0.5)] ?? new Float64Array();
}

/** Distinct points of the last quarter that leave room for the longest horizon. */
export function randomOrigins(grid: TimeSeries, wanted: number): number[] {
  const { values, stepSeconds } = grid;
  const from = Math.floor(values.length * 0.75);
  const room = values.length - from - hourSeconds / stepSeconds;
  const random = createRandom(7);
  const chosen = new Set<number>();
  for (let tries = 0; tries < wanted; tries += 1) chosen.add(from + Math.floor(random() * room));
  return [...chosen].sort((a, b) => a - b).map((index) => timeOf(grid, index));
}

interface Origin {
  readonly index: number;
  readonly paths: readonly (readonly [string, Float64Array])[];
}

function addErrors(tallies: readonly Tally[], grid: TimeSeries, { index, paths }: Origin): void {
  for (const [slot, tally] of tallies.entries()) {
    const steps = Math.floor((horizons[slot] ?? 0) / grid.stepSeconds);
    for (let row = 0; row < steps; row += 1) {
      const actual = at(grid.values, index + row);
      const block = Math.floor(timeOf(grid, index + row) / daySeconds);
      const errors = paths.map(([name, path]) => [name, Math.abs(actual - at(path, row))]);
      tally.add(block, Math.abs(actual), Object.fromEntries(errors));
    }
  }
}
