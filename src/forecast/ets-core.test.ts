// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { AutoETS, initSync } from '@bsull/augurs/ets';
import { beforeAll, describe, expect, test } from 'vitest';
import { airPassengers, lh } from '../testing/published-series.ts';
import { fitEts, forecastEts, stepEts } from './ets-core.ts';
import type { EtsFit, EtsForm } from './ets-core.ts';

const effort = { mostEvaluations: 8000, tolerance: 1e-10, searchSeason: true };
const level: EtsForm = { error: 'A', trend: 'N', damped: false, season: 'N', period: 1 };
const line: EtsForm = { ...level, trend: 'A' };
const monthly: EtsForm = { error: 'M', trend: 'A', damped: true, season: 'M', period: 12 };

function fit(values: readonly number[], form: EtsForm): EtsFit {
  const fitted = fitEts(Float64Array.from(values), form, effort);
  if (fitted === undefined) throw new Error('not fitted');
  return fitted;
}

function forecast({ form, parameters, end }: EtsFit, horizon: number): number[] {
  return [...forecastEts(form, parameters, end, horizon)];
}

/** The largest relative distance from what is expected. */
function distance(values: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((value, index) => Math.abs((values[index] ?? Number.NaN) / value - 1)));
}

describe('recursions, against a transcription', () => {
  const y = [3, 5, 4, 8, 7, 6, 9, 12, 8, 11, 13, 10];
  const start = (season: number[]): { level: number; trend: number; season: Float64Array; position: number } => ({
    level: 4,
    trend: 0.5,
    season: Float64Array.from(season),
    position: 0,
  });

  test('simple smoothing by hand, within 1e-12', () => {
    const states = start([]);
    let l = 4;
    for (const value of y) {
      expect(stepEts(level, { alpha: 0.3, beta: 0, gamma: 0, phi: 1 }, states, value)).toBeCloseTo(l, 12);
      l = 0.3 * value + 0.7 * l;
    }
    expect(states.level).toBeCloseTo(l, 12);
  });

  test('damped trend and additive season in error correction form', () => {
    const form: EtsForm = { error: 'A', trend: 'A', damped: true, season: 'A', period: 3 };
    const parameters = { alpha: 0.4, beta: 0.1, gamma: 0.2, phi: 0.9 };
    const states = start([1, -2, 1]);
    let [l, b] = [4, 0.5];
    const s = [1, -2, 1];
    for (const [t, value] of y.entries()) {
      const expected = l + 0.9 * b + (s[t] ?? 0);
      expect(stepEts(form, parameters, states, value)).toBeCloseTo(expected, 12);
      const e = value - expected;
      [l, b] = [l + 0.9 * b + 0.4 * e, 0.9 * b + 0.1 * e];
      s.push((s[t] ?? 0) + 0.2 * e);
    }
    const [one, two] = forecastEts(form, parameters, states, 2);
    expect(one).toBeCloseTo(l + 0.9 * b + (s[y.length] ?? 0), 12);
    expect(two).toBeCloseTo(l + (0.9 + 0.81) * b + (s[y.length + 1] ?? 0), 12);
  });

  test('multiplicative trend and season', () => {
    const form: EtsForm = { error: 'M', trend: 'M', damped: false, season: 'M', period: 2 };
    const parameters = { alpha: 0.4, beta: 0.1, gamma: 0.2, phi: 1 };
    const states = { ...start([0.8, 1.2]), trend: 1.05 };
    let [l, b] = [4, 1.05];
    const s = [0.8, 1.2];
    for (const [t, value] of y.entries()) {
      const season = s[t] ?? 0;
      expect(stepEts(form, parameters, states, value)).toBeCloseTo(l * b * season, 10);
      const e = (value - l * b * season) / (l * b * season);
      s.push(season * (1 + 0.2 * e));
      [l, b] = [l * b * (1 + 0.4 * e), b + (0.1 * (l * b * (1 + 0.4 * e) - l * b)) / (0.4 * l)];
    }
    expect(states.level).toBeCloseTo(l, 10);
    expect(states.trend).toBeCloseTo(b, 10);
  });
});

describe('fits, within 2 % of other implementations', () => {
  beforeAll(() => {
    const wasm = new URL('../../node_modules/@bsull/augurs/ets_bg.wasm', import.meta.url);
    initSync({ module: readFileSync(wasm) });
  });

  // hack/oracles/classical.py with statsforecast 2.1.1.
  const cases: Record<string, { values: readonly number[]; form: EtsForm; aicc: number; forecast: number[] }> = {
    'lh with a level': { values: lh, form: level, aicc: 125.2728, forecast: [2.9063, 2.9063, 2.9063] },
    'AirPassengers with a trend': {
      values: airPassengers,
      form: line,
      aicc: 1737.5999,
      forecast: [434.2388, 436.4816, 438.7244, 440.9672, 443.21, 445.4528],
    },
  };
  test.each(Object.entries(cases))('%s: statsforecast', (_, { values, form, aicc, forecast: expected }) => {
    const fitted = fit(values, form);
    expect(fitted.aicc).toBeCloseTo(aicc, 2);
    expect(distance(forecast(fitted, expected.length), expected)).toBeLessThan(0.001);
  });

  test('AirPassengers, ETS(M,Ad,M): R forecast::ets, and no less likely', () => {
    const fitted = fit(airPassengers, monthly);
    expect(fitted.aicc).toBeLessThan(1400.638);
    expect(fitted.aicc).toBeGreaterThan(0.98 * 1400.638);
    const expected = [441.8018, 434.1186, 496.63, 483.2375, 483.9914, 551.0244, 613.1797, 609.3648, 530.5408, 463.0332];
    expect(distance(forecast(fitted, 10), expected)).toBeLessThan(0.02);
  });

  test('the logarithm of AirPassengers, ETS(A,A,A): statsforecast', () => {
    const fitted = fit(airPassengers.map(Math.log), { ...line, season: 'A', period: 12 });
    const expected = [6.118, 6.1028, 6.2478, 6.2106, 6.2301, 6.3471, 6.4601, 6.4581, 6.322, 6.1906, 6.0568, 6.1747];
    expect(distance(forecast(fitted, 12), expected)).toBeLessThan(0.02);
  });

  test.each([
    ['AirPassengers', airPassengers],
    ['the logarithm of AirPassengers', airPassengers.map(Math.log)],
  ] as const)('%s with a trend: @bsull/augurs', (_, values) => {
    const other = new AutoETS(1, 'AAN');
    other.fit(Float64Array.from(values));
    expect(distance(forecast(fit(values, line), 6), other.predict(6).point)).toBeLessThan(0.02);
  });
});

describe('histories that are not whole', () => {
  test('gaps let time pass', () => {
    const values = Array.from({ length: 80 }, (_, t) => (t % 7 === 3 ? Number.NaN : 100 + 2 * t));
    const fitted = fit(values, line);
    expect(distance(forecast(fitted, 3), [260, 262, 264])).toBeLessThan(0.001);
  });

  test('zeros cannot be multiplied', () => {
    expect(fitEts(new Float64Array(100), monthly, effort)).toBeUndefined();
  });

  test('a few points are too few', () => {
    expect(fitEts(new Float64Array([1, 2, 3]), level, effort)).toBeUndefined();
  });
});
