// SPDX-License-Identifier: Apache-2.0
import { RandomForestRegression } from 'ml-random-forest';
import type { BlockedRows, Learnt } from '../forest.ts';
import { rowOf } from '../forest.ts';
import type { CannotFit } from '../model.ts';
import { createRatioModel } from '../ratio-model.ts';
import { packTrees } from '../trees.ts';
import type { TreeNode } from '../trees.ts';

/** The package's time grows with the square of the rows: a tree on 10,000 rows of 20 features takes it 45 s. */
const mostRows = 300;

const options = {
  seed: 1,
  nEstimators: 10,
  maxFeatures: 0.5,
  replacement: false,
  useSampleBagging: true,
  noOOB: true,
  treeOptions: { maxDepth: 5, minNumSamples: 10 },
};

/** What trees say counts half: few rows, of which the package can only draw single ones, are learnt by heart. */
const share = 0.5;

/**
 * The random forest of the npm package `ml-random-forest` on the same ratios as `random-forest`, thinned to what it can
 * learn in a fraction of a second. The package grows the trees, from a seed; they are kept and read in our own form. It
 * refuses where the package throws or gives a number that is not finite. Needs a day.
 */
export const mlRandomForest = createRatioModel({ name: 'ml-random-forest', mostRows, learn: learnWithPackage });

/** Trees that the package has grown, or why it could not. */
export function learnWithPackage(rows: BlockedRows): Learnt | CannotFit {
  const count = rows.targets.length;
  // With fewer rows the package has nothing to split.
  if (count < 2 * options.treeOptions.minNumSamples) return { grove: packTrees([]), factor: 0 };
  const table = Array.from({ length: count }, (_, row) => [...rowOf(rows, row)]);
  try {
    const forest = new RandomForestRegression(options);
    forest.train(table, [...rows.targets]);
    const trees = readForest(forest.toJSON());
    return { grove: packTrees(trees), factor: share / trees.length };
  } catch (error) {
    return {
      kind: 'cannot-fit',
      reason: 'NotFinite',
      have: `from ml-random-forest: ${error instanceof Error ? error.message : String(error)}`,
      need: 'trees with finite numbers',
    };
  }
}

/**
 * The trees of the package's forest, as it writes it.
 * @throws RangeError for a number that is not finite
 */
export function readForest(forest: unknown): TreeNode[][] {
  const { baseModel } = JSON.parse(JSON.stringify(forest)) as { baseModel: PackageForest };
  return baseModel.estimators.map(({ root }, tree) => {
    const nodes: TreeNode[] = [];
    readNode(root, baseModel.indexes[tree] ?? [], nodes);
    return nodes;
  });
}

interface PackageForest {
  /** By tree, the features that its columns stand for. */
  readonly indexes: readonly (readonly number[])[];
  readonly estimators: readonly { readonly root: PackageNode }[];
}

interface PackageNode {
  readonly splitColumn?: number;
  readonly splitValue?: number;
  readonly distribution?: number;
  readonly left?: PackageNode;
  readonly right?: PackageNode;
}

function readNode({ left, right, ...node }: PackageNode, columns: readonly number[], nodes: TreeNode[]): number {
  const place = nodes.length;
  if (left === undefined || right === undefined) {
    nodes.push({ feature: 0, threshold: 0, left: 0, right: 0, value: finite(node.distribution) });
    return place;
  }
  const split = { feature: finite(columns[node.splitColumn ?? -1]), threshold: finite(node.splitValue) };
  const own: TreeNode = { ...split, left: 0, right: 0, value: 0 };
  nodes.push(own);
  own.left = readNode(left, columns, nodes);
  own.right = readNode(right, columns, nodes);
  return place;
}

function finite(value: number | null | undefined): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new RangeError(`${String(value)} in a tree`);
}
