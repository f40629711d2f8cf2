// SPDX-License-Identifier: Apache-2.0
// Schölkopf et al., "Estimating the Support of a High-Dimensional Distribution", Neural Computation 13 (2001): the ν-SVM
// of one class with a Gaussian kernel, solved by sequential minimal optimisation with the maximal violating pair
// (Keerthi et al. 2001), in the scale of libsvm: coefficients between 0 and 1 that sum to ν·n.
import { at } from '../../series/time-series.ts';

/** Plain data: `structuredClone` copies it. */
export interface OneClassSvm {
  readonly columns: number;
  readonly gamma: number;
  readonly rho: number;
  /** Rows of the support, one after the other, and their coefficients. */
  readonly support: Float64Array;
  readonly coefficients: Float64Array;
}

export interface OneClassSvmOptions {
  /** At most this share of the rows lies outside, at least this share is support; in (0, 1]. */
  readonly nu: number;
  /** Of the kernel exp(-gamma |a - b|²); default 1 / (columns · variance of all numbers). */
  readonly gamma?: number;
  /** How far the two coefficients that violate optimality most may do so. */
  readonly tolerance?: number;
}

/** Far more than any training set here takes. */
const mostSteps = 100_000;

interface Problem {
  readonly count: number;
  readonly kernel: Float64Array;
  readonly alpha: Float64Array;
  /** Of the objective ½ αᵀKα. */
  readonly gradient: Float64Array;
}

/**
 * Finds the boundary of the rows; the kernel of all pairs is held in memory, so that some hundred rows are a good number.
 * @param rows one array of numbers, `columns` for each row; all finite
 */
export function fitOneClassSvm(rows: Float64Array, columns: number, options: OneClassSvmOptions): OneClassSvm {
  const count = Math.floor(rows.length / columns);
  const gamma = options.gamma ?? scaleGamma(rows, columns);
  const problem = startProblem(kernelMatrix(rows, columns, gamma), count, options.nu);
  for (let step = 0; step < mostSteps; step += 1) {
    const pair = violatingPair(problem);
    if (pair.gap < (options.tolerance ?? 1e-4)) break;
    improve(problem, pair.up, pair.down);
  }
  const chosen = Array.from(problem.alpha.keys()).filter((row) => at(problem.alpha, row) > 1e-12);
  return {
    columns,
    gamma,
    rho: offset(problem),
    support: Float64Array.from(chosen.flatMap((row) => Array.from(rows.subarray(row * columns, (row + 1) * columns)))),
    coefficients: Float64Array.from(chosen, (row) => at(problem.alpha, row)),
  };
}

/** Positive inside the boundary, negative outside; further from zero with the distance. */
export function svmDecision(
  { columns, gamma, rho, support, coefficients }: OneClassSvm,
  row: ArrayLike<number>,
): number {
  let total = -rho;
  for (let index = 0; index < coefficients.length; index += 1) {
    let distance = 0;
    for (let column = 0; column < columns; column += 1) {
      const difference = at(support, index * columns + column) - (row[column] ?? 0);
      distance += difference * difference;
    }
    total += at(coefficients, index) * Math.exp(-gamma * distance);
  }
  return total;
}

function scaleGamma(rows: Float64Array, columns: number): number {
  const mean = rows.reduce((total, value) => total + value, 0) / rows.length;
  const variance = rows.reduce((total, value) => total + (value - mean) ** 2, 0) / rows.length;
  return variance > 0 ? 1 / (columns * variance) : 1;
}

function kernelMatrix(rows: Float64Array, columns: number, gamma: number): Float64Array {
  const count = Math.floor(rows.length / columns);
  const kernel = new Float64Array(count * count);
  for (let left = 0; left < count; left += 1) {
    for (let right = 0; right <= left; right += 1) {
      let distance = 0;
      for (let column = 0; column < columns; column += 1) {
        const difference = at(rows, left * columns + column) - at(rows, right * columns + column);
        distance += difference * difference;
      }
      const value = Math.exp(-gamma * distance);
      kernel[left * count + right] = value;
      kernel[right * count + left] = value;
    }
  }
  return kernel;
}

/** The first ν·n coefficients are one, the next is what is left of ν·n, as libsvm begins. */
function startProblem(kernel: Float64Array, count: number, nu: number): Problem {
  const alpha = Float64Array.from({ length: count }, (_, row) => Math.max(0, Math.min(1, nu * count - row)));
  const gradient = new Float64Array(count);
  for (let row = 0; row < count; row += 1) {
    for (let other = 0; other < count && at(alpha, other) > 0; other += 1) {
      gradient[row] = at(gradient, row) + at(alpha, other) * at(kernel, row * count + other);
    }
  }
  return { count, kernel, alpha, gradient };
}

/** The coefficient that gains most by growing, and the one that gains most by shrinking. */
function violatingPair({ count, alpha, gradient }: Problem): { up: number; down: number; gap: number } {
  let [up, down] = [-1, -1];
  for (let row = 0; row < count; row += 1) {
    if (at(alpha, row) < 1 && (up < 0 || at(gradient, row) < at(gradient, up))) up = row;
    if (at(alpha, row) > 0 && (down < 0 || at(gradient, row) > at(gradient, down))) down = row;
  }
  return { up, down, gap: up < 0 || down < 0 ? 0 : at(gradient, down) - at(gradient, up) };
}

/** Moves weight from one coefficient to the other, as far as it pays and the bounds allow. */
function improve({ count, kernel, alpha, gradient }: Problem, up: number, down: number): void {
  const curvature = Math.max(2 - 2 * at(kernel, up * count + down), 1e-12);
  const wanted = (at(gradient, down) - at(gradient, up)) / curvature;
  const room = Math.min(1 - at(alpha, up), at(alpha, down));
  const change = Math.min(wanted, room);
  alpha[up] = change === 1 - at(alpha, up) ? 1 : at(alpha, up) + change;
  alpha[down] = change === at(alpha, down) ? 0 : at(alpha, down) - change;
  for (let row = 0; row < count; row += 1) {
    const difference = at(kernel, up * count + row) - at(kernel, down * count + row);
    gradient[row] = at(gradient, row) + change * difference;
  }
}

/** The gradient of free coefficients, or the middle of what the bound ones allow. */
function offset({ count, alpha, gradient }: Problem): number {
  let [low, high, total, free] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0];
  for (let row = 0; row < count; row += 1) {
    const value = at(gradient, row);
    if (at(alpha, row) >= 1) low = Math.max(low, value);
    else if (at(alpha, row) <= 0) high = Math.min(high, value);
    else [total, free] = [total + value, free + 1];
  }
  if (free > 0) return total / free;
  if (Number.isFinite(low) && Number.isFinite(high)) return (low + high) / 2;
  return Number.isFinite(low) ? low : high;
}
