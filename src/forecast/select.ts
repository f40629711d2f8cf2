// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { pinball } from './accuracy.ts';
import type { Contest, Track } from './contest.ts';
import { collectResiduals, createKernel, weightedQuantile, weightsAt } from './intervals.ts';
import type { Residuals, ResidualRule } from './intervals.ts';

/** The loss is the mean over these quantiles. */
const levels = [0.5, 0.8, 0.95];

/** Another model must be better by this factor to replace the one in use. */
const hysteresis = 0.95;

const powers = [1, 0.5, 0];
const timesOfDay = [Number.POSITIVE_INFINITY, 3600, 1200];

/** The choice by time of day is judged on about this many residuals: the cost grows with them. */
const judgedResiduals = 300;

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

function scoreTrack(contest: Contest, track: Track, basis: Basis): Score {
  const flat = powers.map((power) =>
    judge(contest, track, { power, timeOfDaySeconds: Number.POSITIVE_INFINITY }, basis),
  );
  const best = flat.reduce((winner, score) => (score.loss < winner.loss ? score : winner));
  if (!seesTimeOfDay(contest)) return best;
  return timesOfDay
    .map((timeOfDaySeconds) => judge(contest, track, { power: best.rule.power, timeOfDaySeconds }, basis))
    .reduce((winner, score) => (score.loss < winner.loss ? score : winner));
}

function seesTimeOfDay({ origins }: Contest): boolean {
  return origins.length >= fewestForTimeOfDay && new Set(origins.map(({ day }) => day)).size >= fewestDays;
}

function judge(contest: Contest, track: Track, rule: ResidualRule, basis: Basis): Score {
  let total = 0;
  let count = 0;
  for (const slot of basis.judgedSlots) {
    const residuals = collectResiduals(contest, track, { slot, power: rule.power, mean: basis.mean });
    const loss = meanLoss(residuals, rule, Math.ceil(judgedResiduals / basis.judgedSlots.length));
    if (Number.isNaN(loss)) continue;
    total += loss;
    count += 1;
  }
  return { track, rule, loss: total / count };
}

/**
 * Mean pinball loss of residuals against the quantiles of the residuals of other days, weighted by age. With too few
 * days to leave one out, against the quantiles of all.
 */
function meanLoss(residuals: Residuals, rule: ResidualRule, wanted: number): number {
  const { values, weights, scales, minutesOfDay, days } = residuals;
  const kernel = createKernel(rule);
  const leaveOut = new Set(days).size >= fewestDays;
  const byDay = rule.timeOfDaySeconds === Number.POSITIVE_INFINITY;
  const cache = new Map<number, number[]>();
  const stride = byDay ? 1 : Math.max(1, Math.floor(values.length / wanted));
  let total = 0;
  let weight = 0;
  for (let index = Math.floor(stride / 2); index < values.length; index += stride) {
    const day = at(days, index);
    let quantiles = byDay ? cache.get(day) : undefined;
    if (quantiles === undefined) {
      const moment = { minuteOfDay: at(minutesOfDay, index), ...(leaveOut ? { exceptDay: day } : {}) };
      const applied = weightsAt(residuals, kernel, moment);
      quantiles = levels.map((level) => weightedQuantile(values, applied, level));
      cache.set(day, quantiles);
    }
    const losses = quantiles.map((quantile, slot) => pinball(at(values, index), quantile, levels[slot] ?? 0.5));
    total += at(weights, index) * at(scales, index) * losses.reduce((sum, loss) => sum + loss, 0);
    weight += at(weights, index) * levels.length;
  }
  return total / weight;
}
