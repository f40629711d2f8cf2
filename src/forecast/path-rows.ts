// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { fixed, lags } from './path.ts';
import type { Followed } from './path.ts';
import { dot, fitHuber } from './ridge.ts';
import { slowLevels } from './situation.ts';
import type { Situation } from './situation.ts';

/** Penalty of the ridge, and rounds in which outliers count less. */
const ridge = 0.003;
const rounds = 2;

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

/** A level of days would not follow a shift within hours: it must earn that, too. */
const slowHandicap = 1.05;

/** How much of what the regression says beyond that is believed; more must have been better on the latest rows. */
const beliefs = [
  { belief: 0, handicap: 1 },
  { belief: 0.5, handicap: 1.01 },
  { belief: 1, handicap: 1.015 },
];
const judgedShare = 0.25;
const fewestRows = 200;

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

/** Rows of one lead. */
export class RowList {
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

export function collect(situation: Situation, { index, weight, scaled, clean, rows, lows, highs }: Collecting): void {
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
export function chooseFollowed(list: RowList, levels: number): Followed {
  let best: Followed = { level: levels + Math.min(1, levels - 1), share: list.count === 0 ? 0.5 : 1 };
  let smallest = Number.POSITIVE_INFINITY;
  for (const { share, handicap } of shareChoices) {
    for (let level = 0; level < 2 * levels; level += 1) {
      const slow = level % levels >= levels - slowLevels ? slowHandicap : 1;
      const error = Math.max(handicap, slow) * errorOf(list, [{ column: fixed + level, factor: share }]);
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
export function fitAnchor(
  { width, features, targets, weights, count }: RowList,
  { level, share }: Followed,
): Float64Array {
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
