// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Features are cut into at most this many bins: a code fits a byte. */
const mostBins = 64;

/** Splits that gain less than this share of the node's own sum of squares are rounding errors. */
const leastGain = 1e-10;

/** Rows to learn trees from; every number is finite. */
export interface TreeRows {
  readonly width: number;
  /** Row after row. */
  readonly features: Float64Array;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
}

/** Features as numbers of bins. */
export interface Binned {
  readonly width: number;
  readonly count: number;
  /** Feature after feature. */
  readonly codes: Uint8Array;
  /** By feature, where one bin ends and the next begins, ascending. */
  readonly edges: readonly Float64Array[];
}

/**
 * Trees in one piece. A node goes left when the feature is below the threshold; a node without children (left is 0)
 * has a value.
 */
export interface Grove {
  readonly roots: Int32Array;
  readonly features: Int16Array;
  readonly thresholds: Float64Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly values: Float64Array;
}

/** A node while trees are grown. */
export interface TreeNode {
  feature: number;
  threshold: number;
  /** Position among the nodes of its tree; 0 for a leaf. */
  left: number;
  right: number;
  value: number;
}

/** How a tree is grown. */
export interface Growth {
  readonly depth: number;
  /** A leaf has at least so many rows. */
  readonly leastRows: number;
  /** So many features, drawn by `random`, are looked at in a split; default all. */
  readonly tried?: number;
  readonly random?: () => number;
}

/** Cuts each feature at its quantiles; where it has few values, between any two of them. */
export function bin({ width, features, targets }: TreeRows): Binned {
  const count = targets.length;
  const codes = new Uint8Array(width * count);
  const edges = Array.from({ length: width }, (_, feature) => {
    const column = Float64Array.from({ length: count }, (__, row) => at(features, row * width + feature));
    const cuts = cutsOf(column.toSorted());
    for (let row = 0; row < count; row += 1) codes[feature * count + row] = codeOf(cuts, at(column, row));
    return cuts;
  });
  return { width, count, codes, edges };
}

function cutsOf(sorted: Float64Array): Float64Array {
  const between = (index: number): number => (at(sorted, index - 1) + at(sorted, index)) / 2;
  const cuts: number[] = [];
  for (let index = 1; index < sorted.length && cuts.length < mostBins; index += 1) {
    if (at(sorted, index) > at(sorted, index - 1)) cuts.push(between(index));
  }
  if (cuts.length < mostBins) return Float64Array.from(cuts);
  const spaced = new Set<number>();
  for (let cut = 1; cut < mostBins; cut += 1) {
    let index = Math.round((cut * sorted.length) / mostBins);
    while (index < sorted.length && at(sorted, index) === at(sorted, index - 1)) index += 1;
    if (index < sorted.length) spaced.add(between(index));
  }
  return Float64Array.from(spaced);
}

