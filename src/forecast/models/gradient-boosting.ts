// SPDX-License-Identifier: Apache-2.0
import { boostCarefully } from '../boosting.ts';
import { createRatioModel } from '../ratio-model.ts';

/** Small steps on small trees; the last quarter of the past says how many. */
const shape = { quantile: 0.5, rounds: 80, rate: 0.1, growth: { depth: 4, leastRows: 20 } };

/**
 * Gradient boosting (Friedman 2001) of the pinball loss at the median, on the ratio of demand to what the regression of
 * `linear` says: time of day, weekday, holidays, recent ratios to the profile, regressors. It stops where the last
 * quarter of the past would have been forecast best. Needs a day.
 */
export const gradientBoosting = createRatioModel({
  name: 'gradient-boosting',
  mostRows: 4000,
  learn: (rows) => boostCarefully(rows, shape),
});
