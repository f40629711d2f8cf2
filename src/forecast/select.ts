// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { pinball } from './accuracy.ts';
import type { Contest, Track } from './contest.ts';
import { collectResiduals, kernelOf, weightedQuantiles, weightsAt } from './intervals.ts';
import type { Kernel, Residuals, ResidualRule } from './intervals.ts';
import { meanPresent } from './robust.ts';

/** The loss is the mean over these quantiles. */
export const judgedLevels: readonly number[] = [0.5, 0.8, 0.95];

/** Another model must be better by this factor to replace the one in use. */
const hysteresis = 0.95;

const powers = [1, 0.5, 0];
const timesOfDay = [3600, 1200];

/** The choice by time of day is judged on about this many residuals: the cost grows with them. */
const judgedResiduals = 200;

/** With fewer residuals, or on fewer days, the time of day says nothing yet. */
const fewestForTimeOfDay = 200;
const fewestDays = 3;

/** A model's losses, and the rule for its residuals that gives them. */
export interface Score {
  readonly name: string;
  readonly track: Track;
  readonly rule: ResidualRule;
  /** Mean pinball loss of the target, in units of demand; NaN when nothing has come due. */
  readonly loss: number;
  /** By noted position and judged level. */
  readonly losses: Float64Array;
  /** Quantiles by origin, noted position and judged level, each from the residuals of other days. */
  readonly quantiles: Float64Array;
}

/** What scores are made from. */
export interface Basis {
  /** Numbers of the noted positions that count. */
  readonly judgedSlots: readonly number[];
  readonly mean: number;
}

/** Scores of a contest, best first; those without a loss come last. */
export function scoreTracks(contest: Contest, basis: Basis): Score[] {
  const scores = contest.tracks.map((track) => scoreTrack(contest, track, basis));
  return scores.sort((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)));
}

function order({ loss }: { readonly loss: number }): number {
  return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
}

/** The best, unless the one in use is hardly worse. */
export function selectScore<S extends { readonly name: string; readonly loss: number }>(
  scores: readonly S[],
  inUse: string | undefined,
): S | undefined {
  const [best] = scores.toSorted((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)));
  const incumbent = scores.find(({ name }) => name === inUse);
  if (best === undefined || incumbent === undefined) return best;
  return best.loss < hysteresis * incumbent.loss ? best : incumbent;
}

function scoreTrack(contest: Contest, track: Track, basis: Basis): Score {
  const rules: ResidualRule[] = powers.map((power) => ({ power, timeOfDaySeconds: Number.POSITIVE_INFINITY }));
  if (track.spreads !== undefined) {
    rules.push({ power: 1, timeOfDaySeconds: Number.POSITIVE_INFINITY, ownSpread: true });
  }
  const scores = rules.map((rule): Score => {
    const quantiles = quantilesOfOthers(contest, track, { ...basis, rule });
    const losses = lossesOf(contest, quantiles);
    return { name: track.model.name, track, rule, loss: meanLoss(losses, basis), losses, quantiles };
  });
  return scores.reduce((winner, score) => (score.loss < winner.loss ? score : winner));
}

/** What each origin's quantiles would have been from the residuals of other days (of all days, when they are few). */
function quantilesOfOthers(
  contest: Contest,
  track: Track,
  { mean, rule }: { readonly mean: number; readonly rule: ResidualRule },
): Float64Array {
  const width = contest.positions.length;
  const quantiles = new Float64Array(contest.origins.length * width * judgedLevels.length).fill(Number.NaN);
  for (let slot = 0; slot < width; slot += 1) {
    const residuals = collectResiduals(contest, track, { slot, rule, mean });
    const leaveOut = new Set(residuals.days).size >= fewestDays;
    const byDay = new Map<number, readonly number[]>();
    for (let index = 0; index < residuals.values.length; index += 1) {
      const day = at(residuals.days, index);
      let levels = byDay.get(day);
      if (levels === undefined) {
        const moment = { minuteOfDay: 0, ...(leaveOut ? { exceptDay: day } : {}) };
        levels = weightedQuantiles(residuals.values, weightsAt(residuals, undefined, moment), judgedLevels);
        byDay.set(day, levels);
      }
      const place = (residuals.origins[index] ?? 0) * width + slot;
      for (const [number, value] of levels.entries()) {
        quantiles[place * judgedLevels.length + number] =
          at(track.forecasts, place) + at(residuals.scales, index) * value;
      }
    }
  }
  return quantiles;
}

