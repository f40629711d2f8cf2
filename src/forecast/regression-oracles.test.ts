// SPDX-License-Identifier: Apache-2.0
// Against scikit-learn and SciPy: hack/oracles/regression.py made golden/regression.json.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { at } from '../series/time-series.ts';
import { fitPosterior } from './additive.ts';
import { boost } from './boosting.ts';
import { addRow, createNormalEquations, mirror, solveNonNegative, solveSymmetric } from './normal-equations.ts';
import type { NormalEquations } from './normal-equations.ts';
import { dot, fitRidge } from './ridge.ts';
import { bin, growTree, packTrees, sumOfTrees } from './trees.ts';
import type { TreeNode, TreeRows } from './trees.ts';

interface Golden {
  readonly ridge: {
    readonly x: number[][];
    readonly y: number[];
    readonly weights: number[];
    readonly alpha: number;
    readonly coefficients: number[];
    readonly standardisedPenalty: number;
    readonly standardisedPredictions: number[];
  };
  readonly nonNegative: readonly { a: number[][]; b: number[]; all: number[]; everySecond: number[] }[];
  readonly trees: {
    readonly x: number[][];
    readonly y: number[];
    readonly weights: number[];
    readonly tree: number[];
    readonly median: number[][];
    readonly upper: number[][];
  };
  readonly posterior: {
    readonly x: number[][];
    readonly y: number[];
    readonly kinds: readonly ('normal' | 'laplace')[];
    readonly scales: number[];
    readonly density: number;
    readonly coefficients: number[];
    readonly sigma: number;
    readonly fitted: number[];
  };
}

const golden = JSON.parse(readFileSync(new URL('golden/regression.json', import.meta.url), 'utf8')) as Golden;

function equationsOf(x: readonly number[][], y: readonly number[], weights: readonly number[] = []): NormalEquations {
  const equations = createNormalEquations(x[0]?.length ?? 0);
  for (const [row, features] of x.entries())
    addRow(equations, Float64Array.from(features), y[row] ?? 0, weights[row] ?? 1);
  mirror(equations);
  return equations;
}

/** The largest difference, relative to one more than what is expected. */
function distance(actual: Iterable<number>, expected: readonly number[]): number {
  const values = [...actual];
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Math.max(
    ...values.map((value, index) => Math.abs(value - (expected[index] ?? 0)) / (1 + Math.abs(expected[index] ?? 0))),
  );
}

describe('least squares', () => {
  const { ridge } = golden;

  test('ridge regression is that of scikit-learn', () => {
    const equations = equationsOf(
      ridge.x.map((row) => [1, ...row]),
      ridge.y,
      ridge.weights,
    );
    const { matrix, vector, width } = equations;
    for (let column = 1; column < width; column += 1) {
      matrix[column * (width + 1)] = at(matrix, column * (width + 1)) + ridge.alpha;
    }
    expect(distance(solveSymmetric(matrix, vector), ridge.coefficients)).toBeLessThanOrEqual(1e-6);
  });

  test('ridge regression on features in units of their deviation is that of scikit-learn', () => {
    const rows = ridge.x.map((row) => [1, ...row]);
    const width = rows[0]?.length ?? 0;
    const features = Float64Array.from(rows.flat());
    const targets = Float64Array.from(ridge.y);
    const weights = new Float64Array(targets.length).fill(1);
    const coefficients = fitRidge({ width, features, targets, weights }, ridge.standardisedPenalty);
    expect(
      distance(
        targets.map((_, row) => dot(coefficients, features, row * width)),
        ridge.standardisedPredictions,
      ),
    ).toBeLessThanOrEqual(1e-6);
  });

  test.each(golden.nonNegative)('non-negative least squares are those of SciPy', ({ a, b, all, everySecond }) => {
    const { matrix, vector } = equationsOf(a, b);
    expect(
      distance(
        solveNonNegative(
          matrix,
          vector,
          all.map(() => true),
        ),
        all,
      ),
    ).toBeLessThanOrEqual(1e-6);
    const mixed = everySecond.map((_, index) => index % 2 === 0);
    expect(distance(solveNonNegative(matrix, vector, mixed), everySecond)).toBeLessThanOrEqual(1e-6);
  });

  test('a column that is the sum of others does no harm', () => {
    const x = golden.ridge.x.map(([one = 0, two = 0]) => [one, two, one + two]);
    const { matrix, vector } = equationsOf(x, golden.ridge.y);
    const solution = solveSymmetric(matrix, vector);
    expect(solution.every(Number.isFinite)).toBe(true);
    const two = equationsOf(
      x.map((row) => row.slice(0, 2)),
      golden.ridge.y,
    );
    expect(
      distance(
        x.map((row) => row.reduce((sum, value, column) => sum + value * at(solution, column), 0)),
        x.map(([one = 0, other = 0]) => {
          const [first = 0, second = 0] = solveSymmetric(two.matrix, two.vector);
          return one * first + other * second;
        }),
      ),
    ).toBeLessThanOrEqual(1e-6);
  });
});

