// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Deviations beyond this multiple of the mean absolute deviation are pulled in. */
const clipMultiple = 2;

/**
 * A weighted mean that a few odd values cannot carry away: values further from the weighted median than twice the
 * weighted mean absolute deviation are pulled in to there (winsorised). The first `count` entries are used and
 * reordered. NaN for none.
 */
export function robustMean(values: Float64Array, weights: Float64Array, count: number): number {
  sortTogether(values, weights, count);
  const total = sum(weights, count);
  const median = medianOfSorted(values, weights, { count, total });
  let deviation = 0;
  for (let index = 0; index < count; index += 1) {
    deviation += at(weights, index) * Math.abs(at(values, index) - median);
  }
  const limit = (clipMultiple * deviation) / total;
  let weighted = 0;
  for (let index = 0; index < count; index += 1) {
    const distance = at(values, index) - median;
    weighted += at(weights, index) * Math.max(-limit, Math.min(limit, distance));
  }
  return median + weighted / total;
}

/** Number of finite-or-infinite, that is not NaN, values. */
export function countPresent(values: Float64Array): number {
  let count = 0;
  for (const value of values) if (!Number.isNaN(value)) count += 1;
  return count;
}

/** Mean of the values that are not NaN; NaN for none. */
export function meanPresent(values: Float64Array): number {
  let total = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    total += value;
    count += 1;
  }
  return total / count;
}

/** The last value that is not NaN; NaN for none. */
export function lastPresent(values: Float64Array): number {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    if (!Number.isNaN(at(values, index))) return at(values, index);
  }
  return Number.NaN;
}

/** Insertion sort: the fastest there is for the few days of a profile, most of them in order already. */
function sortTogether(values: Float64Array, weights: Float64Array, count: number): void {
  for (let index = 1; index < count; index += 1) {
    const value = at(values, index);
    const weight = at(weights, index);
    let hole = index;
    while (hole > 0 && at(values, hole - 1) > value) {
      values[hole] = at(values, hole - 1);
      weights[hole] = at(weights, hole - 1);
      hole -= 1;
    }
    values[hole] = value;
    weights[hole] = weight;
  }
}

function medianOfSorted(values: Float64Array, weights: Float64Array, of: { count: number; total: number }): number {
  let below = 0;
  for (let index = 0; index < of.count; index += 1) {
    below += at(weights, index);
    // Exactly half on either side: the middle of the gap, as for an even number of equal weights.
    if (below === of.total / 2) return (at(values, index) + at(values, index + 1)) / 2;
    if (below > of.total / 2) return at(values, index);
  }
  return Number.NaN;
}

function sum(values: Float64Array, count: number): number {
  let total = 0;
  for (let index = 0; index < count; index += 1) total += at(values, index);
  return total;
}

/** The middle value, or the mean of the two middle ones; NaN for none. */
export function median(values: Iterable<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}
