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
  for (let place = 0; place < mixed.length; place += 1) {
    const parts = members.map(({ score, weights }) => ({
      value: at(score.quantiles, place),
      weight: at(weights, place % cells),
    }));
    mixed[place] = mixParts(parts);
  }
  return mixed;
}

/** A forecast and what it weighs. */
interface Part {
  readonly value: number;
  readonly weight: number;
}

/**
 * The weighted median, linear between the middles of the weights: one model that has lost its way does not carry the
 * others along. NaN when one is not known or nothing weighs.
 */
export function mixParts(parts: readonly Part[]): number {
  const sorted = parts.filter(({ weight }) => weight > 0).sort((a, b) => a.value - b.value);
  let half = 0;
  for (const { value, weight } of sorted) half += Number.isNaN(value) ? Number.NaN : weight / 2;
  let before = 0;
  let last: { readonly value: number; readonly middle: number } | undefined;
  for (const { value, weight } of sorted) {
    const middle = before + weight / 2;
    if (middle >= half) {
      return last === undefined
        ? value
        : last.value + ((value - last.value) * (half - last.middle)) / (middle - last.middle);
    }
    last = { value, middle };
    before += weight;
  }
  return Number.isNaN(half) ? Number.NaN : (last?.value ?? Number.NaN);
}

/** Weights between the noted positions, linear in the logarithm of the position, and between the judged levels. */
export function weightsBetween(
  weights: Float64Array,
  positions: readonly number[],
): (position: number, level: number) => number {
  const depth = judgedLevels.length;
  const logs = positions.map(logPosition);
  return (position, level) => {
    const along = placeIn(logs, logPosition(position));
    const up = placeIn(judgedLevels, level);
    const mix = (slot: number): number =>
      (1 - up.share) * at(weights, slot * depth + up.lower) + up.share * at(weights, slot * depth + up.upper);
    return (1 - along.share) * mix(along.lower) + along.share * mix(along.upper);
  };
}

function logPosition(position: number): number {
  return Math.log(position + 1);
}

/** Where a value lies among ascending ones: between which two, and how near to the upper one. */
function placeIn(values: readonly number[], value: number): { lower: number; upper: number; share: number } {
  const found = values.findIndex((candidate) => candidate >= value);
  const upper = found === -1 ? values.length - 1 : found;
  const lower = Math.max(0, upper - 1);
  const [from = 0, to = 0] = [values[lower], values[upper]];
  return { lower, upper, share: to > from ? Math.max(0, Math.min(1, (value - from) / (to - from))) : 1 };
}
