// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { targetWidth } from './situation.ts';
import type { Ahead, Origin, Situation } from './situation.ts';

/** Beyond the farthest lead that was learnt, corrections halve in this time. */
const fadeSeconds = 8 * 3600;

/** Columns before those of the levels: the constant, and the profile now. */
export const fixed = 2;

/** Columns of the target that are lags, after the profile. */
export const lags = 2;

/** Coefficients for each of some leads, ascending. */
export interface PathCoefficients {
  readonly leads: readonly number[];
  /** By lead, the level that is followed (differences first, then ratios) and how much of it. */
  readonly followed: readonly Followed[];
  /** Lead after lead. */
  readonly values: Float64Array;
  /** What levels (differences, then ratios) and lags were in the past: a regression knows nothing of what is beyond. */
  readonly lows: Float64Array;
  readonly highs: Float64Array;
}

/** A level that is followed. */
export interface Followed {
  readonly level: number;
  readonly share: number;
}

/** Row width for so many levels. */
export function widthOf(levels: number): number {
  return fixed + 2 * levels + targetWidth;
}

/** Demand `lead` steps ahead, where the profile is `expected`, in units of the scale without effects; may be negative. */
export type PathReader = (ahead: Ahead) => number;

/** What the regressions say at a moment. */
export function readPath(situation: Situation, coefficients: PathCoefficients, origin: Origin): PathReader {
  const { leads, lows, highs } = coefficients;
  const parts = leads.map((_, anchor) => partsOf(coefficients, anchor, origin));
  const target = new Float64Array(targetWidth);
  const farthest = leads.at(-1) ?? 1;
  const levels = 2 * origin.ratios.length;
  return ({ lead, expected }) => {
    situation.target(target, 0, { lead, expected });
    for (let lag = 0; lag < lags; lag += 1) {
      target[1 + lag] = clamp(at(target, 1 + lag), at(lows, levels + lag), at(highs, levels + lag));
    }
    let right = 0;
    while (right < leads.length - 1 && (leads[right] ?? 0) < lead) right += 1;
    const to = leads[right] ?? 1;
    const from = leads[right - 1] ?? to;
    const share = to === from || lead >= to ? 1 : Math.log(lead / from) / Math.log(to / from);
    const near = share === 1 ? 0 : (1 - share) * correctionOf(parts[right - 1], target);
    const correction = share * correctionOf(parts[right], target) + near;
    return expected + correction * 0.5 ** ((Math.max(0, lead - farthest) * situation.stepSeconds) / fadeSeconds);
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

/** The path of the next steps. */
export function predictPath(situation: Situation, coefficients: PathCoefficients, horizon: number): Float64Array {
  const read = readPath(situation, coefficients, situation.origin());
  return Float64Array.from({ length: horizon }, (_, index) => {
    return read({ lead: index + 1, expected: situation.expected(index + 1) });
  });
}

function partsOf(
  { values, followed, lows, highs }: PathCoefficients,
  anchor: number,
  { differences, ratios, expected }: Origin,
): Parts {
  const levels = ratios.length;
  const width = widthOf(levels);
  const own = values.subarray(anchor * width, (anchor + 1) * width);
  const { level, share } = followed[anchor] ?? { level: 0, share: 0 };
  let constant = at(own, 0) + at(own, 1) * expected + (level < levels ? share * at(differences, level) : 0);
  let ratio = level < levels ? 0 : share * at(ratios, level - levels);
  for (let index = 0; index < levels; index += 1) {
    const other = levels + index;
    constant += at(own, fixed + index) * clamp(at(differences, index), at(lows, index), at(highs, index));
    ratio += at(own, fixed + other) * clamp(at(ratios, index), at(lows, other), at(highs, other));
  }
  return { constant, ratio, target: own.subarray(fixed + 2 * levels) };
}

/** What one lead's regression says at a moment, but for the features of the time ahead. */
interface Parts {
  readonly constant: number;
  /** Times the profile ahead. */
  readonly ratio: number;
  readonly target: Float64Array;
}

function correctionOf(parts: Parts | undefined, target: Float64Array): number {
  if (parts === undefined) return 0;
  let sum = parts.constant + parts.ratio * (target[0] ?? 0);
  for (let column = 0; column < targetWidth; column += 1) sum += (parts.target[column] ?? 0) * (target[column] ?? 0);
  return sum;
}

/** A copy. */
export function copyCoefficients({ leads, followed, values, lows, highs }: PathCoefficients): PathCoefficients {
  return {
    leads: [...leads],
    followed: followed.map((one) => ({ ...one })),
    values: values.slice(),
    lows: lows.slice(),
    highs: highs.slice(),
  };
}
