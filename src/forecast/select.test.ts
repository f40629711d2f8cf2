// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { contestOf, track } from '../testing/contest.ts';
import { createRandom } from '../forecast/random.ts';
import { drift } from './models/drift.ts';
import { naive } from './models/naive.ts';
import { refineRule, scoreTracks, selectScore } from './select.ts';

const random = createRandom(3);
const noise = Array.from({ length: 240 }, () => 2 * random() - 1);
const actual = noise.map((value) => [100 + value]);

/** Forecasts that are off by `factor` times the noise, so that their loss is |factor - 1| times as large. */
const off = (factor: number): number[][] => noise.map((value) => [100 + factor * value]);

describe('scoreTracks', () => {
  test('puts the model with the smaller loss first', () => {
    const contest = contestOf({ positions: [0], actual }, [track(naive, off(0)), track(drift, off(0.5))]);
    const scores = scoreTracks(contest, { judgedSlots: [0], mean: 100 });
    expect(scores.map(({ track: { model } }) => model.name)).toEqual(['drift', 'naive']);
    expect((scores[1]?.loss ?? 0) / (scores[0]?.loss ?? 1)).toBeCloseTo(2, 1);
  });

  test('gives the mean pinball loss in the unit of demand', () => {
    const [score] = scoreTracks(contestOf({ positions: [0], actual }, [track(naive, off(0))]), {
      judgedSlots: [0],
      mean: 100,
    });
    // Errors are uniform on [-1, 1]: the loss of the true quantile is q (1 - q), .25, .16 and .0475.
    expect(score?.loss).toBeCloseTo((0.25 + 0.16 + 0.0475) / 3, 2);
  });

  test('a bias costs nothing: residuals take it out', () => {
    const biased = off(0).map(([value = 0]) => [value - 30]);
    const contest = contestOf({ positions: [0], actual }, [track(naive, off(0)), track(drift, biased)]);
    const [one, other] = scoreTracks(contest, { judgedSlots: [0], mean: 100 });
    expect(Math.abs((one?.loss ?? 0) / (other?.loss ?? 1) - 1)).toBeLessThan(0.05);
  });

  test('errors that grow with the forecast are scaled by it', () => {
    const levels = noise.map((_, index) => (index % 2 === 0 ? 20 : 200));
    const rows = levels.map((level, index) => [level * (1 + 0.3 * (noise[index] ?? 0))]);
    const contest = contestOf({ positions: [0], actual: rows }, [
      track(
        naive,
        levels.map((level) => [level]),
      ),
    ]);
    expect(scoreTracks(contest, { judgedSlots: [0], mean: 110 })[0]?.rule.power).toBe(1);
  });

  test('errors of one time of day are learnt for that time', () => {
    const rows = noise.map((value, index) => [100 + (index % 24 === 9 ? 50 : 0) + value]);
    const contest = contestOf({ positions: [0], actual: rows }, [track(naive, off(0))]);
    const basis = { judgedSlots: [0], mean: 100 };
    const [rule] = scoreTracks(contest, basis).map((score) => refineRule(contest, score, basis));
    expect(rule?.timeOfDaySeconds).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('a model without a forecast that came due comes last', () => {
    const contest = contestOf({ positions: [0], actual }, [
      track(
        naive,
        off(0).map(() => [Number.NaN]),
      ),
      track(drift, off(0)),
    ]);
    const scores = scoreTracks(contest, { judgedSlots: [0], mean: 100 });
    expect(scores.map(({ track: { model } }) => model.name)).toEqual(['drift', 'naive']);
    expect(scores[1]?.loss).toBeNaN();
  });
});

describe('selectScore', () => {
  const scores = (factor: number) =>
    scoreTracks(contestOf({ positions: [0], actual }, [track(naive, off(0)), track(drift, off(factor))]), {
      judgedSlots: [0],
      mean: 100,
    });
  const cases: Record<string, [number, string | undefined, string]> = {
    'the best, when none is in use': [0.02, undefined, 'drift'],
    'the model in use, when another is hardly better': [0.02, 'naive', 'naive'],
    'another, when it is clearly better': [0.2, 'naive', 'drift'],
    'the best, when the model in use is not there any more': [0.02, 'ets', 'drift'],
  };
  test.each(Object.entries(cases))('takes %s', (_, [factor, inUse, expected]) => {
    expect(selectScore(scores(factor), inUse)?.track.model.name).toBe(expected);
  });

  test('takes none of none', () => {
    expect(selectScore([], 'naive')).toBeUndefined();
  });
});