/** The number of cuts that are not above the value. */
function codeOf(cuts: Float64Array, value: number): number {
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value < (cuts[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A piece of `order`, the numbers of rows, that one node holds. */
interface Piece {
  readonly node: number;
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** A tree, and by leaf the rows that are in it. */
export interface Grown {
  readonly nodes: TreeNode[];
  readonly order: Int32Array;
  readonly leaves: readonly Piece[];
}

/**
 * A regression tree by least squares: of all features and bins the split that leaves the smallest weighted sum of
 * squares (Breiman et al., "Classification and Regression Trees", 1984), found on histograms as LightGBM does (Ke et
 * al. 2017). `rows` may repeat rows; leaves have the weighted mean.
 */
export function growTree(binned: Binned, rows: Int32Array, targets: Targets, growth: Growth): Grown {
  const order = rows.slice();
  const nodes: TreeNode[] = [leaf()];
  const leaves: Piece[] = [];
  const pending: Piece[] = [{ node: 0, from: 0, to: order.length, depth: 0 }];
  const scratch: Scratch = createScratch(binned.width, order.length);
  for (let piece = pending.pop(); piece !== undefined; piece = pending.pop()) {
    const split =
      piece.depth < growth.depth ? bestSplit(binned, order, { piece, targets, growth, scratch }) : undefined;
    const node = nodes[piece.node];
    if (split === undefined || node === undefined) {
      leaves.push(piece);
      if (node !== undefined) node.value = meanOf(order, piece, targets);
      continue;
    }
    const middle = partition(binned, order, { piece, split, spare: scratch.spare });
    node.feature = split.feature;
    node.threshold = at(binned.edges[split.feature] ?? noEdges, split.cut);
    node.left = nodes.push(leaf()) - 1;
    node.right = nodes.push(leaf()) - 1;
    pending.push({ node: node.right, from: middle, to: piece.to, depth: piece.depth + 1 });
    pending.push({ node: node.left, from: piece.from, to: middle, depth: piece.depth + 1 });
  }
  return { nodes, order, leaves };
}

/** What a tree is fitted to, by row. */
export interface Targets {
  readonly values: Float64Array;
  readonly weights: Float64Array;
}

const noEdges = new Float64Array(0);

function leaf(): TreeNode {
  return { feature: 0, threshold: 0, left: 0, right: 0, value: 0 };
}

function meanOf(order: Int32Array, { from, to }: Piece, { values, weights }: Targets): number {
  let sum = 0;
  let total = 0;
  for (let index = from; index < to; index += 1) {
    const row = order[index] ?? 0;
    sum += at(weights, row) * at(values, row);
    total += at(weights, row);
  }
  return total > 0 ? sum / total : 0;
}

/** Arrays that are used again for every node. */
interface Scratch {
  readonly features: Int32Array;
  readonly spare: Int32Array;
  /** Of each bin of one feature: rows, weight, weighted sum of targets. */
  readonly counts: Float64Array;
  readonly weights: Float64Array;
  readonly sums: Float64Array;
}

function createScratch(width: number, rows: number): Scratch {
  return {
    features: Int32Array.from({ length: width }, (_, index) => index),
    spare: new Int32Array(rows),
    counts: new Float64Array(mostBins + 1),
    weights: new Float64Array(mostBins + 1),
    sums: new Float64Array(mostBins + 1),
  };
}

interface Search {
  readonly piece: Piece;
  readonly targets: Targets;
  readonly growth: Growth;
  readonly scratch: Scratch;
}

interface Split {
  readonly feature: number;
  /** Codes up to this one go left. */
  readonly cut: number;
  readonly gain: number;
}

function bestSplit(binned: Binned, order: Int32Array, search: Search): Split | undefined {
  const { piece, targets, growth, scratch } = search;
  if (piece.to - piece.from < 2 * growth.leastRows) return undefined;
  const { squares, ...sums } = sumsOf(order, piece, targets);
  let best: Split | undefined;
  let largest = leastGain * squares;
  for (const feature of scratch.features.subarray(0, drawFeatures(scratch.features, growth))) {
    fillHistogram(binned, order, { ...search, feature });
    const bins = (binned.edges[feature] ?? noEdges).length + 1;
    const split = bestCut(scratch, { ...sums, feature, bins, rows: piece.to - piece.from, growth });
    if (split === undefined || split.gain <= largest) continue;
    best = split;
    largest = split.gain;
  }
  return best;
}

function sumsOf(
  order: Int32Array,
  { from, to }: Piece,
  { values, weights }: Targets,
): { sum: number; total: number; squares: number } {
  let sum = 0;
  let total = 0;
  let squares = 0;
  for (const row of order.subarray(from, to)) {
    const weight = weights[row] ?? 0;
    const value = values[row] ?? 0;
    sum += weight * value;
    total += weight;
    squares += weight * value * value;
  }
  return { sum, total, squares };
}

/** Moves the features to look at to the front, and says how many they are. */
function drawFeatures(features: Int32Array, { tried, random }: Growth): number {
  if (tried === undefined || random === undefined || tried >= features.length) return features.length;
  for (let position = 0; position < tried; position += 1) {
    const other = position + Math.floor(random() * (features.length - position));
    const kept = features[position] ?? 0;
    features[position] = features[other] ?? 0;
    features[other] = kept;
  }
  return tried;
}

function fillHistogram(
  { codes, count }: Binned,
  order: Int32Array,
  { piece, targets, scratch, feature }: Search & { readonly feature: number },
): void {
  const { counts, weights, sums } = scratch;
  counts.fill(0);
  weights.fill(0);
  sums.fill(0);
  const column = feature * count;
  for (let index = piece.from; index < piece.to; index += 1) {
    const row = order[index] ?? 0;
    const code = codes[column + row] ?? 0;
    const weight = targets.weights[row] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
    weights[code] = (weights[code] ?? 0) + weight;
    sums[code] = (sums[code] ?? 0) + weight * (targets.values[row] ?? 0);
  }
}

interface Node {
  readonly feature: number;
  readonly sum: number;
  readonly total: number;
  readonly bins: number;
  readonly rows: number;
  readonly growth: Growth;
}

function bestCut({ counts, weights, sums }: Scratch, node: Node): Split | undefined {
  const { feature, sum, total, bins, rows, growth } = node;
  let best = 0;
  let gain = 0;
  let left = 0;
  let leftWeight = 0;
  let leftSum = 0;
  const parent = (sum * sum) / total;
  for (let cut = 0; cut < bins - 1; cut += 1) {
    left += at(counts, cut);
    leftWeight += at(weights, cut);
    leftSum += at(sums, cut);
    if (left < growth.leastRows) continue;
    if (rows - left < growth.leastRows) break;
    const rest = sum - leftSum;
    const gained = (leftSum * leftSum) / leftWeight + (rest * rest) / (total - leftWeight) - parent;
    // A cut after an empty bin gains the same: the first one counts.
    if (!(gained > gain)) continue;
    gain = gained;
    best = cut;
  }
  return gain > 0 ? { feature, cut: best, gain } : undefined;
}

/** Brings the rows that go left to the front of the piece, in their order, and says where the others begin. */
function partition(
  { codes, count }: Binned,
  order: Int32Array,
  { piece, split, spare }: { piece: Piece; split: Split; spare: Int32Array },
): number {
  let left = piece.from;
  let right = 0;
  const column = split.feature * count;
  for (let index = piece.from; index < piece.to; index += 1) {
    const row = order[index] ?? 0;
    if ((codes[column + row] ?? 0) <= split.cut) {
      order[left] = row;
      left += 1;
    } else {
      spare[right] = row;
      right += 1;
    }
  }
  order.set(spare.subarray(0, right), left);
  return left;
}

/** Packs trees into arrays. */
export function packTrees(trees: readonly (readonly TreeNode[])[]): Grove {
  const size = trees.reduce((sum, nodes) => sum + nodes.length, 0);
  const grove: Grove = {
    roots: new Int32Array(trees.length),
    features: new Int16Array(size),
    thresholds: new Float64Array(size),
    left: new Int32Array(size),
    right: new Int32Array(size),
    values: new Float64Array(size),
  };
  let base = 0;
  for (const [number, nodes] of trees.entries()) {
    grove.roots[number] = base;
    for (const [index, node] of nodes.entries()) {
      grove.features[base + index] = node.feature;
      grove.thresholds[base + index] = node.threshold;
      grove.left[base + index] = node.left === 0 ? 0 : base + node.left;
      grove.right[base + index] = node.left === 0 ? 0 : base + node.right;
      grove.values[base + index] = node.value;
    }
    base += nodes.length;
  }
  return grove;
}

/** The sum of the values of the leaves that a row of features falls into. */
export function sumOfTrees(grove: Grove, row: Float64Array): number {
  let sum = 0;
  for (const root of grove.roots) sum += at(grove.values, leafOf(grove, root, row));
  return sum;
}

function leafOf({ features, thresholds, left, right }: Grove, root: number, row: Float64Array): number {
  let node = root;
  for (let next = left[node] ?? 0; next !== 0; next = left[node] ?? 0) {
    node = at(row, features[node] ?? 0) < at(thresholds, node) ? next : (right[node] ?? 0);
  }
  return node;
}
