// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { localCalendar } from '../../series/calendar.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { demandSeries, monday } from '../../testing/demand.ts';
import type { FitContext, FittedModel, Model } from '../model.ts';
import { models } from '../registry.ts';
import { meanPresent } from '../robust.ts';

const context: FitContext = { timeZone: 'Europe/Berlin', horizonSteps: 8 };
const day = 86_400;
const guarded: ReadonlySet<string> = new Set(['arima-package', 'ml-random-forest']);
/** Models that search for their parameters take longer; fewer runs say as much. */
const searching: ReadonlySet<string> = new Set([
  'harmonic',
  'ets',
  'arima',
  'arima-package',
  'random-forest',
  'gradient-boosting',
  'ml-random-forest',
]);
const runsOf = (model: Model, runs: number): number => (searching.has(model.name) ? Math.ceil(runs / 4) : runs);

function fitted(model: Model, history: TimeSeries, at: FitContext = context): FittedModel {
  const result = model.fit(history, at);
  // A guarded package may refuse what it cannot fit: such a history says nothing about its forecasts.
  if (result.kind === 'cannot-fit' && result.reason === 'NotFinite') fc.pre(!guarded.has(model.name));
  if (result.kind === 'cannot-fit') throw new Error(`${model.name}: have ${result.have}, need ${result.need}`);
  return result;
}

function slice({ startSeconds, stepSeconds, values }: TimeSeries, from: number, to: number): TimeSeries {
  return { startSeconds: startSeconds + from * stepSeconds, stepSeconds, values: values.slice(from, to) };
}

/** Mean absolute error over an hour, from each hour of the days that were held back. */
function errorOf(model: Model, series: TimeSeries, trainDays: number): number {
  const perDay = day / series.stepSeconds;
  const steps = Math.round(3600 / series.stepSeconds);
  const start = trainDays * perDay;
  const state = fitted(model, slice(series, 0, start), { timeZone: 'UTC', horizonSteps: steps });
  const errors: number[] = [];
  for (let index = start; index < series.values.length; index += 1) {
    if ((index - start) % steps === 0) {
      state.predict(steps).forEach((value, row) => {
        errors.push(Math.abs(value - (series.values[index + row] ?? Number.NaN)));
      });
    }
    state.update(series.values[index] ?? Number.NaN);
  }
  return meanPresent(Float64Array.from(errors));
}

const shapes = fc.record({
  seed: fc.integer(),
  days: fc.constantFrom(1.1, 1.5, 3, 8.5),
  stepSeconds: fc.constantFrom(300, 900, 3600, 57 * 60),
  startSeconds: fc.integer({ min: 0, max: 2_000_000_000 }),
  mean: fc.constantFrom(1e-6, 1, 1e9),
  noise: fc.constantFrom(0, 0.1, 2),
  wave: fc.constantFrom(0, 0.5, 1),
  gaps: fc.constantFrom(0, 0.2, 0.3),
});

