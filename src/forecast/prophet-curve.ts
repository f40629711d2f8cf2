// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { fitPosterior } from './additive.ts';
import type { Prior, Solver } from './additive.ts';
import { addRow, createNormalEquations, solveNonNegative, solveSymmetric } from './normal-equations.ts';
import type { NormalEquations } from './normal-equations.ts';
import type { Terms } from './prophet-terms.ts';
import { dot } from './ridge.ts';

/** Prophet's defaults: change points in the first 80 % of the history, and the scales of the priors. */
const changePoints = 25;
const changeRange = 0.8;
const trendPrior: Prior = { kind: 'normal', scale: 5 };
const changePrior: Prior = { kind: 'laplace', scale: 0.05 };
const termPrior: Prior = { kind: 'normal', scale: 10 };

/** Columns of the trend: slope and offset, then the change points. */
export const trendWidth = 2 + changePoints;

/** Finer steps are taken together: the shortest wave is three hours long. */
const cellSeconds = 900;

/** Cells further from the curve than so many standard deviations count less: rounds of Huber's weights. */
const huberLimit = 1.345;
const huberRounds = 2;

/** Rounds of the solver that are enough for weights. */
const roughRounds = 10;
const medianToStandard = 1.4826;

/** In units of the largest demand, and how many of the last terms are regressors. */
export interface CurveSetup {
  readonly unit: number;
  readonly regressors: number;
  /** Rounds in which cells far from the curve count less; 0 for Prophet's own density. */
  readonly rounds?: number;
}

/** Large demand that is not an outlier; Prophet takes the largest. */
export function unitOf(values: Float64Array): number {
  const sorted = values
    .filter((value) => !Number.isNaN(value))
    .map(Math.abs)
    .toSorted();
  return at(sorted, Math.floor(0.95 * sorted.length)) || at(sorted, sorted.length - 1) || 1;
}

/** The most probable coefficients, in units of the largest demand, when cells far from the curve count less. */
export function fitCurve(history: TimeSeries, terms: Terms, setup: CurveSetup): Float64Array {
  const cells = cellsOf(history, terms, setup.unit);
  const last = setup.rounds ?? huberRounds;
  const effort = (round: number): { mostRounds?: number } => (round < last ? { mostRounds: roughRounds } : {});
  let coefficients = fitCells(cells, setup.regressors, effort(0));
  for (let round = 1; round <= last; round += 1) {
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
      effort(round),
    );
  }
  return coefficients;
}

function fitCells(cells: CurveCells, regressors: number, effort: { mostRounds?: number }): Float64Array {
  const { width } = cells;
  const equations = equationsOf(cells);
  const priors = Array.from({ length: width }, (_, column): Prior => {
    if (column < 2) return trendPrior;
    return column < trendWidth ? changePrior : termPrior;
  });
  if (regressors === 0) return fitPosterior(equations, priors, effort).coefficients;
  const free = fitPosterior(equations, priors, effort);
  const nonNegative = priors.map(
    (_, column) => column >= width - regressors && !provedNegative(free, column, equations),
  );
  const solver: Solver = (matrix, vector) => solveNonNegative(matrix, vector, nonNegative);
  return fitPosterior(equations, priors, { ...effort, solver }).coefficients;
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
    Math.max(0, variance * at(solveSymmetric(matrix, one), column) * (alikeSeconds / cellSeconds)),
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

/** The trend when that share of the history is over, in units of the setup. */
export function trendAt(coefficients: Float64Array, share: number): number {
  const row = new Float64Array(trendWidth);
  fillTrend(row, share);
  return row.reduce((sum, value, column) => sum + value * at(coefficients, column), 0);
}

/** The curve over the history, in units of demand; flat after the first `known` points. */
export function curveOf(
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
