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
  /** All that it knows, as plain data; it never changes. */
  readonly state: CalibrationState;
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

/** The errors of one position by origin, and the origins whose error is known, smallest error first. */
interface Errors {
  readonly values: Float64Array;
  /** What each was divided by. */
  readonly scales: Float64Array;
  /** At most `wantedOrigins` of a contest, which fits 16 bits. */
  readonly order: Uint16Array;
}

interface Where {
  readonly slot: number;
  readonly power: number;
  readonly mean: number;
}

function errorsOf({ origins, positions, actual }: Contest, track: Track, { slot, power, mean }: Where): Errors {
  const scales = new Float64Array(origins.length);
  const values = scales.map((_, index) => {
    const place = index * positions.length + slot;
    const forecast = at(track.forecasts, place);
    scales[index] = residualScale(forecast, mean, power);
    return (at(actual, place) - forecast) / at(scales, index);
  });
  const known = Uint16Array.from(origins.keys()).filter((index) => !Number.isNaN(at(values, index)));
  return { values, scales, order: known.sort((a, b) => at(values, a) - at(values, b)) };
}

/** The values of the origins in `order`. */
function pick(values: Float64Array, order: Uint16Array): Float64Array {
  const picked = new Float64Array(order.length);
  for (let index = 0; index < order.length; index += 1) picked[index] = at(values, order[index] ?? 0);
  return picked;
}

/** Residuals of a track at the noted position number `slot`, scaled by a power of the forecast. */
export function collectResiduals(contest: Contest, track: Track, where: Where): Residuals {
  const { values, scales, order } = errorsOf(contest, track, where);
  const ofOrigins = (all: Float64Array): Float64Array => pick(all, order);
  return {
    values: ofOrigins(values),
    scales: ofOrigins(scales),
    weights: ofOrigins(weightsByAge(contest)),
    minutesOfDay: ofOrigins(minutesOfDay(contest)),
    days: ofOrigins(Float64Array.from(contest.origins, ({ day }) => day)),
  };
}

function weightsByAge({ origins }: Contest): Float64Array {
  return Float64Array.from(origins, ({ ageSeconds }) => 0.5 ** (ageSeconds / halfLifeSeconds));
}

function minutesOfDay({ origins }: Contest): Float64Array {
  return Float64Array.from(origins, ({ secondOfDay }) => Math.floor(secondOfDay / 60));
}

/** Factors for the weights of residuals by how many minutes apart in the day they are. */
export type Kernel = Float64Array;

/**
 * The kernel of a rule: a bell, and a floor under it so that other times still count a little; none for all alike.
 * Kernels are memoised: all targets share the few rules that there are.
 */
export function kernelOf({ timeOfDaySeconds }: ResidualRule): Kernel | undefined {
  if (timeOfDaySeconds === Number.POSITIVE_INFINITY) return undefined;
  const known = kernels.get(timeOfDaySeconds);
  if (known !== undefined) return known;
  const kernel = Float64Array.from({ length: minutesPerDay }, (_, minutes) => {
    const distance = (60 * Math.min(minutes, minutesPerDay - minutes)) / timeOfDaySeconds;
    return otherTimesShare + Math.exp(-0.5 * distance * distance);
  });
  kernels.set(timeOfDaySeconds, kernel);
  return kernel;
}

const kernels = new Map<number, Kernel>();

/** Weights of residuals for a forecast made at `minuteOfDay`; residuals of the day `exceptDay` are left out. */
export function weightsAt(
  { weights, minutesOfDay, days }: Pick<Residuals, 'weights' | 'minutesOfDay'> & { readonly days?: Float64Array },
  kernel: Kernel | undefined,
  moment: { readonly minuteOfDay: number; readonly exceptDay?: number },
): Float64Array {
  const applied = new Float64Array(weights.length);
  for (let index = 0; index < weights.length; index += 1) {
    if (days !== undefined && at(days, index) === moment.exceptDay) continue;
    const apart = Math.abs(at(minutesOfDay, index) - moment.minuteOfDay);
    applied[index] = kernel === undefined ? at(weights, index) : at(weights, index) * at(kernel, apart);
  }
  return applied;
}

/**
 * Quantiles of sorted values with weights, levels ascending: linear between the middles of the weights, and outside
 * [0, 1] on with the slope of the outer fifth, so that a level above 1 is more than the largest value ever seen. NaN
 * without weight.
 */
export function weightedQuantiles(values: Float64Array, weights: Float64Array, levels: readonly number[]): number[] {
  let total = 0;
  for (const weight of weights) total += weight;
  if (!(total > 0)) return levels.map(() => Number.NaN);
  const quantiles: number[] = [];
  // After the last level there is no target, and nothing is below it.
  const targetOf = (index: number): number => (levels[index] ?? Number.NaN) * total;
  let target = targetOf(0);
  let before = 0;
  let lowerMiddle = 0;
  let lower = Number.NaN;
  for (let index = 0; index < weights.length; index += 1) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    const value = values[index] ?? lower;
    const middle = before + weight / 2;
    // Up to the first middle, the first value.
    if (before === 0) lower = value;
    for (; target <= middle; target = targetOf(quantiles.length)) {
      quantiles.push(lower + ((value - lower) * (target - lowerMiddle)) / (middle - lowerMiddle));
    }
    lower = value;
    lowerMiddle = middle;
    before += weight;
  }
  while (quantiles.length < levels.length) quantiles.push(lower);
  return quantiles.map((value, index) => value + beyond(values, weights, levels[index] ?? 0));
}

/** What a level outside [0, 1] adds to the largest, or takes from the smallest value. */
function beyond(values: Float64Array, weights: Float64Array, level: number): number {
  if (level >= 0 && level <= 1) return 0;
  const [low = 0, high = 0] = weightedQuantiles(values, weights, level > 1 ? [0.8, 1] : [0, 0.2]);
  return ((level > 1 ? level - 1 : level) * (high - low)) / 0.2;
}

/** What a calibration keeps for as long as its model is in use: for many targets, most of their memory. */
export interface CalibrationState {
  readonly rule: ResidualRule;
  readonly mean: number;
  /** By position; what they say about their origins is kept once, by origin. */
  readonly pools: readonly { readonly position: number; readonly values: Float64Array; readonly order: Uint16Array }[];
  readonly weights: Float64Array;
  readonly minutesOfDay: Float64Array;
}

/** The calibration of a track by a rule. */
export function createCalibration(
  contest: Contest,
  track: Track,
  { rule, mean }: { rule: ResidualRule; mean: number },
): Calibration {
  const pools = contest.positions.flatMap((position, slot) => {
    const { values, order } = errorsOf(contest, track, { slot, power: rule.power, mean });
    return order.length === 0 ? [] : [{ position, values: pick(values, order), order }];
  });
  return calibrationOf({
    rule,
    mean,
    pools,
    weights: weightsByAge(contest),
    minutesOfDay: minutesOfDay(contest),
  });
}

/** A function of its own, so that the closure holds on to what is kept alone, and not to the contest. */
export function calibrationOf(state: CalibrationState): Calibration {
  const { rule, mean, pools, weights, minutesOfDay } = state;
  return {
    rule,
    state,
    size: pools[0]?.values.length ?? 0,
    curve: (secondOfDay, levelAt) => {
      const moment = { minuteOfDay: Math.floor(secondOfDay / 60) };
      const byOrigin = weightsAt({ weights, minutesOfDay }, kernelOf(rule), moment);
      const knots = pools.map(({ position, values, order }) => {
        const [value = Number.NaN] = weightedQuantiles(values, pick(byOrigin, order), [levelAt(position)]);
        return { position, value };
      });
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
