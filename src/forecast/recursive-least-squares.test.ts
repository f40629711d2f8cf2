// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { createLeastSquares, emptyLeastSquares } from './recursive-least-squares.ts';

const size = 4;

function points(seed: number, count: number): { row: Float64Array; value: number }[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const row = Float64Array.from({ length: size }, (_, index) => (index === 0 ? 1 : random() - 0.5));
    return { row, value: 3 + 2 * (row[1] ?? 0) - (row[2] ?? 0) + 0.1 * random() };
  });
}

/** Gauss–Jordan elimination, to have another way. */
function eliminate(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index] ?? 0]);
  for (let pivot = 0; pivot < rows.length; pivot += 1) {
    const divisor = rows[pivot]?.[pivot] ?? 1;
    const scaled = (rows[pivot] ?? []).map((value) => value / divisor);
    rows[pivot] = scaled;
    for (const [index, row] of rows.entries()) {
      if (index === pivot) continue;
      const factor = row[pivot] ?? 0;
      rows[index] = row.map((value, column) => value - factor * (scaled[column] ?? 0));
    }
  }
  return rows.map((row) => row.at(-1) ?? Number.NaN);
}

describe('recursive least squares', () => {
  test('keeps its coefficients until enough points are new', () => {
    const squares = createLeastSquares(emptyLeastSquares(1, new Float64Array(size).fill(0.1), 3));
    const [first, ...rest] = Array.from(points(2, 4), ({ row, value }) => {
      squares.update(row, value);
      return squares.coefficients().slice();
    });
    expect(rest[0]).toEqual(first);
    expect(rest[1]).toEqual(first);
    expect(rest[2]).not.toEqual(first);
  });

  test('solves the weighted normal equations of all points, within 1e-6', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(1, 0.99, 0.9), fc.constantFrom(0.01, 1), (seed, decay, ridge) => {
        const data = points(seed, 60);
        const squares = createLeastSquares(emptyLeastSquares(decay, new Float64Array(size).fill(ridge)));
        for (const { row, value } of data) squares.update(row, value);
        const weigh = (index: number): number => decay ** (data.length - 1 - index);
        const matrix = Array.from({ length: size }, (_, i) =>
          Array.from({ length: size }, (__, j) =>
            data.reduce(
              (sum, { row }, index) => sum + weigh(index) * (row[i] ?? 0) * (row[j] ?? 0),
              i === j ? ridge : 0,
            ),
          ),
        );
        const right = Array.from({ length: size }, (_, i) =>
          data.reduce((sum, { row, value }, index) => sum + weigh(index) * (row[i] ?? 0) * value, 0),
        );
        const expected = eliminate(matrix, right);
        for (const [index, value] of squares.coefficients().entries()) {
          expect(Math.abs(value - (expected[index] ?? Number.NaN))).toBeLessThan(1e-6);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('is the textbook recursion in covariance form, when its first covariance is that of the ridge', () => {
    const data = points(5, 80);
    const squares = createLeastSquares(emptyLeastSquares(1, new Float64Array(size).fill(0.5)));
    let beta = Array.from({ length: size }, () => 0);
    let covariance = Array.from({ length: size }, (_, i) =>
      Array.from({ length: size }, (__, j): number => (i === j ? 2 : 0)),
    );
    for (const { row, value } of data) {
      squares.update(row, value);
      const x = [...row];
      const px = covariance.map((line) => line.reduce((sum, p, j) => sum + p * (x[j] ?? 0), 0));
      const denominator = 1 + x.reduce((sum, entry, i) => sum + entry * (px[i] ?? 0), 0);
      const error = value - x.reduce((sum, entry, i) => sum + entry * (beta[i] ?? 0), 0);
      beta = beta.map((b, i) => b + ((px[i] ?? 0) / denominator) * error);
      covariance = covariance.map((line, i) => line.map((p, j) => p - ((px[i] ?? 0) * (px[j] ?? 0)) / denominator));
    }
    for (const [index, value] of squares.coefficients().entries()) expect(value).toBeCloseTo(beta[index] ?? 9, 8);
  });

  test('gives a column that repeats another one no weight of its own', () => {
    const squares = createLeastSquares(emptyLeastSquares(1, new Float64Array(2)));
    for (const x of [1, 2, 3]) squares.update(new Float64Array([x, x]), 2 * x);
    expect([...squares.coefficients()]).toEqual([2, 0]);
  });

  test('goes on from its snapshot', () => {
    const squares = createLeastSquares(emptyLeastSquares(0.9, new Float64Array(size).fill(0.1)));
    const data = points(1, 20);
    for (const { row, value } of data.slice(0, 10)) squares.update(row, value);
    const other = createLeastSquares(structuredClone(squares.snapshot()));
    for (const { row, value } of data.slice(10)) {
      squares.update(row, value);
      other.update(row, value);
    }
    expect(other.coefficients()).toEqual(squares.coefficients());
  });
});
