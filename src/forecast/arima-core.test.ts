// SPDX-License-Identifier: Apache-2.0
import ARIMA from 'arima';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { airPassengers, lh } from '../testing/published-series.ts';
import { arFromPartial, fitArima, runArima } from './arima-core.ts';
import type { ArimaFit, ArimaOptions, ArimaOrder } from './arima-core.ts';

const airline: ArimaOrder = { p: 0, d: 1, q: 1, seasonal: { p: 0, d: 1, q: 1, period: 12 } };
const log = Float64Array.from(airPassengers, Math.log);

function fit(values: Float64Array, order: ArimaOrder, options?: ArimaOptions): ArimaFit {
  const fitted = fitArima(values, order, options);
  if (fitted === undefined) throw new Error('not fitted');
  return fitted;
}

function forecast(fitted: ArimaFit, values: Float64Array, horizon: number): number[] {
  const state = runArima(fitted.recursion);
  for (const value of values) state.update(value - fitted.mean);
  return Array.from(state.forecast(horizon), (value) => value + fitted.mean);
}

describe('published examples', () => {
  test('the airline model, by conditional sum of squares as in R and statsforecast 2.1.1: to four digits', () => {
    const { ma, seasonalMa, variance, count } = fit(log, airline);
    expect(ma[0]).toBeCloseTo(-0.377162, 4);
    expect(seasonalMa[0]).toBeCloseTo(-0.572379, 4);
    expect(variance).toBeCloseTo(0.00138875, 7);
    expect(count).toBe(131);
  });

  test('the airline model by exact maximum likelihood in R is another estimate: within a standard error of it', () => {
    const { ma, seasonalMa, variance } = fit(log, airline);
    expect(Math.abs((ma[0] ?? 9) + 0.4018)).toBeLessThan(0.0896);
    expect(Math.abs((seasonalMa[0] ?? 9) + 0.5569)).toBeLessThan(0.0731);
    expect(Math.abs(variance / 0.001348 - 1)).toBeLessThan(0.05);
  });

  test('AR(3) for lh by conditional sum of squares as in R and statsforecast 2.1.1: to four digits', () => {
    const { ar, mean, variance } = fit(Float64Array.from(lh), { p: 3, d: 0, q: 0, mean: true });
    for (const [index, value] of [0.657824, -0.065813, -0.234835].entries()) expect(ar[index]).toBeCloseTo(value, 4);
    expect(mean).toBeCloseTo(2.39182, 4);
    expect(variance).toBeCloseTo(0.190469, 5);
  });

  test('ARMA(1,1) for lh by conditional sum of squares as in statsforecast 2.1.1: to four digits', () => {
    const { ar, ma, mean, variance } = fit(Float64Array.from(lh), { p: 1, d: 0, q: 1, mean: true });
    expect(ar[0]).toBeCloseTo(0.463139, 4);
    expect(ma[0]).toBeCloseTo(0.200355, 4);
    expect(mean).toBeCloseTo(2.410946, 4);
    expect(variance).toBeCloseTo(0.196364, 5);
  });

  test('forecasts of lh are within 2 % of those by exact maximum likelihood in statsforecast 2.1.1', () => {
    const values = Float64Array.from(lh);
    const path = forecast(fit(values, { p: 3, d: 0, q: 0, mean: true }), values, 6);
    for (const [index, value] of [2.460183, 2.270845, 2.198615, 2.260713, 2.346947, 2.414491].entries()) {
      expect(Math.abs((path[index] ?? 9) / value - 1)).toBeLessThan(0.02);
    }
  });

  test('forecasts of the airline model are within 2 % of those of the package `arima`', () => {
    const other = new ARIMA({ p: 0, d: 1, q: 1, P: 0, D: 1, Q: 1, s: 12, verbose: false }).train([...log]);
    const expected = other.predict(12)[0];
    other.destroy();
    const path = forecast(fit(log, airline), log, 12);
    for (const [index, value] of expected.entries()) {
      expect(Math.abs(Math.exp(path[index] ?? 9) / Math.exp(value) - 1)).toBeLessThan(0.02);
    }
  });
});

