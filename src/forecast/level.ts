// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';

/** The correction is chosen on forecasts of this much of the past, made this often: not always at the same minute. */
export const judgedSeconds = 7 * 86_400;
const originSeconds = 1500;
const mostLeads = 4;

/** How a forecast is corrected towards the level of the last observations. */
export interface LevelRule {
  /** Observations count half as much when they are this much older. */
  readonly levelSeconds: number;
  /** The correction halves in this time. */
  readonly decaySeconds: number;
  /** How much of the profile's shape is followed from the level: 1 all of it, 0 none (a level that stays). */
  readonly shape: number;
  /**
   * Added to demand before logarithms, as a share of mean demand: a small one corrects by a ratio, a larger one by
   * something between a ratio and a difference. Infinity corrects by a difference.
   */
  readonly offset: number;
}

/** Exponentially weighted sums of demand and of the profile at the same points. */
export interface Level {
  demand: number;
  profile: number;
  weight: number;
  /** Steps since the last observation. */
  age: number;
}

/** Moves a level one step on; NaN for either is a gap. */
export function advance(level: Level, decay: number, point: { demand: number; profile: number }): void {
  level.demand *= decay;
  level.profile *= decay;
  level.weight *= decay;
  if (Number.isNaN(point.demand + point.profile)) {
    level.age += 1;
    return;
  }
  level.demand += point.demand;
  level.profile += point.profile;
  level.weight += 1;
  level.age = 0;
}

/** Demand to the scale on which it is corrected. */
export function transform(value: number, offset: number): number {
  return offset === Number.POSITIVE_INFINITY ? value : Math.log(Math.max(0, value) + offset);
}

/** The inverse of {@link transform}. */
export function untransform(value: number, offset: number): number {
  return offset === Number.POSITIVE_INFINITY ? value : Math.exp(value) - offset;
}

/** Points to choose a rule on: demand, the profile as it was known before that day, and where forecasts start. */
export interface LevelHistory {
  readonly demand: Float64Array;
  readonly profile: Float64Array;
  readonly stepSeconds: number;
  /** Mean demand: the unit of offsets. */
  readonly scale: number;
  /** Indices of the first point that a forecast does not know. */
  readonly origins: readonly number[];
  /** Steps ahead that are judged; 0 is the origin. */
  readonly leads: readonly number[];
}

const levelChoices = [900, 300, 60, 2700];
/**
 * How fast a correction decays. A past without a level shift cannot tell why a correction should last, so one that
 * fades must earn it by an error that is smaller by its handicap.
 */
const decayChoices = [
  { seconds: 28_800, handicap: 1 },
  { seconds: 172_800, handicap: 1 },
  { seconds: 7200, handicap: 1.02 },
  { seconds: 1800, handicap: 1.05 },
];
const shapeChoices = [1, 0.5, 0];
const offsetChoices = [0.1, 0.02, 0.5];

/** Used until there is something to choose on. */
const defaultRule: LevelRule = { levelSeconds: 900, decaySeconds: 28_800, shape: 1, offset: 0.1 };

/** The rule with the smallest mean absolute error over the origins and leads. */
export function chooseRule(history: LevelHistory, neverNegative: boolean): LevelRule {
  const offsets = neverNegative ? [...offsetChoices, Number.POSITIVE_INFINITY] : [Number.POSITIVE_INFINITY];
  let winner: LevelRule = { ...defaultRule, offset: offsets[0] ?? Number.POSITIVE_INFINITY };
  let smallest = Number.POSITIVE_INFINITY;
  const consider = (rule: LevelRule, error: number): void => {
    if (!(error < smallest)) return;
    smallest = error;
    winner = rule;
  };
  for (const levelSeconds of levelChoices) {
    const levels = levelsAt(history, levelSeconds);
    for (const offset of offsets) {
      const terms = createTerms(history, levels, offset * history.scale);
      for (const { handicap, ...rule } of rules(levelSeconds, offset)) {
        consider(rule, handicap * meanAbsoluteError(history, terms, rule));
      }
    }
  }
  return winner;
}

