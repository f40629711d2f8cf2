// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../forecast/random.ts';
import { averagePathLength, growIsolationForest, isolationScore } from './isolation-forest.ts';
import { fitOneClassSvm, svmDecision } from './one-class-svm.ts';

interface Oracle {
  readonly rows: number[][];
  readonly points: number[][];
  readonly forest: {
    readonly sampleSize: number;
    readonly scores: number[];
    readonly trees: { feature: number[]; threshold: number[]; left: number[]; right: number[]; size: number[] }[];
  };
  readonly machines: { readonly nu: number; readonly gamma: number; readonly decisions: number[] }[];
}

/** Made by hack/oracles/anomaly.py. */
const oracle = JSON.parse(readFileSync(new URL('anomaly.oracle.json', import.meta.url), 'utf8')) as Oracle;
const rows = Float64Array.from(oracle.rows.flat());

/** Two normal-looking columns, and one row far away. */
function cloud(seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: 600 }, () => random() + random() + random() - 1.5);
}

describe('isolation forest', () => {
  test("has scikit-learn's scores on scikit-learn's trees", () => {
    const trees = oracle.forest.trees.map(({ feature, threshold, left, right, size }) => ({
      feature: Int32Array.from(feature),
      threshold: Float64Array.from(threshold),
      left: Int32Array.from(left),
      right: Int32Array.from(right),
      size: Int32Array.from(size),
    }));
    for (const [index, point] of oracle.points.entries()) {
      const score = isolationScore({ trees, sampleSize: oracle.forest.sampleSize }, point);
      expect(score).toBeCloseTo(oracle.forest.scores[index] ?? Number.NaN, 6);
    }
  });

  test('has the average path lengths of the paper', () => {
    expect([0, 1, 2].map(averagePathLength)).toEqual([0, 0, 1]);
    expect(averagePathLength(256)).toBeCloseTo(10.2448, 4);
  });

  test('tells what lies apart from what does not, the same with the same seed', () => {
    const forest = growIsolationForest(cloud(1), 2);
    expect(forest.trees).toHaveLength(100);
    expect(isolationScore(forest, [6, 6])).toBeGreaterThan(0.7);
    expect(isolationScore(forest, [0, 0])).toBeLessThan(0.5);
    expect(growIsolationForest(cloud(1), 2)).toEqual(forest);
    expect(growIsolationForest(cloud(1), 2, { seed: 2 })).not.toEqual(forest);
  });

  test('finds nothing odd in rows that are all the same', () => {
    expect(isolationScore(growIsolationForest(new Float64Array(40).fill(3), 2), [3, 3])).toBeCloseTo(0.5, 10);
  });
});

describe('one-class SVM', () => {
  test.each(oracle.machines)("has scikit-learn's decision values within 2 %: nu $nu", ({ nu, gamma, decisions }) => {
    const svm = fitOneClassSvm(rows, 2, { nu, gamma, tolerance: 1e-6 });
    for (const [index, point] of oracle.points.entries()) {
      const wanted = decisions[index] ?? Number.NaN;
      expect(Math.abs(svmDecision(svm, point) - wanted)).toBeLessThanOrEqual(0.02 * Math.abs(wanted));
    }
  });

  test('takes the same gamma as scikit-learn unless told', () => {
    expect(fitOneClassSvm(rows, 2, { nu: 0.05 }).gamma).toBeCloseTo(oracle.machines[0]?.gamma ?? Number.NaN, 6);
  });

  test('leaves about nu of the rows outside, and far points far outside', () => {
    const data = cloud(2);
    const svm = fitOneClassSvm(data, 2, { nu: 0.1 });
    const outside = Array.from({ length: 300 }, (_, row) => svmDecision(svm, data.subarray(2 * row, 2 * row + 2)));
    expect(outside.filter((decision) => decision < -1e-3).length).toBeLessThanOrEqual(31);
    expect(svmDecision(svm, [9, 9])).toBeCloseTo(-svm.rho, 6);
  });
});
