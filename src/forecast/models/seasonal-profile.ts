// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../../series/calendar.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model } from '../model.ts';
import { defaultShape, tuneShape } from '../profile-tuning.ts';
import { createDayProfile } from '../profile.ts';
import { refuseShort } from '../refusals.ts';

/**
 * The typical demand at the same local time on recent days: a robust mean over past days, weighted by age and by how
 * alike the weekdays are, with the weights that forecast the last days best. Needs a day.
 */
export const seasonalProfile: Model = { name: 'seasonal-profile', fit };

function fit(history: TimeSeries, { timeZone }: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds } = history;
  let now = startSeconds;
  let neverNegative = true;
  let last = 0;
  const profile = createDayProfile(localCalendar(timeZone), stepSeconds, defaultShape);
  const update = (value: number): void => {
    profile.add(now, value);
    if (value < 0) neverNegative = false;
    if (!Number.isNaN(value)) last = value;
    now += stepSeconds;
  };
  history.values.forEach(update);
  const shape = tuneShape(profile.days(), profile.slotSeconds, false);
  profile.reshape(shape);
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
    describe: () => ({
      name: seasonalProfile.name,
      parameters: { ...shape.weights, smoothingSlots: shape.smoothing },
    }),
  };
}
