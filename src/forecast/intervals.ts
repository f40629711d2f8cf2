// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { Contest, Track } from './contest.ts';

const daySeconds = 86_400;
const minutesPerDay = 1440;

/** Residuals count half as much when they are this much older. */
const halfLifeSeconds = 4 * daySeconds;

/** Residuals at other times of day keep this share of their weight when the time of day matters. */
const otherTimesShare = 0.03;

/** Predictions are taken for at least this share of mean demand when residuals are scaled by them. */
const leastScale = 0.02;

/** How residuals are made comparable. */
export interface ResidualRule {
  /** Residuals are divided by this power of the forecast: 0 absolute, 1 relative. */
  readonly power: number;
  /** Residuals from about this time of day count most (standard deviation in seconds); Infinity: all count alike. */
  readonly timeOfDaySeconds: number;
}

/** Errors of a model at one position, sorted, each with its weight and time of day. */
export interface Residuals {
  readonly values: Float64Array;
  readonly weights: Float64Array;
  readonly minutesOfDay: Float64Array;
  readonly days: Float64Array;
  /** What each was divided by. */
  readonly scales: Float64Array;
}

/** Turns point forecasts into quantiles, by the empirical residuals at noted positions. */
export interface Calibration {
  readonly rule: ResidualRule;
  /** Number of residuals at the first position that is judged. */
  readonly size: number;
  /**
   * Quantiles of forecasts made at `secondOfDay`, as a function of the point forecast and its position. The level may
   * differ by position, and may lie a little outside [0, 1].
   */
  curve(secondOfDay: number, levelAt: (position: number) => number): (point: number, position: number) => number;
}

/** The amount that residuals are divided by. */
function residualScale(forecast: number, meanDemand: number, power: number): number {
  if (!(meanDemand > 0)) return 1;
  return meanDemand * Math.max(leastScale, Math.abs(forecast) / meanDemand) ** power;
}

/** Residuals of a track at the noted position number `slot`, scaled by a power of the forecast. */
export function collectResiduals(
  contest: Contest,
  track: Track,
  at: { slot: number; power: number; mean: number },
): Residuals {
  const { origins, positions, actual } = contest;
  const entries: { value: number; scale: number; weight: number; secondOfDay: number; day: number }[] = [];
  for (const [index, origin] of origins.entries()) {
    const place = index * positions.length + at.slot;
    const forecast = track.forecasts[place] ?? Number.NaN;
    const scale = residualScale(forecast, at.mean, at.power);
    const value = ((actual[place] ?? Number.NaN) - forecast) / scale;
    if (Number.isNaN(value)) continue;
    entries.push({ ...origin, value, scale, weight: 0.5 ** (origin.ageSeconds / halfLifeSeconds) });
  }
  entries.sort((a, b) => a.value - b.value);
  return {
    values: Float64Array.from(entries, ({ value }) => value),
    weights: Float64Array.from(entries, ({ weight }) => weight),
    minutesOfDay: Float64Array.from(entries, ({ secondOfDay }) => Math.floor(secondOfDay / 60)),
    days: Float64Array.from(entries, ({ day }) => day),
    scales: Float64Array.from(entries, ({ scale }) => scale),
  };
}

/** Factors for the weights of residuals by how many minutes apart in the day they are. */
export type Kernel = Float64Array;

/** The kernel of a rule: a bell, and a floor under it so that other times still count a little. */
export function createKernel({ timeOfDaySeconds }: ResidualRule): Kernel {
  return Float64Array.from({ length: minutesPerDay }, (_, minutes) => {
    const distance = (60 * Math.min(minutes, minutesPerDay - minutes)) / timeOfDaySeconds;
    return timeOfDaySeconds === Number.POSITIVE_INFINITY ? 1 : otherTimesShare + Math.exp(-0.5 * distance * distance);
  });
}

