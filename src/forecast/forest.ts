// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { createRandom } from './random.ts';
import { bin, growTree, packTrees, sumOfTrees } from './trees.ts';
import type { Grove, Growth, TreeRows } from './trees.ts';

/** Rows and, by row, the block (a day) that it belongs to: blocks are drawn, not rows, as neighbours are alike. */
export interface BlockedRows extends TreeRows {
  readonly blocks: Int32Array;
}

/** Trees whose sum, times `factor`, is the forecast. */
export interface Learnt {
  readonly grove: Grove;
  readonly factor: number;
}

/** How a forest is grown. */
export interface ForestShape {
  readonly trees: number;
  readonly growth: Growth;
  readonly seed: number;
}

/**
 * A random forest (Breiman 2001): trees on bootstrap samples of the blocks, each split on a third of the features.
 * What the forest says is shrunk by the factor that would have been best for the rows outside of each tree's sample;
 * where it has nothing to say that is 0.
 */
export function growForest(rows: BlockedRows, { trees, growth, seed }: ForestShape): Learnt {
  const random = createRandom(seed);
  const binned = bin(rows);
  const targets = { values: rows.targets, weights: rows.weights };
  const members = membersOf(rows.blocks);
  const outside = new Float64Array(rows.targets.length);
  const counts = new Float64Array(rows.targets.length);
  const grown = Array.from({ length: trees }, () => {
    const { sample, left } = draw(members, random);
    const { nodes } = growTree(binned, sample, targets, { tried: Math.ceil(rows.width / 3), ...growth, random });
    const tree = packTrees([nodes]);
    for (const row of left) {
      outside[row] = at(outside, row) + sumOfTrees(tree, rowOf(rows, row));
      counts[row] = at(counts, row) + 1;
    }
    return nodes;
  });
  return { grove: packTrees(grown), factor: shrinkage(rows, outside, counts) / trees };
}

/** The features of one row, without a copy. */
export function rowOf({ width, features }: TreeRows, row: number): Float64Array {
  return features.subarray(row * width, (row + 1) * width);
}

function membersOf(blocks: Int32Array): number[][] {
  const byBlock = new Map<number, number[]>();
  blocks.forEach((block, row) => {
    const list = byBlock.get(block);
    if (list === undefined) byBlock.set(block, [row]);
    else list.push(row);
  });
  return [...byBlock.values()];
}

/** As many blocks as there are, drawn with replacement, and the rows of those that were not drawn. */
function draw(members: readonly (readonly number[])[], random: () => number): { sample: Int32Array; left: number[] } {
  const drawn = members.map(() => Math.floor(random() * members.length));
  const taken = new Set(drawn);
  return {
    sample: Int32Array.from(drawn.flatMap((block) => members[block] ?? [])),
    left: members.flatMap((rows, block) => (taken.has(block) ? [] : rows)),
  };
}

/** Between 0 and 1: the multiple of what other days' trees said that was nearest to the truth. */
function shrinkage({ targets, weights }: TreeRows, outside: Float64Array, counts: Float64Array): number {
  let product = 0;
  let squares = 0;
  for (const [row, target] of targets.entries()) {
    if (at(counts, row) === 0) continue;
    const said = at(outside, row) / at(counts, row);
    product += at(weights, row) * said * target;
    squares += at(weights, row) * said * said;
  }
  return squares > 0 ? Math.max(0, Math.min(1, product / squares)) : 0;
}
