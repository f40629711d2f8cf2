// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../../series/calendar.ts';
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { advance, chooseRule, originsAndLeads, transform, untransform } from '../level.ts';
import type { Level, LevelRule } from '../level.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { defaultShape, tuneShape } from '../profile-tuning.ts';
import { createDayProfile, expectBefore, restoreDayProfile } from '../profile.ts';
import type { DayProfile, DayProfileState, ProfileShape } from '../profile.ts';
import { refuseShort } from '../refusals.ts';
import { meanPresent } from '../robust.ts';

/**
 * The seasonal profile moved to the level of the last minutes, by a ratio or a difference that decays. How the level
 * is measured, how fast the correction decays, and how much of the profile's shape is followed are chosen on forecasts
 * of the past days, each made with the profile that was known then. Needs a day.
 */
export const levelCorrected: Model = { name: 'level-corrected', fit, restore };

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const shape = tune(history, context);
  const profile = createDayProfile(localCalendar(context.timeZone), history.stepSeconds, shape);
  const known = expectBefore(history, profile);
  const neverNegative = history.values.every((value) => !(value < 0));
  const scale = meanPresent(history.values.map(Math.abs));
  const rule = chooseRule(
    {
      demand: history.values,
      profile: known,
      stepSeconds: history.stepSeconds,
      scale,
      ...originsAndLeads(history, context.horizonSteps),
    },
    neverNegative,
  );
  const offset = scaled(rule.offset, scale);
  const { startSeconds: now, stepSeconds } = history;
  const level: Level = { demand: 0, profile: 0, weight: 0, age: 0 };
  const { observe, model } = createFitted(profile, { now, stepSeconds, rule, offset, neverNegative, last: 0, level });
  history.values.forEach((value, index) => observe(value, at(known, index)));
  return model;
}

function restore(state: ModelState, { timeZone }: FitContext): FittedModel {
  const { profile, ...position } = state as unknown as State;
  return createFitted(restoreDayProfile(localCalendar(timeZone), profile), position).model;
}

/** What is known but the profile. */
interface Position {
  readonly now: number;
  readonly stepSeconds: number;
  readonly rule: LevelRule;
  /** The rule's, in units of demand. */
  readonly offset: number;
  readonly neverNegative: boolean;
  readonly last: number;
  readonly level: Level;
}

interface State extends Position {
  readonly profile: DayProfileState;
}

interface Fitted {
  /** Takes the next point of the history, and the profile as it was known before that point's day. */
  observe(demand: number, expected: number): void;
  readonly model: FittedModel;
}

/** Stands before the first point; its closures hold on to nothing of the history. */
function createFitted(profile: DayProfile, position: Position): Fitted {
  const { stepSeconds, rule, offset } = position;
  const levelDecay = 0.5 ** (stepSeconds / rule.levelSeconds);
  const share = 0.5 ** (stepSeconds / rule.decaySeconds);
  const level: Level = { ...position.level };
  let { now, neverNegative, last } = position;
  const observe = (demand: number, expected: number): void => {
    advance(level, levelDecay, { demand, profile: Number.isNaN(expected) ? demand : expected });
    if (demand < 0) neverNegative = false;
    if (!Number.isNaN(demand)) last = demand;
    now += stepSeconds;
  };
  const model: FittedModel = {
    kind: 'fitted',
    update: (value) => {
      const expected = profile.expected(now);
      profile.add(now, value);
      observe(value, expected);
    },
    predict: (horizon) => {
      const floor = neverNegative ? 0 : Number.NEGATIVE_INFINITY;
      const demandLevel = transform(level.demand / level.weight, offset);
      const profileLevel = transform(level.profile / level.weight, offset);
      return Float64Array.from({ length: horizon }, (_, index) => {
        const expected = profile.expected(now + index * stepSeconds);
        const ahead = transform(Number.isNaN(expected) ? last : expected, offset);
        const corrected = demandLevel + rule.shape * (ahead - profileLevel);
        const weight = Number.isNaN(corrected) ? 0 : share ** (level.age + index + 1);
        const value = weight === 0 ? ahead : weight * corrected + (1 - weight) * ahead;
        return Math.max(floor, untransform(value, offset));
      });
    },
    describe: () => {
      const { weights, smoothing } = profile.shape();
      return { name: levelCorrected.name, parameters: { ...weights, smoothingSlots: smoothing, ...rule } };
    },
    snapshot: (): ModelState =>
      ({
        now,
        stepSeconds,
        rule,
        offset,
        neverNegative,
        last,
        level: { ...level },
        profile: profile.snapshot(),
      }) satisfies State,
  };
  return { observe, model };
}

/** An offset of no size would take the logarithm of zero: demand that is always zero is corrected by differences. */
function scaled(offset: number, scale: number): number {
  return scale > 0 ? offset * scale : Number.POSITIVE_INFINITY;
}

function tune(history: TimeSeries, { timeZone }: FitContext): ProfileShape {
  const profile = createDayProfile(localCalendar(timeZone), history.stepSeconds, defaultShape);
  history.values.forEach((value, index) => profile.add(history.startSeconds + index * history.stepSeconds, value));
  return tuneShape(profile.days(), profile.slotSeconds, true);
}
