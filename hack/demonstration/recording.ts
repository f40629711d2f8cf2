// SPDX-License-Identifier: Apache-2.0
import { score } from './score.ts';
import type { Observation, Score, Sizing, Twin } from './score.ts';

/** All that a show gave; what `--output json` writes and the picture is drawn from. */
export interface Recording {
  /** What the load was: `generated, seed 1`, or the trace and where it began. */
  readonly load: string;
  /** Where the control plane came from. */
  readonly controlPlane: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly sizing: Sizing;
  /** Demand per pod that both HPAs aim at. */
  readonly targetPerPod: number;
  /** Epoch second of the first look at which demand had risen by a quarter. */
  readonly rampStartSeconds?: number;
  readonly scores: Readonly<Record<Twin, Score>>;
  readonly observations: readonly Observation[];
}

/** How both twins did. */
export function scoreBoth(observations: readonly Observation[], sizing: Sizing): Recording['scores'] {
  return {
    reactive: score(observations, 'reactive', sizing),
    predictive: score(observations, 'predictive', sizing),
  };
}