describe.each(Object.values(models))('$name', (model) => {
  test('gives finite, non-negative forecasts for any non-negative history with gaps, also after updates', () => {
    fc.assert(
      fc.property(shapes, fc.array(fc.constantFrom(Number.NaN, 0, 1, 1e6), { maxLength: 100 }), (shape, updates) => {
        const state = fitted(model, demandSeries(shape));
        for (const value of updates) state.update(value);
        for (const horizon of [0, 1, 30, 600]) {
          const forecast = state.predict(horizon);
          expect(forecast).toHaveLength(horizon);
          expect(forecast.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
        }
      }),
      { numRuns: runsOf(model, 40) },
    );
  });

  test('gives the same forecast for the same history, however often it is asked', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const [one, two] = [fitted(model, demandSeries(shape)), fitted(model, demandSeries(shape))];
        one.predict(100);
        expect(one.predict(100)).toEqual(two.predict(100));
        expect(one.describe()).toEqual(two.describe());
      }),
      { numRuns: runsOf(model, 10) },
    );
  });

  test('does not look at the unit of demand', () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(2 ** -20, 2 ** 20), (shape, factor) => {
        const history = demandSeries({ ...shape, mean: 100 });
        const scaled = { ...history, values: history.values.map((value) => value * factor) };
        const [one, other] = [fitted(model, history).predict(50), fitted(model, scaled).predict(50)];
        for (const [index, value] of one.entries()) {
          expect(Math.abs((other[index] ?? Number.NaN) / factor - value)).toBeLessThanOrEqual(1e-6 * (1 + value));
        }
      }),
      { numRuns: runsOf(model, 15) },
    );
  });

  test('goes on to the bit from its snapshot, which structuredClone copies and later updates do not touch', () => {
    const values = fc.array(fc.constantFrom(Number.NaN, 0, 1, 90, 1e6), { maxLength: 40 });
    fc.assert(
      fc.property(shapes, values, values, (shape, before, after) => {
        const own = fitted(model, demandSeries(shape));
        for (const value of before) own.update(value);
        own.predict(3);
        const state = own.snapshot();
        const kept = structuredClone(state);
        const other = model.restore(kept, context);
        expect(other.snapshot()).toEqual(state);
        for (const value of [...after, 5]) {
          expect(other.predict(70)).toEqual(own.predict(70));
          own.update(value);
          other.update(value);
        }
        expect(other.predict(1500)).toEqual(own.predict(1500));
        expect(other.describe()).toEqual(own.describe());
        expect(kept).toEqual(state);
      }),
      { numRuns: runsOf(model, 25) },
    );
  });

  test.each([0, 7])('forecasts a constant %d as it is', (level) => {
    const history = demandSeries({ seed: 1, days: 9, stepSeconds: 900 });
    const forecast = fitted(model, { ...history, values: history.values.fill(level) }).predict(200);
    for (const value of forecast) expect(value).toBeCloseTo(level, 6);
  });

  test('lives through a gap of weeks', () => {
    const state = fitted(model, demandSeries({ seed: 2, days: 8, stepSeconds: 3600 }));
    for (let hour = 0; hour < 24 * 70; hour += 1) state.update(Number.NaN);
    expect(state.predict(48).every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
    state.update(50);
    expect(state.predict(48).every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  });

  test('takes negative demand as it is', () => {
    const history = demandSeries({ seed: 3, days: 8, stepSeconds: 900 });
    const state = fitted(model, { ...history, values: history.values.map((value) => value - 1000) });
    expect(state.predict(96).every((value) => value < -500)).toBe(true);
  });

  test('refuses a history without a point, saying what it has and needs', () => {
    const empty = { startSeconds: monday, stepSeconds: 60, values: new Float64Array(3000).fill(Number.NaN) };
    expect(model.fit(empty, context)).toMatchObject({
      kind: 'cannot-fit',
      have: expect.any(String),
      need: expect.any(String),
    });
    const nothing = { ...empty, values: new Float64Array(0) };
    expect(model.fit(nothing, context)).toMatchObject({ kind: 'cannot-fit', reason: 'TooLittleHistory' });
  });
});

describe('models of the day', () => {
  const seasonal = [models['seasonal-naive'], models['seasonal-profile'], models['level-corrected']];

  test.each(seasonal)('$name refuses less than a day', (model) => {
    const history = demandSeries({ seed: 1, days: 0.9, stepSeconds: 60 });
    expect(model.fit(history, context)).toEqual({
      kind: 'cannot-fit',
      reason: 'TooLittleHistory',
      have: '21h36m',
      need: '24h',
    });
  });

  test.each(seasonal)('$name forecasts a repeated day from a single one', (model) => {
    const series = demandSeries({ seed: 1, days: 2, stepSeconds: 300, noise: 0 });
    const forecast = fitted(model, slice(series, 0, 288), { ...context, timeZone: 'UTC' }).predict(288);
    for (const [index, value] of forecast.entries()) {
      expect(Math.abs(value - (series.values[index + 288] ?? 0))).toBeLessThan(3);
    }
  });

  test.each(seasonal)('$name keeps to local time when clocks change', (model) => {
    // Ten days before summer time begins in Berlin, demand steps up at 09:00 local time, as it does the day after.
    const change = Date.UTC(2026, 2, 29) / 1000;
    const calendar = localCalendar('Europe/Berlin');
    const startSeconds = change - 10 * day;
    const demandAt = (time: number): number => (calendar.local(time).secondOfDay >= 9 * 3600 ? 100 : 10);
    const values = Float64Array.from({ length: 10 * 48 }, (_, index) => demandAt(startSeconds + index * 1800));
    const state = fitted(model, { startSeconds, stepSeconds: 1800, values });
    const forecast = state.predict(96);
    const wrong = [...forecast].filter((value, index) => Math.abs(value - demandAt(change + index * 1800)) > 10);
    expect(wrong).toEqual([]);
  });
});