describe('trees', () => {
  const { x, y, tree, median, upper, weights } = golden.trees;
  const rows: TreeRows = {
    width: 4,
    features: Float64Array.from(x.flat()),
    targets: Float64Array.from(y),
    weights: new Float64Array(y.length).fill(1),
  };
  const sumAt = (trees: readonly TreeNode[][]): number[] => {
    const grove = packTrees(trees);
    return x.slice(0, tree.length).map((probe) => sumOfTrees(grove, Float64Array.from(probe)));
  };

  test('a weighted regression tree is that of scikit-learn', () => {
    const all = Int32Array.from(y, (_, row) => row);
    const targets = { values: rows.targets, weights: Float64Array.from(weights) };
    const { nodes } = growTree(bin(rows), all, targets, { depth: 4, leastRows: 7 });
    expect(distance(sumAt([nodes]), tree)).toBeLessThanOrEqual(1e-9);
  });

  test.each([
    { name: 'median', stages: median, shape: { quantile: 0.5, rate: 0.1, growth: { depth: 3, leastRows: 10 } } },
    { name: '90 % quantile', stages: upper, shape: { quantile: 0.9, rate: 0.2, growth: { depth: 2, leastRows: 10 } } },
  ])('boosting of the $name is that of scikit-learn, tree after tree', ({ stages, shape }) => {
    expect(stages.length).toBeGreaterThanOrEqual(5);
    const trees = boost(rows, { ...shape, rounds: stages.length }, 0);
    for (const [stage, expected] of stages.entries())
      expect(distance(sumAt(trees.slice(0, stage + 1)), expected)).toBeLessThanOrEqual(1e-9);
  });
});

test('the posterior of the additive model is as dense as the densest that L-BFGS-B of SciPy finds', () => {
  const { x, y, kinds, scales, density, sigma, fitted, coefficients } = golden.posterior;
  const priors = kinds.map((kind, index) => ({ kind, scale: scales[index] ?? 0 }));
  const found = fitPosterior(equationsOf(x, y), priors);
  const said = x.map((row) => row.reduce((sum, value, column) => sum + value * at(found.coefficients, column), 0));
  const squares = y.reduce((sum, value, row) => sum + (value - (said[row] ?? 0)) ** 2, 0);
  let logDensity = (-y.length / 2) * Math.log(found.variance) - squares / (2 * found.variance) - 2 * found.variance;
  for (const [column, { kind, scale }] of priors.entries()) {
    const size = at(found.coefficients, column) / scale;
    logDensity -= kind === 'laplace' ? Math.abs(size) : size ** 2 / 2;
  }
  expect(Math.abs(logDensity - density)).toBeLessThan(1e-3);
  expect(Math.sqrt(found.variance) / sigma).toBeCloseTo(1, 3);
  expect(distance(said, fitted)).toBeLessThanOrEqual(0.002);
  expect(distance(found.coefficients.subarray(14), coefficients.slice(14))).toBeLessThanOrEqual(0.002);
});
