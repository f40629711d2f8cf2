// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Sample } from '../series/time-series.ts';
import { summarizeHistory } from './history-summary.ts';
import type { HistorySamples } from './history-summary.ts';

const minute = (values: readonly (number | undefined)[], step = 60): Sample[] =>
  values.flatMap((value, index) => (value === undefined ? [] : [{ timestamp: index * step, value }]));
const read = (samples: readonly Sample[], changes: Partial<HistorySamples> = {}): HistorySamples => ({
  fromSeconds: -600,
  toSeconds: 600,
  stepSeconds: 60,
  samples,
  recent: [],
  leadSeconds: 120,
  floor: 0,
  ...changes,
});

test('length, gaps and growth', () => {
  const summary = summarizeHistory(read(minute([10, 10, undefined, undefined, 12, 20, 30, 30, 30, 30, 30])));
  expect(summary).toMatchObject({
    windowSeconds: 1200,
    first: 0,
    last: 600,
    spanSeconds: 600,
    longestGap: { startSeconds: 60, seconds: 180 },
    growth: { share: 1.5, atSeconds: 240 },
  });
  expect(summary.presentShare).toBeCloseTo(9 / 11);
});

test('growth up to what the least number of replicas carries is none', () => {
  const samples = minute([1, 50, 100, 110]);
  expect(summarizeHistory(read(samples, { floor: 100 })).growth?.share).toBeCloseTo(0.1);
  expect(summarizeHistory(read(samples, { floor: 200 })).growth?.share).toBe(0);
});

test('the resolution is the median time between changes; unknown where there are few', () => {
  const scraped = (everySeconds: number): Sample[] =>
    Array.from({ length: 181 }, (_, index) => ({
      timestamp: index * 5,
      value: Math.floor((index * 5) / everySeconds),
    }));
  expect(summarizeHistory(read([], { recent: scraped(30) })).changeSeconds).toBe(30);
  expect(summarizeHistory(read([], { recent: scraped(120) })).changeSeconds).toBe(120);
  expect(summarizeHistory(read([], { recent: scraped(1000) })).changeSeconds).toBeUndefined();
});

test('nothing gives nothing', () => {
  expect(summarizeHistory(read([]))).toEqual({
    windowSeconds: 1200,
    first: undefined,
    last: undefined,
    spanSeconds: 0,
    presentShare: 0,
    longestGap: undefined,
    changeSeconds: undefined,
    growth: undefined,
    leadSeconds: 120,
  });
});

test('growth is that of the worst pair within the lead', () => {
  const values = fc.array(fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }), { maxLength: 40 });
  fc.assert(
    fc.property(
      values,
      fc.integer({ min: 0, max: 600 }),
      fc.integer({ min: 1, max: 50 }),
      (given, leadSeconds, floor) => {
        const samples = minute(given);
        const reach = Math.max(60, leadSeconds);
        const pairs = samples.flatMap((a) =>
          samples
            .filter((b) => b.timestamp >= a.timestamp && b.timestamp <= a.timestamp + reach)
            .map((b) => [a, b] as const),
        );
        const worst = Math.max(0, ...pairs.map(([a, b]) => b.value / Math.max(a.value, floor) - 1));
        const { growth } = summarizeHistory(read(samples, { leadSeconds, floor }));
        expect(growth?.share ?? 0).toBeCloseTo(worst);
      },
    ),
  );
});
