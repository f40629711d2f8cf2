// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { effectAt, estimateEffects } from './effects.ts';
import type { FitContext } from './model.ts';
import { RowList, chooseFollowed, collect, fitAnchor } from './path-rows.ts';
import type { Past, PastOrigin } from './path-rows.ts';
import { lags, widthOf } from './path.ts';
import type { PathCoefficients } from './path.ts';
import { defaultShape, tuneShape } from './profile-tuning.ts';
import { createDayProfile } from './profile.ts';
import type { DayProfile } from './profile.ts';
import { meanPresent } from './robust.ts';
import { emptySituation, restoreSituation, walkProfile } from './situation.ts';
import type { Situation } from './situation.ts';

/** A regression of its own for at most so many leads; those between take the mean of their neighbours. */
const mostAnchors = 8;

/** Regressions are fitted on at most so many origins, evenly over the past. */
const mostOrigins = 1500;

/** A row counts half as much when it is this much older. */
const rowHalfLifeSeconds = 28 * 86_400;

/** Who looks at each origin, and for the leads of the regressions. */
export type Visitor = (situation: Situation, origin: PastOrigin, past: Past) => void;

/** A regression for a path, standing at the end of its history. */
export interface PathFit {
  readonly situation: Situation;
  readonly coefficients: PathCoefficients;
  /** Leads the regression through the past once more, origin by origin. */
  walk(visit: Visitor): void;
}

/**
 * Ridge regression of demand, less the profile that was known then, for several leads each: on the levels of the last
 * minutes to days against the profile (as differences, and as ratios times the profile ahead), what was left a day and
 * a week before, waves of the day, weekend and holiday. It is shrunk towards the profile at the level of the last
 * minutes. Effects of regressors are taken out of demand first.
 */
export function fitPath(history: TimeSeries, context: FitContext): PathFit {
  const prepared = prepare(history, context);
  const { known, profile } = prepared;
  const origins = originsOf(history, known);
  const leads = anchorsOf(context.horizonSteps);
  const walk = (visit: Visitor): Situation => {
    const situation = restoreSituation(prepared.empty, context, profile);
    let next = 0;
    for (let index = 0; index < history.values.length; index += 1) {
      const origin = origins[next];
      if (origin?.index === index) {
        visit(situation, origin, prepared);
        next += 1;
      }
      situation.observe(at(history.values, index), at(known, index));
    }
    return situation;
  };
  const levels = prepared.empty.levels.length;
  const rows = leads.map((lead) => new RowList(lead, widthOf(levels), origins.length));
  const lows = new Float64Array(2 * levels + lags);
  const highs = new Float64Array(2 * levels + lags);
  const situation = walk((then, origin, past) => collect(then, { ...origin, ...past, rows, lows, highs }));
  const values = new Float64Array(leads.length * widthOf(levels));
  const followed = rows.map((list, anchor) => {
    const choice = chooseFollowed(list, levels);
    values.set(fitAnchor(list, choice), anchor * list.width);
    return choice;
  });
  return { situation, coefficients: { leads, followed, values, lows, highs }, walk: (visit) => void walk(visit) };
}

interface Prepared extends Past {
  readonly profile: DayProfile;
  /** The profile of each point as it was known before its day, in units of demand. */
  readonly known: Float64Array;
  readonly empty: ReturnType<typeof emptySituation>;
}

function prepare(history: TimeSeries, context: FitContext): Prepared {
  const { values, startSeconds, stepSeconds } = history;
  const neverNegative = values.every((value) => !(value < 0));
  const mean = meanPresent(values.map(Math.abs));
  const scale = mean > 0 ? mean : 1;
  const first = profileOf(history, context);
  const effects = estimateEffects(history, first.known, context);
  const effect = effectAt(effects, context);
  const clean = values.map((value, index) => {
    const rest = value - effect(startSeconds + index * stepSeconds);
    return neverNegative ? Math.max(0, rest) : rest;
  });
  const { profile, known } = effects.some(({ size }) => size !== 0)
    ? profileOf({ ...history, values: clean }, context)
    : first;
  return {
    profile,
    known,
    scaled: known.map((value) => value / scale),
    clean: clean.map((value) => value / scale),
    empty: emptySituation({ startSeconds, stepSeconds, scale, neverNegative, effects }),
  };
}

function profileOf(history: TimeSeries, { timeZone }: FitContext): { profile: DayProfile; known: Float64Array } {
  const { values, startSeconds, stepSeconds } = history;
  const calendar = localCalendar(timeZone);
  const whole = createDayProfile(calendar, stepSeconds, defaultShape);
  values.forEach((value, index) => whole.add(startSeconds + index * stepSeconds, value));
  const shape = tuneShape(whole.days(), whole.slotSeconds, true);
  const profile = createDayProfile(calendar, stepSeconds, shape);
  return { profile, known: walkProfile(history, profile) };
}

/** Those before which a profile was known. */
function originsOf({ values, stepSeconds }: TimeSeries, known: Float64Array): PastOrigin[] {
  const first = known.findIndex((value) => !Number.isNaN(value));
  if (first === -1) return [];
  // Not a divisor of an hour or a day: every minute and every time of day has its turn.
  const every = Math.max(1, Math.ceil((values.length - first) / mostOrigins)) | 1;
  const indices: number[] = [];
  for (let index = first; index < values.length; index += every) indices.push(index);
  return indices.map((index, number) => ({
    index,
    number,
    count: indices.length,
    weight: 0.5 ** (((values.length - index) * stepSeconds) / rowHalfLifeSeconds),
  }));
}

function anchorsOf(horizonSteps: number): number[] {
  const horizon = Math.max(1, horizonSteps);
  const leads = Array.from({ length: mostAnchors }, (_, index) => Math.round(horizon ** (index / (mostAnchors - 1))));
  return [...new Set(leads)];
}
