// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../../series/calendar.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { defaultShape, tuneShape } from '../profile-tuning.ts';
import { createDayProfile, restoreDayProfile } from '../profile.ts';
import type { DayProfile, DayProfileState } from '../profile.ts';
import { refuseShort } from '../refusals.ts';

/**
 * The typical demand at the same local time on recent days: a robust mean over past days, weighted by age and by how
 * alike the weekdays are, with the weights that forecast the last days best. Needs a day.
 */
export const seasonalProfile: Model = { name: 'seasonal-profile', fit, restore };

function fit(history: TimeSeries, { timeZone }: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds } = history;
  const profile = createDayProfile(localCalendar(timeZone), stepSeconds, defaultShape);
  const model = createFitted(profile, { now: startSeconds, stepSeconds, neverNegative: true, last: 0 });
  history.values.forEach(model.update);
  profile.reshape(tuneShape(profile.days(), profile.slotSeconds, false));
  return model;
}

function restore(state: ModelState, { timeZone }: FitContext): FittedModel {
  const { profile, ...position } = state as unknown as State;
  return createFitted(restoreDayProfile(localCalendar(timeZone), profile), position);
}

interface Position {
  readonly now: number;
  readonly stepSeconds: number;
  readonly neverNegative: boolean;
  readonly last: number;
}

interface State extends Position {
  readonly profile: DayProfileState;
}

function createFitted(profile: DayProfile, position: Position): FittedModel {
  const { stepSeconds } = position;
  let { now, neverNegative, last } = position;
  const update = (value: number): void => {
    profile.add(now, value);
    if (value < 0) neverNegative = false;
    if (!Number.isNaN(value)) last = value;
    now += stepSeconds;
  };
  return {
    kind: 'fitted',
    update,
    predict: (horizon) => {
      const floor = neverNegative ? 0 : Number.NEGATIVE_INFINITY;
      return Float64Array.from({ length: horizon }, (_, index) => {
        const value = profile.expected(now + index * stepSeconds);
        return Math.max(floor, Number.isNaN(value) ? last : value);
      });
    },
    describe: () => {
      const { weights, smoothing } = profile.shape();
      return { name: seasonalProfile.name, parameters: { ...weights, smoothingSlots: smoothing } };
    },
    snapshot: (): ModelState =>
      ({ now, stepSeconds, neverNegative, last, profile: profile.snapshot() }) satisfies State,
  };
}
