// SPDX-License-Identifier: Apache-2.0
import { at } from './time-series.ts';
import type { Sample, TimeSeries } from './time-series.ts';

/** The grid that samples are put on. */
export interface Grid {
  /** Epoch seconds of the first point. */
  readonly startSeconds: number;
  /** Epoch seconds just after the last point. */
  readonly endSeconds: number;
  readonly stepSeconds: number;
  /** A sample also stands for the empty steps that begin less than this after it (default 0: gaps stay gaps). */
  readonly holdSeconds?: number;
}

/** Samples, oldest first, as a series on `grid`: the mean of the samples in each step, NaN where there is none. */
export function resample(samples: readonly Sample[], grid: Grid): TimeSeries {
  const { startSeconds, endSeconds, stepSeconds } = grid;
  const length = Math.max(0, Math.ceil((endSeconds - startSeconds) / stepSeconds));
  const values = new Float64Array(length);
  const counts = new Float64Array(length);
  for (const { timestamp, value } of samples) {
    const index = Math.floor((timestamp - startSeconds) / stepSeconds);
    if (index < 0 || index >= length || !Number.isFinite(value)) continue;
    values[index] = at(values, index) + value;
    counts[index] = at(counts, index) + 1;
  }
  // 0 / 0 is the NaN that a gap wants.
  for (let index = 0; index < length; index += 1) values[index] = at(values, index) / at(counts, index);
  hold(values, Math.ceil((grid.holdSeconds ?? 0) / stepSeconds) - 1);
  return { startSeconds, stepSeconds, values };
}

function hold(values: Float64Array, steps: number): void {
  let last = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < values.length; index += 1) {
    if (!Number.isNaN(at(values, index))) last = index;
    else if (index - last <= steps) values[index] = at(values, last);
  }
}

/** The series on a grid `factor` times as coarse: the mean of the points that are there, NaN where none is. */
export function aggregate(series: TimeSeries, factor: number): TimeSeries {
  const length = Math.ceil(series.values.length / factor);
  const values = new Float64Array(length);
  for (let index = 0; index < length; index += 1) {
    values[index] = mean(series.values.subarray(index * factor, (index + 1) * factor));
  }
  return { startSeconds: series.startSeconds, stepSeconds: series.stepSeconds * factor, values };
}

/**
 * Seconds between samples, oldest first: the median of the distances, which neither gaps nor a few extra samples move.
 * undefined for fewer than two samples.
 */
export function samplingStep(samples: readonly Sample[]): number | undefined {
  const distances: number[] = [];
  let previous = Number.NaN;
  for (const { timestamp } of samples) {
    if (timestamp > previous) distances.push(timestamp - previous);
    previous = timestamp;
  }
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)];
}

function mean(values: Float64Array): number {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count += 1;
  }
  return count === 0 ? Number.NaN : sum / count;
}
