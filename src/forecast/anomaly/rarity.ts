// SPDX-License-Identifier: Apache-2.0

/** The detectors of the ensemble, and what each of them looks at. */
export const detectorNames = {
  level: 'the value',
  'mean-4': 'the mean of the last 4 values',
  'log-mean-16': 'the logarithm of the mean of the last 16 values',
  shape: 'the course of the last 20 values',
  'day-residual': 'the value against the same time on the 4 days before',
  'day-residual-4': 'the same, mean of the last 4 values',
  'week-residual-4': 'the mean of the last 4 values against the same time in the 3 weeks before',
  'robust-z': 'the residual against the day, in robust standard deviations',
  'isolation-forest': 'value, means, residuals, spread and slope at once',
  'one-class-svm': 'value, means, residuals, spread and slope at once',
} as const;

export type DetectorName = keyof typeof detectorNames;

/** Decimal logarithms of the shares of rows that the knots below are exceeded by, negated. */
export const knotRarities = [1, 1.5, 2, 2.5, 3, 3.5, 4];

/**
 * What each detector's raw score is exceeded by: one row in 10, 30, 100, 300, 1000, 3000 and 10,000 of the Numenta
 * benchmark's visible series taken together, anomalies included and no label looked at (bench/accuracy/nab.ts
 * --calibrate prints them).
 */
const knots: Readonly<Record<DetectorName, readonly number[]>> = {
  level: [0.000128, 0.000584, 0.00224, 0.00981, 0.0433, 0.171, 0.42],
  'mean-4': [0.00019, 0.000999, 0.00424, 0.0253, 0.153, 0.505, 0.798],
  'log-mean-16': [0.000482, 0.00264, 0.0243, 0.181, 0.447, 0.779, 0.899],
  shape: [0.00459, 0.0277, 0.0606, 0.111, 0.219, 0.372, 0.473],
  'day-residual': [0.000196, 0.000947, 0.0038, 0.0152, 0.067, 0.218, 0.576],
  'day-residual-4': [0.000305, 0.00139, 0.00666, 0.0408, 0.198, 0.566, 0.805],
  'week-residual-4': [0.000337, 0.00281, 0.02, 0.128, 0.444, 0.737, 0.946],
  'robust-z': [1.82, 4.84, 14.2, 23.9, 44.3, 53.9, 151],
  'isolation-forest': [0.538, 0.653, 0.745, 0.782, 0.815, 0.838, 0.859],
  'one-class-svm': [0.0444, 0.639, 5.84, 700, 700, 700, 700],
};

/**
 * How rare a detector's score is: 3 when one row in a thousand has it or more. Between knots it is linear in the
 * logarithm of the score, beyond the last it goes on with the same slope for as much again; 0 below the first.
 */
export function rarity(detector: DetectorName, score: number): number {
  const limits = knots[detector];
  if (!(score > at(limits, 0))) return 0;
  let knot = 1;
  while (knot < limits.length - 1 && score > at(limits, knot)) knot += 1;
  const [low, high] = [at(limits, knot - 1), at(limits, knot)];
  const share = high > low ? Math.log(score / low) / Math.log(high / low) : 1;
  return at(knotRarities, knot - 1) + Math.min(2, share) * (at(knotRarities, knot) - at(knotRarities, knot - 1));
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN;
}
