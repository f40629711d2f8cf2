// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../series/calendar.ts';
import type { LocalCalendar } from '../series/calendar.ts';
import { regressorAt } from './effects.ts';
import type { FitContext, Regressor } from './model.ts';

const daySeconds = 86_400;

/** Waves of the day and of the week; and of the day at weekends, which Prophet calls a conditional seasonality. */
const dayOrder = 8;
const weekOrder = { short: 3, long: 10 };
const weekendOrder = 5;

/** A history this long has a week to learn. */
const weekNeedsSeconds = 8 * daySeconds;

/** From here on the week may have more shape than a few waves. */
const weeksNeedSeconds = 15 * daySeconds;

/** Which terms a fit has. */
export interface TermsShape {
  readonly day: number;
  readonly week: number;
  readonly weekend: number;
  readonly holidays: boolean;
  readonly regressors: readonly string[];
}

/** The terms for a history that is `spanSeconds` long: no wave shorter than four steps, weeks after eight days. */
export function shapeFor(spanSeconds: number, stepSeconds: number, context: FitContext): TermsShape {
  const most = Math.max(1, Math.floor(daySeconds / stepSeconds / 4));
  const weeks = spanSeconds >= weekNeedsSeconds;
  return {
    day: Math.min(dayOrder, most),
    week: weekOrderFor(spanSeconds),
    weekend: weeks ? Math.min(weekendOrder, most) : 0,
    holidays: (context.holidays?.size ?? 0) > 0,
    regressors: (context.regressors ?? []).map(({ name }) => name),
  };
}

function weekOrderFor(spanSeconds: number): number {
  if (spanSeconds < weekNeedsSeconds) return 0;
  return spanSeconds < weeksNeedSeconds ? weekOrder.short : weekOrder.long;
}

/** Fills in what the seasonal, holiday and regressor terms are at a time. */
export interface Terms {
  readonly width: number;
  fill(row: Float64Array, offset: number, epochSeconds: number): void;
}

/** The terms of a shape, in local time. */
export function createTerms(shape: TermsShape, context: FitContext): Terms {
  const calendar = localCalendar(context.timeZone);
  const waves = 2 * (shape.day + shape.week + shape.weekend);
  const holidayWidth = shape.holidays ? 1 : 0;
  const regressors = shape.regressors.map((name) => context.regressors?.find((candidate) => candidate.name === name));
  return {
    width: waves + holidayWidth + regressors.length,
    fill: (row, offset, epochSeconds) => {
      fillWaves(row, offset, { shape, calendar, epochSeconds });
      if (shape.holidays) row[offset + waves] = isHoliday(context, calendar, epochSeconds);
      fillRegressors(row, offset + waves + holidayWidth, { regressors, epochSeconds });
    },
  };
}

function isHoliday({ holidays }: FitContext, calendar: LocalCalendar, epochSeconds: number): number {
  return holidays?.has(calendar.local(epochSeconds).day) === true ? 1 : 0;
}

function fillRegressors(
  row: Float64Array,
  offset: number,
  { regressors, epochSeconds }: { regressors: readonly (Regressor | undefined)[]; epochSeconds: number },
): void {
  for (const [index, regressor] of regressors.entries()) {
    row[offset + index] = regressor === undefined ? 0 : regressorAt(regressor, epochSeconds);
  }
}

function fillWaves(
  row: Float64Array,
  offset: number,
  { shape, calendar, epochSeconds }: { shape: TermsShape; calendar: LocalCalendar; epochSeconds: number },
): void {
  const { day, secondOfDay } = calendar.local(epochSeconds);
  const weekday = dayOfWeek(day);
  const ofDay = (2 * Math.PI * secondOfDay) / daySeconds;
  const ofWeek = (2 * Math.PI * (weekday * daySeconds + secondOfDay)) / (7 * daySeconds);
  const weekend = weekday === 0 || weekday === 6 ? 1 : 0;
  fillHarmonics(row, offset, { angle: ofDay, order: shape.day, size: 1 });
  fillHarmonics(row, offset + 2 * shape.day, { angle: ofWeek, order: shape.week, size: 1 });
  fillHarmonics(row, offset + 2 * (shape.day + shape.week), { angle: ofDay, order: shape.weekend, size: weekend });
}

/** Sines and cosines of the multiples of an angle, by the addition theorem: one pair of calls for all. */
function fillHarmonics(
  row: Float64Array,
  offset: number,
  { angle, order, size }: { angle: number; order: number; size: number },
): void {
  if (size === 0) {
    row.fill(0, offset, offset + 2 * order);
    return;
  }
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  let [s, c] = [sine, cosine];
  for (let index = 0; index < order; index += 1) {
    row[offset + 2 * index] = s;
    row[offset + 2 * index + 1] = c;
    [s, c] = [s * cosine + c * sine, c * cosine - s * sine];
  }
}
