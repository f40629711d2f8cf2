// SPDX-License-Identifier: Apache-2.0
import { RandomForestRegression } from 'ml-random-forest';
import { describe, expect, test } from 'vitest';
import { localCalendar } from '../../series/calendar.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../../testing/demand.ts';
import { createRandom } from '../../forecast/random.ts';
import { createTargetForecaster } from '../engine.ts';
import { growForest } from '../forest.ts';
import type { BlockedRows } from '../forest.ts';
import type { FitContext, FittedModel, Model, Regressor } from '../model.ts';
import { models } from '../registry.ts';
import { meanPresent } from '../robust.ts';
import { packTrees, sumOfTrees } from '../trees.ts';
import { learnWithPackage, readForest } from './ml-random-forest.ts';

const day = 86_400;
const names = ['prophet', 'linear', 'random-forest', 'gradient-boosting', 'ml-random-forest'] as const;
const regressions = names.map((name) => models[name]);

function fitted(model: Model, history: TimeSeries, context: Partial<FitContext> = {}): FittedModel {
  const result = model.fit(history, { timeZone: 'UTC', horizonSteps: 8, ...context });
  if (result.kind === 'cannot-fit') throw new Error(`${model.name}: have ${result.have}, need ${result.need}`);
  return result;
}

describe.each(names)('%s', (name) => {
  test('publishes end to end when spec.models names it alone', () => {
    const forecaster = createTargetForecaster({
      timeZone: 'Europe/Berlin',
      historySeconds: 3 * day,
      quantile: 0.8,
      leadSeconds: 180,
      models: [name],
    });
    const samples = samplesOf(demandSeries({ seed: 3, days: 3, stepSeconds: 60 }));
    forecaster.observe(samples);
    const forecast = forecaster.issue((samples.at(-1)?.timestamp ?? 0) + 5);
    expect(forecast).toMatchObject({ kind: 'issued', model: { name } });
    if (forecast.kind === 'not-issued') return;
    expect(forecast.values.every((value) => value > 0 && value < 300)).toBe(true);
  });
});

describe.each(regressions)('$name', (model) => {
  test('is near the truth a day ahead, hour by hour, at weekends too', () => {
    const history = demandSeries({ seed: 5, days: 43, stepSeconds: 3600, weekend: 0.5, noise: 0.05 });
    const known = { ...history, values: history.values.slice(0, -48) };
    const forecast = fitted(model, known, { horizonSteps: 48 }).predict(48);
    const errors = forecast.map((value, hour) => Math.abs(value - (history.values.at(hour - 48) ?? 0)));
    expect(meanPresent(errors)).toBeLessThan(10);
  });

  test('follows a level shift within the hour, though none was ever seen before', () => {
    const history = demandSeries({ seed: 6, days: 15, stepSeconds: 300, shift: { day: 14, factor: 2 } });
    const state = fitted(model, { ...history, values: history.values.slice(0, 14 * 288) }, { horizonSteps: 12 });
    for (const value of history.values.slice(14 * 288, 14 * 288 + 156)) state.update(value);
    const errors = state.predict(12).map((value, index) => {
      const actual = history.values[14 * 288 + 156 + index] ?? 0;
      return Math.abs(value - actual) / actual;
    });
    expect(meanPresent(errors)).toBeLessThan(0.2);
  });

  test('keeps to local time when clocks change', () => {
    const change = Date.UTC(2026, 2, 29) / 1000;
    const calendar = localCalendar('Europe/Berlin');
    const startSeconds = change - 14 * day;
    const demandAt = (time: number): number => {
      const { secondOfDay } = calendar.local(time);
      return 100 - 50 * Math.cos((2 * Math.PI * secondOfDay) / day);
    };
    const values = Float64Array.from({ length: 14 * 48 }, (_, index) => demandAt(startSeconds + index * 1800));
    const state = fitted(
      model,
      { startSeconds, stepSeconds: 1800, values },
      { timeZone: 'Europe/Berlin', horizonSteps: 96 },
    );
    for (const [index, value] of state.predict(96).entries()) {
      expect(Math.abs(value - demandAt(change + index * 1800))).toBeLessThan(8);
    }
  });

  test.each([
    { what: 'adds to demand', effect: 80, least: 40, most: 120 },
    { what: 'is not there', effect: 0, least: -15, most: 15 },
    { what: 'plainly takes from demand', effect: -60, least: -90, most: -30 },
  ])('a campaign that $what is forecast as that', ({ effect, least, most }) => {
    const { series, regressor } = campaigns(effect);
    const known = { ...series, values: series.values.slice(0, 21 * 96) };
    const context = { horizonSteps: 96, regressors: [regressor] };
    const without = {
      ...regressor,
      series: { ...regressor.series, values: regressor.series.values.slice(0, 21 * 96) },
    };
    const [told, untold] = [context, { ...context, regressors: [without] }].map((each) =>
      fitted(model, known, each).predict(96),
    );
    // From 08:00 to 10:00 of the day that is forecast.
    const difference = (told ?? new Float64Array(0)).map((value, index) => value - (untold?.[index] ?? Number.NaN));
    const during = meanPresent(difference.slice(33, 39));
    expect(during).toBeGreaterThan(least);
    expect(during).toBeLessThan(most);
    expect(Math.abs(meanPresent(difference.slice(60, 90)))).toBeLessThan(8);
  });
});

