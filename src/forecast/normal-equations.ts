// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Pivots below this share of their diagonal say that a column is a sum of the others: it gets no weight. */
const singular = 1e-12;

/** Solves A x = b for a symmetric, positive semidefinite A (row after row) by Cholesky's decomposition. */
export function solveSymmetric(matrix: Float64Array, right: Float64Array): Float64Array {
  const size = right.length;
  const lower = decompose(matrix, size);
  const solution = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    let sum = at(right, row);
    for (let index = 0; index < row; index += 1) sum -= at(lower, row * size + index) * at(solution, index);
    solution[row] = over(sum, at(lower, row * size + row));
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    let sum = at(solution, row);
    for (let index = row + 1; index < size; index += 1) sum -= at(lower, index * size + row) * at(solution, index);
    solution[row] = over(sum, at(lower, row * size + row));
  }
  return solution;
}

/** The lower triangle; a column that is a sum of those before it is all zero. */
function decompose(matrix: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let sum = at(matrix, row * size + column);
      for (let index = 0; index < column; index += 1) {
        sum -= at(lower, row * size + index) * at(lower, column * size + index);
      }
      if (column < row) lower[row * size + column] = over(sum, at(lower, column * size + column));
      else if (sum > singular * at(matrix, row * size + row)) lower[row * size + row] = Math.sqrt(sum);
    }
  }
  return lower;
}

function over(sum: number, pivot: number): number {
  return pivot === 0 ? 0 : sum / pivot;
}
