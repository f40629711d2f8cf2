// SPDX-License-Identifier: Apache-2.0
import type { ModelName } from '../api/v1alpha1/demand-forecast.ts';
import type { Model } from './model.ts';
import { arimaPackage } from './models/arima-package.ts';
import { arima } from './models/arima.ts';
import { direct } from './models/direct.ts';
import { drift } from './models/drift.ts';
import { ensemble } from './models/ensemble.ts';
import { ets } from './models/ets.ts';
import { gradientBoosting } from './models/gradient-boosting.ts';
import { harmonic } from './models/harmonic.ts';
import { holtWinters } from './models/holt-winters.ts';
import { levelCorrected } from './models/level-corrected.ts';
import { linear } from './models/linear.ts';
import { mlRandomForest } from './models/ml-random-forest.ts';
import { naive } from './models/naive.ts';
import { prophet } from './models/prophet.ts';
import { randomForest } from './models/random-forest.ts';
import { seasonalNaive } from './models/seasonal-naive.ts';
import { seasonalProfile } from './models/seasonal-profile.ts';

/** Every model by the name that `spec.models` and `--model` use; the simplest first, which wins a tie. */
export const models: Readonly<Record<ModelName, Model>> = {
  naive,
  drift,
  'seasonal-naive': seasonalNaive,
  'seasonal-profile': seasonalProfile,
  'level-corrected': levelCorrected,
  harmonic,
  ets,
  'holt-winters': holtWinters,
  arima,
  'arima-package': arimaPackage,
  prophet,
  linear,
  'random-forest': randomForest,
  'gradient-boosting': gradientBoosting,
  'ml-random-forest': mlRandomForest,
  direct,
  ensemble,
};

/** The names of all models. */
export const modelNames = Object.keys(models) as readonly ModelName[];

const simple: readonly ModelName[] = ['naive', 'drift', 'seasonal-naive', 'seasonal-profile', 'level-corrected'];

/** From so far ahead on a combination is clearly better than its parts; nearer, it is slower to follow a new level. */
const farSeconds = 6 * 3600;

/** The models that take part when nobody names any, by how far ahead is forecast: those that win often enough. */
export function defaultModelNames(horizonSeconds: number): readonly ModelName[] {
  return horizonSeconds < farSeconds ? simple : [...simple, 'direct', 'ensemble'];
}