/** Mean pinball losses by noted position and judged level, the recent past counting most. */
export function lossesOf({ origins, positions, actual }: Contest, quantiles: Float64Array): Float64Array {
  const width = positions.length;
  const depth = judgedLevels.length;
  const losses = new Float64Array(width * depth);
  const weights = new Float64Array(width * depth);
  for (let place = 0; place < actual.length; place += 1) {
    const weight = origins[Math.floor(place / width)]?.weight ?? 0;
    const outcome = at(actual, place);
    for (const [number, level] of judgedLevels.entries()) {
      const loss = pinball(outcome, at(quantiles, place * depth + number), level);
      if (Number.isNaN(loss)) continue;
      const cell = (place % width) * depth + number;
      losses[cell] = at(losses, cell) + weight * loss;
      weights[cell] = at(weights, cell) + weight;
    }
  }
  return losses.map((loss, cell) => loss / at(weights, cell));
}

/** Mean over the positions that count and the levels. */
export function meanLoss(losses: Float64Array, { judgedSlots }: Basis): number {
  const depth = judgedLevels.length;
  return meanPresent(
    Float64Array.from(judgedSlots.flatMap((slot) => Array.from(losses.subarray(slot * depth, (slot + 1) * depth)))),
  );
}

/** The rule of a score, refined: whether residuals of about the same time of day should count most. */
export function refineRule(contest: Contest, { track, rule }: Score, { judgedSlots, mean }: Basis): ResidualRule {
  if (contest.origins.length < fewestForTimeOfDay) return rule;
  if (new Set(contest.origins.map(({ day }) => day)).size < fewestDays) return rule;
  const pools = judgedSlots.map((slot) => collectResiduals(contest, track, { slot, rule, mean }));
  const judged = [Number.POSITIVE_INFINITY, ...timesOfDay].map((timeOfDaySeconds) => {
    const choice = { ...rule, timeOfDaySeconds };
    return { choice, loss: judge(pools, choice) };
  });
  return judged.reduce((winner, entry) => (entry.loss < winner.loss ? entry : winner)).choice;
}

/** Mean loss over the positions that have any. */
function judge(pools: readonly Residuals[], rule: ResidualRule): number {
  const kernel = kernelOf(rule);
  const wanted = Math.ceil(judgedResiduals / pools.length);
  return meanPresent(Float64Array.from(pools, (pool) => sampledLoss(pool, kernel, wanted)));
}

/** Mean pinball loss of some residuals against the quantiles of the residuals of other days. */
function sampledLoss(residuals: Residuals, kernel: Kernel | undefined, wanted: number): number {
  const { values, weights, scales, minutesOfDay, days } = residuals;
  const stride = Math.max(1, Math.floor(values.length / wanted));
  let total = 0;
  let weight = 0;
  for (let index = Math.floor(stride / 2); index < values.length; index += stride) {
    const moment = { minuteOfDay: at(minutesOfDay, index), exceptDay: at(days, index) };
    const quantiles = weightedQuantiles(values, weightsAt(residuals, kernel, moment), judgedLevels);
    let loss = 0;
    for (const [slot, level] of judgedLevels.entries()) loss += pinball(at(values, index), quantiles[slot] ?? 0, level);
    total += at(weights, index) * at(scales, index) * loss;
    weight += at(weights, index) * judgedLevels.length;
  }
  return total / weight;
}
