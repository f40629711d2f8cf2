// SPDX-License-Identifier: Apache-2.0
import type Holidays from 'date-holidays';
import { invalidInput } from '../base/errors.ts';
import { formatRfc3339, parseTimestamp } from '../series/rfc3339.ts';

const daySeconds = 86_400;

/** A country with a state and a region of it, or a day as days since 1970-01-01. */
export type HolidayChoice =
  | { readonly kind: 'place'; readonly place: readonly string[] }
  | { readonly kind: 'day'; readonly day: number };

const flag = '--holidays';
const allowed = 'country codes such as DE, DE-BY or US-LA-NO, or dates such as 2026-12-24, with commas between';

/**
 * The value of `--holidays`; whether a place is known shows in {@link holidayDays}.
 * @throws HeadstartError InvalidInput
 */
export function parseHolidays(text: string): HolidayChoice[] {
  return text.split(',').map((part) => {
    const word = part.trim();
    if (/^\d{4}-\d{2}-\d{2}$/.test(word)) return { kind: 'day', day: dayOf(word) };
    if (!/^[A-Za-z]{2}(?:-[A-Za-z0-9]{1,4}){0,2}$/.test(word)) throw invalidInput(flag, word, allowed);
    return { kind: 'place', place: word.toUpperCase().split('-') };
  });
}

function dayOf(date: string): number {
  return Math.floor(parseTimestamp(`${date}T00:00:00Z`, flag) / daySeconds);
}

/**
 * Local days, as days since 1970-01-01, of the public holidays from one moment to another, by the package date-holidays.
 * @throws HeadstartError InvalidInput for a place that it does not know
 */
export async function holidayDays(
  choices: readonly HolidayChoice[],
  { fromSeconds, toSeconds }: { readonly fromSeconds: number; readonly toSeconds: number },
): Promise<ReadonlySet<number>> {
  const days = new Set<number>();
  // The year before and the year after, for places far from Greenwich.
  const years = { from: yearOf(fromSeconds - daySeconds), to: yearOf(toSeconds + daySeconds) };
  for (const choice of choices) {
    if (choice.kind === 'day') days.add(choice.day);
    else for (const day of await publicHolidays(choice.place, years)) days.add(day);
  }
  return days;
}

function yearOf(seconds: number): number {
  return Number(formatRfc3339(seconds).slice(0, 4));
}

async function publicHolidays(
  place: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<number[]> {
  // The package brings a megabyte of dates: it is read when somebody asks.
  const { default: Holidays } = await import('date-holidays');
  const holidays = new Holidays({ types: ['public'] });
  const [country = '', state, region] = place;
  if (!isKnown(holidays, place)) throw invalidInput(flag, place.join('-'), allowed);
  holidays.init(country, state, region);
  const days: number[] = [];
  for (let year = from; year <= to; year += 1) {
    for (const { date, start, end, type } of holidays.getHolidays(year)) {
      if (type !== 'public') continue;
      const length = Math.max(1, Math.round((end.getTime() - start.getTime()) / (1000 * daySeconds)));
      for (let day = 0; day < length; day += 1) days.push(dayOf(date.slice(0, 10)) + day);
    }
  }
  return days;
}

function isKnown(holidays: Holidays, [country = '', state, region]: readonly string[]): boolean {
  if (!Object.hasOwn(holidays.getCountries(), country)) return false;
  // The package answers with nothing where there are no states, or no regions.
  if (state !== undefined && !Object.hasOwn(holidays.getStates(country) ?? {}, state)) return false;
  return region === undefined || Object.hasOwn(holidays.getRegions(country, state ?? '') ?? {}, region);
}
