// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayOfWeek, isTimeZone, localCalendar } from './calendar.ts';

const seconds = (text: string): number => Date.parse(text) / 1000;

describe('localCalendar', () => {
  const cases: Record<string, [string, string, string]> = {
    UTC: ['UTC', '2026-03-29T01:30:00Z', '2026-03-29 01:30'],
    'Berlin in winter': ['Europe/Berlin', '2026-03-29T00:59:00Z', '2026-03-29 01:59'],
    'Berlin, the minute after clocks go forward': ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-03-29 03:00'],
    'Berlin, the first 02:30 when clocks go back': ['Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25 02:30'],
    'Berlin, the second 02:30': ['Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25 02:30'],
    'Kathmandu, 5:45 ahead': ['Asia/Kathmandu', '2026-01-01T20:00:00Z', '2026-01-02 01:45'],
    'Lord Howe, half an hour of summer time': ['Australia/Lord_Howe', '2026-04-04T15:00:00Z', '2026-04-05 01:30'],
    'New York, a day behind': ['America/New_York', '2026-01-01T02:00:00Z', '2025-12-31 21:00'],
  };
  test.each(Object.entries(cases))('%s', (_, [zone, utc, expected]) => {
    const { day, secondOfDay } = localCalendar(zone).local(seconds(utc));
    const shown = new Date((day * 86_400 + secondOfDay) * 1000).toISOString().slice(0, 16).replace('T', ' ');
    expect(shown).toBe(expected);
  });

  test('agrees with the runtime at any moment, in zones with summer time', () => {
    const zones = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Sao_Paulo');
    fc.assert(
      fc.property(zones, fc.integer({ min: 0, max: 2_000_000_000 }), (timeZone, moment) => {
        const parts = new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
        const { day, secondOfDay } = localCalendar(timeZone).local(moment);
        const local = new Date((day * 86_400 + secondOfDay) * 1000);
        const utc = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', dateStyle: 'short', timeStyle: 'medium' });
        expect(utc.format(local)).toBe(parts.format(moment * 1000));
      }),
    );
  });
});

describe('isTimeZone', () => {
  test.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires'])('knows %s', (name) => {
    expect(isTimeZone(name)).toBe(true);
  });
  test.each(['', 'Mars/Olympus_Mons', 'Berlin'])('does not know %s', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });
});

test('dayOfWeek counts from Sunday, also before 1970', () => {
  expect([dayOfWeek(0), dayOfWeek(3), dayOfWeek(-4), dayOfWeek(-5)]).toEqual([4, 0, 0, 6]);
});