/** Three weeks and a day of demand around 150, with campaigns of two hours on seven of the days, the last in the future. */
function campaigns(effect: number): { series: TimeSeries; regressor: Regressor } {
  const base = demandSeries({ seed: 8, days: 22, stepSeconds: 900, mean: 150, wave: 0.3 });
  const hours = [
    [2, 13],
    [5, 20],
    [7, 3],
    [11, 16],
    [14, 9],
    [18, 11],
    [21, 8],
  ];
  const active = new Float64Array(base.values.length);
  for (const [at = 0, hour = 0] of hours) active.fill(1, at * 96 + hour * 4, at * 96 + hour * 4 + 8);
  return {
    series: { ...base, values: base.values.map((value, index) => value + effect * (active[index] ?? 0)) },
    regressor: { name: 'campaign', series: { ...base, values: active } },
  };
}

describe('prophet', () => {
  const { prophet } = models;

  test('goes on flat after a trend', () => {
    const history = demandSeries({ seed: 1, days: 14, stepSeconds: 3600, noise: 0.02 });
    const values = history.values.map((value, hour) => value + hour / 4);
    const forecast = fitted(prophet, { ...history, values }, { horizonSteps: 24 }).predict(30 * 24);
    const means = [0, 28].map((from) => meanPresent(forecast.slice(from * 24, (from + 1) * 24)));
    expect(Math.abs((means[1] ?? 0) - (means[0] ?? 0))).toBeLessThan(20);
    expect(means[0]).toBeGreaterThan(165);
  });

  test('knows the weekend from nine days, and not from six', () => {
    const history = demandSeries({ seed: 2, days: 14, stepSeconds: 1800, weekend: 0.4, noise: 0.02 });
    const saturdayNoon = (days: number): number => {
      const forecast = fitted(prophet, { ...history, values: history.values.slice(0, days * 48) }).predict(14 * 48);
      return forecast[(12 - days) * 48 + 24] ?? Number.NaN;
    };
    expect(saturdayNoon(9)).toBeLessThan(95);
    expect(fitted(prophet, history).describe().parameters).toMatchObject({ weekWaves: 3, dayWaves: 8 });
    const short = { ...history, values: history.values.slice(0, 6 * 48) };
    expect(fitted(prophet, short).describe().parameters).toMatchObject({ weekWaves: 0 });
  });

  test('learns what holidays do', () => {
    const history = demandSeries({ seed: 2, days: 28, stepSeconds: 3600, noise: 0.02 });
    const first = Math.floor(monday / day);
    const holidays = new Set([first + 8, first + 16, first + 24, first + 28]);
    const values = history.values.map((value, hour) =>
      holidays.has(first + Math.floor(hour / 24)) ? value / 2 : value,
    );
    for (const model of [prophet, models.linear]) {
      const [told, untold] = [{ holidays }, {}].map((more) =>
        meanPresent(fitted(model, { ...history, values }, { horizonSteps: 24, ...more }).predict(24)),
      );
      expect(told).toBeLessThan(0.85 * (untold ?? 0));
    }
  });
});

function rowsOf(count: number, target: (x: readonly number[]) => number): BlockedRows {
  const random = createRandom(4);
  const table = Array.from({ length: count }, () => [random(), random(), random()]);
  return {
    width: 3,
    features: Float64Array.from(table.flat()),
    targets: Float64Array.from(table, target),
    weights: new Float64Array(count).fill(1),
    blocks: Int32Array.from(table, (_, row) => Math.floor(row / 20)),
  };
}

describe('forests', () => {
  test('of noise say nothing', () => {
    const random = createRandom(9);
    const { factor, grove } = growForest(
      rowsOf(600, () => random() - 0.5),
      { trees: 20, growth: { depth: 6, leastRows: 5 }, seed: 1 },
    );
    expect(factor * grove.roots.length).toBeLessThan(0.3);
  });

  test('of a step say nearly all of it', () => {
    const { factor, grove } = growForest(
      rowsOf(600, ([one = 0, two = 0]) => (one > 0.5 && two > 0.5 ? 1 : 0)),
      { trees: 20, growth: { depth: 6, leastRows: 5 }, seed: 1 },
    );
    const say = (row: number[]): number => factor * sumOfTrees(grove, Float64Array.from(row));
    expect(say([0.9, 0.9, 0.5])).toBeGreaterThan(0.8);
    expect(say([0.1, 0.9, 0.5])).toBeLessThan(0.2);
  });
});

describe('the package ml-random-forest', () => {
  const rows = rowsOf(120, ([one = 0, two = 0]) => one + (two > 0.5 ? 1 : 0));
  const table = Array.from({ length: 120 }, (_, row) => Array.from(rows.features.subarray(row * 3, row * 3 + 3)));

  test('says what our form of its trees says', () => {
    const forest = new RandomForestRegression({ seed: 3, nEstimators: 5, maxFeatures: 0.7, noOOB: true });
    forest.train(table, [...rows.targets]);
    const grove = packTrees(readForest(forest.toJSON()));
    const ours = table.map((row) => sumOfTrees(grove, Float64Array.from(row)) / grove.roots.length);
    const theirs = forest.predict(table);
    for (const [row, value] of ours.entries()) expect(value).toBeCloseTo(theirs[row] ?? Number.NaN, 12);
  });

  test('is refused where its trees are not finite', () => {
    const broken = {
      ...rows,
      targets: rows.targets.map((value, row) => (row === 60 ? Number.POSITIVE_INFINITY : value)),
    };
    expect(learnWithPackage(broken)).toMatchObject({ kind: 'cannot-fit', reason: 'NotFinite' });
  });
});
