// SPDX-License-Identifier: Apache-2.0
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';

const quarterHourSeconds = 900;
const hourSeconds = 3600;
const daySeconds = 86_400;

/** Mean of the points of the last 15 minutes before `index`, at least of one; NaN when they are missing. */
export function meanOfLastQuarterHour({ values, stepSeconds }: TimeSeries, index: number): number {
  const steps = Math.max(1, Math.round(quarterHourSeconds / stepSeconds));
  return mean(values.subarray(Math.max(0, index - steps), index));
}

/** The same hour yesterday times the ratio of the last hour to the same hour yesterday. */
export function yesterdayTimesLevel({ values, stepSeconds }: TimeSeries, index: number, steps: number): Float64Array {
  const day = Math.round(daySeconds / stepSeconds);
  const back = Math.max(1, Math.round(hourSeconds / stepSeconds));
  const level = mean(values.subarray(Math.max(0, index - back), index));
  const yesterday = mean(values.subarray(Math.max(0, index - back - day), Math.max(0, index - day)));
  const ratio = yesterday > 0 ? level / yesterday : 1;
  return Float64Array.from({ length: steps }, (_, row) => at(values, index + row - day) * ratio);
}

function mean(values: Float64Array): number {
  const present = values.filter((value) => !Number.isNaN(value));
  return present.reduce((sum, value) => sum + value, 0) / present.length;
}
