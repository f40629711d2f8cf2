// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';
import type { Novelty } from './novelty.ts';

/** The median absolute deviation of a normal distribution, times this, is its standard deviation. */
const normalConsistency = 1.4826;

/**
 * A share of the 99th percentile of the deviations is added to the spread: where most residuals are zero, as at night,
 * the median deviation is zero too and would make an anomaly of everything.
 */
const tailShare = 0.05;

const remembered = 4000;
const fewest = 50;

/** Residuals between two looks at their median and spread, as a share of those remembered. */
const refreshShare = 1 / 50;

/** The robust z of each residual: its distance from the median of earlier ones in robust standard deviations. */
export function createRobustZ(): Novelty {
  const past = new Float64Array(remembered);
  let [count, next, centre, spread] = [0, fewest, 0, 0];
  return {
    observe: (residual) => {
      if (!Number.isFinite(residual)) return 0;
      if (count >= next) {
        ({ centre, spread } = robustSpread(past.subarray(0, Math.min(count, remembered))));
        next = count + Math.max(fewest, Math.floor(refreshShare * Math.min(count, remembered)));
      }
      past[count % remembered] = residual;
      count += 1;
      return spread > 0 ? Math.abs(residual - centre) / spread : 0;
    },
  };
}

/** Median, and median absolute deviation scaled to a standard deviation with a little of the tail. */
function robustSpread(values: Float64Array): { centre: number; spread: number } {
  const sorted = values.toSorted();
  const centre = at(sorted, sorted.length >> 1);
  for (let index = 0; index < sorted.length; index += 1) sorted[index] = Math.abs(at(sorted, index) - centre);
  sorted.sort();
  const tail = at(sorted, Math.floor(0.99 * sorted.length));
  return { centre, spread: normalConsistency * at(sorted, sorted.length >> 1) + tailShare * tail };
}
