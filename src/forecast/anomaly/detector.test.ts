// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandSeries, samplesOf } from '../../testing/demand.ts';
import type { Sample } from '../../series/time-series.ts';
import { anomalyScore, createAnomalyDetector } from './detector.ts';
import { createNovelty } from './novelty.ts';
import { createRestPeriod } from './rest.ts';
import { createRobustZ } from './robust-z.ts';

const usual = samplesOf(demandSeries({ seed: 3, days: 6, stepSeconds: 600 }));

function scores(samples: readonly Sample[]): number[] {
  const detector = createAnomalyDetector({ timeZone: 'UTC' });
  return samples.map((sample) => detector.observe(sample).score);
}

function changed(row: number, value: number): Sample[] {
  return usual.map((sample, index) => (index === row ? { ...sample, value } : sample));
}

describe('anomaly detector', () => {
  test('finds a spike and a collapse, at once', () => {
    expect(scores(changed(700, 600))[700]).toBeGreaterThan(anomalyScore);
    expect(scores(changed(700, -200))[700]).toBeGreaterThan(anomalyScore);
  });

  test('is quiet while nothing happens', () => {
    expect(
      scores(usual)
        .slice(288)
        .filter((score) => score >= anomalyScore).length,
    ).toBeLessThan(4);
  });

  test('finds demand at a time of day when there is none', () => {
    const night = usual.map((sample, index) => (index > 719 && index < 732 ? { ...sample, value: 140 } : sample));
    expect(Math.max(...scores(night).slice(720, 735))).toBeGreaterThan(anomalyScore);
  });

  test('knows nothing of later samples', () => {
    expect(scores(changed(700, 600)).slice(0, 700)).toEqual(scores(usual.slice(0, 700)));
  });

  test('reports an anomaly that goes on once, but its surprise stays', () => {
    const detector = createAnomalyDetector({ timeZone: 'UTC' });
    const long = usual.map((sample, index) =>
      index > 699 && index < 705 ? { ...sample, value: 400 * (index - 698) } : sample,
    );
    const seen = long.map((sample) => detector.observe(sample)).slice(700, 705);
    expect(seen.filter(({ score }) => score >= anomalyScore)).toHaveLength(1);
    expect(seen.every(({ surprise }) => surprise >= anomalyScore)).toBe(true);
  });

  test('gives the same scores in another unit', () => {
    const thousandfold = usual.map((sample) => ({ ...sample, value: 1024 * sample.value }));
    const [one, other] = [scores(usual), scores(thousandfold)];
    for (const [index, score] of one.entries()) expect(other[index]).toBeCloseTo(score, 6);
  });

  test('is finite and between 0 and 1 for any samples', () => {
    const value = fc.oneof(fc.double({ noNaN: false }), fc.constantFrom(0, 1, 1e-300, 1e300, Number.NaN));
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 150, maxLength: 260 }),
        fc.integer({ min: 0, max: 90_000 }),
        (values, step) => {
          const found = scores(values.map((one, index) => ({ timestamp: index * step, value: one })));
          expect(found.every((score) => score >= 0 && score <= 1)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('scores constant and zero series 0', () => {
    for (const value of [0, 7]) {
      expect(Math.max(...scores(usual.map((sample) => ({ ...sample, value }))))).toBe(0);
    }
  });
});

test('novelty is the distance to the nearest known value over the range', () => {
  const novelty = createNovelty();
  for (const value of [0, 1, 2, 10]) novelty.observe(value);
  expect(novelty.observe(7)).toBeCloseTo(0.3, 10);
  expect(novelty.observe(7)).toBe(0);
  expect(novelty.observe(20)).toBeCloseTo(0.5, 10);
  expect(novelty.observe(Number.NaN)).toBe(0);
});

test('robust z is not carried away by what it finds', () => {
  const robustZ = createRobustZ();
  for (let index = 0; index < 200; index += 1) robustZ.observe(index % 50 === 49 ? 1000 : (index % 5) - 2);
  expect(robustZ.observe(0)).toBeLessThan(1);
  expect(robustZ.observe(1000)).toBeGreaterThan(10);
});

test('a rest period lets the first report through, and the next when it is over', () => {
  const rest = createRestPeriod(2);
  const rarities = Array.from({ length: 300 }, (_, row) => ([200, 203, 230].includes(row) ? 3 : 0));
  const kept = rarities.map((rarity) => rest.damp(rarity, rarity));
  expect([kept[200], kept[203], kept[230]]).toEqual([3, 1.5, 3]);
});
