// SPDX-License-Identifier: Apache-2.0
import { createRandom } from '../../src/forecast/random.ts';

/** A clone to be: times in seconds from the start of the run. */
export interface PlannedClone {
  readonly at: number;
  readonly deadline: number;
  readonly cores: number;
}

/** How bursts come. */
export interface TraceOptions {
  readonly seed: number;
  /** Bursts begin in this time. */
  readonly arrivalSeconds: number;
  /** Mean time from one burst to the next. */
  readonly meanGapSeconds: number;
  /** Median number of clones of a burst, log-normal. */
  readonly medianSize: number;
}

/** Lifetimes that workloads have, seconds. */
const lifetimes = [30, 60, 90, 120, 180] as const;
const sizeSigma = 0.7;
const maxSize = 40;

/**
 * Bursts of several workloads, each of clones that end together, as windows do. Of the same seed always the same.
 */
export function planTrace({ seed, arrivalSeconds, meanGapSeconds, medianSize }: TraceOptions): readonly PlannedClone[] {
  const random = createRandom(seed);
  const clones: PlannedClone[] = [];
  for (let at = 0; at < arrivalSeconds; at += -Math.log(1 - random()) * meanGapSeconds) {
    const size = Math.min(maxSize, Math.max(1, Math.round(medianSize * Math.exp(sizeSigma * normal(random)))));
    const lifetime = lifetimes[Math.floor(random() * lifetimes.length)] ?? lifetimes[0];
    const cores = random() < 0.25 ? 2 : 1;
    for (let index = 0; index < size; index += 1) clones.push({ at, deadline: at + lifetime, cores });
  }
  return clones;
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
