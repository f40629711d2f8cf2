// SPDX-License-Identifier: Apache-2.0
import { at, endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { fitPosterior } from '../additive.ts';
import type { Prior } from '../additive.ts';
import { addRow, createNormalEquations, solveNonNegative, solvePositive } from '../least-squares.ts';
import type { NormalEquations } from '../least-squares.ts';
import { advance, chooseRule, transform, untransform } from '../level.ts';
import type { Level, LevelRule } from '../level.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { createTerms, shapeFor } from '../prophet-terms.ts';
import type { Terms, TermsShape } from '../prophet-terms.ts';
import { refuseShort } from '../refusals.ts';
import { dot } from '../ridge.ts';
import { meanPresent } from '../robust.ts';

/** Prophet's defaults: change points in the first 80 % of the history, and the scales of the priors. */
const changePoints = 25;
const changeRange = 0.8;
const trendPrior: Prior = { kind: 'normal', scale: 5 };
const changePrior: Prior = { kind: 'laplace', scale: 0.05 };
const termPrior: Prior = { kind: 'normal', scale: 10 };

/** Columns of the trend: slope and offset, then the change points. */
const trendWidth = 2 + changePoints;

/** Finer steps are taken together: the shortest wave is three hours long. */
const cellSeconds = 900;

/** Waves change over the seasons: no more of the past than this is learnt from. */
const longestSeconds = 56 * 86_400;

/** Cells further from the curve than so many standard deviations count less: rounds of Huber's weights. */
const huberLimit = 1.345;
const huberRounds = 2;
const medianToStandard = 1.4826;

/** What decays to the curve is chosen on forecasts of this much of the past, made this often. */
const judgedSeconds = 7 * 86_400;
const originSeconds = 1500;
const mostLeads = 4;

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

/** In units of the largest demand, and how many of the last terms are regressors. */
interface CurveSetup {
  readonly unit: number;
  readonly regressors: number;
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

/** Large demand that is not an outlier; Prophet takes the largest. */
function unitOf(values: Float64Array): number {
  const sorted = values
    .filter((value) => !Number.isNaN(value))
    .map(Math.abs)
    .toSorted();
  return at(sorted, Math.floor(0.95 * sorted.length)) || at(sorted, sorted.length - 1) || 1;
}

/** The most probable coefficients, in units of the largest demand, when cells far from the curve count less. */
function fitCurve(history: TimeSeries, terms: Terms, setup: CurveSetup): Float64Array {
  const cells = cellsOf(history, terms, setup.unit);
  let coefficients = fitCells(cells, setup.regressors);
  for (let round = 0; round < huberRounds; round += 1) {
    const { width, rows, targets, counts } = cells;
    const errors = targets.map((target, cell) => Math.abs(target - dot(coefficients, rows, cell * width)));
    const typical = errors.toSorted()[Math.floor(errors.length / 2)] ?? 0;
    const limit = huberLimit * medianToStandard * typical;
    if (!(limit > 0)) break;
    coefficients = fitCells(
      {
        ...cells,
        weights: counts.map((count, cell) => count * Math.min(1, limit / Math.max(limit, at(errors, cell)))),
      },
      setup.regressors,
    );
  }
  return coefficients;
}

function fitCells(cells: CurveCells, regressors: number): Float64Array {
  const { width } = cells;
  const equations = equationsOf(cells);
  const priors = Array.from({ length: width }, (_, column): Prior => {
    if (column < 2) return trendPrior;
    return column < trendWidth ? changePrior : termPrior;
  });
  if (regressors === 0) return fitPosterior(equations, priors).coefficients;
  const free = fitPosterior(equations, priors);
  const nonNegative = priors.map(
    (_, column) => column >= width - regressors && !provedNegative(free, column, equations),
  );
  return fitPosterior(equations, priors, (matrix, vector) => solveNonNegative(matrix, vector, nonNegative))
    .coefficients;
}

/** An effect is taken to be negative when it is four standard errors below zero, errors being alike for two hours. */
const proof = 4;
const alikeSeconds = 7200;

function provedNegative(
  { coefficients, variance }: { coefficients: Float64Array; variance: number },
  column: number,
  { matrix, width }: NormalEquations,
): boolean {
  const one = new Float64Array(width);
  one[column] = 1;
  const error = Math.sqrt(
    Math.max(0, variance * at(solvePositive(matrix, one), column) * (alikeSeconds / cellSeconds)),
  );
  return at(coefficients, column) < -proof * error;
}

/** Rows of the regression: means of steps that are taken together. */
interface CurveCells {
  readonly width: number;
  /** Row after row. */
  readonly rows: Float64Array;
  readonly targets: Float64Array;
  readonly counts: Float64Array;
  readonly weights: Float64Array;
  /** What varies within a cell is noise, and counts as that. */
  readonly within: Float64Array;
}

function cellsOf(history: TimeSeries, terms: Terms, unit: number): CurveCells {
  const { values, startSeconds, stepSeconds } = history;
  const steps = Math.max(1, Math.round(cellSeconds / stepSeconds));
  const width = trendWidth + terms.width;
  const most = Math.ceil(values.length / steps);
  const rows = new Float64Array(most * width);
  const [targets, counts, within] = [new Float64Array(most), new Float64Array(most), new Float64Array(most)];
  let cell = 0;
  for (let from = 0; from < values.length; from += steps) {
    const { sum, squares, count } = momentsOf(values.subarray(from, from + steps), unit);
    if (count === 0) continue;
    const middle = Math.min(values.length - 1, from + (steps - 1) / 2);
    const row = rows.subarray(cell * width, (cell + 1) * width);
    fillTrend(row, middle / values.length);
    terms.fill(row, trendWidth, startSeconds + middle * stepSeconds);
    targets[cell] = sum / count;
    counts[cell] = count;
    within[cell] = Math.max(0, squares / count - (sum / count) ** 2);
    cell += 1;
  }
  const known = counts.subarray(0, cell);
  return {
    width,
    rows: rows.subarray(0, cell * width),
    targets: targets.subarray(0, cell),
    counts: known,
    weights: known,
    within: within.subarray(0, cell),
  };
}

function momentsOf(values: Float64Array, unit: number): { sum: number; squares: number; count: number } {
  let sum = 0;
  let squares = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value / unit;
    squares += (value / unit) ** 2;
    count += 1;
  }
  return { sum, squares, count };
}

function equationsOf({ width, rows, targets, weights, within }: CurveCells): NormalEquations {
  const equations = createNormalEquations(width);
  for (const [cell, target] of targets.entries()) {
    addRow(equations, rows.subarray(cell * width, (cell + 1) * width), target, at(weights, cell));
    equations.squares += at(weights, cell) * at(within, cell);
  }
  return equations;
}

/** `share` is the share of the history that is over. */
function fillTrend(row: Float64Array, share: number): void {
  row[0] = share;
  row[1] = 1;
  for (let change = 0; change < changePoints; change += 1) {
    row[2 + change] = Math.max(0, share - (changeRange * (change + 1)) / changePoints);
  }
}

function trendAt(coefficients: Float64Array, share: number): number {
  const row = new Float64Array(trendWidth);
  fillTrend(row, share);
  return row.reduce((sum, value, column) => sum + value * at(coefficients, column), 0);
}

/** The curve over the history, in units of demand; flat after the first `known` points. */
function curveOf(
  { values, startSeconds, stepSeconds }: TimeSeries,
  terms: Terms,
  { unit, coefficients, known = values.length }: { unit: number; coefficients: Float64Array; known?: number },
): Float64Array {
  const row = new Float64Array(trendWidth + terms.width);
  return values.map((_, index) => {
    fillTrend(row, Math.min(1, index / known));
    terms.fill(row, trendWidth, startSeconds + index * stepSeconds);
    return unit * dot(coefficients, row, 0);
  });
}

function originsAndLeads(history: TimeSeries, horizonSteps: number): { origins: number[]; leads: number[] } {
  const every = Math.max(1, Math.round(originSeconds / history.stepSeconds));
  const judged = Math.ceil(judgedSeconds / history.stepSeconds);
  const origins: number[] = [];
  for (let index = Math.max(1, history.values.length - judged); index < history.values.length; index += every) {
    origins.push(index);
  }
  const ratio = Math.max(1, horizonSteps) ** (1 / (mostLeads - 1));
  const leads = Array.from({ length: mostLeads }, (_, index) => Math.round(ratio ** index) - 1);
  return { origins, leads: [...new Set(leads)] };
}
