// SPDX-License-Identifier: Apache-2.0
import type { Situation } from './situation.ts';

/** A path in units of the situation's scale as demand, with the effects of regressors; not negative if demand never was. */
export function demandOf(situation: Situation, path: Float64Array): Float64Array {
  const { scale, stepSeconds, effect } = situation;
  const floor = situation.neverNegative() ? 0 : Number.NEGATIVE_INFINITY;
  const now = situation.now();
  return path.map((value, index) =>
    Math.max(floor, Math.max(floor, value * scale) + effect(now + index * stepSeconds)),
  );
}
