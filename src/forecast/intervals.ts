// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { Contest, Track } from './contest.ts';

const daySeconds = 86_400;
const minutesPerDay = 1440;

/** Residuals at other times of day keep this share of their weight when the time of day matters. */
const otherTimesShare = 0.03;

/** Predictions are taken for at least this share of mean demand when residuals are scaled by them. */
const leastScale = 0.02;
/** So are the spreads of models. */
const leastSpread = 0.002;

/** How residuals are made comparable. */
export interface ResidualRule {
  /** Residuals are divided by this power of the forecast: 0 absolute, 1 relative. */
  readonly power: number;
  /** Residuals from about this time of day count most (standard deviation in seconds); Infinity: all count alike. */
  readonly timeOfDaySeconds: number;
  /** Residuals are divided by the spread that the model itself gives, and not by a power of the forecast. */
  readonly ownSpread?: boolean;
}

/** Errors of a model at one position, sorted, each with its weight and time of day. */
export interface Residuals {
  readonly values: Float64Array;
  readonly weights: Float64Array;
  readonly minutesOfDay: Float64Array;
  readonly days: Float64Array;
  /** What each was divided by. */
  readonly scales: Float64Array;
  /** Number of the origin of each. */
  readonly origins: Uint16Array;
}

/** What a calibration knows, as plain data: quantiles of residuals by time of day, position and level. */
export interface CalibrationState {
  readonly rule: ResidualRule;
  readonly mean: number;
  /** Number of residuals at the first position that is judged. */
  readonly size: number;
  /** Positions at which residuals are known, ascending. */
  readonly positions: readonly number[];
  /** A day is cut into so many parts; 1 when the time of day does not matter. */
  readonly buckets: number;
  /** By bucket, position and level of the grid. */
  readonly grid: Float32Array;
}

/** Turns point forecasts into quantiles, by the empirical residuals at noted positions. */
export interface Calibration {
  readonly state: CalibrationState;
  /**
   * Quantiles of forecasts made at `secondOfDay`, as a function of the point forecast, its position, and the spread that
   * the model gives, if it does. The level may differ by position, and may lie a little outside [0, 1].
   */
  curve(
    secondOfDay: number,
    levelAt: (position: number) => number,
  ): (point: number, position: number, spread?: number) => number;
}

/** A day is cut so fine when the time of day matters. */
const bucketsPerDay = 36;

/** Quantiles of residuals are kept at these levels: every level is asked for in time, and a few suffice. */
const gridLevels = [
  0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965,
  0.98, 0.99, 0.995, 1,
];

/** Beyond the largest residual quantiles go on with the slope of the outer fifth. */
const outerShare = 0.2;

/** The amount that residuals are divided by. */
function residualScale(forecast: number, { rule, mean }: Scaling, spread = Number.NaN): number {
  if (rule.ownSpread === true && !Number.isNaN(spread)) return Math.max(spread, leastSpread * mean, Number.MIN_VALUE);
  if (!(mean > 0)) return 1;
  return mean * Math.max(leastScale, Math.abs(forecast) / mean) ** rule.power;
}

interface Scaling {
  readonly rule: ResidualRule;
  readonly mean: number;
}

/** The errors of one position by origin, and the origins whose error is known, smallest error first. */
interface Errors {
  readonly values: Float64Array;
  /** What each was divided by. */
  readonly scales: Float64Array;
  /** At most `wantedOrigins` of a contest, which fits 16 bits. */
  readonly order: Uint16Array;
}

interface Where extends Scaling {
  readonly slot: number;
}

function errorsOf({ origins, positions, actual }: Contest, track: Track, { slot, rule, mean }: Where): Errors {
  const scales = new Float64Array(origins.length);
  const values = scales.map((_, index) => {
    const place = index * positions.length + slot;
    const forecast = at(track.forecasts, place);
    scales[index] = residualScale(forecast, { rule, mean }, track.spreads?.[place]);
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

/** Residuals of a track at the noted position number `slot`, made comparable by a rule. */
export function collectResiduals(contest: Contest, track: Track, where: Where): Residuals {
  const { values, scales, order } = errorsOf(contest, track, where);
  const ofOrigins = (all: Float64Array): Float64Array => pick(all, order);
  return {
    values: ofOrigins(values),
    scales: ofOrigins(scales),
    weights: ofOrigins(weightsByAge(contest)),
    minutesOfDay: ofOrigins(minutesOfDay(contest)),
    days: ofOrigins(Float64Array.from(contest.origins, ({ day }) => day)),
    origins: order,
  };
}

function weightsByAge({ origins }: Contest): Float64Array {
  return Float64Array.from(origins, ({ weight }) => weight);
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
 * Quantiles of sorted values with weights, levels ascending within [0, 1]: linear between the middles of the weights.
 * NaN without weight.
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
  return quantiles;
}

/** The calibration of a track by a rule. */
export function calibrate(contest: Contest, track: Track, { rule, mean }: Scaling): CalibrationState {
  const pools = contest.positions.flatMap((position, slot) => {
    const { values, order } = errorsOf(contest, track, { slot, rule, mean });
    return order.length === 0 ? [] : [{ position, values: pick(values, order), order }];
  });
  const kernel = kernelOf(rule);
  const buckets = kernel === undefined ? 1 : bucketsPerDay;
  const byAge = weightsByAge(contest);
  const minutes = minutesOfDay(contest);
  const grid = new Float32Array(buckets * pools.length * gridLevels.length);
  let written = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const minuteOfDay = Math.floor(((bucket + 0.5) * minutesPerDay) / buckets);
    const weights = weightsAt({ weights: byAge, minutesOfDay: minutes }, kernel, { minuteOfDay });
    for (const { values, order } of pools) {
      grid.set(weightedQuantiles(values, pick(weights, order), gridLevels), written);
      written += gridLevels.length;
    }
  }
  const positions = pools.map(({ position }) => position);
  return { rule, mean, size: pools[0]?.values.length ?? 0, positions, buckets, grid };
}

/** A calibration that knows what `state` says. */
export function createCalibration(state: CalibrationState): Calibration {
  const { positions, buckets, grid } = state;
  const width = gridLevels.length;
  return {
    state,
    curve: (secondOfDay, levelAt) => {
      const bucket = Math.min(buckets - 1, Math.floor((secondOfDay * buckets) / daySeconds));
      const knots = positions.map((position, slot) => {
        return { position, value: quantileAt(grid, (bucket * positions.length + slot) * width, levelAt(position)) };
      });
      return (point, position, spread) => point + residualScale(point, state, spread) * interpolate(knots, position);
    },
  };
}

/** Linear between the levels of the grid that begins at `from`. */
function quantileAt(grid: Float32Array, from: number, level: number): number {
  const value = (index: number): number => grid[from + index] ?? Number.NaN;
  const last = gridLevels.length - 1;
  if (level > 1) return value(last) + ((level - 1) * (value(last) - value(upperFifth))) / outerShare;
  if (level < 0) return value(0) + (level * (value(lowerFifth) - value(0))) / outerShare;
  let right = 1;
  while (right < last && (gridLevels[right] ?? 1) < level) right += 1;
  const [low = 0, high = 1] = [gridLevels[right - 1], gridLevels[right]];
  const share = (level - low) / (high - low);
  return (1 - share) * value(right - 1) + share * value(right);
}

const lowerFifth = gridLevels.indexOf(outerShare);
const upperFifth = gridLevels.indexOf(1 - outerShare);

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
