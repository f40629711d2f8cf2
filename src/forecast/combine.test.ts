// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { contestOf, track } from '../testing/contest.ts';
import { createRandom } from '../forecast/random.ts';
import { combineScores, mixParts, weightsBetween } from './combine.ts';
import { drift } from './models/drift.ts';
import { naive } from './models/naive.ts';
import { scoreTracks } from './select.ts';

const random = createRandom(3);
const noise = (): number[] => Array.from({ length: 240 }, () => 2 * random() - 1);
const [a, b] = [noise(), noise()];
const actual = a.map((value, index) => [100 + value + (b[index] ?? 0)]);
const basis = { judgedSlots: [0], mean: 100 };

describe('combineScores', () => {
  test('two that err apart are better together than either', () => {
    // One knows the first half of the noise, the other the second.
    const tracks = [a, b].map((known, number) =>
      track(
        number === 0 ? naive : drift,
        known.map((value) => [100 + value]),
      ),
    );
    const contest = contestOf({ positions: [0], actual }, tracks);
    const scores = scoreTracks(contest, basis);
    const combined = combineScores(contest, scores, basis);
    expect(combined?.loss).toBeLessThan(0.9 * (scores[0]?.loss ?? 0));
    const sums = combined?.members.reduce(
      (sum, { weights }) => sum.map((x, cell) => x + (weights[cell] ?? 0)),
      new Float64Array(3),
    );
    for (const sum of sums ?? []) expect(sum).toBeCloseTo(1, 9);
  });

  test('one that is much worse takes no part', () => {
    const tracks = [
      track(
        naive,
        actual.map(([value = 0]) => [value + 0.1 * random()]),
      ),
      track(
        drift,
        a.map((value) => [100 + value]),
      ),
    ];
    const contest = contestOf({ positions: [0], actual }, tracks);
    expect(combineScores(contest, scoreTracks(contest, basis), basis)).toBeUndefined();
  });
});

test('mixParts is the middle, which one that is far off hardly moves', () => {
  const part = (value: number, weight = 1) => ({ value, weight });
  expect(mixParts([part(3), part(1), part(1000)])).toBe(3);
  expect(mixParts([part(1), part(3)])).toBe(2);
  expect(mixParts([part(1, 3), part(3)])).toBe(1.5);
  expect(mixParts([part(7)])).toBe(7);
  expect(mixParts([part(7), part(Number.NaN)])).toBeNaN();
  expect(mixParts([])).toBeNaN();
});

test('weightsBetween lies between positions and levels, and goes on at the ends', () => {
  // Positions 0 and 3, levels 0.5, 0.8 and 0.95.
  const weightAt = weightsBetween(Float64Array.of(0, 0.3, 0.6, 1, 1, 1), [0, 3]);
  expect(weightAt(0, 0.65)).toBeCloseTo(0.15, 9);
  expect(weightAt(0, 0.99)).toBeCloseTo(0.6, 9);
  expect(weightAt(0, 0.1)).toBeCloseTo(0, 9);
  expect(weightAt(1, 0.5)).toBeCloseTo(0.5, 9);
  expect(weightAt(9, 0.5)).toBeCloseTo(1, 9);
});
