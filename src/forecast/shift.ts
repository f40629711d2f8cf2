// SPDX-License-Identifier: Apache-2.0
import { aggregate } from '../series/resample.ts';
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { meanPresent } from './robust.ts';

const hourSeconds = 3600;
const dayHours = 24;
const weekHours = 7 * dayHours;

/** A level must have been another for so long; one that is older is not looked for again. */
const sustainedHours = 6;

/** A shift is at least by this factor, and by so many deviations of the ratios of the past. */
const leastFactor = 1.25;
const deviations = 5;

/** Logarithms are taken of demand and this share of its mean. */
const offsetShare = 0.1;

/** Another level of demand than the profile of the days before says. */
export interface LevelShift {
  /** Epoch seconds from which on demand is at the new level. */
  readonly atSeconds: number;
  /** New level over old level. */
  readonly ratio: number;
}

/**
 * The level shift of the last hours, if there is one: hourly demand over the same hour of the week before, or over the
 * median of that hour in it, whichever is nearer, has left its usual range on one side for six hours on end. Needs
 * eight days.
 */
export function findLevelShift(history: TimeSeries): LevelShift | undefined {
  const factor = Math.round(hourSeconds / history.stepSeconds);
  if (factor < 1) return undefined;
  const whole = history.values.length - (history.values.length % factor);
  const hours = aggregate(
    { ...history, values: history.values.subarray(history.values.length - whole) },
    factor,
  ).values;
  if (hours.length < weekHours + dayHours) return undefined;
  const offset = offsetShare * meanPresent(hours.map(Math.abs));
  const ratios: number[] = [];
  for (let hour = weekHours; hour < hours.length; hour += 1) ratios.push(logRatio(hours, hour, offset));
  const recent = ratios.slice(-sustainedHours);
  const mean = recent.reduce((sum, ratio) => sum + ratio, 0) / sustainedHours;
  if (!recent.every((ratio) => ratio * mean > 0 && Math.abs(ratio) > Math.log(leastFactor) / 2)) return undefined;
  const usual = deviationOf(ratios.slice(0, -sustainedHours));
  if (!(Math.abs(mean) > Math.max(Math.log(leastFactor), deviations * usual))) return undefined;
  const endSeconds = history.startSeconds + history.values.length * history.stepSeconds;
  return { atSeconds: endSeconds - sustainedHours * hourSeconds, ratio: Math.exp(mean) };
}

/** The past before the shift, brought to the level after it: its shape is kept, and its level is not learnt again. */
export function relevel(history: TimeSeries, { atSeconds, ratio }: LevelShift): TimeSeries {
  const before = Math.round((atSeconds - history.startSeconds) / history.stepSeconds);
  return { ...history, values: history.values.map((value, index) => (index < before ? value * ratio : value)) };
}

/** NaN where not known. */
function logRatio(hours: Float64Array, hour: number, offset: number): number {
  const log = (value: number): number => Math.log(Math.max(0, value) + offset);
  const days = Array.from({ length: 7 }, (_, index) => at(hours, hour - (index + 1) * dayHours));
  const known = days.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const now = log(at(hours, hour));
  const toMedian = now - log(known[Math.floor(known.length / 2)] ?? Number.NaN);
  const toWeek = now - log(at(hours, hour - weekHours));
  if (Number.isNaN(toWeek)) return toMedian;
  return Math.abs(toWeek) < Math.abs(toMedian) ? toWeek : toMedian;
}

/** Mean absolute log-ratio of the past, as a standard deviation of normal ones. */
function deviationOf(ratios: readonly number[]): number {
  const mean = meanPresent(Float64Array.from(ratios, Math.abs));
  return 1.25 * mean;
}
