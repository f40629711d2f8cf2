// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { effectAt, estimateEffects } from './effects.ts';
import type { FitContext } from './model.ts';
import { defaultShape, tuneShape } from './profile-tuning.ts';
import { createDayProfile } from './profile.ts';
import type { DayProfile } from './profile.ts';
import { dot, fitHuber } from './ridge.ts';
import { meanPresent } from './robust.ts';
import { emptySituation, restoreSituation, targetWidth, walkProfile } from './situation.ts';
import type { Ahead, Origin, Situation } from './situation.ts';

/** A regression of its own for at most so many leads; those between take the mean of their neighbours. */
const mostAnchors = 8;

/** Regressions are fitted on at most so many origins, evenly over the past. */
const mostOrigins = 1500;

/** Penalty of the ridge, and rounds in which outliers count less. */
const ridge = 0.003;
const rounds = 2;

/** A row counts half as much when it is this much older. */
const rowHalfLifeSeconds = 28 * 86_400;

/** Beyond the farthest lead that was learnt, corrections halve in this time. */
const fadeSeconds = 8 * 3600;

/**
 * The share of one level's distance to the profile that goes on, chosen for each lead. A past without a level shift
 * cannot tell why a level should last, so less of it must earn that by an error that is smaller by its handicap.
 */
const shareChoices = [
  { share: 1, handicap: 1 },
  { share: 0.85, handicap: 1 },
  { share: 0.6, handicap: 1.01 },
  { share: 0.3, handicap: 1.03 },
  { share: 0, handicap: 1.05 },
];

/** How much of what the regression says beyond that is believed; more must have been better on the latest rows. */
const beliefs = [
  { belief: 0, handicap: 1 },
  { belief: 0.5, handicap: 1.01 },
  { belief: 1, handicap: 1.015 },
];
const judgedShare = 0.25;
const fewestRows = 200;

/** Columns before those of the levels: the constant, and the profile now. */
const fixed = 2;

/** Columns of the target that are lags, after the profile. */
const lags = 2;

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
interface Followed {
  readonly level: number;
  readonly share: number;
}

/** A moment of the past to learn from. */
export interface PastOrigin {
  /** The first point that is not known. */
  readonly index: number;
  readonly weight: number;
  /** Which of how many, in the order of time. */
  readonly number: number;
  readonly count: number;
}

/** What is known about the whole history, in units of the scale. */
export interface Past {
  /** The profile of each point as it was known before its day. */
  readonly scaled: Float64Array;
  /** Demand without the effects of regressors. */
  readonly clean: Float64Array;
}

/** Who looks at each origin, and for the leads of the regressions. */
export type Visitor = (situation: Situation, origin: PastOrigin, past: Past) => void;

/** A regression for a path, standing at the end of its history. */
export interface PathFit {
  readonly situation: Situation;
  readonly coefficients: PathCoefficients;
  /** Leads the regression through the past once more, origin by origin. */
  walk(visit: Visitor): void;
}

/** Row width for so many levels. */
function widthOf(levels: number): number {
  return fixed + 2 * levels + targetWidth;
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

/** Rows of one lead. */
class RowList {
  readonly lead: number;
  readonly width: number;
  readonly features: Float64Array;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
  count = 0;

  constructor(lead: number, width: number, most: number) {
    this.lead = lead;
    this.width = width;
    this.features = new Float64Array(width * most);
    this.targets = new Float64Array(most);
    this.weights = new Float64Array(most);
  }
}

interface Collecting extends PastOrigin, Past {
  readonly rows: readonly RowList[];
  readonly lows: Float64Array;
  readonly highs: Float64Array;
}

function collect(situation: Situation, { index, weight, scaled, clean, rows, lows, highs }: Collecting): void {
  const { differences, ratios, expected: now } = situation.origin(at(scaled, index) || 0);
  const levels = differences.length;
  widen({ lows, highs }, differences, 0);
  widen({ lows, highs }, ratios, levels);
  for (const list of rows) {
    const expected = at(scaled, index + list.lead - 1);
    const target = at(clean, index + list.lead - 1) - expected;
    if (Number.isNaN(target)) continue;
    const row = list.features.subarray(list.count * list.width, (list.count + 1) * list.width);
    row[0] = 1;
    row[1] = now;
    row.set(differences, fixed);
    for (let level = 0; level < levels; level += 1) row[fixed + levels + level] = at(ratios, level) * expected;
    const rest = fixed + 2 * levels;
    situation.target(row, rest, { lead: list.lead, expected });
    widen({ lows, highs }, row.subarray(rest + 1, rest + 1 + lags), 2 * levels);
    list.targets[list.count] = target;
    list.weights[list.count] = weight;
    list.count += 1;
  }
}

function widen({ lows, highs }: { lows: Float64Array; highs: Float64Array }, values: Float64Array, from: number): void {
  for (const [index, value] of values.entries()) {
    lows[from + index] = Math.min(at(lows, from + index), value);
    highs[from + index] = Math.max(at(highs, from + index), value);
  }
}

/** The level and the share of it that would have been best. */
function chooseFollowed(list: RowList, levels: number): Followed {
  let best: Followed = { level: levels + Math.min(1, levels - 1), share: list.count === 0 ? 0.5 : 1 };
  let smallest = Number.POSITIVE_INFINITY;
  for (const { share, handicap } of shareChoices) {
    for (let level = 0; level < 2 * levels; level += 1) {
      const error = handicap * errorOf(list, [{ column: fixed + level, factor: share }]);
      if (!(error < smallest)) continue;
      smallest = error;
      best = { level, share };
    }
  }
  return best;
}

/** Weighted mean absolute error of a sum of few columns. */
function errorOf(
  { width, features, targets, weights, count }: RowList,
  terms: readonly { column: number; factor: number }[],
): number {
  let error = 0;
  let total = 0;
  for (let row = 0; row < count; row += 1) {
    let rest = targets[row] ?? 0;
    for (const { column, factor } of terms) rest -= factor * (features[row * width + column] ?? 0);
    error += (weights[row] ?? 0) * Math.abs(rest);
    total += weights[row] ?? 0;
  }
  return error / total;
}

/** Coefficients of one lead beyond the level that is followed, as far as the latest rows say that they are good. */
function fitAnchor({ width, features, targets, weights, count }: RowList, { level, share }: Followed): Float64Array {
  const nothing = new Float64Array(width);
  if (count < fewestRows) return nothing;
  const rest = targets
    .subarray(0, count)
    .map((target, row) => target - share * at(features, row * width + fixed + level));
  const fitRows = (to: number): Float64Array =>
    fitHuber(
      {
        width,
        features: features.subarray(0, to * width),
        targets: rest.subarray(0, to),
        weights: weights.subarray(0, to),
      },
      ridge,
      rounds,
    );
  const known = Math.floor(count * (1 - judgedShare));
  const early = fitRows(known);
  const said = rest.map((_, row) => (row < known ? 0 : dot(early, features, row * width)));
  let best = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const { belief, handicap } of beliefs) {
    let error = 0;
    for (let row = known; row < count; row += 1)
      error += at(weights, row) * Math.abs(at(rest, row) - belief * at(said, row));
    if (!(handicap * error < smallest)) continue;
    smallest = handicap * error;
    best = belief;
  }
  return best === 0 ? nothing : fitRows(count).map((value) => best * value);
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
