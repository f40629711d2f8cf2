// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { parseSeriesCsv } from './csv.ts';

describe('parseSeriesCsv', () => {
  test('reads rows in order', () => {
    expect(parseSeriesCsv('timestamp,value\n60,1.5\n120,2e3\n', 'a.csv')).toEqual({
      samples: [
        { timestamp: 60, value: 1.5 },
        { timestamp: 120, value: 2000 },
      ],
      missing: 0,
      duplicates: 0,
      unsorted: 0,
    });
  });

  test('takes a byte order mark, CRLF, blank lines, blanks around cells and RFC 3339', () => {
    const text = '\uFEFFTimestamp,Value\r\n\r\n1970-01-01T00:01:00Z , 1\r\n\r\n';
    expect(parseSeriesCsv(text, 'a.csv').samples).toEqual([{ timestamp: 60, value: 1 }]);
  });

  test('skips and counts missing values, which are never zero', () => {
    const parsed = parseSeriesCsv('timestamp,value\n60,\n120,NaN\n180,0\n', 'a.csv');
    expect(parsed).toMatchObject({ samples: [{ timestamp: 180, value: 0 }], missing: 2 });
  });

  test('sorts rows and lets the last of equal timestamps count', () => {
    const parsed = parseSeriesCsv('timestamp,value\n120,1\n60,2\n120,3\n', 'a.csv');
    expect(parsed.samples).toEqual([
      { timestamp: 60, value: 2 },
      { timestamp: 120, value: 3 },
    ]);
    expect(parsed).toMatchObject({ duplicates: 1, unsorted: 1 });
  });

  const refused: Record<string, [string, string]> = {
    'an empty file': ['', 'a.csv row 1: got "", want the header timestamp,value'],
    'another header': ['time,rps\n1,2', 'a.csv row 1: got "time,rps", want the header timestamp,value'],
    'a third cell': ['timestamp,value\n1,2,3', 'a.csv row 2: got "1,2,3", want two cells'],
    'a row without a value cell': ['timestamp,value\n1', 'a.csv row 2: got "1", want two cells'],
    'a word for a value': [
      'timestamp,value\n1,2\n\n2,many',
      'a.csv row 4, value: got "many", want a finite number, or nothing for a missing sample',
    ],
    'an infinite value': ['timestamp,value\n1,1e999', 'a.csv row 2, value: got "1e999", want a finite number'],
    'a hexadecimal value': ['timestamp,value\n1,0x10', 'a.csv row 2, value: got "0x10"'],
    'a bad timestamp': ['timestamp,value\n1,2\nnoon,2', 'a.csv row 3, timestamp: got "noon", want whole epoch seconds'],
  };
  test.each(Object.entries(refused))('refuses %s', (_, [text, message]) => {
    expect(() => parseSeriesCsv(text, 'a.csv')).toThrow(message);
  });

  test('reads back any series that is written down', () => {
    const sample = fc.record({
      timestamp: fc.integer({ min: -1e9, max: 1e11 }),
      value: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
    });
    fc.assert(
      fc.property(fc.uniqueArray(sample, { selector: ({ timestamp }) => timestamp }), (samples) => {
        const text = `timestamp,value\n${samples.map(({ timestamp, value }) => `${timestamp},${value}`).join('\n')}`;
        expect(parseSeriesCsv(text, 'x').samples).toEqual(samples.toSorted((a, b) => a.timestamp - b.timestamp));
      }),
    );
  });

  test(
    'gives samples or one message that names the input, for any text',
    () => {
      fc.assert(
        fc.property(fc.string({ unit: 'grapheme' }), (body) => {
          expect(outcome(`timestamp,value\n${body}`)).toMatch(/^fine$|a\.csv row \d+/);
        }),
        fromOutside,
      );
    },
    fromOutsideMs,
  );
});

function outcome(text: string): string {
  try {
    const { samples } = parseSeriesCsv(text, 'a.csv');
    return samples.every(({ timestamp, value }) => Number.isFinite(timestamp + value)) ? 'fine' : 'not finite';
  } catch (error) {
    return String(error);
  }
}
