// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Pinball (quantile) loss of one forecast of the `level` quantile, in units of demand (Koenker & Bassett 1978). */
export function pinball(actual: number, forecast: number, level: number): number {
  return actual >= forecast ? level * (actual - forecast) : (1 - level) * (forecast - actual);
}

/** Share of outcomes at or below their forecast; pairs with a NaN do not count. */
export function coverage(actual: Float64Array, forecast: Float64Array): number {
  let covered = 0;
  const count = overPairs(actual, forecast, (outcome, value) => {
    if (outcome <= value) covered += 1;
  });
  return covered / count;
}

/** Sum of absolute errors over the sum of absolute outcomes; pairs with a NaN do not count. */
export function wape(actual: Float64Array, forecast: Float64Array): number {
  let error = 0;
  let size = 0;
  overPairs(actual, forecast, (outcome, value) => {
    error += Math.abs(outcome - value);
    size += Math.abs(outcome);
  });
  return error / size;
}

/**
 * Mean absolute error over the mean absolute difference of the history to itself one season earlier (Hyndman & Koehler
 * 2006); pairs with a NaN do not count.
 */
export function mase(
  actual: Float64Array,
  forecast: Float64Array,
  scale: { readonly history: Float64Array; readonly seasonSteps: number },
): number {
  const { history, seasonSteps } = scale;
  return (
    meanAbsoluteError(actual, forecast) /
    meanAbsoluteError(history.subarray(seasonSteps), history.subarray(0, -seasonSteps))
  );
}

function meanAbsoluteError(actual: Float64Array, forecast: Float64Array): number {
  let error = 0;
  const count = overPairs(actual, forecast, (outcome, value) => {
    error += Math.abs(outcome - value);
  });
  return error / count;
}

function overPairs(a: Float64Array, b: Float64Array, visit: (a: number, b: number) => void): number {
  let count = 0;
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    if (Number.isNaN(at(a, index) + at(b, index))) continue;
    visit(at(a, index), at(b, index));
    count += 1;
  }
  return count;
}
