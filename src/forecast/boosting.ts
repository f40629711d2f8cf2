// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { pinball } from './accuracy.ts';
import { rowOf } from './forest.ts';
import type { Learnt } from './forest.ts';
import { bin, growTree, packTrees, sumOfTrees } from './trees.ts';
import type { Grove, Grown, Growth, TreeNode, TreeRows } from './trees.ts';

/** How trees are boosted. */
export interface BoostingShape {
  /** The quantile that is forecast: 0.5 is the median. */
  readonly quantile: number;
  readonly rounds: number;
  /** Share of each tree that is taken. */
  readonly rate: number;
  readonly growth: Growth;
}

/** This share of the rows, the last ones, says how many trees are good. */
const judgedShare = 0.25;

/** A number of trees must be better than none by this factor. */
const worthwhile = 0.998;

/**
 * Gradient boosting of the pinball loss (Friedman 2001, "Greedy Function Approximation"; the steps are scikit-learn's
 * GradientBoostingRegressor(loss='quantile')): each tree is grown on the signs of the residuals, and its leaves have the
 * residuals' quantile. The first forecast is `start`.
 */
export function boost(rows: TreeRows, { quantile, rounds, rate, growth }: BoostingShape, start: number): TreeNode[][] {
  const binned = bin(rows);
  const { targets, weights } = rows;
  const all = Int32Array.from(targets, (_, row) => row);
  const residuals = targets.map((target) => target - start);
  const gradients = new Float64Array(targets.length);
  return Array.from({ length: rounds }, () => {
    for (let row = 0; row < gradients.length; row += 1) {
      gradients[row] = (residuals[row] ?? 0) > 0 ? quantile : quantile - 1;
    }
    const grown = growTree(binned, all, { values: gradients, weights }, growth);
    setLeaves(grown, { residuals, weights, quantile, rate });
    return grown.nodes;
  });
}

/** Gives leaves their value, and takes it from the residuals. */
function setLeaves(
  { nodes, order, leaves }: Grown,
  {
    residuals,
    weights,
    quantile,
    rate,
  }: { residuals: Float64Array; weights: Float64Array; quantile: number; rate: number },
): void {
  for (const { node, from, to } of leaves) {
    const rows = order.subarray(from, to);
    const value = rate * weightedQuantile(rows, residuals, { weights, quantile });
    const place = nodes[node];
    if (place !== undefined) place.value = value;
    for (const row of rows) residuals[row] = at(residuals, row) - value;
  }
}

/** The smallest of the values below or at which there is the share `quantile` of the weight. */
function weightedQuantile(
  rows: Int32Array,
  values: Float64Array,
  { weights, quantile }: { weights: Float64Array; quantile: number },
): number {
  const sorted = rows.toSorted((one, other) => at(values, one) - at(values, other));
  let total = 0;
  for (const row of sorted) total += at(weights, row);
  let below = 0;
  for (const row of sorted) {
    below += at(weights, row);
    if (below >= quantile * total) return at(values, row);
  }
  return 0;
}

/** Boosts on the earlier rows for as long as that helps on the later ones; rows are in the order of time. */
export function boostCarefully(rows: TreeRows, shape: BoostingShape): Learnt {
  const count = rows.targets.length;
  const known = Math.floor(count * (1 - judgedShare));
  const part: TreeRows = {
    width: rows.width,
    features: rows.features.subarray(0, known * rows.width),
    targets: rows.targets.subarray(0, known),
    weights: rows.weights.subarray(0, known),
  };
  const trees = boost(part, shape, 0);
  const best = bestCount(rows, known, { trees, quantile: shape.quantile });
  return { grove: packTrees(trees.slice(0, best)), factor: 1 };
}

function bestCount(
  rows: TreeRows,
  known: number,
  { trees, quantile }: { trees: readonly TreeNode[][]; quantile: number },
): number {
  const said = new Float64Array(rows.targets.length);
  const loss = (): number => {
    let sum = 0;
    for (let row = known; row < said.length; row += 1) {
      sum += at(rows.weights, row) * pinball(at(rows.targets, row), at(said, row), quantile);
    }
    return sum;
  };
  let best = 0;
  let smallest = worthwhile * loss();
  for (const [index, nodes] of trees.entries()) {
    const tree: Grove = packTrees([nodes]);
    for (let row = known; row < said.length; row += 1) said[row] = at(said, row) + sumOfTrees(tree, rowOf(rows, row));
    const now = loss();
    if (now >= smallest) continue;
    smallest = now;
    best = index + 1;
  }
  return best;
}
