// SPDX-License-Identifier: Apache-2.0
// Liu, Ting & Zhou, "Isolation Forest", ICDM 2008: what few random cuts set apart from the rest is odd.
import { at } from '../../series/time-series.ts';
import { createRandom } from '../random.ts';

/** A tree in flat arrays, the root first; `left[node]` is -1 for a leaf. */
export interface IsolationTree {
  readonly feature: Int32Array;
  /** Rows with a value up to this go left. */
  readonly threshold: Float64Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Rows of the sub-sample that reached the node. */
  readonly size: Int32Array;
}

/** Plain data: `structuredClone` copies it. */
export interface IsolationForest {
  readonly trees: readonly IsolationTree[];
  /** Rows that each tree was grown from. */
  readonly sampleSize: number;
}

export interface IsolationForestOptions {
  readonly trees?: number;
  readonly sampleSize?: number;
  readonly seed?: number;
}

/** The paper's: enough for most, and more make neighbours of an anomaly hide it (swamping and masking). */
const defaultSampleSize = 256;
const defaultTrees = 100;

const eulerGamma = 0.577_215_664_901_532_9;

/**
 * Grows a forest; the same rows and seed give the same forest.
 * @param rows one array of numbers, `columns` for each row; all finite
 */
export function growIsolationForest(
  rows: Float64Array,
  columns: number,
  options: IsolationForestOptions = {},
): IsolationForest {
  const count = Math.floor(rows.length / columns);
  const random = createRandom(options.seed ?? 1);
  const sampleSize = Math.min(options.sampleSize ?? defaultSampleSize, count);
  const order = Int32Array.from({ length: count }, (_, index) => index);
  const trees = Array.from({ length: options.trees ?? defaultTrees }, () => {
    // The first sampleSize of a shuffle: a sample without replacement.
    for (let index = 0; index < sampleSize; index += 1)
      swap(order, index, index + Math.floor(random() * (count - index)));
    return growTree({ rows, columns, members: order.slice(0, sampleSize), random });
  });
  return { trees, sampleSize };
}

/** From 0 to 1: about 0.5 for what is like the rest, near 1 for an anomaly; `2^(-E(h)/c(n))` of the paper. */
export function isolationScore({ trees, sampleSize }: IsolationForest, row: ArrayLike<number>): number {
  let total = 0;
  for (const tree of trees) total += pathLength(tree, row);
  const usual = averagePathLength(sampleSize);
  return usual === 0 || trees.length === 0 ? 0.5 : 2 ** (-total / trees.length / usual);
}

/** c(n) of the paper: the average depth of an unsuccessful search in a binary search tree of n rows. */
export function averagePathLength(rows: number): number {
  if (rows <= 1) return 0;
  if (rows === 2) return 1;
  return 2 * (Math.log(rows - 1) + eulerGamma) - (2 * (rows - 1)) / rows;
}

function pathLength(tree: IsolationTree, row: ArrayLike<number>): number {
  let node = 0;
  let depth = 0;
  while ((tree.left[node] ?? -1) >= 0) {
    const below = (row[tree.feature[node] ?? 0] ?? 0) <= at(tree.threshold, node);
    node = (below ? tree.left[node] : tree.right[node]) ?? 0;
    depth += 1;
  }
  return depth + averagePathLength(tree.size[node] ?? 0);
}

/** A node that is still to be cut, and where its rows lie. */
interface Branch {
  readonly node: number;
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

interface Growth {
  readonly rows: Float64Array;
  readonly columns: number;
  /** The rows of the sample; reordered, so that those of a node lie together. */
  readonly members: Int32Array;
  readonly random: () => number;
}

interface Cut {
  readonly feature: number;
  readonly threshold: number;
}

function growTree(growth: Growth): IsolationTree {
  const { members } = growth;
  const tree = emptyTree(2 * members.length);
  const limit = Math.ceil(Math.log2(Math.max(2, members.length)));
  const open: Branch[] = [{ node: 0, from: 0, to: members.length, depth: 0 }];
  let nodes = 1;
  for (let branch = open.pop(); branch !== undefined; branch = open.pop()) {
    const { node, from, to, depth } = branch;
    tree.size[node] = to - from;
    const cut = depth < limit && to - from > 1 ? drawCut(growth, from, to) : undefined;
    if (cut === undefined) continue;
    const middle = partition(growth, cut, from, to);
    tree.feature[node] = cut.feature;
    tree.threshold[node] = cut.threshold;
    tree.left[node] = nodes;
    tree.right[node] = nodes + 1;
    open.push(
      { node: nodes + 1, from: middle, to, depth: depth + 1 },
      { node: nodes, from, to: middle, depth: depth + 1 },
    );
    nodes += 2;
  }
  return tree;
}

function emptyTree(nodes: number): IsolationTree {
  return {
    feature: new Int32Array(nodes),
    threshold: new Float64Array(nodes),
    left: new Int32Array(nodes).fill(-1),
    right: new Int32Array(nodes).fill(-1),
    size: new Int32Array(nodes),
  };
}

/** A feature that differs within the node, at random, and a place between its extremes; undefined if none differs. */
function drawCut({ rows, columns, members, random }: Growth, from: number, to: number): Cut | undefined {
  const first = Math.floor(random() * columns);
  for (let turn = 0; turn < columns; turn += 1) {
    const feature = (first + turn) % columns;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let index = from; index < to; index += 1) {
      const value = at(rows, (members[index] ?? 0) * columns + feature);
      if (value < low) low = value;
      if (value > high) high = value;
    }
    // Below the highest value, so that neither side is empty.
    const threshold = low + random() * (high - low);
    if (low < high) return { feature, threshold: threshold < high ? threshold : low };
  }
  return undefined;
}

/** Brings the rows that go left to the front; where the others begin. */
function partition({ rows, columns, members }: Growth, { feature, threshold }: Cut, from: number, to: number): number {
  let middle = from;
  for (let index = from; index < to; index += 1) {
    if (at(rows, (members[index] ?? 0) * columns + feature) > threshold) continue;
    swap(members, index, middle);
    middle += 1;
  }
  return middle;
}

function swap(values: Int32Array, left: number, right: number): void {
  const value = values[left] ?? 0;
  values[left] = values[right] ?? 0;
  values[right] = value;
}
