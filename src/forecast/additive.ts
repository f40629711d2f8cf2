// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { mirror, residualSquares, solveSymmetric } from './normal-equations.ts';
import type { NormalEquations } from './normal-equations.ts';

/** Standard deviation of the noise a priori, in units of the scaled demand, as Prophet has it. */
const noisePrior = 0.5;

/** No noise is smaller than this: a perfect fit would have an infinite density. */
const leastVariance = 1e-12;

/** Laplace priors are approached by normal ones, again and again. */
const enoughRounds = 60;
const converged = 1e-7;

/** Coefficients below this are as good as zero: the normal prior that stands in for a Laplace prior gets no tighter. */
const leastSize = 1e-7;

/** A prior of mean zero for one coefficient. */
export interface Prior {
  readonly kind: 'normal' | 'laplace';
  readonly scale: number;
  /** True if the coefficient may not be negative. */
  readonly nonNegative?: boolean;
}

/** A solver of least squares, such as `solveSymmetric`. */
export type Solver = (matrix: Float64Array, vector: Float64Array) => Float64Array;

/**
 * The most probable coefficients of y = Xb + noise, with normal and Laplace priors on b and a half-normal one on the
 * noise, from the normal equations of the rows: the penalty of a Laplace prior is majorised by a quadratic at the last
 * solution (Hunter & Li 2005, "Variable selection using MM algorithms"), and the noise is solved for in between.
 */
export function fitPosterior(
  equations: NormalEquations,
  priors: readonly Prior[],
  { solver = solveSymmetric, mostRounds = enoughRounds }: { solver?: Solver; mostRounds?: number } = {},
): { coefficients: Float64Array; variance: number } {
  mirror(equations);
  const { width, matrix, vector, weight, squares } = equations;
  let variance = Math.max(leastVariance, squares / Math.max(1, weight));
  let coefficients = new Float64Array(width).fill(Number.NaN);
  for (let round = 0; round < mostRounds; round += 1) {
    const penalised = matrix.slice();
    for (const [column, prior] of priors.entries()) {
      const place = column * (width + 1);
      penalised[place] = at(penalised, place) + variance * curvature(prior, at(coefficients, column));
    }
    const next = solver(penalised, vector) as Float64Array<ArrayBuffer>;
    const nextVariance = varianceOf(residualSquares(equations, next), weight);
    const moved = next.reduce((most, value, column) => Math.max(most, Math.abs(value - at(coefficients, column))), 0);
    const done = moved < converged && Math.abs(nextVariance - variance) <= converged * variance;
    coefficients = next;
    variance = nextVariance;
    if (done || (round > 0 && Number.isNaN(moved))) break;
  }
  return { coefficients, variance };
}

function curvature({ kind, scale }: Prior, size: number): number {
  if (kind === 'normal') return 1 / (scale * scale);
  return 1 / (scale * (Number.isNaN(size) ? scale : Math.max(leastSize, Math.abs(size))));
}

/** Where n ln s + squares / 2 s² + s² / 2 p² is least, as s². */
function varianceOf(squares: number, weight: number): number {
  const prior = noisePrior ** 2;
  return Math.max(leastVariance, ((Math.sqrt(weight * weight + (4 * squares) / prior) - weight) * prior) / 2);
}