/** Weights of residuals for a forecast made at `minuteOfDay`; residuals of the day `exceptDay` are left out. */
export function weightsAt(
  { weights, minutesOfDay, days }: Residuals,
  kernel: Kernel,
  moment: { readonly minuteOfDay: number; readonly exceptDay?: number },
): Float64Array {
  const applied = new Float64Array(weights.length);
  for (let index = 0; index < weights.length; index += 1) {
    if (at(days, index) === moment.exceptDay) continue;
    const apart = Math.abs(at(minutesOfDay, index) - moment.minuteOfDay);
    applied[index] = at(weights, index) * at(kernel, apart);
  }
  return applied;
}

/**
 * A quantile of sorted values with weights: linear between the middles of the weights, and outside [0, 1] on with the
 * slope of the outer fifth, so that a level above 1 is more than the largest value ever seen. NaN without weight.
 */
export function weightedQuantile(values: Float64Array, weights: Float64Array, level: number): number {
  let total = 0;
  for (let index = 0; index < weights.length; index += 1) total += at(weights, index);
  if (!(total > 0)) return Number.NaN;
  const target = level * total;
  let before = 0;
  let last = -1;
  let lastMiddle = 0;
  for (let index = 0; index < values.length; index += 1) {
    const weight = at(weights, index);
    if (weight === 0) continue;
    const middle = before + weight / 2;
    if (target <= middle) {
      if (last === -1) return at(values, index) + Math.min(0, level) * tailSlope(values, weights, level);
      return (
        at(values, last) + ((at(values, index) - at(values, last)) * (target - lastMiddle)) / (middle - lastMiddle)
      );
    }
    last = index;
    lastMiddle = middle;
    before += weight;
  }
  return at(values, last) + Math.max(0, level - 1) * tailSlope(values, weights, level);
}

/** Change of the quantile per unit of level in the outer fifth on the side of a level outside [0, 1]; else 0. */
function tailSlope(values: Float64Array, weights: Float64Array, level: number): number {
  if (level >= 0 && level <= 1) return 0;
  const [from, to] = level > 1 ? [0.8, 1] : [0, 0.2];
  return (weightedQuantile(values, weights, to) - weightedQuantile(values, weights, from)) / 0.2;
}

/** The calibration of a track by a rule. */
export function createCalibration(
  contest: Contest,
  track: Track,
  basis: { rule: ResidualRule; mean: number },
): Calibration {
  const { rule, mean } = basis;
  const pools = contest.positions.flatMap((position, slot) => {
    const residuals = collectResiduals(contest, track, { slot, power: rule.power, mean });
    return residuals.values.length === 0 ? [] : [{ position, residuals }];
  });
  // Several levels are asked for at the same moment.
  let weighed: { minuteOfDay: number; weights: Float64Array[] } = { minuteOfDay: Number.NaN, weights: [] };
  const kernel = createKernel(rule);
  return {
    rule,
    size: pools[0]?.residuals.values.length ?? 0,
    curve: (secondOfDay, levelAt) => {
      const minuteOfDay = Math.floor(secondOfDay / 60);
      if (minuteOfDay !== weighed.minuteOfDay) {
        weighed = { minuteOfDay, weights: pools.map(({ residuals }) => weightsAt(residuals, kernel, { minuteOfDay })) };
      }
      const knots = pools.map(({ position, residuals }, index) => ({
        position,
        value: weightedQuantile(residuals.values, weighed.weights[index] ?? residuals.weights, levelAt(position)),
      }));
      return (point, position) => point + residualScale(point, mean, rule.power) * interpolate(knots, position);
    },
  };
}

interface Knot {
  readonly position: number;
  readonly value: number;
}

/** Linear in the logarithm of the position; NaN for no knots. */
function interpolate(knots: readonly Knot[], position: number): number {
  const next = knots.findIndex((knot) => knot.position >= position);
  const right = knots[next];
  const left = next === -1 ? knots.at(-1) : knots[next - 1];
  // Further ahead than was ever judged: errors of a random walk grow with the root of the lead.
  if (right === undefined)
    return left === undefined ? Number.NaN : left.value * Math.sqrt((position + 1) / (left.position + 1));
  if (left === undefined || right.position === position) return right.value;
  const share = Math.log((position + 1) / (left.position + 1)) / Math.log((right.position + 1) / (left.position + 1));
  return (1 - share) * left.value + share * right.value;
}
