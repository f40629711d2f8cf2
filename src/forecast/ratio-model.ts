// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import { demandOf } from './demand-path.ts';
import { regressorAt } from './effects.ts';
import type { BlockedRows, Learnt } from './forest.ts';
import { transform, untransform } from './level.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from './model.ts';
import { fitPath } from './path-regression.ts';
import type { PathFit } from './path-regression.ts';
import { copyCoefficients, predictPath, readPath } from './path.ts';
import type { PathCoefficients } from './path.ts';
import type { DayProfileState } from './profile.ts';
import { refuseShort } from './refusals.ts';
import { restoreSituation, targetWidth } from './situation.ts';
import type { Origin, Situation, SituationState } from './situation.ts';
import { sumOfTrees } from './trees.ts';

/** Added before logarithms, as a share of mean demand. */
const offset = 0.1;

/** Ratios that trees learn, and that they give, are within e to the power of this. */
const largest = 2;

/** Leads at which trees are asked are at most this far apart; between them their answers are on straight lines. */
const spacingSeconds = 1800;

/** Leads of an origin that trees learn from, and a stride that brings every lead its turn. */
const leadsPerOrigin = 3;
const leadStride = 0.618_033_988_749_895;

/** Columns before those of the levels: lead, hour, weekday, profile ahead, profile ahead against that of now. */
const fixed = 5;

/** A learner of trees, or why it learnt nothing. */
export type Learner = (rows: BlockedRows) => Learnt | CannotFit;

/** Which rows trees learn from. */
export interface RatioSetup {
  readonly name: string;
  readonly mostRows: number;
  readonly learn: Learner;
}

/**
 * A model of what the path regression leaves over, as a ratio: trees cannot extrapolate a level, so they are told levels
 * and lags as ratios to the profile and correct a forecast that has the level. Where demand was negative, differences
 * take the place of ratios.
 */
export function createRatioModel(setup: RatioSetup): Model {
  const { name } = setup;
  return {
    name,
    fit: (history, context) => {
      const refusal = refuseShort(history);
      if (refusal !== undefined) return refusal;
      const path = fitPath(history, context);
      const learnt = learn(setup, path, context);
      if ('kind' in learnt) return learnt;
      return createFitted({ name, context, situation: path.situation, coefficients: path.coefficients, learnt });
    },
    restore: (state, context) => {
      const { situation, profile, coefficients, learnt } = structuredCopy(state as unknown as State);
      return createFitted({
        name,
        context,
        situation: restoreSituation(situation, context, profile),
        coefficients,
        learnt,
      });
    },
  };
}

interface State {
  readonly situation: SituationState;
  readonly profile: DayProfileState;
  readonly coefficients: PathCoefficients;
  readonly learnt: Learnt;
}

interface Parts {
  readonly name: string;
  readonly context: FitContext;
  readonly situation: Situation;
  readonly coefficients: PathCoefficients;
  readonly learnt: Learnt;
}

/** What is never written to is shared, not copied. */
function structuredCopy(state: State): State {
  return { ...state, coefficients: copyCoefficients(state.coefficients) };
}

function createFitted({ name, context, situation, coefficients, learnt }: Parts): FittedModel {
  const { grove, factor } = learnt;
  const { stepSeconds } = situation;
  const every = (context.regressors ?? []).length > 0 ? 1 : Math.max(1, Math.floor(spacingSeconds / stepSeconds));
  const features = createFeatures(situation, context);
  const corrections = (horizon: number, path: Float64Array): Float64Array => {
    const origin = situation.origin();
    const asked = leadsUpTo(horizon, every);
    const answers = Float64Array.from(asked, (lead) => {
      const row = features(origin, { lead, expected: situation.expected(lead) });
      return Math.max(-largest, Math.min(largest, factor * sumOfTrees(grove, row)));
    });
    return interpolate(asked, answers, path.length);
  };
  return {
    kind: 'fitted',
    update: (value) => situation.step(value),
    predict: (horizon) => {
      const path = predictPath(situation, coefficients, horizon);
      if (horizon === 0 || grove.roots.length === 0) return demandOf(situation, path);
      const scale = offsetOf(situation);
      const correction = corrections(horizon, path);
      return demandOf(
        situation,
        path.map((value, index) => untransform(transform(value, scale) + at(correction, index), scale)),
      );
    },
    describe: () => ({
      name,
      parameters: { ...situation.describe(), trees: grove.roots.length, factor: factor * grove.roots.length },
    }),
    snapshot: (): ModelState =>
      ({
        situation: situation.snapshot(),
        profile: situation.profile.snapshot(),
        coefficients: copyCoefficients(coefficients),
        learnt,
      }) satisfies State,
  };
}

