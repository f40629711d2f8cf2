// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '../../src/series/time-series.ts';
import { chooseFromSeconds, createTrace, traceLoad } from './trace.ts';

const start = Date.UTC(2026, 0, 1) / 1000;
const day = 86_400;
const range = { least: 500, most: 3000 };

/** Minutes of a series: the demand that `at` gives for the minute; without a row where it gives undefined. */
function rows(minutes: number, at: (minute: number) => number | undefined): Sample[] {
  return Array.from({ length: minutes }, (_, minute) => ({ timestamp: start + minute * 60, value: at(minute) })).filter(
    (sample): sample is Sample => sample.value !== undefined,
  );
}

describe('a trace', () => {
  test.each([
    ['no rows', [], 'trace.csv: got "0 rows", want at least two days of rows'],
    [
      'a negative demand',
      rows(10, (minute) => (minute === 4 ? -1 : 1)),
      'trace.csv, data row 5: got -1, want a demand of 0 or more',
    ],
    [
      'rows that are too far apart',
      [0, 1, 2].map((hour) => ({ timestamp: start + hour * 3600, value: 1 })),
      'trace.csv: got "rows 3600 s apart", want rows at most 300 s apart',
    ],
  ])('with %s is refused with the reason', (_, samples, message) => {
    expect(() => createTrace('trace.csv', samples)).toThrow(message);
  });

  test('has the step that most rows have', () => {
    const trace = createTrace(
      'trace.csv',
      rows(100, (minute) => (minute % 7 === 0 ? undefined : 1)),
    );
    expect(trace.stepSeconds).toBe(60);
  });
});

describe('the stretch that is shown', () => {
  const minutes = 20 * 1440;
  const rise = 18 * 1440 + 600;

  test('begins five minutes before the steepest rise of the last quarter', () => {
    const trace = createTrace(
      'trace.csv',
      rows(minutes, (minute) => 100 + (minute >= rise ? 500 : 0) + (minute >= 10_000 && minute < 10_100 ? 5000 : 0)),
    );
    const from = (chooseFromSeconds(trace, 20) - start) / 60;
    // The rise lies within the ten minutes that begin five minutes in.
    expect(from + 5).toBeLessThanOrEqual(rise);
    expect(from + 15).toBeGreaterThanOrEqual(rise);
  });

  test('has no missing row', () => {
    const trace = createTrace(
      'trace.csv',
      rows(minutes, (minute) =>
        minute === rise + 1 ? undefined : 100 + (minute >= rise ? 500 : 0) + (minute >= 19 * 1440 ? 50 : 0),
      ),
    );
    expect(chooseFromSeconds(trace, 20)).toBeGreaterThan(start + (19 * 1440 - 20) * 60);
  });

  test('must be given when nothing rises', () => {
    const trace = createTrace(
      'trace.csv',
      rows(minutes, () => 7),
    );
    expect(() => chooseFromSeconds(trace, 20)).toThrow('say where to begin with --from');
  });
});

describe('the load of a trace', () => {
  const now = start + 500 * day + 17;
  const options = { range, startSeconds: now };
  const from = start + 3 * day;
  const load = (samples: Sample[], minutes = 20) =>
    traceLoad(createTrace('trace.csv', samples), { fromSeconds: from, minutes }, options);

  test('plays the rows from --from on, and gives the ones before as history', () => {
    const played = load(rows(4 * 1440, (minute) => 1000 + minute));
    const factor = 3000 / (1000 + 3 * 1440 + 19);
    expect(played.demandAt(now)).toBeCloseTo((1000 + 3 * 1440) * factor, 6);
    expect(played.demandAt(now + 59)).toBeCloseTo((1000 + 3 * 1440) * factor, 6);
    expect(played.demandAt(now + 60)).toBeCloseTo((1000 + 3 * 1440 + 1) * factor, 6);
    expect(played.demandAt(now - 1)).toBeCloseTo((1000 + 3 * 1440 - 1) * factor, 6);
    expect(played.demandAt(now - 3 * day - 1)).toBeNaN();
  });

  test('squeezes the stretch between 10 and 60 pods where it spans more than six times', () => {
    const played = load(rows(4 * 1440, (minute) => (minute < 3 * 1440 + 10 ? 1 : 100)));
    expect(played.demandAt(now)).toBeCloseTo(500, 9);
    expect(played.demandAt(now + 600)).toBeCloseTo(3000, 9);
  });

  test('has no demand where history misses a row, and holds the last value in the show', () => {
    const played = load(rows(4 * 1440, (minute) => ([100, 3 * 1440 + 5].includes(minute) ? undefined : 1 + minute)));
    expect(played.demandAt(now - 3 * day + 100 * 60)).toBeNaN();
    expect(played.demandAt(now + 5 * 60)).toBe(played.demandAt(now + 4 * 60));
    expect(played.demandAt(now + 10 * day)).toBe(played.demandAt(now + 19 * 60));
  });

  test.each([
    ['too early', start + day, 20, 'two days of history before'],
    ['too late', start + 4 * day - 600, 20, 'a time from 2026-01-03T00:00:00Z to 2026-01-04T23:40:00Z'],
    ['of a trace that is too short', from, 5000, 'a trace of at least two days and 5000 minutes'],
  ])('refuses a stretch %s', (_, fromSeconds, minutes, message) => {
    const trace = createTrace(
      'trace.csv',
      rows(4 * 1440, () => 1),
    );
    expect(() => traceLoad(trace, { fromSeconds, minutes }, options)).toThrow(message);
  });

  test('spans at most 60 pods in the show, and at least 10', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 20, maxLength: 20 }), (shown) => {
        fc.pre(Math.max(...shown) > 0);
        const played = load(rows(4 * 1440, (minute) => shown[minute - 3 * 1440] ?? 1));
        const demands = shown.map((_, minute) => played.demandAt(now + minute * 60));
        expect(Math.max(...demands)).toBeCloseTo(3000, 6);
        expect(Math.min(...demands)).toBeGreaterThan(499.999);
      }),
      { numRuns: 30 },
    );
  });
});
