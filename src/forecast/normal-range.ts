// SPDX-License-Identifier: Apache-2.0
import { median } from './robust.ts';

/** Between these a quantity usually is. */
export interface NormalRange {
  readonly low: number;
  readonly high: number;
}

/** An hour of minutes; fewer say nothing about what is usual. */
const fewest = 60;
/** A normal distribution stays within this many deviations in all but one minute of a billion. */
const deviations = 6;
/** The standard deviation of a normal distribution over its median absolute deviation. */
const sigmaOfMad = 1.4826;
/** A quantity that hardly moves may move by this share of itself. */
const leastShare = 0.1;

/**
 * Where a quantity usually is: its median ± six robust standard deviations (median absolute deviation; Hampel, "The
 * Influence Curve and its Role in Robust Estimation", 1974), and at least ± 10 % of the median or `leastWidth`, which is
 * in the quantity's own unit. NaN are gaps. Undefined for less than an hour of minutes. What was odd for less than half
 * of the time moves it little.
 */
export function normalRange(values: Float64Array, leastWidth: number): NormalRange | undefined {
  const present = values.filter((value) => Number.isFinite(value));
  if (present.length < fewest) return undefined;
  const center = median(present);
  const spread = sigmaOfMad * median(present.map((value) => Math.abs(value - center)));
  const width = Math.max(deviations * spread, leastShare * Math.abs(center), leastWidth);
  return { low: center - width, high: center + width };
}
