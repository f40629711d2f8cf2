// SPDX-License-Identifier: Apache-2.0
import { at, endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { advance, chooseRule, judgedSeconds, originsAndLeads, transform, untransform } from '../level.ts';
import type { Level, LevelRule } from '../level.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { curveOf, fitCurve, trendAt, trendWidth, unitOf } from '../prophet-curve.ts';
import type { CurveSetup } from '../prophet-curve.ts';
import { createTerms, shapeFor } from '../prophet-terms.ts';
import type { Terms, TermsShape } from '../prophet-terms.ts';
import { refuseShort } from '../refusals.ts';
import { dot } from '../ridge.ts';
import { meanPresent } from '../robust.ts';

/** Waves change over the seasons: no more of the past than this is learnt from. */
const longestSeconds = 56 * 86_400;

/**
 * Prophet's form (Taylor & Letham 2018, "Forecasting at Scale"): a piecewise linear trend with change points, waves of
 * the day and the week in local time, holidays and regressors, all added; the most probable coefficients under
 * Prophet's priors, by weighted normal equations. Unlike there the trend stays flat after the history, regressors are
 * not negative unless the least squares say so clearly, weeks are learnt from eight days on, and the distance of the
 * last minutes to the curve goes on and decays (an AR(1) residual). Needs a day.
 */
export const prophet: Model = { name: 'prophet', fit, restore };

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const recent = lastOf(history, longestSeconds);
  const { values, stepSeconds } = recent;
  const shape = shapeFor(values.length * stepSeconds, stepSeconds, context);
  const terms = createTerms(shape, context);
  const unit = unitOf(values);
  const setup = { unit, regressors: shape.regressors.length };
  const scale = meanPresent(values.map(Math.abs));
  const neverNegative = values.every((value) => !(value < 0));
  const rule = chooseDecay(recent, terms, { ...setup, scale, neverNegative, horizonSteps: context.horizonSteps });
  const coefficients = fitCurve(recent, terms, setup);
  const curve = curveOf(recent, terms, { unit, coefficients });
  const level: Level = { demand: 0, profile: 0, weight: 0, age: 0 };
  const decay = 0.5 ** (stepSeconds / rule.levelSeconds);
  values.forEach((demand, index) => advance(level, decay, { demand, profile: at(curve, index) }));
  return createFitted(terms, {
    now: endSeconds(recent),
    stepSeconds,
    shape,
    unit,
    trend: trendAt(coefficients, 1),
    changes: coefficients.slice(2, trendWidth).filter((change) => Math.abs(change) > 0.01).length,
    coefficients: coefficients.slice(trendWidth),
    rule,
    offset: scale > 0 ? rule.offset * scale : Number.POSITIVE_INFINITY,
    neverNegative,
    level,
  });
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const known = state as unknown as State;
  return createFitted(createTerms(known.shape, context), { ...known, coefficients: known.coefficients.slice() });
}

interface State {
  readonly now: number;
  readonly stepSeconds: number;
  readonly shape: TermsShape;
  /** Largest demand: the curve is in units of it. */
  readonly unit: number;
  /** At the end of the history, and from then on. */
  readonly trend: number;
  /** Change points that count. */
  readonly changes: number;
  /** Of the seasonal, holiday and regressor terms. */
  readonly coefficients: Float64Array;
  readonly rule: LevelRule;
  /** The rule's, in units of demand. */
  readonly offset: number;
  readonly neverNegative: boolean;
  readonly level: Level;
}

function createFitted(terms: Terms, state: State): FittedModel {
  const { stepSeconds, unit, trend, coefficients, rule, offset } = state;
  const decay = 0.5 ** (stepSeconds / rule.levelSeconds);
  const share = 0.5 ** (stepSeconds / rule.decaySeconds);
  const level: Level = { ...state.level };
  const row = new Float64Array(terms.width);
  let { now, neverNegative } = state;
  const curveAt = (epochSeconds: number): number => {
    terms.fill(row, 0, epochSeconds);
    return unit * (trend + dot(coefficients, row, 0));
  };
  return {
    kind: 'fitted',
    update: (demand) => {
      advance(level, decay, { demand, profile: curveAt(now) });
      if (demand < 0) neverNegative = false;
      now += stepSeconds;
    },
    predict: (horizon) => {
      const floor = neverNegative ? 0 : Number.NEGATIVE_INFINITY;
      const distance = transform(level.demand / level.weight, offset);
      const below = transform(level.profile / level.weight, offset);
      return Float64Array.from({ length: horizon }, (_, index) => {
        const ahead = transform(curveAt(now + index * stepSeconds), offset);
        const corrected = distance + rule.shape * (ahead - below);
        const weight = Number.isNaN(corrected) ? 0 : share ** (level.age + index + 1);
        const value = weight === 0 ? ahead : weight * corrected + (1 - weight) * ahead;
        return Math.max(floor, untransform(value, offset));
      });
    },
    describe: () => ({
      name: prophet.name,
      parameters: { ...waves(state.shape), changePoints: state.changes, trend: unit * trend, ...rule, ...sizes() },
    }),
    snapshot: (): ModelState =>
      ({ ...state, now, neverNegative, coefficients: coefficients.slice(), level: { ...level } }) satisfies State,
  };

  function sizes(): Record<string, number> {
    const from = coefficients.length - state.shape.regressors.length;
    return Object.fromEntries(
      state.shape.regressors.map((name, index) => [`effect ${name}`, unit * at(coefficients, from + index)]),
    );
  }
}

function waves({ day, week, weekend }: TermsShape): Record<string, number> {
  return { dayWaves: day, weekWaves: week, weekendWaves: weekend };
}

function lastOf(history: TimeSeries, seconds: number): TimeSeries {
  const { startSeconds, stepSeconds, values } = history;
  const from = Math.max(0, values.length - Math.ceil(seconds / stepSeconds));
  return { startSeconds: startSeconds + from * stepSeconds, stepSeconds, values: values.subarray(from) };
}

/** How the distance to the curve goes on, chosen where a curve of what was before it did not know demand. */
function chooseDecay(
  history: TimeSeries,
  terms: Terms,
  setup: CurveSetup & { scale: number; neverNegative: boolean; horizonSteps: number },
): LevelRule {
  const { values, stepSeconds } = history;
  const known = Math.max(Math.floor(values.length / 2), values.length - Math.ceil(judgedSeconds / stepSeconds));
  const early = { ...history, values: values.subarray(0, known) };
  const curve = curveOf(history, terms, {
    unit: setup.unit,
    coefficients: fitCurve(early, terms, setup),
    known,
  });
  const { origins, leads } = originsAndLeads(history, setup.horizonSteps);
  const later = origins.filter((origin) => origin > known);
  return chooseRule(
    { demand: values, profile: curve, stepSeconds, scale: setup.scale, origins: later, leads },
    setup.neverNegative,
  );
}
