// SPDX-License-Identifier: Apache-2.0

/** One observation: epoch seconds and a value. */
export interface Sample {
  readonly timestamp: number;
  readonly value: number;
}

/**
 * Observations on a regular grid. The point `values[i]` stands for [start + i·step, start + (i+1)·step); a gap is
 * NaN, never zero.
 */
export interface TimeSeries {
  /** Epoch seconds of the first point. */
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly values: Float64Array;
}

/** Epoch seconds just after the last point. */
export function endSeconds(series: TimeSeries): number {
  return series.startSeconds + series.values.length * series.stepSeconds;
}

/** The number at `index`; outside of the array NaN, the same as a gap. */
export function at(values: Float64Array, index: number): number {
  return values[index] ?? Number.NaN;
}
