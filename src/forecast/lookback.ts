// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import { changes, createPast, emptyState, maxima, means } from './past.ts';
import type { LookbackSetup, LookbackState, Past } from './past.ts';

const daySeconds = 86_400;

/** Weekly lags, as far as they are kept. */
const weeks = [1, 2, 3, 4];
const weekDays = 7;

/** Log-ratios are kept within this. */
const widest = 4;

const nearFeatures = 4 + means.length + maxima.length + changes.length + 4;
const aheadFeatures = 18;

/** Number of features in a row, the constant among them. */
export const featureWidth = nearFeatures + aheadFeatures;

/** The past of a series as regressors see it: log-ratios of demand then to the level now. */
export interface Lookback {
  /** Takes the next point, NaN for a gap. */
  push(value: number): void;
  /** Demand now, robust against the noise of a minute, plus the offset: what log-ratios are taken to. */
  level(): number;
  /** Added to demand before its logarithm is taken. */
  offset(): number;
  /** True once there is a level. */
  isReady(): boolean;
  /** Writes the features of the target at `position` at `from`; position 0 is the last point, 1 the next one. */
  write(position: number, out: Float64Array, from: number): void;
  state(): LookbackState;
}

/** A lookback that has seen nothing yet. */
export function createLookback(setup: LookbackSetup): Lookback {
  return restoreLookback(emptyState(setup));
}

/** A lookback that goes on from a state, which it takes over. */
export function restoreLookback(state: LookbackState): Lookback {
  const past = createPast(state);
  const near = new Float64Array(nearFeatures);
  let nearAt = -1;
  return {
    push: past.push,
    level: past.level,
    offset: past.offset,
    isReady: () => past.level() > 0,
    write: (position, out, from) => {
      if (nearAt !== past.steps()) {
        writeNear(past, near);
        nearAt = past.steps();
      }
      out.set(near, from);
      writeAhead(past, position, { out, from: from + nearFeatures });
    },
    state: () => structuredClone({ ...state, steps: past.steps() }),
  };
}

/** ln of demand over the level, both with the offset; 0 where not known. */
function logRatio(demandAndOffset: number, level: number): number {
  return clipped(Math.log(demandAndOffset / level));
}

function clipped(ratio: number): number {
  return Number.isNaN(ratio) ? 0 : Math.max(-widest, Math.min(widest, ratio));
}

/** What does not depend on the position. */
function writeNear(past: Past, out: Float64Array): void {
  const level = past.level();
  const offset = past.offset();
  let written = 0;
  const put = (value: number): void => {
    out[written] = value;
    written += 1;
  };
  put(1);
  for (const back of [0, 2, 6]) put(logRatio(past.recent(back) + offset, level));
  for (const index of means.keys()) put(logRatio(past.mean(index) + offset, level));
  for (const { seconds, cells } of maxima) {
    const span = Math.max(cells, Math.round(seconds / (past.perCell * past.setup.stepSeconds)));
    put(logRatio(past.maximum(span) + offset, level));
  }
  for (const index of changes.keys()) put(logRatio(past.change(index) + offset, level));
  put(logRatio(level, past.running() + offset));
  const day = Math.round(daySeconds / past.setup.stepSeconds);
  for (const days of [1, 7]) put(clipped(past.logLevelAt(past.steps() - days * day) - Math.log(level)));
  // The slope of the level over the last half hour.
  put(logRatio(past.mean(0) + offset, past.mean(2) + offset));
}

/** What past days say about a position, filled anew for each. */
const lags = {
  back: new Float64Array(weekDays),
  grown: new Float64Array(weekDays),
  sorted: new Float64Array(weekDays),
};

