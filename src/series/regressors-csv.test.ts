// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { parseRegressorsCsv } from './regressors-csv.ts';

describe('parseRegressorsCsv', () => {
  test('reads columns by name, rows in any order, the last of equal timestamps', () => {
    const text = 'Timestamp, price,temperature\n120,3,20\n60,1,NaN\n120,2,21.5\n';
    expect(parseRegressorsCsv(text, 'r.csv')).toEqual([
      {
        name: 'price',
        samples: [
          { timestamp: 60, value: 1 },
          { timestamp: 120, value: 2 },
        ],
      },
      { name: 'temperature', samples: [{ timestamp: 120, value: 21.5 }] },
    ]);
  });

  const refused: Record<string, [string, string]> = {
    'an empty file': ['', 'r.csv row 1: got "", want the header timestamp,name1,name2…'],
    'no names': ['timestamp\n0', 'r.csv row 1: got "timestamp", want the header timestamp,name1,name2…'],
    'a name that is missing': ['timestamp,a,\n', 'r.csv row 1: got "timestamp,a,", want the header'],
    'a name twice': ['timestamp,a,a\n', 'r.csv row 1: got "a", want each name once'],
    'a cell too many': ['timestamp,a\n0,1,2', 'r.csv row 2: got "0,1,2", want 2 cells, as in the header'],
    'a word': ['timestamp,a,b\n0,1,warm', 'r.csv row 2, b: got "warm", want a finite number, or nothing for a missing'],
    'a bad timestamp': ['timestamp,a\n\nnoon,1', 'r.csv row 3, timestamp: got "noon", want whole epoch seconds'],
  };
  test.each(Object.entries(refused))('refuses %s', (_, [text, message]) => {
    expect(() => parseRegressorsCsv(text, 'r.csv')).toThrow(message);
  });

  test(
    'any text gives columns or one message',
    () => {
      const row = fc.array(fc.oneof(fc.string(), fc.constantFrom('0', '60', '1.5', '')), { maxLength: 4 });
      fc.assert(
        fc.property(fc.array(row, { maxLength: 5 }), (rows) => {
          const text = ['timestamp,a,b', ...rows.map((cells) => cells.join(','))].join('\n');
          for (const { samples } of read(text)) {
            const times = samples.map(({ timestamp }) => timestamp);
            expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
          }
        }),
        fromOutside,
      );
    },
    fromOutsideMs,
  );
});

function read(text: string): ReturnType<typeof parseRegressorsCsv> {
  try {
    return parseRegressorsCsv(text, 'r.csv');
  } catch (error) {
    if (error instanceof HeadstartError) return [];
    throw error;
  }
}
