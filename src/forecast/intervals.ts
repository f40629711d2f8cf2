// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { Contest, Track } from './contest.ts';

const daySeconds = 86_400;

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
  readonly secondsOfDay: Float64Array;
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
export function residualScale(forecast: number, meanDemand: number, power: number): number {
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
    secondsOfDay: Float64Array.from(entries, ({ secondOfDay }) => secondOfDay),
    days: Float64Array.from(entries, ({ day }) => day),
    scales: Float64Array.from(entries, ({ scale }) => scale),
  };
}

/** Weights of residuals for a forecast made at `secondOfDay`; residuals of the day `exceptDay` are left out. */
export function weightsAt(
  residuals: Residuals,
  rule: ResidualRule,
  moment: { readonly secondOfDay: number; readonly exceptDay?: number },
): Float64Array {
  const { weights, secondsOfDay, days } = residuals;
  return weights.map((weight, index) => {
    if (at(days, index) === moment.exceptDay) return 0;
    if (rule.timeOfDaySeconds === Number.POSITIVE_INFINITY) return weight;
    const apart = Math.abs(at(secondsOfDay, index) - moment.secondOfDay);
    const distance = Math.min(apart, daySeconds - apart) / rule.timeOfDaySeconds;
    return weight * (otherTimesShare + Math.exp(-0.5 * distance * distance));
  });
}

/**
 * Quantiles of sorted values with weights: linear between the middles of the weights, and beyond the last middle on
 * with the slope of the upper (lower) fifth, so that a level above 1 is more than the largest value ever seen.
 */
export function weightedQuantile(values: Float64Array, weights: Float64Array, level: number): number {
  let total = 0;
  for (const weight of weights) total += weight;
  if (!(total > 0)) return Number.NaN;
  const target = level * total;
  let before = 0;
  let previous: { middle: number; value: number } | undefined;
  for (let index = 0; index < values.length; index += 1) {
    const weight = at(weights, index);
    if (weight === 0) continue;
    const middle = before + weight / 2;
    const value = at(values, index);
    if (target <= middle) {
      if (previous === undefined) return level < 0 ? value + level * tailSlope(values, weights, 'lower') : value;
      return previous.value + ((value - previous.value) * (target - previous.middle)) / (middle - previous.middle);
    }
    previous = { middle, value };
    before += weight;
  }
  const largest = previous?.value ?? Number.NaN;
  return level > 1 ? largest + (level - 1) * tailSlope(values, weights, 'upper') : largest;
}

/** Change of the quantile per unit of level over the upper or lower fifth. */
function tailSlope(values: Float64Array, weights: Float64Array, side: 'upper' | 'lower'): number {
  const [from, to] = side === 'upper' ? [0.8, 1] : [0, 0.2];
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
  return {
    rule,
    size: pools[0]?.residuals.values.length ?? 0,
    curve: (secondOfDay, levelAt) => {
      const knots = pools.map(({ position, residuals }) => ({
        position,
        value: weightedQuantile(residuals.values, weightsAt(residuals, rule, { secondOfDay }), levelAt(position)),
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
