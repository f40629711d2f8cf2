// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { parseEventsCsv } from './events-csv.ts';

describe('parseEventsCsv', () => {
  test('reads rows in any order, epoch seconds and RFC 3339', () => {
    const text = '\uFEFFstart,end,type\r\n120,180,sale\r\n\r\n1970-01-01T00:01:00Z, 90 , match \r\n';
    expect(parseEventsCsv(text, 'e.csv')).toEqual([
      { start: 60, end: 90, type: 'match', magnitude: 1 },
      { start: 120, end: 180, type: 'sale', magnitude: 1 },
    ]);
  });

  test('reads magnitudes, and takes none for 1', () => {
    const magnitudes = parseEventsCsv('start,end,type,magnitude\n0,60,a,2.5\n60,60,a,\n', 'e.csv');
    expect(magnitudes.map(({ magnitude }) => magnitude)).toEqual([2.5, 1]);
  });

  const refused: Record<string, [string, string]> = {
    'an empty file': ['', 'e.csv row 1: got "", want the header start,end,type or start,end,type,magnitude'],
    'another header': ['date,matches\n', 'e.csv row 1: got "date,matches", want the header start,end,type'],
    'a cell too few': ['start,end,type,magnitude\n0,60,a', 'e.csv row 2: got "0,60,a", want 4 cells, as in the header'],
    'an end before the start': [
      'start,end,type\n\n60,0,a',
      'e.csv row 3, end: got "0", want a time not before the start, 60',
    ],
    'no type': ['start,end,type\n0,60,', 'e.csv row 2, type: got "", want a word'],
    'a magnitude that is a word': [
      'start,end,type,magnitude\n0,60,a,big',
      'e.csv row 2, magnitude: got "big", want a finite number, or nothing for 1',
    ],
    'a date without a time': [
      'start,end,type\n2026-01-01,60,a',
      'e.csv row 2, start: got "2026-01-01", want whole epoch',
    ],
  };
  test.each(Object.entries(refused))('refuses %s', (_, [text, message]) => {
    expect(() => parseEventsCsv(text, 'e.csv')).toThrow(message);
  });

  test(
    'any text gives events or one message',
    () => {
      const row = fc.array(fc.oneof(fc.string(), fc.constantFrom('0', '60', 'a', '')), { maxLength: 5 });
      fc.assert(
        fc.property(fc.array(row, { maxLength: 5 }), (rows) => {
          const text = ['start,end,type,magnitude', ...rows.map((cells) => cells.join(','))].join('\n');
          for (const { start, end, type, magnitude } of read(text)) {
            expect([start <= end, type === '', Number.isFinite(magnitude)]).toEqual([true, false, true]);
          }
        }),
        fromOutside,
      );
    },
    fromOutsideMs,
  );
});

function read(text: string): ReturnType<typeof parseEventsCsv> {
  try {
    return parseEventsCsv(text, 'e.csv');
  } catch (error) {
    if (error instanceof HeadstartError) return [];
    throw error;
  }
}
