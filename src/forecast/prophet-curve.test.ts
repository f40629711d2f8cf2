// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { initSync, Prophet } from '@bsull/augurs/prophet';
import type { ProphetOptimizeOutput, ProphetStanData } from '@bsull/augurs/prophet';
import { expect, test } from 'vitest';
import { at } from '../series/time-series.ts';
import { demandSeries } from '../testing/demand.ts';
import { fitPosterior } from './additive.ts';
import type { Prior } from './additive.ts';
import { addRow, createNormalEquations } from './normal-equations.ts';
import { curveOf, fitCurve, trendAt } from './prophet-curve.ts';
import { createTerms } from './prophet-terms.ts';

/** The package leaves the optimisation to Stan, which it does not bring: the density of its data is maximised here. */
function optimize(json: string): ProphetOptimizeOutput {
  // X comes as a matrix, other than declared.
  const data = JSON.parse(json) as Omit<ProphetStanData, 'X'> & { readonly X: readonly number[][] };
  const width = 2 + data.S + data.K;
  const equations = createNormalEquations(width);
  for (const [index, time] of data.t.entries()) {
    const changes = data.t_change.map((change) => Math.max(0, time - change));
    addRow(equations, Float64Array.from([time, 1, ...changes, ...(data.X[index] ?? [])]), data.y[index] ?? 0, 1);
  }
  const priors = Array.from({ length: width }, (_, column): Prior => {
    if (column < 2) return { kind: 'normal', scale: 5 };
    if (column < 2 + data.S) return { kind: 'laplace', scale: data.tau };
    return { kind: 'normal', scale: data.sigmas[column - 2 - data.S] ?? 10 };
  });
  const { coefficients, variance } = fitPosterior(equations, priors);
  const trend = Float64Array.from(data.t, (time) =>
    data.t_change.reduce(
      (sum, change, index) => sum + at(coefficients, 2 + index) * Math.max(0, time - change),
      at(coefficients, 1) + at(coefficients, 0) * time,
    ),
  );
  return {
    logs: { debug: '', info: '', warn: '', error: '', fatal: '' },
    params: {
      k: at(coefficients, 0),
      m: at(coefficients, 1),
      delta: coefficients.slice(2, 2 + data.S),
      beta: coefficients.slice(2 + data.S),
      sigmaObs: Math.sqrt(variance),
      trend,
    },
  };
}

test('the curve is that of the augurs package with the same terms, within 2 %', () => {
  const history = demandSeries({ seed: 4, days: 21, stepSeconds: 3600, weekend: 0.6, noise: 0.05 });
  const values = history.values.map((value, hour) => value * (1 + Math.min(hour, 250) / 500));
  const module = readFileSync(
    createRequire(import.meta.url)
      .resolve('@bsull/augurs/prophet')
      .replace(/\.js$/, '_bg.wasm'),
  );
  initSync({ module });
  const theirs = new Prophet({
    optimizer: { optimize: (_, data) => optimize(data) },
    dailySeasonality: { type: 'fourier', order: 4 },
    weeklySeasonality: { type: 'fourier', order: 3 },
    yearlySeasonality: { type: 'manual', enabled: false },
    uncertaintySamples: 0,
  });
  const ds = Array.from(values, (_, hour) => history.startSeconds + hour * 3600);
  theirs.fit({ ds, y: [...values] });
  const expected = theirs.predict({ ds });

  const context = { timeZone: 'UTC', horizonSteps: 24 };
  const terms = createTerms({ day: 4, week: 3, weekend: 0, holidays: false, regressors: [] }, context);
  const unit = Math.max(...values);
  const coefficients = fitCurve({ ...history, values }, terms, { unit, regressors: 0, rounds: 0 });
  const curve = curveOf({ ...history, values }, terms, { unit, coefficients });
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const worst = Math.max(...curve.map((value, hour) => Math.abs(value - (expected.yhat.point[hour] ?? 0)) / mean));
  expect(worst).toBeLessThan(0.02);
  const end = unit * trendAt(coefficients, 1);
  expect(end / (expected.trend.point.at(-1) ?? 0)).toBeCloseTo(1, 1);
});
