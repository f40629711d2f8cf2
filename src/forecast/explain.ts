// SPDX-License-Identifier: Apache-2.0
import { aggregate } from '../series/resample.ts';
import { at, endSeconds } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { countPresent } from './robust.ts';

const hourSeconds = 3600;
const daySeconds = 86_400;
const detrendSeconds = 25 * hourSeconds;

/** Seasons are measured on points of at least this length, and need so many cycles. */
const seasonStepSeconds = 300;
const fewestCycles = 2;

/** A shift of the level is named when it is at least this much of the level, and lasts so many days. */
const leastShift = 0.2;
const fewestShiftDays = 2;
const mostShiftDays = 800;

/** How much of a series repeats. */
export interface Season {
  readonly seconds: number;
  /**
   * 0 nothing, 1 all: the share of the variance around a moving mean of 25 hours that the same time in the other cycles
   * foretells; NaN for fewer than two cycles.
   */
  readonly strength: number;
}

/** A day from which on demand was on another level. */
export interface ChangePoint {
  readonly timestamp: number;
  /** Mean demand before and after, to the next change point on either side. */
  readonly before: number;
  readonly after: number;
}

/** What can be said of a series, whatever the model. */
export interface SeriesFacts {
  readonly stepSeconds: number;
  readonly points: number;
  /** Points of the grid without a value, in so many gaps, the longest of this length. */
  readonly missing: number;
  readonly gaps: number;
  readonly longestGapSeconds: number;
  readonly seasons: readonly Season[];
  readonly changePoints: readonly ChangePoint[];
}

/** Measures a series. */
export function describeSeries(series: TimeSeries): SeriesFacts {
  return {
    stepSeconds: series.stepSeconds,
    points: countPresent(series.values),
    missing: series.values.length - countPresent(series.values),
    ...gapsOf(series),
    seasons: [daySeconds, 7 * daySeconds].map((seconds) => ({ seconds, strength: seasonalStrength(series, seconds) })),
    changePoints: changePoints(series),
  };
}

function gapsOf({ values, stepSeconds }: TimeSeries): { gaps: number; longestGapSeconds: number } {
  let gaps = 0;
  let longest = 0;
  let length = 0;
  for (const value of values) {
    length = Number.isNaN(value) ? length + 1 : 0;
    if (length === 1) gaps += 1;
    longest = Math.max(longest, length);
  }
  return { gaps, longestGapSeconds: longest * stepSeconds };
}

/**
 * Raw autocorrelation overstates seasons when the level shifts, so a centred moving mean of 25 hours goes first. What
 * is left is compared with the mean of the same time in the other cycles; its error is corrected for their number, so
 * that noise alone comes out at 0.
 */
function seasonalStrength(series: TimeSeries, seconds: number): number {
  const factor = Math.max(1, Math.round(seasonStepSeconds / series.stepSeconds));
  const { values, stepSeconds } = aggregate(series, factor);
  const length = Math.round(seconds / stepSeconds);
  if (length < 2 || values.length < fewestCycles * length) return Number.NaN;
  const rest = detrend(values, Math.round(detrendSeconds / stepSeconds));
  const [sums, counts] = [new Float64Array(length), new Float64Array(length)];
  for (const [index, value] of rest.entries()) {
    if (Number.isNaN(value)) continue;
    sums[index % length] = at(sums, index % length) + value;
    counts[index % length] = at(counts, index % length) + 1;
  }
  let [total, unexplained] = [0, 0];
  for (const [index, value] of rest.entries()) {
    const others = at(counts, index % length) - 1;
    if (Number.isNaN(value) || others < 1) continue;
    const expected = (at(sums, index % length) - value) / others;
    total += value * value;
    unexplained += ((value - expected) ** 2 * others) / (others + 1);
  }
  return total === 0 ? 0 : Math.max(0, 1 - unexplained / total);
}

/** Values less the mean of what is there around them. */
function detrend(values: Float64Array, window: number): Float64Array {
  const half = Math.floor(window / 2);
  const rest = new Float64Array(values.length);
  let [sum, count] = [0, 0];
  const add = (index: number, sign: number): void => {
    const value = at(values, index);
    if (Number.isNaN(value)) return;
    sum += sign * value;
    count += sign;
  };
  for (let index = 0; index < half; index += 1) add(index, 1);
  for (let index = 0; index < values.length; index += 1) {
    add(index + half, 1);
    add(index - half - 1, -1);
    rest[index] = at(values, index) - sum / count;
  }
  return rest;
}

