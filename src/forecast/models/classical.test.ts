// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../../testing/demand.ts';
import { createTargetForecaster } from '../engine.ts';
import type { FitContext, FittedModel, Model } from '../model.ts';
import { models } from '../registry.ts';

const day = 86_400;
const names = ['harmonic', 'ets', 'holt-winters', 'arima', 'arima-package'] as const;
const context: FitContext = { timeZone: 'UTC', horizonSteps: 24 };

function fitted(model: Model, history: TimeSeries, at: FitContext = context): FittedModel {
  const result = model.fit(history, at);
  if (result.kind === 'cannot-fit') throw new Error(`have ${result.have}, need ${result.need}`);
  return result;
}

function errorOf(forecast: Float64Array, actual: Float64Array): number {
  return forecast.reduce((sum, value, index) => sum + Math.abs(value - (actual[index] ?? 0)), 0) / forecast.length;
}

describe.each(names)('%s', (name) => {
  test('publishes when it is the only model that may be used', () => {
    const samples = samplesOf(demandSeries({ seed: 11, days: 3, stepSeconds: 60, gaps: 0.02 }));
    const options = { timeZone: 'UTC', historySeconds: 14 * day, quantile: 0.8, leadSeconds: 180, models: [name] };
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples);
    const answer = forecaster.issue(samples.at(-1)?.timestamp ?? 0);
    expect(answer).toMatchObject({ kind: 'issued', model: { name } });
    expect(answer.kind === 'issued' && answer.values.every((value) => value > 0)).toBe(true);
  });

  test.each([
    300, 3600,
  ])('forecasts a wave by day from points %d s apart, closer than yesterday does', (stepSeconds) => {
    const perDay = day / stepSeconds;
    const series = demandSeries({ seed: 2, days: 17, stepSeconds, noise: 0.15, gaps: 0.01 });
    const cut = 16 * perDay;
    const history = { ...series, values: series.values.slice(0, cut) };
    const truth = demandSeries({ seed: 2, days: 17, stepSeconds, noise: 0 }).values.slice(cut);
    const forecast = fitted(models[name], history, { ...context, horizonSteps: perDay }).predict(perDay);
    const yesterday = series.values.slice(cut - perDay, cut).map((value) => (Number.isNaN(value) ? 100 : value));
    expect(errorOf(forecast, truth)).toBeLessThan(errorOf(yesterday, truth));
    expect(errorOf(forecast, truth)).toBeLessThan(12);
  });

  test('follows a level that doubled an hour ago', () => {
    const series = demandSeries({ seed: 6, days: 10, stepSeconds: 300, shift: { day: 9.5, factor: 2 } });
    const now = 9.5 * 288 + 12;
    const forecast = fitted(models[name], { ...series, values: series.values.slice(0, now) }).predict(12);
    expect(errorOf(forecast, series.values.slice(now, now + 12))).toBeLessThan(80);
  });
});

describe('what is known ahead', () => {
  const stepSeconds = 900;
  const base = demandSeries({ seed: 9, days: 22, stepSeconds });
  // Two hours every 22 hours: at another time each day.
  const campaign = base.values.map((_, index) => (Math.floor(index / 8) % 11 === 3 ? 1 : 0));
  const demand = base.values.map((value, index) => value * (campaign[index] === 1 ? 2 : 1));
  const cut = 20 * 96;
  const history = { ...base, values: demand.slice(0, cut) };
  const regressors = [{ name: 'campaign', series: { ...base, values: campaign } }];

  test.each([models.harmonic, models.arima])('$name learns the effect of a regressor', (model) => {
    const told = fitted(model, history, { ...context, horizonSteps: 96, regressors });
    const untold = fitted(model, history, { ...context, horizonSteps: 96 });
    const actual = demand.slice(cut, cut + 96);
    expect(errorOf(told.predict(96), actual)).toBeLessThan(0.8 * errorOf(untold.predict(96), actual));
    expect(JSON.stringify(told.describe().parameters)).toContain('campaign');
  });

  test.each([models.harmonic, models.arima])('$name needs the regressors again to go on from a snapshot', (model) => {
    const told = fitted(model, history, { ...context, regressors });
    const other = model.restore(structuredClone(told.snapshot()), { ...context, regressors });
    expect(other.predict(96)).toEqual(told.predict(96));
  });

  test('harmonic takes a holiday for a day of the weekend', () => {
    const weekly = demandSeries({ seed: 4, days: 28, stepSeconds: 3600, weekend: 0.4, noise: 0.02 });
    const tomorrow = endSeconds(weekly) / day;
    const plain = fitted(models.harmonic, weekly).predict(24);
    const holiday = fitted(models.harmonic, weekly, { ...context, holidays: new Set([tomorrow]) }).predict(24);
    expect(weekly.startSeconds).toBe(monday);
    const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
    expect(sum(holiday)).toBeLessThan(0.8 * sum(plain));
  });
});
