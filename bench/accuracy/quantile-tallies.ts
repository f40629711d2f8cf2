// SPDX-License-Identifier: Apache-2.0
import { pinball } from '../../src/forecast/accuracy.ts';
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import { levels } from './headstart.ts';
import { createTally, ours } from './tally.ts';
import type { Metric, Tally } from './tally.ts';
import { daySeconds, timeOf } from './traces.ts';

/** Levels that coverage is told of. */
export const judgedLevels = [0.8, 0.95, 0.99];

export const skillName = 'seasonal naive quantiles';

/** Errors of the seasonal naive forecast count for so long. */
const residualSeconds = 28 * daySeconds;

/** Leads up to its end, from that of the bucket before; tallies by judged level. */
interface Bucket {
  readonly untilSeconds: number;
  readonly coverage: readonly Tally[];
  readonly loss: readonly Tally[];
}

/** Coverage and pinball loss by bucket of the lead. */
export interface QuantileTallies {
  readonly buckets: readonly Bucket[];
  metrics(): Metric[];
}

/** Buckets by their upper ends, in seconds, ascending. */
export function quantileTallies(ends: readonly number[], suffix = ''): QuantileTallies {
  const buckets = ends.map((untilSeconds) => {
    const lead = leadName(untilSeconds) + suffix;
    return {
      untilSeconds,
      coverage: judgedLevels.map((level) => createTally(`coverage ${level} ${lead}`)),
      loss: judgedLevels.map((level) => createTally(`pinball ${level} ${lead}`)),
    };
  });
  return {
    buckets,
    metrics: () => buckets.flatMap(({ coverage, loss }) => [...coverage, ...loss].map((tally) => tally.metric())),
  };
}

export function leadName(seconds: number): string {
  return seconds > 3600 ? `${seconds / 3600} h` : `${seconds / 60} min`;
}

/** Quantiles of the outcome at `row` of a forecast, by level. */
type RowQuantiles = (row: number) => readonly number[];

interface Made {
  /** Of the first step that is forecast. */
  readonly index: number;
  /** By level of `levels`. */
  readonly quantiles: readonly Float64Array[];
  readonly reference: RowQuantiles;
}

/** Scores one forecast in the buckets that its rows belong to. The lead of a row is the time to its end. */
export function addQuantiles({ buckets }: QuantileTallies, grid: TimeSeries, made: Made): void {
  const rows = made.quantiles[0]?.length ?? 0;
  for (let row = 0; row < rows; row += 1) {
    const lead = (row + 1) * grid.stepSeconds;
    const bucket = buckets.find(({ untilSeconds }) => lead <= untilSeconds);
    if (bucket !== undefined) addRow(bucket, grid, { ...made, row });
  }
}

function addRow(bucket: Bucket, grid: TimeSeries, { index, quantiles, reference, row }: Made & { row: number }): void {
  const actual = at(grid.values, index + row);
  if (Number.isNaN(actual)) return;
  const block = Math.floor(timeOf(grid, index + row) / daySeconds);
  const theirs = reference(row);
  for (const [slot, level] of judgedLevels.entries()) {
    const own = at(quantiles[levels.indexOf(level)] ?? nothing, row);
    const lost = {
      [ours]: pinball(actual, own, level),
      [skillName]: pinball(actual, theirs[slot] ?? Number.NaN, level),
    };
    bucket.coverage[slot]?.add(block, 1, { [ours]: actual <= own ? 1 : 0 });
    bucket.loss[slot]?.add(block, 1, lost);
  }
}

const nothing = new Float64Array();

/**
 * Quantiles of the seasonal naive forecast by origin: the value a day before, plus the empirical quantile of how much
 * values differed from those a day before in the last four weeks (looked up once for each day of origins).
 */
export function skillReference(grid: TimeSeries): (index: number) => RowQuantiles {
  const day = Math.round(daySeconds / grid.stepSeconds);
  const known = new Map<number, number[]>();
  return (index) => {
    const upTo = index - (index % day);
    let residuals = known.get(upTo);
    if (residuals === undefined) {
      residuals = quantilesOfDifferences(grid.values, upTo, { day, length: residualSeconds / grid.stepSeconds });
      known.set(upTo, residuals);
    }
    return (row) => {
      const naive = sameTime(grid.values, { index, row, day });
      return (residuals ?? []).map((residual) => naive + residual);
    };
  };
}

/** The last value at that time of day which is known at the origin. */
function sameTime(values: Float64Array, { index, row, day }: { index: number; row: number; day: number }): number {
  let place = index + row - day;
  while (place >= index || (place > 0 && Number.isNaN(at(values, place)))) place -= day;
  return at(values, place);
}

function quantilesOfDifferences(
  values: Float64Array,
  upTo: number,
  { day, length }: { day: number; length: number },
): number[] {
  const differences: number[] = [];
  for (let index = Math.max(day, upTo - Math.round(length)); index < upTo; index += 1) {
    const difference = at(values, index) - at(values, index - day);
    if (!Number.isNaN(difference)) differences.push(difference);
  }
  differences.sort((a, b) => a - b);
  return judgedLevels.map((level) => differences[Math.floor(level * (differences.length - 1))] ?? Number.NaN);
}
