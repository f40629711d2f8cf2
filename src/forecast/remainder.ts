// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { endSeconds } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { transform, untransform } from './level.ts';
import type { FitContext } from './model.ts';
import { defaultShape, tuneShape } from './profile-tuning.ts';
import { createDayProfile, expectBefore, restoreDayProfile } from './profile.ts';
import type { DayProfileState } from './profile.ts';
import { meanPresent } from './robust.ts';

/** Added to demand before logarithms, as a share of mean demand. */
const logOffset = 0.1;

/** Below this nothing could have been forecast from a profile that was known then. */
const leastSeconds = 2 * 86_400;

/**
 * What is left of demand when the typical day is taken out, on a scale on which it is added: logarithms for demand
 * that never is negative, demand itself otherwise. Moves on point by point.
 */
export interface Remainder {
  /** Takes the next point (NaN for a gap) and gives its remainder. */
  observe(value: number): number;
  /** Demand for remainders of the coming steps: finite, and not negative when the history never was. */
  demandOf(remainders: Float64Array): Float64Array;
  readonly shape: number;
  snapshot(): RemainderState;
}

/** A remainder as plain data. */
export interface RemainderState {
  readonly profile: DayProfileState;
  readonly scale: DemandScale;
  readonly shape: number;
  readonly now: number;
  readonly stepSeconds: number;
  /** Stands in for a typical day that is not known. */
  readonly typical: number;
}

/** A history taken apart, with each point's typical value as it was known before that point's day. */
export interface TakenApart {
  /** On the scale of the remainder; NaN for a gap. */
  readonly demand: Float64Array;
  /** On the scale of the remainder; NaN where nothing was known. */
  readonly expected: Float64Array;
  /** Shares of the typical day that may be taken out: none where the history is too short to have one. */
  readonly shapes: readonly number[];
  readonly scale: DemandScale;
  /** Stands just after the history; `shape` of the typical day is taken out. */
  remainder(shape: number): Remainder;
}

/** The scale on which parts of demand add up. */
export interface DemandScale {
  /** Mean of the absolute demand: all is measured in it, so that the unit of demand does not matter. */
  readonly unit: number;
  /** Infinity for demand as it is. */
  readonly offset: number;
  neverNegative: boolean;
  /** What was seen, on this scale. */
  low: number;
  high: number;
}

/** The scale that suits a history. */
export function scaleOf(values: Float64Array): DemandScale {
  const mean = meanPresent(values.map(Math.abs));
  const neverNegative = values.every((value) => !(value < 0));
  return {
    unit: mean > 0 ? mean : 1,
    offset: neverNegative && mean > 0 ? logOffset : Number.POSITIVE_INFINITY,
    neverNegative,
    low: Number.POSITIVE_INFINITY,
    high: Number.NEGATIVE_INFINITY,
  };
}

/** Demand on the scale; the scale remembers what it has seen. */
export function toScale(scale: DemandScale, value: number): number {
  if (Number.isNaN(value)) return Number.NaN;
  if (value < 0) scale.neverNegative = false;
  const scaled = transform(value / scale.unit, scale.offset);
  if (scaled < scale.low) scale.low = scaled;
  if (scaled > scale.high) scale.high = scaled;
  return scaled;
}

/** Demand for a value on the scale, no further outside of what was seen than that is wide. */
export function fromScale(scale: DemandScale, scaled: number): number {
  const width = scale.high - scale.low;
  const bounded = Math.max(scale.low - width, Math.min(scale.high + width, scaled));
  const demand = scale.unit * untransform(bounded, scale.offset);
  return scale.neverNegative ? Math.max(0, demand) : demand;
}

/** Takes a history apart; it has at least a point. */
export function takeApart(history: TimeSeries, context: FitContext): TakenApart {
  const { values, startSeconds, stepSeconds } = history;
  const calendar = localCalendar(context.timeZone);
  const scale = scaleOf(values);
  const profile = createDayProfile(calendar, stepSeconds, defaultShape);
  values.forEach((value, index) => profile.add(startSeconds + index * stepSeconds, value));
  const shape = tuneShape(profile.days(), profile.slotSeconds, true);
  profile.reshape(shape);
  const known = expectBefore(history, createDayProfile(calendar, stepSeconds, shape));
  const expected = known.map((value) => transform(value / scale.unit, scale.offset));
  const demand = values.map((value) => toScale(scale, value));
  const typical = meanPresent(demand);
  const long = values.length * stepSeconds > leastSeconds && expected.some((value) => !Number.isNaN(value));
  const now = endSeconds(history);
  return {
    demand,
    expected,
    shapes: long ? [1, 0.5, 0] : [0],
    scale,
    remainder: (share) =>
      restoreRemainder({ profile: profile.snapshot(), scale, shape: share, now, stepSeconds, typical }, context),
  };
}

/** The remainder that gave the state, where it then stood. */
export function restoreRemainder(state: RemainderState, { timeZone }: FitContext): Remainder {
  const profile = restoreDayProfile(localCalendar(timeZone), state.profile);
  const scale = { ...state.scale };
  const { shape, stepSeconds, typical } = state;
  let { now } = state;
  const takenOut = (epochSeconds: number): number => {
    if (shape === 0) return 0;
    const value = transform(profile.expected(epochSeconds) / scale.unit, scale.offset);
    return shape * (Number.isNaN(value) ? typical : value);
  };
  return {
    shape,
    observe: (value) => {
      const typicalThen = takenOut(now);
      profile.add(now, value);
      now += stepSeconds;
      return toScale(scale, value) - typicalThen;
    },
    demandOf: (remainders) =>
      remainders.map((value, index) => fromScale(scale, value + takenOut(now + index * stepSeconds))),
    snapshot: () => ({ profile: profile.snapshot(), scale: { ...scale }, shape, now, stepSeconds, typical }),
  };
}
