// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { parseTimestamp } from '../series/rfc3339.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { holidayDays, parseHolidays } from './holidays.ts';

const dayOf = (date: string): number => parseTimestamp(`${date}T00:00:00Z`, 'date') / 86_400;
const year2026 = { fromSeconds: 86_400 * dayOf('2026-01-02'), toSeconds: 86_400 * dayOf('2026-12-30') };

async function days(text: string): Promise<ReadonlySet<number>> {
  return await holidayDays(parseHolidays(text), year2026);
}

describe('holidays', () => {
  test('of a country', async () => {
    const german = await days('de');
    for (const date of ['2026-01-01', '2026-04-03', '2026-10-03', '2026-12-25']) expect(german).toContain(dayOf(date));
    expect(german).not.toContain(dayOf('2026-06-04'));
    expect(german).not.toContain(dayOf('2026-12-24'));
  });

  test('of a state, besides a day that is named', async () => {
    const bavarian = await days('DE-BY, 2026-12-24');
    for (const date of ['2026-06-04', '2026-12-24', '2026-12-25']) expect(bavarian).toContain(dayOf(date));
  });

  test('of a place that is not known', async () => {
    await expect(days('XX')).rejects.toThrow('--holidays: got "XX", want country codes such as DE');
    await expect(days('DE-XX')).rejects.toThrow('--holidays: got "DE-XX"');
    await expect(days('AU-VIC-XX')).rejects.toThrow('--holidays: got "AU-VIC-XX"');
  });

  test.each(['', 'Germany', 'DE,', '2026-13-01', '2026-02-30', 'DE-'])('refuses "%s"', (text) => {
    expect(() => parseHolidays(text)).toThrow('--holidays: got');
  });

  test(
    'any text gives choices or one message',
    () => {
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[A-Z0-9,-]{0,20}$/)), (text) => {
          expect(outcome(text)).toMatch(/^(choices|InvalidInput)$/);
        }),
        fromOutside,
      );
    },
    fromOutsideMs,
  );
});

function outcome(text: string): string {
  try {
    return parseHolidays(text).length > 0 ? 'choices' : 'nothing';
  } catch (error) {
    return error instanceof HeadstartError ? error.code : String(error);
  }
}
