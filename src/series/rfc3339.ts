// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';

const pattern = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
const allowed = 'whole epoch seconds such as 1767225600, or RFC 3339 such as 2026-01-01T00:00:00Z';
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** 9999-12-31T23:59:59Z: anything later is most likely milliseconds. */
const latestSeconds = 253_402_300_799;

/**
 * Epoch seconds of a timestamp given as whole epoch seconds or as RFC 3339 with a zone; a fraction of a second is kept.
 * @throws HeadstartError InvalidInput, naming `where`
 */
export function parseTimestamp(text: string, where: string): number {
  const seconds = /^-?\d{1,15}$/.test(text) ? Number(text) : parseRfc3339(text);
  if (seconds > latestSeconds) throw invalidInput(where, text, `${allowed} (this looks like milliseconds)`);
  if (Number.isNaN(seconds)) throw invalidInput(where, text, allowed);
  return seconds;
}

/** A time for people and for the API: `2026-01-01T00:00:00Z`, whole seconds, UTC. */
export function formatRfc3339(epochSeconds: number): string {
  const whole = Math.floor(epochSeconds);
  const day = Math.floor(whole / 86_400);
  const second = whole - day * 86_400;
  const { year, month, dayOfMonth } = civilFromDays(day);
  const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(dayOfMonth, 2)}`;
  return `${date}T${pad(Math.floor(second / 3600), 2)}:${pad(Math.floor(second / 60) % 60, 2)}:${pad(second % 60, 2)}Z`;
}

function parseRfc3339(text: string): number {
  const match = pattern.exec(text);
  if (match === null) return Number.NaN;
  const field = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day] = [field(1), field(2), field(3)];
  const [hour, minute, second] = [field(4), field(5), field(6)];
  const [offsetHour, offsetMinute] = [field(9), field(10)];
  const valid =
    isDate(year, month, day) && hour < 24 && minute < 60 && second <= 60 && offsetHour < 24 && offsetMinute < 60;
  if (!valid) return Number.NaN;
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHour * 3600 + offsetMinute * 60);
  return daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second + field(7) - offset;
}

function isDate(year: number, month: number, day: number): boolean {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 && leap ? 29 : (daysOfMonth[month - 1] ?? 0);
  return day >= 1 && day <= last;
}

/** Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

/** The inverse of {@link daysFromCivil}, from the same source. */
function civilFromDays(days: number): { year: number; month: number; dayOfMonth: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth };
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
