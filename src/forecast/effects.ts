// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import {
  addRow,
  createNormalEquations,
  mirror,
  residualSquares,
  solveNonNegative,
  solveSymmetric,
} from './normal-equations.ts';
import type { NormalEquations } from './normal-equations.ts';
import type { FitContext, Regressor } from './model.ts';

/** Effects are measured on means over this long. */
const cellSeconds = 900;

/** An effect enters when it is so many times its standard error, and may be negative when it is less than minus that. */
const positiveProof = 2;
const negativeProof = 4;

/** Penalty on squared effects, as a share of the squares of their regressor. */
const ridge = 1e-4;

/** What a regressor adds to demand, per unit of the regressor. */
export interface Effect {
  readonly name: string;
  readonly size: number;
}

/** The value of a regressor at a time; 0 where it is not known. */
export function regressorAt({ series }: Regressor, epochSeconds: number): number {
  const value = series.values[Math.floor((epochSeconds - series.startSeconds) / series.stepSeconds)] ?? 0;
  return Number.isFinite(value) ? value : 0;
}

/** What regressors add to demand at a time. */
export type EffectAt = (epochSeconds: number) => number;

/** The sum of the effects of the regressors that are known. */
export function effectAt(effects: readonly Effect[], { regressors = [] }: FitContext): EffectAt {
  const pairs = effects.flatMap(({ name, size }) => {
    const regressor = regressors.find((candidate) => candidate.name === name);
    return regressor === undefined || size === 0 ? [] : [{ regressor, size }];
  });
  if (pairs.length === 0) return () => 0;
  return (epochSeconds) => {
    let sum = 0;
    for (const { regressor, size } of pairs) sum += size * regressorAt(regressor, epochSeconds);
    return sum;
  };
}

/**
 * Effects of the regressors on what the profile `known` does not explain, by least squares. An effect is not negative
 * unless its t-value proves it, and is left out when it is not clearly there; errors are taken to be as alike from one
 * cell to the next as they were seen to be.
 */
export function estimateEffects(history: TimeSeries, known: Float64Array, context: FitContext): readonly Effect[] {
  const { regressors = [] } = context;
  if (regressors.length === 0) return [];
  const rows = cellsOf(history, known, regressors);
  const equations = createNormalEquations(regressors.length + 1);
  for (const { features, target } of rows) addRow(equations, features, target, 1);
  mirror(equations);
  for (let column = 0; column <= regressors.length; column += 1) {
    const place = column * (equations.width + 1);
    equations.matrix[place] = at(equations.matrix, place) * (1 + (column === 0 ? 0 : ridge));
  }
  const errors = standardErrors(equations, rows);
  const free = solveSymmetric(equations.matrix, equations.vector);
  const proved = (index: number): boolean => {
    const ratio = at(free, index) / at(errors, index);
    return ratio > positiveProof || ratio < -negativeProof;
  };
  const nonNegative = [...free.keys()].map((index) => index > 0 && !(at(free, index) < 0 && proved(index)));
  const solution = solveNonNegative(equations.matrix, equations.vector, nonNegative);
  return regressors.map(({ name }, index) => ({ name, size: proved(index + 1) ? at(solution, index + 1) : 0 }));
}

interface Cell {
  readonly features: Float64Array;
  readonly target: number;
}

function cellsOf(history: TimeSeries, known: Float64Array, regressors: readonly Regressor[]): Cell[] {
  const { values, startSeconds, stepSeconds } = history;
  const steps = Math.max(1, Math.round(cellSeconds / stepSeconds));
  const cells: Cell[] = [];
  for (let from = 0; from < values.length; from += steps) {
    const features = new Float64Array(regressors.length + 1);
    let target = 0;
    let count = 0;
    for (let index = from; index < Math.min(values.length, from + steps); index += 1) {
      const rest = at(values, index) - at(known, index);
      if (Number.isNaN(rest)) continue;
      const now = startSeconds + index * stepSeconds;
      target += rest;
      count += 1;
      for (const [column, regressor] of regressors.entries()) {
        features[column + 1] = at(features, column + 1) + regressorAt(regressor, now);
      }
    }
    if (count === 0) continue;
    cells.push({ features: features.map((sum, column) => (column === 0 ? 1 : sum / count)), target: target / count });
  }
  return cells;
}

/** Of the coefficients, wider by what neighbouring errors have in common. */
function standardErrors(equations: NormalEquations, cells: readonly Cell[]): Float64Array {
  const { width, matrix, vector } = equations;
  const solution = solveSymmetric(matrix, vector);
  const errors = cells.map(({ features, target }) => {
    return features.reduce((rest, feature, column) => rest - feature * at(solution, column), target);
  });
  let product = 0;
  for (let index = 1; index < errors.length; index += 1) product += (errors[index - 1] ?? 0) * (errors[index] ?? 0);
  const squares = residualSquares(equations, solution);
  const alike = squares > 0 ? Math.max(0, Math.min(0.98, product / squares)) : 0;
  const variance = (squares / Math.max(1, cells.length - width)) * ((1 + alike) / (1 - alike));
  return Float64Array.from({ length: width }, (_, column) => {
    const unit = new Float64Array(width);
    unit[column] = 1;
    return Math.sqrt(variance * Math.max(0, at(solveSymmetric(matrix, unit), column)));
  });
}
