// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { copyDoubleSeasonal, startDoubleSeasonal, stepDoubleSeasonal } from './double-seasonal.ts';

const parameters = { alpha: 0.2, gamma: 0.05, delta: 0.3, omega: 0.15, phi: 0.6 };
const [s1, s2] = [4, 12];
const random = createRandom(3);
const y = Array.from(
  { length: 120 },
  (_, t) => 50 + 5 * Math.sin(t) + (t % s1) + 2 * (t % s2 === 0 ? 1 : 0) + random(),
);

describe('double seasonal smoothing', () => {
  test('is the recursion of Taylor (2003), written down with indices of time, within 1e-9', () => {
    const start = startDoubleSeasonal(
      Float64Array.from(y.slice(0, 24)),
      y.slice(0, 24).map((_, t) => ({ day: t % s1, week: t % s2 })),
      { day: s1, week: s2, withWeek: true },
    );
    const states = copyDoubleSeasonal(start);
    const { alpha, gamma, delta, omega, phi } = parameters;
    // S level, T trend, D and W seasons by time; D(t) and W(t) before the first point are the start's.
    const S = [start.level];
    const T = [start.trend];
    const D = [...start.day];
    const W = [...start.week];
    let lastError = 0;
    for (const [t, value] of y.entries()) {
      const [s, b, d, w] = [S[t] ?? 0, T[t] ?? 0, D[t] ?? 0, W[t] ?? 0];
      const forecast = s + b + d + w + phi * lastError;
      const error = stepDoubleSeasonal(parameters, states, { slots: { day: t % s1, week: t % s2 }, value });
      expect(error).toBeCloseTo(value - forecast, 9);
      lastError = value - (s + b + d + w);
      S.push(alpha * (value - d - w) + (1 - alpha) * (s + b));
      T.push(gamma * ((S[t + 1] ?? 0) - s) + (1 - gamma) * b);
      D.push(delta * (value - (S[t + 1] ?? 0) - w) + (1 - delta) * d);
      W.push(omega * (value - (S[t + 1] ?? 0) - d) + (1 - omega) * w);
    }
    expect(states.level).toBeCloseTo(S.at(-1) ?? 0, 9);
    expect(states.trend).toBeCloseTo(T.at(-1) ?? 0, 9);
  });

  test('lets time pass in a gap', () => {
    const states = { level: 10, trend: 1, day: new Float64Array(s1), week: new Float64Array(s2), error: 2 };
    expect(stepDoubleSeasonal(parameters, states, { slots: { day: 0, week: 0 }, value: Number.NaN })).toBeNaN();
    expect(states).toEqual({ ...states, level: 11, trend: 1, error: 1.2 });
  });
});
