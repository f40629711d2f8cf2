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

/** The models that take part when nobody names any: those that win often enough for the time that they take. */
export const defaultModelNames: readonly ModelName[] = [
  'naive',
  'drift',
  'seasonal-naive',
  'seasonal-profile',
  'level-corrected',
  'direct',
  'ensemble',
];
