// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { Sample } from '../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../testing/demand.ts';
import { coverage } from './accuracy.ts';
import { forecastOrigins } from './batch.ts';
import type { BatchForecast, BatchOptions, BatchRefusal } from './batch.ts';
import type { FitContext, Model } from './model.ts';
import { models } from './registry.ts';

const day = 86_400;
const options: BatchOptions = {
  stepSeconds: 900,
  horizonSeconds: 6 * 3600,
  levels: [0.1, 0.5, 0.9],
  timeZone: 'UTC',
  models: Object.values(models),
};
const samples = samplesOf(demandSeries({ seed: 31, days: 14, stepSeconds: 900, gaps: 0.05 }));

function forecasts(
  given: readonly Sample[],
  origins: readonly number[],
  changes: Partial<BatchOptions> = {},
): BatchForecast[] {
  return [...forecastOrigins(given, origins, { ...options, ...changes })].map((result) => {
    if ('refusal' in result) throw new Error(`have ${result.refusal.have}, need ${result.refusal.need}`);
    return result;
  });
}

const range = (from: number, to: number, every: number): number[] =>
  Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, index) => from + index * every);

describe('forecastOrigins', () => {
  test('gives a row for each step of the horizon, and quantiles that do not cross', () => {
    const [forecast] = forecasts(samples, [monday + 10 * day]);
    expect(forecast?.quantiles.map((values) => values.length)).toEqual([24, 24, 24]);
    const [low, middle, high] = forecast?.quantiles ?? [];
    for (const [row, value] of (middle ?? []).entries()) {
      expect(low?.[row]).toBeLessThanOrEqual(value);
      expect(high?.[row]).toBeGreaterThanOrEqual(value);
    }
  });

  test('uses nothing from an origin on, also between origins', () => {
    const origins = range(monday + 9.5 * day, monday + 10.5 * day, 3 * 3600);
    const whole = forecasts(samples, origins);
    const cut = monday + 10 * day;
    const changed = samples.map((sample) => (sample.timestamp >= cut ? { ...sample, value: 1e6 } : sample));
    const known = (all: readonly BatchForecast[]): BatchForecast[] => all.filter(({ origin }) => origin <= cut);
    expect(known(forecasts(changed, origins))).toEqual(known(whole));
    expect(known(whole)).toHaveLength(5);
  });

  test('covers what comes about as often as the level says', () => {
    const origins = range(monday + 10 * day, monday + 13.5 * day, 3600);
    const value = new Map(samples.map((sample) => [sample.timestamp, sample.value]));
    const made = forecasts(samples, origins);
    for (const [index, level] of options.levels.entries()) {
      const quantiles = made.flatMap(({ quantiles: all }) => [...(all[index] ?? [])]);
      const actual = made.flatMap(({ origin }) =>
        range(origin, origin + 23 * 900, 900).map((at) => value.get(at) ?? Number.NaN),
      );
      const share = coverage(Float64Array.from(actual), Float64Array.from(quantiles));
      expect(Math.abs(share - level)).toBeLessThan(0.04);
    }
  }, 60_000);

  test('takes origins in any order, twice, and beside the grid', () => {
    const origins = [monday + 10 * day + 300, monday + 9 * day, monday + 9 * day, monday + 10 * day];
    const found = forecasts(samples, origins).map(({ origin }) => origin - monday);
    expect(found.sort((a, b) => a - b)).toEqual([9 * day, 10 * day, 10 * day + 300]);
  });

  test('holds samples that are further apart than the step', () => {
    const [forecast] = forecasts(samples, [monday + 10 * day], { stepSeconds: 300, horizonSeconds: 3600 });
    expect(forecast?.quantiles[1]?.every((value) => value > 10)).toBe(true);
  });

  test('keeps to one model when told', () => {
    const [forecast] = forecasts(samples, [monday + 10 * day], { models: [models['seasonal-naive']] });
    expect(forecast?.model).toBe('seasonal-naive');
    expect(forecast?.candidates).toHaveLength(1);
  });

  test('says of an origin without enough history what there is and what is needed', () => {
    const origins = [monday, monday + 3600, monday + 10 * day];
    const results: (BatchForecast | BatchRefusal)[] = [...forecastOrigins(samples, origins, options)];
    expect(results.map((result) => 'refusal' in result)).toEqual([true, true, false]);
    expect(results[0]).toMatchObject({ origin: monday, refusal: { kind: 'cannot-fit', have: expect.any(String) } });
    const only = { ...options, models: [models['level-corrected']] };
    const [young] = [...forecastOrigins(samples, [monday + 12 * 3600], only)];
    expect(young).toMatchObject({ refusal: { have: '6h (level-corrected)', need: '24h' } });
  });

  test('lets models know what is known ahead: on the grid, and to the end of the last forecast', () => {
    const contexts: FitContext[] = [];
    const curious: Model = {
      ...models.naive,
      name: 'curious',
      fit: (history, context) => {
        contexts.push(context);
        return models.naive.fit(history, context);
      },
    };
    const origins = [monday + 10 * day, monday + 11 * day];
    const events = [{ start: monday + 10 * day, end: monday + 12 * day, type: 'sale', magnitude: 2 }];
    const holidays = new Set([20_000]);
    forecasts(samples, origins, {
      models: [curious],
      holidays,
      regressors: [{ kind: 'events', name: 'sale', events }],
    });
    expect(contexts.length).toBeGreaterThan(1);
    for (const context of contexts) {
      expect(context.holidays).toBe(holidays);
      const [sale] = context.regressors ?? [];
      const { startSeconds = 0, values = new Float64Array() } = sale?.series ?? {};
      expect(startSeconds + values.length * 900).toBe(monday + 11 * day + 6 * 3600);
      const begin = (monday + 10 * day - startSeconds) / 900;
      expect([begin - 1, begin, -1].map((index) => values.at(index))).toEqual([0, 2, 2]);
    }
  });
});