describe('closed forms, within 1e-6', () => {
  const random = createRandom(4);
  const noise = Float64Array.from({ length: 300 }, () => random() + random() - 1);
  const values = new Float64Array(300);
  for (let t = 1; t < 300; t += 1) values[t] = 0.7 * (values[t - 1] ?? 0) + (noise[t] ?? 0);

  test('an AR(1) is the regression on the value before', () => {
    let [xy, xx] = [0, 0];
    for (let t = 1; t < 300; t += 1) {
      xy += (values[t] ?? 0) * (values[t - 1] ?? 0);
      xx += (values[t - 1] ?? 0) ** 2;
    }
    expect(Math.abs((fit(values, { p: 1, d: 0, q: 0 }).ar[0] ?? 9) - xy / xx)).toBeLessThan(1e-6);
  });

  test('without terms, mean and regressor are those of ordinary least squares', () => {
    const regressor = Float64Array.from({ length: 300 }, (_, t) => (t % 10 === 0 ? 1 : 0));
    const moved = noise.map((value, t) => 5 + value + 3 * (regressor[t] ?? 0));
    const { mean, coefficients } = fit(moved, { p: 0, d: 0, q: 0, mean: true }, { regressors: [regressor] });
    const average = (on: number): number => {
      const chosen = moved.filter((_, t) => regressor[t] === on);
      return chosen.reduce((sum, value) => sum + value, 0) / chosen.length;
    };
    expect(Math.abs(mean - average(0))).toBeLessThan(1e-6);
    expect(Math.abs((coefficients[0] ?? 9) - (average(1) - average(0)))).toBeLessThan(1e-6);
  });

  test('a regressor is told from differences and an AR term', () => {
    const regressor = Float64Array.from({ length: 300 }, (_, t) => (Math.floor(t / 20) % 2 === 0 ? 1 : 0));
    const moved = values.map((value, t) => value + 10 * (regressor[t] ?? 0));
    expect(fit(moved, { p: 1, d: 1, q: 1 }, { regressors: [regressor] }).coefficients[0]).toBeCloseTo(10, 0);
  });

  test('a gap is bridged by the model itself', () => {
    const gappy = values.map((value, t) => (t > 100 && t < 120 ? Number.NaN : value));
    expect(Math.abs((fit(gappy, { p: 1, d: 0, q: 0 }).ar[0] ?? 9) - 0.7)).toBeLessThan(0.1);
  });
});

describe('the recursion', () => {
  test('forecasts one step as its errors say, and goes on from a snapshot', () => {
    const fitted = fit(log, airline);
    const state = runArima(fitted.recursion);
    for (const value of log.subarray(0, 100)) state.update(value);
    const other = runArima(fitted.recursion, structuredClone(state.snapshot()));
    for (const value of log.subarray(100)) {
      const [next = 9] = state.forecast(1);
      expect(state.update(value)).toBeCloseTo(value - next, 12);
      other.update(value);
      expect(other.forecast(20)).toEqual(state.forecast(20));
    }
  });

  test('is stationary for any partial autocorrelations', () => {
    const partial = fc.double({ min: -0.95, max: 0.95, noNaN: true });
    fc.assert(
      fc.property(fc.array(partial, { minLength: 1, maxLength: 4 }), (values) => {
        const weights = arFromPartial(values);
        const lags = weights.map((_, index) => index + 1);
        const state = runArima({ ar: { lags, weights }, ma: { lags: [], weights: [] } });
        for (const value of [1, -1, 1, 1, 0.5]) state.update(value);
        expect(Math.abs(state.forecast(20_000).at(-1) ?? 9)).toBeLessThan(1e-3);
      }),
      { numRuns: 60 },
    );
  });

  test('cannot be fitted on nothing, nor on fewer errors than terms', () => {
    expect(fitArima(new Float64Array(50).fill(Number.NaN), airline)).toBeUndefined();
    expect(fitArima(new Float64Array(5), { p: 2, d: 0, q: 2 })).toBeUndefined();
  });
});
