// SPDX-License-Identifier: Apache-2.0
import { growForest } from '../forest.ts';
import { createRatioModel } from '../ratio-model.ts';

/** Enough for what a workload's past has to say, in a fraction of a second. */
const shape = { trees: 40, growth: { depth: 8, leastRows: 12 }, seed: 1 };

/**
 * A random forest (Breiman 2001, "Random Forests") on the ratio of demand to what the regression of `linear` says: time
 * of day, weekday, holidays, recent ratios to the profile, regressors. Days are drawn, not points, and what the trees
 * say counts as much as it would have helped on the days that they did not see. Needs a day.
 */
export const randomForest = createRatioModel({
  name: 'random-forest',
  mostRows: 4000,
  learn: (rows) => growForest(rows, shape),
});
