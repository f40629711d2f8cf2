// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { Contest } from './contest.ts';
import { judgedLevels, lossesOf, meanLoss } from './select.ts';
import type { Basis, Score } from './select.ts';

/** Weights are this power of (smallest loss / loss): near ties share, the clearly worse are out. */
const sharpness = 6;

/** At most so many models are combined, none that is worse than the best by more than this factor. */
const mostMembers = 4;
const worstRatio = 1.3;

/** Weights below this are not worth the time. */
const leastWeight = 0.03;

/** A mean of the quantiles of the best few models, and how it did in the same contest. */
export interface Combination {
  readonly name: 'ensemble';
  readonly members: readonly Member[];
  readonly loss: number;
}

/** One model's part in a combination. */
export interface Member {
  readonly score: Score;
  /** By noted position and judged level; over the members they add up to 1. */
  readonly weights: Float64Array;
}

/**
 * Combines the best few of scores, best first: the quantiles of each weigh by (smallest loss / loss)^6, for each
 * position and level apart; the loss is the geometric mean of that there and that over all, which is less noisy.
 * undefined with fewer than two.
 */
export function combineScores(contest: Contest, scores: readonly Score[], basis: Basis): Combination | undefined {
  const [best] = scores;
  if (best === undefined || Number.isNaN(best.loss)) return undefined;
  const chosen = scores.filter(({ loss }) => loss <= worstRatio * best.loss).slice(0, mostMembers);
  if (chosen.length < 2) return undefined;
  const members = weigh(chosen);
  const quantiles = mixQuantiles(members, contest);
  return { name: 'ensemble', members, loss: meanLoss(lossesOf(contest, quantiles), basis) };
}

/** The whole weight for one model. */
export function alone(score: Score): Member[] {
  return [{ score, weights: new Float64Array(score.losses.length).fill(1) }];
}

function weigh(scores: readonly Score[]): Member[] {
  const members = scores.map((score) => ({ score, weights: new Float64Array(score.losses.length) }));
  const cells = scores[0]?.losses.length ?? 0;
  for (let cell = 0; cell < cells; cell += 1) {
    const losses = scores.map(({ losses: of, loss }) => Math.sqrt(at(of, cell) * loss));
    const shares = sharesOf(losses);
    for (const [index, { weights }] of members.entries()) weights[cell] = shares[index] ?? 0;
  }
  return members;
}

/** Equal shares where losses are not known or all nil. */
function sharesOf(losses: readonly number[]): number[] {
  const smallest = Math.min(...losses);
  if (!(smallest > 0)) {
    const perfect = losses.map((loss) => (loss === smallest ? 1 : 0));
    const known = perfect.some((share) => share > 0) ? perfect : losses.map(() => 1);
    return normalised(known);
  }
  const raw = normalised(losses.map((loss) => (smallest / loss) ** sharpness));
  return normalised(raw.map((share) => (share < leastWeight ? 0 : share)));
}

function normalised(shares: readonly number[]): number[] {
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

function mixQuantiles(members: readonly Member[], { positions }: Contest): Float64Array {
  const cells = positions.length * judgedLevels.length;
  const mixed = new Float64Array(members[0]?.score.quantiles.length ?? 0);
  for (const { score, weights } of members) {
    for (let place = 0; place < mixed.length; place += 1) {
      const weight = at(weights, place % cells);
      if (weight > 0) mixed[place] = at(mixed, place) + weight * at(score.quantiles, place);
    }
  }
  return mixed;
}