function offsetOf(situation: Situation): number {
  return situation.neverNegative() ? offset : Number.POSITIVE_INFINITY;
}

/** 1, 2, 4, 8 … as long as that is nearer than `every`, then every so many, and the last. */
function leadsUpTo(horizon: number, every: number): number[] {
  const leads: number[] = [];
  for (let lead = 1; lead < horizon; lead += Math.max(1, Math.min(every, lead))) leads.push(lead);
  return [...leads, horizon];
}

function interpolate(leads: readonly number[], answers: Float64Array, length: number): Float64Array {
  const path = new Float64Array(length);
  let right = 0;
  for (let index = 0; index < length; index += 1) {
    while (right < leads.length - 1 && (leads[right] ?? 0) < index + 1) right += 1;
    const to = leads[right] ?? 1;
    const from = leads[right - 1] ?? to;
    const share = to === from ? 1 : (index + 1 - from) / (to - from);
    path[index] = share === 1 ? at(answers, right) : share * at(answers, right) + (1 - share) * at(answers, right - 1);
  }
  return path;
}

type Features = (origin: Origin, ahead: { lead: number; expected: number }) => Float64Array;

/** What trees are told; the row is used again for the next one. */
function createFeatures(situation: Situation, { timeZone, regressors = [] }: FitContext): Features {
  const calendar = localCalendar(timeZone);
  const { levelCount, stepSeconds } = situation;
  const target = new Float64Array(targetWidth);
  const row = new Float64Array(featureWidth(levelCount, regressors.length));
  return ({ differences, ratios, expected: now }, { lead, expected }) => {
    situation.target(target, 0, { lead, expected });
    const time = situation.now() + (lead - 1) * stepSeconds;
    const { day, secondOfDay } = calendar.local(time);
    const relative = situation.neverNegative();
    const unit = relative ? Math.max(0, expected) + offset : 1;
    row[0] = Math.log(lead);
    row[1] = secondOfDay / 3600;
    row[2] = (((day + 4) % 7) + 7) % 7;
    row[3] = expected;
    row[4] = (expected - now) / unit;
    row.set(relative ? ratios : differences, fixed);
    row[fixed + levelCount] = at(target, 1) / unit;
    row[fixed + levelCount + 1] = at(target, 2) / unit;
    row[fixed + levelCount + 2] = at(target, 8);
    for (const [index, regressor] of regressors.entries()) {
      row[fixed + levelCount + 3 + index] = regressorAt(regressor, time);
    }
    return row;
  };
}

function featureWidth(levels: number, regressors: number): number {
  return fixed + levels + 3 + regressors;
}

/** Trees for what the regression left over in the past. */
function learn(
  { mostRows, learn: learner }: RatioSetup,
  { situation, coefficients, walk }: PathFit,
  context: FitContext,
): Learnt | CannotFit {
  const width = featureWidth(situation.levelCount, context.regressors?.length ?? 0);
  const calendar = localCalendar(context.timeZone);
  const rows: RowStore = { features: [], targets: [], weights: [], blocks: [] };
  const horizon = Math.max(1, context.horizonSteps);
  const limit = offsetOf(situation);
  let turn = 0;
  const wanted = Math.ceil(mostRows / leadsPerOrigin);
  walk((then, { index, weight, number, count }, { clean, scaled }) => {
    if (Math.floor((number * wanted) / count) === Math.floor(((number - 1) * wanted) / count)) return;
    const features = createFeatures(then, context);
    const origin = then.origin(at(scaled, index) || 0);
    const read = readPath(then, coefficients, origin);
    const leads = Array.from({ length: leadsPerOrigin }, () => {
      turn = (turn + leadStride) % 1;
      return Math.max(1, Math.round(horizon ** turn));
    });
    for (const lead of leads) {
      const expected = at(scaled, index + lead - 1);
      const actual = at(clean, index + lead - 1);
      if (Number.isNaN(actual + expected)) continue;
      const rest = transform(actual, limit) - transform(read({ lead, expected }), limit);
      rows.features.push(...features(origin, { lead, expected }));
      rows.targets.push(Math.max(-largest, Math.min(largest, rest)));
      rows.weights.push(weight * Math.max(0.1, Math.min(5, Math.abs(expected) + offset)));
      rows.blocks.push(calendar.local(then.now()).day);
    }
  });
  return learner({
    width,
    features: Float64Array.from(rows.features),
    targets: Float64Array.from(rows.targets),
    weights: Float64Array.from(rows.weights),
    blocks: Int32Array.from(rows.blocks),
  });
}

interface RowStore {
  readonly features: number[];
  readonly targets: number[];
  readonly weights: number[];
  readonly blocks: number[];
}
