// SPDX-License-Identifier: Apache-2.0
// The detectors that learn from several features at once, isolation forest and one-class SVM, kept up to date.
import { at } from '../../series/time-series.ts';
import { growIsolationForest, isolationScore } from './isolation-forest.ts';
import type { IsolationForest } from './isolation-forest.ts';
import { fitOneClassSvm, svmDecision } from './one-class-svm.ts';
import type { OneClassSvm } from './one-class-svm.ts';
import { createRandom } from '../random.ts';

/** Rows before the first fit, and how much more there must be for the next. */
const firstFit = 150;
const growth = 1.1;

/** Rows to learn from: a random choice of all so far. */
const forestRows = 2048;
const svmRows = 256;

/** Share of rows that may lie outside of the SVM's boundary. */
const svmNu = 0.02;

/** The kernel is zero, to the computer, further out. */
const furthest = 700;

/** What the two make of a row; 0 before they have learnt. */
export interface LearnedScores {
  /** Anomaly score of the paper, 0 to 1. */
  readonly forest: number;
  /** ln(rho / (decision + rho)): 0 inside the boundary, outside about gamma times the squared distance from the rows. */
  readonly svm: number;
}

export interface LearnedNormal {
  /** Scores a row by the rows before it, then learns it; NaN counts as the median of its column. */
  observe(row: ArrayLike<number>): LearnedScores;
}

interface Fitted {
  readonly centre: Float64Array;
  readonly width: Float64Array;
  readonly forest: IsolationForest;
  readonly svm: OneClassSvm;
}

/** @param columns numbers in a row */
export function createLearnedNormal(columns: number): LearnedNormal {
  const reservoir: Float64Array[] = [];
  const random = createRandom(7);
  let [seen, next] = [0, firstFit];
  let fitted: Fitted | undefined;
  return {
    observe: (row) => {
      const scores = fitted === undefined ? { forest: 0, svm: 0 } : scoreRow(fitted, row);
      // Vitter's algorithm R: every row so far is in the reservoir with the same probability.
      const place = seen < forestRows ? seen : Math.floor(random() * (seen + 1));
      if (place < forestRows) reservoir[place] = Float64Array.from({ length: columns }, (_, index) => row[index] ?? 0);
      seen += 1;
      if (seen >= next) {
        fitted = learn(reservoir, columns);
        next = Math.ceil(growth * seen);
      }
      return scores;
    },
  };
}

function scoreRow({ centre, width, forest, svm }: Fitted, row: ArrayLike<number>): LearnedScores {
  const scaled = centre.map((middle, column) => scale(row[column] ?? Number.NaN, middle, at(width, column)));
  const inside = svmDecision(svm, scaled) / svm.rho + 1;
  return { forest: isolationScore(forest, scaled), svm: Math.max(0, Math.min(furthest, -Math.log(inside))) };
}

function learn(reservoir: readonly Float64Array[], columns: number): Fitted {
  const [centre, width] = [new Float64Array(columns), new Float64Array(columns).fill(1)];
  for (let column = 0; column < columns; column += 1) {
    const sorted = Float64Array.from(reservoir, (row) => at(row, column))
      .filter(Number.isFinite)
      .sort();
    if (sorted.length === 0) continue;
    const quantile = (share: number): number => at(sorted, Math.floor(share * (sorted.length - 1)));
    centre[column] = quantile(0.5);
    width[column] = quantile(0.95) - quantile(0.05) || quantile(1) - quantile(0) || 1;
  }
  const rows = new Float64Array(reservoir.length * columns);
  for (const [index, row] of reservoir.entries()) {
    for (let column = 0; column < columns; column += 1) {
      rows[index * columns + column] = scale(at(row, column), at(centre, column), at(width, column));
    }
  }
  return {
    centre,
    width,
    forest: growIsolationForest(rows, columns),
    svm: fitOneClassSvm(spreadOut(rows, columns), columns, { nu: svmNu, tolerance: 1e-3 }),
  };
}

/** Some rows of all, evenly spread. */
function spreadOut(rows: Float64Array, columns: number): Float64Array {
  const count = rows.length / columns;
  if (count <= svmRows) return rows;
  const chosen = new Float64Array(svmRows * columns);
  for (let index = 0; index < svmRows; index += 1) {
    const row = Math.floor((index * count) / svmRows);
    chosen.set(rows.subarray(row * columns, (row + 1) * columns), index * columns);
  }
  return chosen;
}

function scale(value: number, centre: number, width: number): number {
  return Number.isFinite(value) ? (value - centre) / width : 0;
}
