// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { solveSymmetric } from './normal-equations.ts';

/** Recursive least squares as plain data. */
export interface LeastSquaresState {
  readonly decay: number;
  readonly ridge: Float64Array;
  /** Weighted sums: lower triangle of Σ w x xᵀ row after row, Σ w x y. */
  readonly normal: Float64Array;
  readonly right: Float64Array;
  /** Coefficients are solved for again when so many points are new. */
  readonly refresh: number;
  /** The last solution and the points that are new since. */
  readonly solution?: Float64Array;
  readonly fresh: number;
}

/** Regression on all points so far, the older the less. */
export interface LeastSquares {
  /** All sums lose `decay` of their weight; then the point is added. O(p²). */
  update(row: Float64Array, value: number): void;
  /** O(p³) when they are due, else as they were. */
  coefficients(): Float64Array;
  snapshot(): LeastSquaresState;
}

/**
 * Least squares with exponential forgetting in information form (Ljung & Söderström 1983, "Theory and Practice of
 * Recursive Identification", ch. 2): the sums of the normal equations are what is updated, the coefficients are solved
 * for when they are wanted. Unlike the covariance form, directions that nothing excites for long do not blow up, and
 * the ridge does not fade: coefficients minimise Σ decay^age (y − xβ)² + Σ ridge β².
 */
export function createLeastSquares(state: LeastSquaresState): LeastSquares {
  const { decay, ridge, refresh } = state;
  const size = ridge.length;
  const normal = state.normal.slice();
  const right = state.right.slice();
  let solution: Float64Array | undefined = state.solution?.slice();
  let { fresh } = state;
  return {
    update: (row, value) => {
      for (let i = 0; i < size; i += 1) {
        const x = at(row, i);
        right[i] = decay * at(right, i) + x * value;
        const offset = i * size;
        for (let j = 0; j <= i; j += 1) normal[offset + j] = decay * at(normal, offset + j) + x * at(row, j);
      }
      fresh += 1;
    },
    coefficients: () => {
      if (solution !== undefined && fresh < refresh) return solution;
      const matrix = new Float64Array(size * size);
      for (let i = 0; i < size; i += 1) {
        for (let j = 0; j <= i; j += 1) {
          const value = at(normal, i * size + j) + (i === j ? at(ridge, i) : 0);
          matrix[i * size + j] = value;
          matrix[j * size + i] = value;
        }
      }
      solution = solveSymmetric(matrix, right);
      fresh = 0;
      return solution;
    },
    snapshot: () => ({
      decay,
      ridge: ridge.slice(),
      normal: normal.slice(),
      right: right.slice(),
      refresh,
      ...(solution === undefined ? {} : { solution: solution.slice() }),
      fresh,
    }),
  };
}

/** Nothing is known yet. */
export function emptyLeastSquares(decay: number, ridge: Float64Array, refresh = 1): LeastSquaresState {
  const size = ridge.length;
  return { decay, ridge, normal: new Float64Array(size * size), right: new Float64Array(size), refresh, fresh: 0 };
}
