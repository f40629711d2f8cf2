// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Smoothing parameters, each between 0 and 1. */
export interface DoubleSeasonalParameters {
  /** Of the level. */
  readonly alpha: number;
  /** Of the trend; 0 for a trend that stays as it is. */
  readonly gamma: number;
  /** Of the season of the day. */
  readonly delta: number;
  /** Of the season of the week. */
  readonly omega: number;
  /** Of the last error: the autoregressive adjustment. */
  readonly phi: number;
}

/** Level, trend, indices by slot of the day and of the week, and the last error before adjustment. */
export interface DoubleSeasonalStates {
  level: number;
  trend: number;
  readonly day: Float64Array;
  readonly week: Float64Array;
  error: number;
}

/** Where a point is in the day and in the week. */
export interface Slots {
  readonly day: number;
  readonly week: number;
}

/**
 * Moves over a point (NaN for a gap) and gives the error of the one-step forecast. Taylor (2003), "Short-term
 * electricity demand forecasting using double seasonal exponential smoothing", with additive seasons (on logarithms
 * they multiply) and his adjustment for first-order autocorrelated errors.
 */
export function stepDoubleSeasonal(
  { alpha, gamma, delta, omega, phi }: DoubleSeasonalParameters,
  states: DoubleSeasonalStates,
  { slots, value }: { slots: Slots; value: number },
): number {
  const { level, trend, day, week } = states;
  const [ofDay, ofWeek] = [at(day, slots.day), at(week, slots.week)];
  const base = level + trend;
  const adjustment = phi * states.error;
  if (Number.isNaN(value)) {
    states.level = base;
    states.error = adjustment;
    return Number.NaN;
  }
  states.error = value - base - ofDay - ofWeek;
  states.level = base + alpha * (value - ofDay - ofWeek - base);
  states.trend = trend + gamma * (states.level - level - trend);
  day[slots.day] = ofDay + delta * (value - states.level - ofWeek - ofDay);
  week[slots.week] = ofWeek + omega * (value - states.level - ofDay - ofWeek);
  return states.error - adjustment;
}

/** A copy that stands in the same place. */
export function copyDoubleSeasonal(states: DoubleSeasonalStates): DoubleSeasonalStates {
  return { ...states, day: states.day.slice(), week: states.week.slice() };
}

/**
 * First states from the first points: the mean, the mean deviation by slot of the day, and by slot of the week half of
 * what then is left (few weeks say little about each slot), if there is a week.
 */
export function startDoubleSeasonal(
  values: Float64Array,
  slots: readonly Slots[],
  sizes: { readonly day: number; readonly week: number; readonly withWeek: boolean },
): DoubleSeasonalStates {
  let level = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    level += value;
    count += 1;
  }
  level = count === 0 ? 0 : level / count;
  const day = meanBySlot(values, { size: sizes.day, slotAt: (index) => slots[index]?.day ?? 0, less: () => level });
  if (!sizes.withWeek) return { level, trend: 0, day, week: new Float64Array(sizes.week), error: 0 };
  const week = meanBySlot(values, {
    size: sizes.week,
    slotAt: (index) => slots[index]?.week ?? 0,
    less: (index) => level + at(day, slots[index]?.day ?? 0),
  }).map((value) => value / 2);
  return { level, trend: 0, day, week, error: 0 };
}

function meanBySlot(
  values: Float64Array,
  { size, slotAt, less }: { size: number; slotAt: (index: number) => number; less: (index: number) => number },
): Float64Array {
  const sums = new Float64Array(size);
  const counts = new Float64Array(size);
  for (const [index, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const slot = slotAt(index);
    sums[slot] = at(sums, slot) + value - less(index);
    counts[slot] = at(counts, slot) + 1;
  }
  return sums.map((sum, slot) => (at(counts, slot) === 0 ? 0 : sum / at(counts, slot)));
}
