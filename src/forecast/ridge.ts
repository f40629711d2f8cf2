// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { solveSymmetric } from './normal-equations.ts';

/** Rows of a regression; the first column is the constant 1. */
export interface Rows {
  readonly width: number;
  /** Row after row. */
  readonly features: Float64Array;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
}

/** Residuals beyond this multiple of their standard deviation count linearly (Huber 1964). */
const huberLimit = 1.345;

/** From a mean absolute deviation to the standard deviation of normal errors. */
const absoluteToStandard = 1.2533;

/**
 * Weighted ridge regression: the penalty is `ridge` times the total weight on coefficients of features in units of
 * their standard deviation, none on the constant (Hoerl & Kennard 1970).
 */
export function fitRidge(rows: Rows, ridge: number): Float64Array {
  const { width } = rows;
  const { matrix, vector } = normalEquations(rows);
  const total = at(matrix, 0);
  for (let column = 1; column < width; column += 1) {
    const place = column * width + column;
    const mean = at(matrix, column * width) / total;
    const variance = at(matrix, place) / total - mean * mean;
    // A feature that never varies gets no coefficient.
    matrix[place] = at(matrix, place) + total * (variance > 1e-10 ? ridge * variance : 1);
  }
  return solveSymmetric(matrix, vector);
}

/** Ridge regression in which outliers count less: `rounds` times weighted anew (Huber's weights). */
export function fitHuber(rows: Rows, ridge: number, rounds: number): Float64Array {
  let coefficients = fitRidge(rows, ridge);
  for (let round = 0; round < rounds; round += 1) {
    const residuals = residualsOf(rows, coefficients);
    let absolute = 0;
    let total = 0;
    for (const [index, weight] of rows.weights.entries()) {
      absolute += weight * Math.abs(at(residuals, index));
      total += weight;
    }
    const limit = (huberLimit * absoluteToStandard * absolute) / total;
    if (!(limit > 0)) return coefficients;
    const weights = rows.weights.map((weight, index) => {
      return weight * Math.min(1, limit / Math.max(limit, Math.abs(at(residuals, index))));
    });
    coefficients = fitRidge({ ...rows, weights }, ridge);
  }
  return coefficients;
}

/** What the regression leaves of the targets. */
export function residualsOf({ width, features, targets }: Rows, coefficients: Float64Array): Float64Array {
  return targets.map((target, index) => target - dot(coefficients, features, index * width));
}

/** The product of the coefficients with the row that begins at `from`. */
export function dot(coefficients: Float64Array, features: Float64Array, from: number): number {
  let sum = 0;
  for (let column = 0; column < coefficients.length; column += 1) {
    sum += (coefficients[column] ?? 0) * (features[from + column] ?? 0);
  }
  return sum;
}

/** Rows that are taken at once: it spares most of the loads and stores of the matrix. */
const block = 3;

/** The lower triangle of X'WX, and X'Wy. */
function normalEquations({ width, features, targets, weights }: Rows): { matrix: Float64Array; vector: Float64Array } {
  const matrix = new Float64Array(width * width);
  const vector = new Float64Array(width);
  // A last block that is not full is filled with rows of no weight.
  const rows = new Float64Array(block * width);
  for (let first = 0; first < targets.length; first += block) {
    rows.fill(0);
    rows.set(features.subarray(first * width, Math.min(targets.length, first + block) * width));
    addBlock({ matrix, vector }, rows, {
      width,
      targets: targets.subarray(first, first + block),
      weights: weights.subarray(first, first + block),
    });
  }
  return { matrix, vector };
}

function addBlock(
  { matrix, vector }: { matrix: Float64Array; vector: Float64Array },
  rows: Float64Array,
  { width, targets, weights }: Pick<Rows, 'width' | 'targets' | 'weights'>,
): void {
  const [w0, w1, w2] = filled(weights);
  const [y0, y1, y2] = filled(targets);
  addProducts(matrix, rows, { width, w0, w1, w2 });
  for (let column = 0; column < width; column += 1) {
    vector[column] =
      (vector[column] ?? 0) +
      w0 * y0 * (rows[column] ?? 0) +
      w1 * y1 * (rows[width + column] ?? 0) +
      w2 * y2 * (rows[2 * width + column] ?? 0);
  }
}

/** The last block may be short: what is missing counts nothing. */
function filled([first = 0, second = 0, third = 0]: Float64Array): [number, number, number] {
  return [first, second, third];
}

interface BlockWeights {
  readonly width: number;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
}

/** Most of the time of a fit is spent here: the numbers are read without a call. */
function addProducts(matrix: Float64Array, rows: Float64Array, { width, w0, w1, w2 }: BlockWeights): void {
  const second = width;
  const third = 2 * width;
  for (let column = 0; column < width; column += 1) {
    const a = w0 * (rows[column] ?? 0);
    const b = w1 * (rows[second + column] ?? 0);
    const c = w2 * (rows[third + column] ?? 0);
    const place = column * width;
    for (let other = 0; other <= column; other += 1) {
      matrix[place + other] =
        (matrix[place + other] ?? 0) +
        a * (rows[other] ?? 0) +
        b * (rows[second + other] ?? 0) +
        c * (rows[third + other] ?? 0);
    }
  }
}