describe('the better model for the job', () => {
  const { naive, drift } = models;
  const weekly = demandSeries({ seed: 5, days: 22, stepSeconds: 900, weekend: 0.4 });

  test('a line goes on for an hour with drift, and not with naive', () => {
    const values = Float64Array.from({ length: 60 }, (_, index) => 100 + index);
    const history = { startSeconds: monday, stepSeconds: 60, values };
    expect([...fitted(naive, history).predict(2)]).toEqual([159, 159]);
    const line = fitted(drift, history).predict(120);
    expect(line[0]).toBeCloseTo(160, 6);
    expect(line[59]).toBeCloseTo(219, 6);
    expect(line[119]).toBeCloseTo(219, 6);
  });

  test('a falling line ends at zero', () => {
    const values = Float64Array.from({ length: 60 }, (_, index) => 60 - index);
    const forecast = fitted(drift, { startSeconds: monday, stepSeconds: 60, values }).predict(60);
    expect(forecast.at(-1)).toBe(0);
  });

  test('seasonal naive fitted on a day remembers a week of what came after it', () => {
    const [stepSeconds, perDay, length] = [900, 96, 20 * 96];
    // Two days are missing at the end, so that it has to look back a week.
    const values = Float64Array.from({ length }, (_, index) => (index < length - 2 * perDay ? index : Number.NaN));
    const series = { startSeconds: monday, stepSeconds, values };
    for (const days of [10, 12, 20]) {
      const model = fitted(models['seasonal-naive'], slice(series, 0, perDay), { timeZone: 'UTC', horizonSteps: 4 });
      for (const value of values.slice(perDay, days * perDay)) model.update(value);
      const lag = days === 20 ? 7 : 1;
      expect([...model.predict(2)]).toEqual([(days - lag) * perDay, (days - lag) * perDay + 1]);
    }
  });

  test('weekends are learnt by seasonal naive and by the profile', () => {
    const last = errorOf(naive, weekly, 15);
    expect(errorOf(models['seasonal-naive'], weekly, 15)).toBeLessThan(last);
    expect(errorOf(models['seasonal-profile'], weekly, 15)).toBeLessThan(0.75 * last);
  });

  test('the profile averages out noise that seasonal naive repeats', () => {
    const profile = errorOf(models['seasonal-profile'], weekly, 15);
    expect(profile).toBeLessThan(0.85 * errorOf(models['seasonal-naive'], weekly, 15));
  });

  test('a level shift is followed by the level-corrected profile, though none was ever seen before', () => {
    const shifted = demandSeries({ seed: 6, days: 15, stepSeconds: 300, shift: { day: 14, factor: 2 } });
    const corrected = errorOf(models['level-corrected'], shifted, 14);
    expect(corrected).toBeLessThan(0.25 * errorOf(models['seasonal-profile'], shifted, 14));
  });

  test('one odd day does not bend the profile', () => {
    const series = demandSeries({ seed: 7, days: 9, stepSeconds: 900, noise: 0.02 });
    const odd = series.values.map((value, index) => (index >= 6 * 96 && index < 7 * 96 ? value * 10 : value));
    const [straight, bent] = [series.values, odd].map((values) => {
      const history = slice({ ...series, values }, 0, 8 * 96);
      return fitted(models['seasonal-profile'], history, { timeZone: 'UTC', horizonSteps: 4 }).predict(96);
    });
    for (const [index, value] of (straight ?? []).entries()) expect(bent?.[index]).toBeLessThan(2 * value);
  });
});
