// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { pinball } from './accuracy.ts';
import type { Contest, Track } from './contest.ts';
import { collectResiduals, kernelOf, weightedQuantiles, weightsAt } from './intervals.ts';
import type { Kernel, Residuals, ResidualRule } from './intervals.ts';
import { meanPresent } from './robust.ts';

/** The loss is the mean over these quantiles. */
const levels = [0.5, 0.8, 0.95];

/** Another model must be better by this factor to replace the one in use. */
const hysteresis = 0.95;

const powers = [1, 0.5, 0];
const timesOfDay = [3600, 1200];

/** The choice by time of day is judged on about this many residuals: the cost grows with them. */
const judgedResiduals = 200;

/** With fewer residuals, or on fewer days, the time of day says nothing yet. */
const fewestForTimeOfDay = 200;
const fewestDays = 3;

/** A model's loss and the rule for its residuals that gives it. */
export interface Score {
  readonly track: Track;
  readonly rule: ResidualRule;
  /** Mean pinball loss of the target, in units of demand; NaN when nothing has come due. */
  readonly loss: number;
}

/** Scores of a contest, best first; those without a loss come last. */
export function scoreTracks(contest: Contest, judgedSlots: readonly number[], mean: number): Score[] {
  const scores = contest.tracks.map((track) => scoreTrack(contest, track, { judgedSlots, mean }));
  const order = ({ loss }: Score): number => (Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss);
  return scores.sort((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)));
}

/** The best, unless the model in use is hardly worse. */
export function selectScore(scores: readonly Score[], inUse: string | undefined): Score | undefined {
  const [best] = scores;
  const incumbent = scores.find(({ track }) => track.model.name === inUse);
  if (best === undefined || incumbent === undefined) return best;
  return best.loss < hysteresis * incumbent.loss ? best : incumbent;
}

interface Basis {
  readonly judgedSlots: readonly number[];
  readonly mean: number;
}

function scoreTrack(contest: Contest, track: Track, { judgedSlots, mean }: Basis): Score {
  const flat = powers.map((power) => {
    const pools = judgedSlots.map((slot) => collectResiduals(contest, track, { slot, power, mean }));
    const rule = { power, timeOfDaySeconds: Number.POSITIVE_INFINITY };
    return { pools, score: { track, rule, loss: judge(pools, rule) } };
  });
  const best = flat.reduce((winner, entry) => (entry.score.loss < winner.score.loss ? entry : winner));
  if (!seesTimeOfDay(contest)) return best.score;
  return timesOfDay
    .map((timeOfDaySeconds) => {
      const rule = { power: best.score.rule.power, timeOfDaySeconds };
      return { track, rule, loss: judge(best.pools, rule) };
    })
    .reduce((winner, score) => (score.loss < winner.loss ? score : winner), best.score);
}

function seesTimeOfDay({ origins }: Contest): boolean {
  return origins.length >= fewestForTimeOfDay && new Set(origins.map(({ day }) => day)).size >= fewestDays;
}

/** Mean loss over the positions that have any. */
function judge(pools: readonly Residuals[], rule: ResidualRule): number {
  const kernel = kernelOf(rule);
  const wanted = Math.ceil(judgedResiduals / pools.length);
  return meanPresent(Float64Array.from(pools, (pool) => meanLoss(pool, kernel, wanted)));
}

/**
 * Mean pinball loss of residuals against the quantiles of the residuals of other days, weighted by age. With too few
 * days to leave one out, against the quantiles of all.
 */
function meanLoss(residuals: Residuals, kernel: Kernel | undefined, wanted: number): number {
  const { values, weights, scales, minutesOfDay, days } = residuals;
  const leaveOut = new Set(days).size >= fewestDays;
  // Without a kernel quantiles differ by the day that is left out only, and cost little.
  const byDay = new Map<number, readonly number[]>();
  const stride = kernel === undefined ? 1 : Math.max(1, Math.floor(values.length / wanted));
  let total = 0;
  let weight = 0;
  for (let index = Math.floor(stride / 2); index < values.length; index += stride) {
    const day = at(days, index);
    let quantiles = kernel === undefined ? byDay.get(day) : undefined;
    if (quantiles === undefined) {
      const moment = { minuteOfDay: at(minutesOfDay, index), ...(leaveOut ? { exceptDay: day } : {}) };
      quantiles = weightedQuantiles(values, weightsAt(residuals, kernel, moment), levels);
      byDay.set(day, quantiles);
    }
    let loss = 0;
    for (const [slot, level] of levels.entries()) loss += pinball(at(values, index), quantiles[slot] ?? 0, level);
    total += at(weights, index) * at(scales, index) * loss;
    weight += at(weights, index) * levels.length;
  }
  return total / weight;
}
