// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Pivots below this share of their diagonal say that a column is a sum of the others: it gets no weight. */
const singular = 1e-12;

/** Non-negative coefficients whose gradient is below this share of the largest right-hand side stay at zero. */
const tolerance = 1e-12;

/** What weighted least squares needs to know of any number of rows: X'WX, X'Wy and y'Wy. */
export interface NormalEquations {
  readonly width: number;
  /** Row after row; both triangles once `mirror` was called. */
  readonly matrix: Float64Array;
  readonly vector: Float64Array;
  /** Sum of the weighted squares of the targets. */
  squares: number;
  /** Sum of the weights. */
  weight: number;
}

/** Of no row yet. */
export function createNormalEquations(width: number): NormalEquations {
  return {
    width,
    matrix: new Float64Array(width * width),
    vector: new Float64Array(width),
    squares: 0,
    weight: 0,
  };
}

/** Adds a row, to the lower triangle only. */
export function addRow(equations: NormalEquations, row: Float64Array, target: number, weight: number): void {
  const { width, matrix, vector } = equations;
  for (let column = 0; column < width; column += 1) {
    const value = weight * (row[column] ?? 0);
    if (value === 0) continue;
    const place = column * width;
    for (let other = 0; other <= column; other += 1) {
      matrix[place + other] = (matrix[place + other] ?? 0) + value * (row[other] ?? 0);
    }
    vector[column] = (vector[column] ?? 0) + value * target;
  }
  equations.squares += weight * target * target;
  equations.weight += weight;
}

/** Copies the lower triangle to the upper one. */
export function mirror({ width, matrix }: NormalEquations): void {
  for (let row = 0; row < width; row += 1) {
    for (let column = 0; column < row; column += 1) matrix[column * width + row] = at(matrix, row * width + column);
  }
}

/** The residual sum of squares of the coefficients; the matrix has both triangles. */
export function residualSquares({ width, matrix, vector, squares }: NormalEquations, solution: Float64Array): number {
  let sum = squares;
  for (let row = 0; row < width; row += 1) {
    let product = 0;
    for (let column = 0; column < width; column += 1)
      product += at(matrix, row * width + column) * at(solution, column);
    sum += at(solution, row) * (product - 2 * at(vector, row));
  }
  return Math.max(0, sum);
}

/**
 * Solves A x = b for a symmetric, positive semidefinite A by Cholesky's decomposition of its lower triangle; columns
 * that depend on earlier ones get 0.
 */
export function solveSymmetric(matrix: Float64Array, vector: Float64Array): Float64Array {
  const size = vector.length;
  const lower = decompose(matrix, size);
  const solution = vector.slice();
  for (let row = 0; row < size; row += 1) {
    let sum = at(solution, row);
    for (let other = 0; other < row; other += 1) sum -= at(lower, row * size + other) * at(solution, other);
    solution[row] = quotient(sum, at(lower, row * size + row));
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    let sum = at(solution, row);
    for (let other = row + 1; other < size; other += 1) sum -= at(lower, other * size + row) * at(solution, other);
    solution[row] = quotient(sum, at(lower, row * size + row));
  }
  return solution;
}

function decompose(matrix: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let row = 0; row < size; row += 1) {
    const from = row * size;
    for (let column = 0; column <= row; column += 1) {
      const other = column * size;
      let sum = at(matrix, from + column);
      for (let index = 0; index < column; index += 1) sum -= (lower[from + index] ?? 0) * (lower[other + index] ?? 0);
      lower[from + column] =
        row === column ? rootOf(sum, at(matrix, from + row)) : quotient(sum, at(lower, other + column));
    }
  }
  return lower;
}

function rootOf(pivot: number, diagonal: number): number {
  return pivot > singular * diagonal ? Math.sqrt(pivot) : 0;
}

function quotient(sum: number, pivot: number): number {
  return pivot === 0 ? 0 : sum / pivot;
}

/**
 * Least squares with coefficients that may not be negative where `nonNegative` says so: the active set method of
 * Lawson & Hanson ("Solving Least Squares Problems", 1974, ch. 23) on the normal equations, both triangles.
 */
export function solveNonNegative(
  matrix: Float64Array,
  vector: Float64Array,
  nonNegative: readonly boolean[],
): Float64Array {
  const size = vector.length;
  const free = solveSymmetric(matrix, vector);
  if (nonNegative.every((bound, index) => !bound || at(free, index) >= 0)) return free;
  const passive = nonNegative.map((bound) => !bound);
  const least = tolerance * vector.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  let solution = solveSubset(matrix, vector, passive);
  for (let round = 0; round < 3 * size; round += 1) {
    const entering = steepest(matrix, vector, { solution, passive, least });
    if (entering === undefined) break;
    passive[entering] = true;
    solution = retreat(matrix, vector, { solution, passive, nonNegative });
  }
  return solution;
}

/** The coefficient at zero that would help most if it grew. */
function steepest(
  matrix: Float64Array,
  vector: Float64Array,
  { solution, passive, least }: { solution: Float64Array; passive: readonly boolean[]; least: number },
): number | undefined {
  let best: number | undefined;
  let largest = least;
  for (let row = 0; row < vector.length; row += 1) {
    if (passive[row] === true) continue;
    let gradient = at(vector, row);
    for (let column = 0; column < vector.length; column += 1) {
      gradient -= at(matrix, row * vector.length + column) * at(solution, column);
    }
    if (gradient > largest) {
      largest = gradient;
      best = row;
    }
  }
  return best;
}

/** Goes from a feasible solution towards that of the passive set, and drops what turns negative on the way. */
function retreat(
  matrix: Float64Array,
  vector: Float64Array,
  state: { solution: Float64Array; passive: boolean[]; nonNegative: readonly boolean[] },
): Float64Array {
  const { passive, nonNegative } = state;
  let from = state.solution;
  for (;;) {
    const wanted = solveSubset(matrix, vector, passive);
    const bad = [...wanted.keys()].filter(
      (index) => nonNegative[index] === true && passive[index] === true && at(wanted, index) <= 0,
    );
    if (bad.length === 0) return wanted;
    const share = Math.min(
      ...bad.map((index) => at(from, index) / Math.max(at(from, index) - at(wanted, index), Number.MIN_VALUE)),
    );
    from = from.map((value, index) => value + share * (at(wanted, index) - value));
    for (const index of bad)
      if (at(from, index) <= Number.EPSILON * Math.abs(at(wanted, index))) passive[index] = false;
    if (bad.every((index) => passive[index] === true)) for (const index of bad) passive[index] = false;
    from = from.map((value, index) => (passive[index] === true ? value : 0));
  }
}

function solveSubset(matrix: Float64Array, vector: Float64Array, passive: readonly boolean[]): Float64Array {
  const chosen = [...passive.keys()].filter((index) => passive[index] === true);
  const part = new Float64Array(chosen.length ** 2);
  for (const [row, source] of chosen.entries()) {
    for (const [column, other] of chosen.entries()) {
      part[row * chosen.length + column] = at(matrix, source * vector.length + other);
    }
  }
  const solved = solveSymmetric(
    part,
    Float64Array.from(chosen, (index) => at(vector, index)),
  );
  const solution = new Float64Array(vector.length);
  for (const [row, index] of chosen.entries()) solution[index] = at(solved, row);
  return solution;
}
