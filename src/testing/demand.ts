// SPDX-License-Identifier: Apache-2.0
import { createRandom } from '../forecast/random.ts';
import type { Sample, TimeSeries } from '../series/time-series.ts';

/** A made-up service. */
export interface DemandShape {
  readonly seed: number;
  readonly days: number;
  readonly stepSeconds: number;
  /** Epoch seconds; default Monday 2026-01-05T00:00:00Z. */
  readonly startSeconds?: number;
  readonly mean?: number;
  /** Standard deviation of the noise over the mean. */
  readonly noise?: number;
  /** Size of the day's wave over the mean. */
  readonly wave?: number;
  /** Demand at weekends over that of workdays. */
  readonly weekend?: number;
  /** Share of missing points. */
  readonly gaps?: number;
  /** Multiplies demand from this day on. */
  readonly shift?: { readonly day: number; readonly factor: number };
}

/** Monday 2026-01-05T00:00:00Z. */
export const monday = 1_767_571_200;

/** Demand with a daily wave, weekends, noise, gaps and a level shift; the same for the same shape, never negative. */
export function demandSeries(shape: DemandShape): TimeSeries {
  const { seed, days, stepSeconds, startSeconds = monday, mean = 100, noise = 0.05, wave = 0.5 } = shape;
  const { weekend = 1, gaps = 0, shift } = shape;
  const random = createRandom(seed);
  const values = Float64Array.from({ length: Math.round((days * 86_400) / stepSeconds) }, (_, index) => {
    const day = (startSeconds + index * stepSeconds) / 86_400;
    const weekday = (Math.floor(day) + 4) % 7;
    const level = weekday === 0 || weekday === 6 ? weekend : 1;
    const shifted = shift !== undefined && (index * stepSeconds) / 86_400 >= shift.day ? shift.factor : 1;
    // Irwin-Hall with three terms has variance 1/4.
    const error = 2 * noise * (random() + random() + random() - 1.5);
    const missing = random() < gaps;
    return missing
      ? Number.NaN
      : Math.max(0, mean * level * shifted * (1 - wave * Math.cos(2 * Math.PI * day) + error));
  });
  return { startSeconds, stepSeconds, values };
}

/** The points that are there, one sample each. */
export function samplesOf({ startSeconds, stepSeconds, values }: TimeSeries): Sample[] {
  return Array.from(values, (value, index) => ({ timestamp: startSeconds + index * stepSeconds, value })).filter(
    ({ value }) => !Number.isNaN(value),
  );
}
