// SPDX-License-Identifier: Apache-2.0

/** The models that `spec.models` may name. */
export const modelNames = [
  'naive',
  'drift',
  'seasonal-naive',
  'seasonal-profile',
  'level-corrected',
  'prophet',
  'linear',
  'random-forest',
  'gradient-boosting',
  'ml-random-forest',
  'harmonic',
  'ets',
  'holt-winters',
  'arima',
  'arima-package',
  'direct',
  'ensemble',
] as const;
