// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../series/time-series.ts';
import type { Regressor } from './model.ts';

/** A regressor on a grid that begins at `startSeconds` and is as long as `values`; 0 where it is not known. */
export function valuesOf(
  { series }: Regressor,
  startSeconds: number,
  { values, stepSeconds }: Pick<TimeSeries, 'values' | 'stepSeconds'>,
): Float64Array {
  return Float64Array.from(values, (_, index) => {
    const position = Math.floor((startSeconds + index * stepSeconds - series.startSeconds) / series.stepSeconds);
    const value = series.values[position] ?? 0;
    return Number.isNaN(value) ? 0 : value;
  });
}
