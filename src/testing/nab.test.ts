// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { bestNabThreshold, nabFile, nabScore, nabTotals, scaledSigmoid } from './nab.ts';
import type { NabFile } from './nab.ts';

const timestamps = Array.from({ length: 100 }, (_, row) => 1000 + row);
/** Rows 40 to 59; the first 15 rows do not count. */
const file = nabFile(timestamps, [[1040, 1059]]);

function scores(...rows: readonly number[]): { file: NabFile; scores: number[] } {
  return { file, scores: timestamps.map((_, row) => (rows.includes(row) ? 1 : 0)) };
}

function score(...rows: readonly number[]): number {
  return nabScore(nabTotals([scores(...rows)], 0.5));
}

describe('scaledSigmoid', () => {
  test('has the values that the benchmark documents', () => {
    expect(scaledSigmoid(-1)).toBeCloseTo(0.98661, 5);
    expect(scaledSigmoid(-0.5)).toBeCloseTo(0.84828, 5);
    expect(scaledSigmoid(0)).toBe(0);
    expect(scaledSigmoid(1)).toBeCloseTo(-0.98661, 5);
    expect(scaledSigmoid(3.01)).toBe(-1);
  });
});

describe('nabScore', () => {
  test('is 0 for silence and 100 for the first row of each window', () => {
    expect(score()).toBe(0);
    expect(score(40)).toBeCloseTo(100, 10);
  });

  test('counts the earliest detection of a window alone, later ones for less', () => {
    expect(score(40, 45, 59)).toBeCloseTo(100, 10);
    expect(score(50)).toBeCloseTo(50 + (50 * 0.84828) / 0.98661, 2);
    expect(score(59)).toBeGreaterThan(50);
  });

  test('takes 0.11 for a false alarm before a window, less just after one, nothing in the probationary period', () => {
    expect(score(20)).toBeCloseTo(-5.5, 10);
    expect(score(60)).toBeCloseTo((100 * 0.11 * scaledSigmoid(1 / 19)) / 2, 10);
    expect(score(0, 14)).toBe(0);
    expect(score(15)).toBeCloseTo(-5.5, 10);
  });

  test('counts what was found', () => {
    expect(nabTotals([scores(20, 40, 41)], 0.5)).toMatchObject({ windows: 1, found: 1, falseAlarms: 1, nothing: -1 });
  });

  test('has no figure without a window', () => {
    expect(nabScore(nabTotals([{ file: nabFile(timestamps, []), scores: [] }], 0.5))).toBeNaN();
  });
});

describe('bestNabThreshold', () => {
  test('is the score of the detection that still pays', () => {
    const graded = timestamps.map((_, row) => ({ 20: 0.3, 42: 0.7, 80: 0.9 })[row] ?? 0);
    expect(bestNabThreshold([{ file, scores: graded }])).toBe(0.7);
  });

  test('is Infinity when silence is best', () => {
    expect(bestNabThreshold([{ file: nabFile(timestamps, []), scores: timestamps }])).toBe(Number.POSITIVE_INFINITY);
  });
});