function rules(levelSeconds: number, offset: number): (LevelRule & { handicap: number })[] {
  return shapeChoices.flatMap((shape) =>
    decayChoices.map(({ seconds, handicap }) => ({ levelSeconds, decaySeconds: seconds, shape, offset, handicap })),
  );
}

/** Mean demand and mean profile of the recent past at each origin; NaN where nothing was seen. */
function levelsAt(history: LevelHistory, levelSeconds: number): { demand: Float64Array; profile: Float64Array } {
  const decay = 0.5 ** (history.stepSeconds / levelSeconds);
  const level: Level = { demand: 0, profile: 0, weight: 0, age: 0 };
  const demand = new Float64Array(history.origins.length);
  const profile = new Float64Array(history.origins.length);
  let index = 0;
  for (const [position, origin] of history.origins.entries()) {
    for (; index < origin; index += 1) {
      advance(level, decay, { demand: at(history.demand, index), profile: at(history.profile, index) });
    }
    demand[position] = level.demand / level.weight;
    profile[position] = level.profile / level.weight;
  }
  return { demand, profile };
}

/** What does not depend on decay and shape, transformed, by origin and lead. */
interface Terms {
  readonly offset: number;
  readonly demandLevel: Float64Array;
  readonly profileLevel: Float64Array;
  readonly ahead: Float64Array;
  readonly actual: Float64Array;
}

function createTerms(
  { origins, leads, demand, profile }: LevelHistory,
  levels: { demand: Float64Array; profile: Float64Array },
  offset: number,
): Terms {
  const ahead = new Float64Array(origins.length * leads.length);
  const actual = new Float64Array(ahead.length);
  for (const [position, origin] of origins.entries()) {
    for (const [slot, lead] of leads.entries()) {
      ahead[position * leads.length + slot] = transform(at(profile, origin + lead), offset);
      actual[position * leads.length + slot] = at(demand, origin + lead);
    }
  }
  return {
    offset,
    demandLevel: levels.demand.map((value) => transform(value, offset)),
    profileLevel: levels.profile.map((value) => transform(value, offset)),
    ahead,
    actual,
  };
}

function meanAbsoluteError(history: LevelHistory, terms: Terms, rule: LevelRule): number {
  const { leads, stepSeconds } = history;
  const shares = leads.map((lead) => 0.5 ** (((lead + 1) * stepSeconds) / rule.decaySeconds));
  let total = 0;
  let count = 0;
  for (let index = 0; index < terms.ahead.length; index += 1) {
    const position = Math.floor(index / leads.length);
    const ahead = at(terms.ahead, index);
    const level = at(terms.demandLevel, position) + rule.shape * (ahead - at(terms.profileLevel, position));
    const share = shares[index % leads.length] ?? 0;
    const error = Math.abs(untransform(share * level + (1 - share) * ahead, terms.offset) - at(terms.actual, index));
    if (Number.isNaN(error)) continue;
    total += error;
    count += 1;
  }
  return total / count;
}

/** Points of the past days to forecast from, and steps ahead to judge the forecasts at. */
export function originsAndLeads(history: TimeSeries, horizonSteps: number): { origins: number[]; leads: number[] } {
  const every = Math.max(1, Math.round(originSeconds / history.stepSeconds));
  const judged = Math.ceil(judgedSeconds / history.stepSeconds);
  const origins: number[] = [];
  for (let index = Math.max(1, history.values.length - judged); index < history.values.length; index += every) {
    origins.push(index);
  }
  const ratio = Math.max(1, horizonSteps) ** (1 / (mostLeads - 1));
  const leads = Array.from({ length: mostLeads }, (_, index) => Math.round(ratio ** index) - 1);
  return { origins, leads: [...new Set(leads)] };
}