/** The days that can be known at the position, nearest first, and what is known of them. */
function writeAhead(past: Past, position: number, { out, from }: { out: Float64Array; from: number }): void {
  const { startSeconds, stepSeconds, timeZone, windowSteps } = past.setup;
  const calendar = localCalendar(timeZone);
  const time = startSeconds + (past.steps() - 1 + position) * stepSeconds;
  const { day, secondOfDay } = calendar.local(time);
  const nearest = Math.max(1, Math.ceil(((position + windowSteps) * stepSeconds) / daySeconds));
  const days = daysBefore(past, position, time);
  const { back: then, grown } = lags;
  const alike = { back: 0, grown: 0, weight: 0 };
  const weekend = isWeekend(day);
  for (let index = 0; index < weekDays; index += 1) {
    days.read(nearest + index);
    then[index] = days.back;
    grown[index] = days.grown;
    if (Number.isNaN(days.back + days.grown) || isWeekend(day - nearest - index) !== weekend) continue;
    const weight = fading ** index;
    alike.back += weight * days.back;
    alike.grown += weight * days.grown;
    alike.weight += weight;
  }
  const weekly = weeklyMeans(days, Math.ceil(nearest / weekDays), past.keptSteps * stepSeconds);
  const sameWeekday = (weekDays - (nearest % weekDays)) % weekDays;
  let written = from;
  const put = (value: number): void => {
    out[written] = clipped(value);
    written += 1;
  };
  put(at(then, 0));
  put(at(grown, 0));
  put(at(then, sameWeekday));
  put(at(grown, sameWeekday));
  put(weekly.back);
  put(weekly.grown);
  for (const values of [then, grown]) {
    const known = sortKnown(values);
    put(known === 0 ? Number.NaN : middle(known));
    put(known === 0 ? Number.NaN : at(lags.sorted, known - 1));
  }
  put(alike.back / alike.weight);
  put(alike.grown / alike.weight);
  const angle = (2 * Math.PI * secondOfDay) / daySeconds;
  for (const wave of [1, 2]) {
    put(Math.sin(wave * angle));
    put(Math.cos(wave * angle));
  }
  put(weekend ? 1 : 0);
  put(Math.log((position + 1) / 8));
}

/** A day or a week further back counts this much less. */
const fading = 0.8;

function isWeekend(day: number): boolean {
  const weekday = dayOfWeek(day);
  return weekday === 0 || weekday === 6;
}

/** Log-ratios of what came some days before a position: to the level now, and to the level then. */
interface DaysBefore {
  back: number;
  grown: number;
  read(days: number): void;
}

function daysBefore(past: Past, position: number, time: number): DaysBefore {
  const { stepSeconds, timeZone } = past.setup;
  const calendar = localCalendar(timeZone);
  const zone = calendar.offsetSeconds(time);
  // Clocks change twice a year: when the ends agree, so does what lies between.
  const isSteady = calendar.offsetSeconds(time - past.keptSteps * stepSeconds) === zone;
  const logLevel = Math.log(past.level());
  const offset = past.offset();
  const before: DaysBefore = {
    back: Number.NaN,
    grown: Number.NaN,
    read: (days) => {
      const moved = isSteady ? 0 : calendar.offsetSeconds(time - days * daySeconds) - zone;
      const back = Math.round((days * daySeconds + moved) / stepSeconds);
      const target = Math.log(past.targetAt(past.steps() - 1 + position - back) + offset);
      before.back = target - logLevel;
      before.grown = target - past.logLevelAt(past.steps() - back);
    },
  };
  return before;
}

/** The same weekday over the weeks that are kept. */
function weeklyMeans(days: DaysBefore, nearestWeek: number, keptSeconds: number): { back: number; grown: number } {
  let then = 0;
  let grown = 0;
  let weight = 0;
  for (const week of weeks) {
    const back = weekDays * (nearestWeek - 1 + week);
    if (back * daySeconds > keptSeconds) break;
    days.read(back);
    if (Number.isNaN(days.back + days.grown)) continue;
    const share = fading ** (week - 1);
    then += share * days.back;
    grown += share * days.grown;
    weight += share;
  }
  return { back: then / weight, grown: grown / weight };
}

/** Sorts the values that are known into the scratch. @returns how many there are */
function sortKnown(values: Float64Array): number {
  const { sorted } = lags;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    let hole = count;
    while (hole > 0 && at(sorted, hole - 1) > value) {
      sorted[hole] = at(sorted, hole - 1);
      hole -= 1;
    }
    sorted[hole] = value;
    count += 1;
  }
  return count;
}

/** The median of the first `count` of the scratch. */
function middle(count: number): number {
  const half = Math.floor(count / 2);
  return count % 2 === 1 ? at(lags.sorted, half) : (at(lags.sorted, half - 1) + at(lags.sorted, half)) / 2;
}