/**
 * Shifts of the level: daily means, less the typical difference of their weekday, cut by optimal partitioning (Jackson
 * et al. 2005) with the penalty of Yao (1988) on the noise from day to day.
 */
function changePoints(series: TimeSeries): ChangePoint[] {
  const days = dailyMeans(series);
  if (days.length < 2 * fewestShiftDays) return [];
  const levels = withoutWeekdays(days);
  const differences = levels.slice(1).map((level, index) => Math.abs(level - (levels[index] ?? level)));
  // The median of absolute differences of normal noise is 0.954 of its standard deviation.
  const noise = medianOf(differences) / 0.954;
  const size = medianOf(levels.map(Math.abs));
  const cuts = partition(levels, 3 * Math.max(noise, 0.01 * size) ** 2 * Math.log(levels.length));
  return cuts.slice(1).flatMap((cut, index) => {
    const before = mean(levels.slice(cuts[index] ?? 0, cut));
    const after = mean(levels.slice(cut, cuts[index + 2] ?? levels.length));
    if (Math.abs(after - before) < leastShift * Math.max(Math.abs(before), Math.abs(after))) return [];
    return [{ timestamp: days[cut]?.start ?? 0, before, after }];
  });
}

interface Day {
  /** Epoch seconds of its midnight. */
  readonly start: number;
  readonly mean: number;
}

/** Means of the last days (UTC) that have half of their points at least. */
function dailyMeans(series: TimeSeries): Day[] {
  const { startSeconds, stepSeconds, values } = series;
  const perDay = Math.round(daySeconds / stepSeconds);
  if (perDay < 1) return [];
  const days: Day[] = [];
  const oldest = Math.max(startSeconds, endSeconds(series) - mostShiftDays * daySeconds);
  for (let start = Math.ceil(oldest / daySeconds) * daySeconds; start < endSeconds(series); start += daySeconds) {
    const from = Math.round((start - startSeconds) / stepSeconds);
    const present = values.subarray(from, from + perDay).filter((value) => !Number.isNaN(value));
    if (present.length * 2 >= perDay) days.push({ start, mean: mean([...present]) });
  }
  return days;
}

/** Each day less what its weekday typically differs from the days around it; too few weeks stay as they are. */
function withoutWeekdays(days: readonly Day[]): number[] {
  const means = days.map((day) => day.mean);
  if (means.length < 21) return means;
  const differences = means.map((value, index) => value - mean(means.slice(Math.max(0, index - 3), index + 4)));
  const weekdays = days.map(({ start }) => (start / daySeconds) % 7);
  const effects = Array.from({ length: 7 }, (_, weekday) =>
    medianOf(differences.filter((_difference, index) => weekdays[index] === weekday)),
  );
  return means.map((value, index) => value - (effects[weekdays[index] ?? 0] ?? 0));
}

/** Starts of the segments whose squared deviations plus the penalty for each are smallest. */
function partition(values: readonly number[], penalty: number): number[] {
  const cost = deviations(values);
  const best = new Float64Array(values.length + 1).fill(Number.POSITIVE_INFINITY);
  const previous = new Uint32Array(values.length + 1);
  best[0] = -penalty;
  for (let to = fewestShiftDays; to <= values.length; to += 1) {
    for (let from = 0; from <= to - fewestShiftDays; from += 1) {
      const total = at(best, from) + cost(from, to) + penalty;
      if (total >= at(best, to)) continue;
      best[to] = total;
      previous[to] = from;
    }
  }
  const cuts: number[] = [];
  for (let to = values.length; to > 0; to = previous[to] ?? 0) cuts.unshift(previous[to] ?? 0);
  return cuts;
}

/** Squared deviations from the mean, from one index to before another. */
function deviations(values: readonly number[]): (from: number, to: number) => number {
  const sums = new Float64Array(values.length + 1);
  const squares = new Float64Array(values.length + 1);
  for (const [index, value] of values.entries()) {
    sums[index + 1] = at(sums, index) + value;
    squares[index + 1] = at(squares, index) + value * value;
  }
  return (from, to) => {
    const sum = at(sums, to) - at(sums, from);
    return at(squares, to) - at(squares, from) - (sum * sum) / (to - from);
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
