// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { aggregate, resample, samplingStep } from './resample.ts';
import type { Sample } from './time-series.ts';

const samples = (...pairs: [number, number][]): Sample[] => pairs.map(([timestamp, value]) => ({ timestamp, value }));

describe('resample', () => {
  test('averages the samples of a step and leaves gaps as NaN', () => {
    const series = resample(samples([60, 1], [75, 3], [180, 5]), {
      startSeconds: 60,
      endSeconds: 240,
      stepSeconds: 60,
    });
    expect([...series.values]).toEqual([2, Number.NaN, 5]);
  });

  test('leaves out samples beyond the grid', () => {
    const series = resample(samples([0, 9], [60, 1], [120, 9]), { startSeconds: 60, endSeconds: 120, stepSeconds: 60 });
    expect([...series.values]).toEqual([1]);
  });

  test('holds a sample for as long as it stands, and no longer', () => {
    const series = resample(samples([0, 1], [300, 2]), {
      startSeconds: 0,
      endSeconds: 720,
      stepSeconds: 60,
      holdSeconds: 300,
    });
    expect([...series.values]).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, Number.NaN, Number.NaN]);
  });

  test('takes samples in any order', () => {
    const series = resample(samples([60, 4], [0, 2]), { startSeconds: 0, endSeconds: 120, stepSeconds: 60 });
    expect([...series.values]).toEqual([2, 4]);
  });

  test('gives an empty series for an empty grid', () => {
    expect(resample([], { startSeconds: 60, endSeconds: 0, stepSeconds: 60 }).values).toHaveLength(0);
  });
});

describe('aggregate', () => {
  test('averages what is there', () => {
    const values = Float64Array.of(1, 3, Number.NaN, 5, Number.NaN, Number.NaN, 7);
    const series = aggregate({ startSeconds: 60, stepSeconds: 60, values }, 2);
    expect(series).toEqual({ startSeconds: 60, stepSeconds: 120, values: Float64Array.of(2, 5, Number.NaN, 7) });
  });
});

describe('samplingStep', () => {
  const cases: Record<string, [Sample[], number | undefined]> = {
    'no sample has no step': [[], undefined],
    'one sample has no step': [samples([5, 1]), undefined],
    'a regular series has its step': [samples([0, 1], [300, 1], [600, 1]), 300],
    'a gap does not matter': [samples([0, 1], [60, 1], [120, 1], [7200, 1], [7260, 1]), 60],
    'a double sample does not matter': [samples([0, 1], [60, 1], [60, 1], [120, 1]), 60],
  };
  test.each(Object.entries(cases))('%s', (_, [given, step]) => {
    expect(samplingStep(given)).toBe(step);
  });
});
