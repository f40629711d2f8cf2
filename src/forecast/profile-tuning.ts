// SPDX-License-Identifier: Apache-2.0
import { aggregate } from '../series/resample.ts';
import { at } from '../series/time-series.ts';
import { buildProfile, smooth } from './profile.ts';
import type { DayRow, DayWeights, ProfileShape } from './profile.ts';
import { meanPresent } from './robust.ts';

/** From "the last days alike" to "each weekday on its own". */
const weightChoices: readonly DayWeights[] = [
  { halfLifeDays: 10, sameClass: 1, otherClass: 1 },
  { halfLifeDays: 3, sameClass: 1, otherClass: 1 },
  { halfLifeDays: 7, sameClass: 1, otherClass: 0.03 },
  { halfLifeDays: 21, sameClass: 0.3, otherClass: 0.02 },
  { halfLifeDays: 28, sameClass: 0.05, otherClass: 0.005 },
];

/** Neighbours are averaged over at most a quarter of an hour: ramps must stay steep. */
const smoothingChoices = [3, 1, 7, 15];
const widestSmoothingSeconds = 900;

/** Weights are compared at this resolution, on this many days; smoothing at full resolution on the last few. */
const coarseSeconds = 300;
const weightDays = 8;
const smoothingDays = 3;

/** A day counts when it has at least this share of its slots. */
const leastPresent = 0.25;

/** Used until there are two days to compare. */
export const defaultShape: ProfileShape = { weights: { halfLifeDays: 10, sameClass: 1, otherClass: 1 }, smoothing: 1 };

/**
 * The shape with the smallest mean absolute error when each recent day is forecast from the days before it. With
 * `ignoreLevel` a day's forecast is first scaled to the day's mean: what is judged then is the shape alone.
 */
export function tuneShape(days: readonly DayRow[], slotSeconds: number, ignoreLevel: boolean): ProfileShape {
  const complete = days.slice(0, -1);
  const coarse = coarsen(complete, slotSeconds);
  const weights = best(weightChoices, (choice) => {
    return meanError(coarse, weightDays, (day) =>
      dayError(day, buildProfile(coarse, day.day, { weights: choice, smoothing: 1 }), ignoreLevel),
    );
  });
  const raw = new Map<number, Float64Array>();
  const unsmoothed = (day: number): Float64Array => {
    const known = raw.get(day) ?? buildProfile(complete, day, { weights, smoothing: 1 });
    raw.set(day, known);
    return known;
  };
  const widths = smoothingChoices.filter((width) => width === 1 || width * slotSeconds <= widestSmoothingSeconds);
  const smoothing = best(widths, (width) => {
    return meanError(complete, smoothingDays, (day) => dayError(day, smooth(unsmoothed(day.day), width), ignoreLevel));
  });
  return { weights, smoothing };
}

/** The first choice with the smallest loss; the first one when no loss is known. */
function best<T>(choices: readonly T[], loss: (choice: T) => number): T {
  let [winner] = choices;
  let smallest = Number.POSITIVE_INFINITY;
  for (const choice of choices) {
    const value = loss(choice);
    if (value < smallest) {
      smallest = value;
      winner = choice;
    }
  }
  return winner as T;
}

function meanError(days: readonly DayRow[], last: number, error: (day: DayRow) => number): number {
  // The first day has no day before it to be forecast from.
  return meanPresent(Float64Array.from(days.slice(1).slice(-last), error));
}

/** Sum of absolute errors over sum of demand; NaN for a day with too little data or without demand. */
function dayError({ slots }: DayRow, forecast: Float64Array, ignoreLevel: boolean): number {
  let demand = 0;
  let expected = 0;
  let present = 0;
  slots.forEach((value, slot) => {
    if (Number.isNaN(value + at(forecast, slot))) return;
    demand += value;
    expected += at(forecast, slot);
    present += 1;
  });
  if (present < leastPresent * slots.length || demand === 0 || expected === 0) return Number.NaN;
  const ratio = ignoreLevel ? demand / expected : 1;
  let error = 0;
  slots.forEach((value, slot) => {
    const distance = Math.abs(value - ratio * at(forecast, slot));
    if (!Number.isNaN(distance)) error += distance;
  });
  return error / Math.abs(demand);
}

function coarsen(days: readonly DayRow[], slotSeconds: number): readonly DayRow[] {
  const factor = Math.max(1, Math.floor(coarseSeconds / slotSeconds));
  if (factor === 1) return days;
  return days.map(({ day, slots }) => ({
    day,
    slots: aggregate({ startSeconds: 0, stepSeconds: slotSeconds, values: slots }, factor).values,
  }));
}
