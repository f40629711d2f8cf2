// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Pivots below this share of their diagonal say that a column is a sum of the others: it gets no weight. */
const singular = 1e-12;

/** Solves A x = b for a symmetric, positive semidefinite A (row after row) by Cholesky's decomposition. */
export function solveSymmetric(matrix: Float64Array, right: Float64Array): Float64Array {
  const size = right.length;
  const lower = new Float64Array(size * size);
  const solution = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let sum = at(matrix, row * size + column);
      for (let index = 0; index < column; index += 1) {
        sum -= at(lower, row * size + index) * at(lower, column * size + index);
      }
      if (column < row) {
        const pivot = at(lower, column * size + column);
        lower[row * size + column] = pivot === 0 ? 0 : sum / pivot;
      } else {
        lower[row * size + row] = sum > singular * at(matrix, row * size + row) ? Math.sqrt(sum) : 0;
      }
    }
  }
  for (let row = 0; row < size; row += 1) {
    let sum = at(right, row);
    for (let index = 0; index < row; index += 1) sum -= at(lower, row * size + index) * at(solution, index);
    const pivot = at(lower, row * size + row);
    solution[row] = pivot === 0 ? 0 : sum / pivot;
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    let sum = at(solution, row);
    for (let index = row + 1; index < size; index += 1) sum -= at(lower, index * size + row) * at(solution, index);
    const pivot = at(lower, row * size + row);
    solution[row] = pivot === 0 ? 0 : sum / pivot;
  }
  return solution;
}
