// SPDX-License-Identifier: Apache-2.0
import { deserialize, serialize } from 'node:v8';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../testing/demand.ts';
import { createTargetForecaster, restoreTargetForecaster } from './engine.ts';
import type { Issued, TargetForecaster } from './engine.ts';
import { fitTarget } from './fit.ts';
import type { NotIssued, TargetOptions } from './target.ts';

const day = 86_400;
const hour = 3600;
const options: TargetOptions = { timeZone: 'Europe/Berlin', historySeconds: 3 * day, quantile: 0.8, leadSeconds: 180 };
const samples = samplesOf(demandSeries({ seed: 3, days: 4, stepSeconds: 60, gaps: 0.02 }));

function upTo(endSeconds: number, from = Number.NEGATIVE_INFINITY): Sample[] {
  return samples.filter(({ timestamp }) => timestamp >= from && timestamp < endSeconds);
}

/** Minute by minute, what is issued. */
function follow(forecaster: TargetForecaster, from: number, minutes: number): (Issued | NotIssued)[] {
  return Array.from({ length: minutes }, (_, index) => {
    const now = from + index * 60;
    forecaster.observe(upTo(now, now - 300));
    return forecaster.issue(now);
  });
}

function learnt(end: number, given: Partial<TargetOptions> = {}): TargetForecaster {
  const forecaster = createTargetForecaster({ ...options, ...given });
  forecaster.observe(upTo(end));
  return forecaster;
}

describe('a snapshot', () => {
  test.each<[string, (state: unknown) => unknown]>([
    ['structuredClone', structuredClone],
    ['v8.serialize', (state) => deserialize(serialize(state))],
  ])('copied by %s goes on to the bit, through refits', (_, copy) => {
    const start = monday + 3 * day;
    const own = learnt(start);
    follow(own, start, 100);
    const state = own.snapshot();
    const other = restoreTargetForecaster(copy(state) as typeof state);
    expect(other.snapshot()).toEqual(state);
    // A lead that changes takes another fit.
    for (const forecaster of [own, other]) forecaster.setOptions({ leadSeconds: 240 });
    const next = start + 100 * 60;
    const [first, second] = [follow(own, next, 40), follow(other, next, 40)];
    expect(first.every(({ kind }) => kind === 'issued')).toBe(true);
    expect(second).toEqual(first);
    expect(other.history(0)).toEqual(own.history(0));
  });

  test('may be taken at any time, with any samples', () => {
    const sample = fc.record({
      timestamp: fc.integer({ min: monday - 200, max: monday + 40_000 }),
      value: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 60 }), fc.array(sample, { maxLength: 20 }), (before, after) => {
        const own = createTargetForecaster(options);
        own.observe(before);
        const first = own.issue(monday + 40_000);
        const other = restoreTargetForecaster(structuredClone(own.snapshot()));
        expect(other.issue(monday + 40_000)).toEqual(first);
        for (const forecaster of [own, other]) forecaster.observe(after);
        expect(other.snapshot()).toEqual(own.snapshot());
        expect(other.issue(monday + 41_000)).toEqual(own.issue(monday + 41_000));
      }),
      { numRuns: 50 },
    );
  });

  test('is caught up with what came while nobody ran', () => {
    const start = monday + 3 * day;
    const own = learnt(start);
    own.issue(start);
    const other = restoreTargetForecaster(structuredClone(own.snapshot()));
    for (const forecaster of [own, other]) forecaster.observe(upTo(start + 2 * hour, start));
    follow(own, start + hour, 60);
    const [a, b] = [own.issue(start + 2 * hour), other.issue(start + 2 * hour)];
    // No fit was made: that would have another mind about the median.
    expect((b as Issued).median).toEqual((a as Issued).median);
    expect(other.takeFit(start + 2 * hour)).toBeUndefined();
  });

  test('of a model that is gone is refused', () => {
    const start = monday + 3 * day;
    const own = learnt(start, { models: ['naive'] });
    own.issue(start);
    const state = own.snapshot();
    const forecaster = state.fit && {
      ...state.fit.forecaster,
      fits: { 'crystal-ball': {} },
    };
    const gone = { ...state, fit: state.fit && forecaster && { ...state.fit, forecaster } };
    expect(() => restoreTargetForecaster(gone)).toThrow('"crystal-ball"');
  });
});

describe('a fit that is made elsewhere', () => {
  const start = monday + 2.5 * day;

  function take(forecaster: TargetForecaster, now: number) {
    const due = forecaster.takeFit(now);
    if (due === undefined) throw new Error('no fit is due');
    return due;
  }

  test('gives what a fit in place gives', () => {
    const [here, elsewhere] = [learnt(start), learnt(start)];
    const due = take(elsewhere, start);
    expect(due.isAwaited).toBe(true);
    due.settle(structuredClone(fitTarget(structuredClone(due.input()))), start);
    expect(elsewhere.issue(start)).toEqual(here.issue(start));
  });

  test('is not waited for: the last fit goes on, and what came meanwhile is caught up', () => {
    // One model, so that which one is in use already makes no difference.
    const only = { models: ['level-corrected'] as const };
    const forecaster = learnt(start, only);
    forecaster.issue(start);
    const before = follow(forecaster, start, 6 * 60).at(-1) as Issued;
    const now = start + 6 * hour;
    const due = take(forecaster, now);
    expect(due.isAwaited).toBe(false);
    const input = due.input();
    // Nobody else gets it, and nobody makes it in place: the model stays as it is.
    const meanwhile = follow(forecaster, now, 10);
    expect(forecaster.takeFit(now + 600)).toBeUndefined();
    expect(meanwhile.map((issued) => (issued as Issued).model.since)).toEqual(Array(10).fill(before.model.since));
    due.settle(fitTarget(input), now + 600);
    const after = follow(forecaster, now + 600, 1)[0] as Issued;
    const other = learnt(now, only);
    other.issue(now);
    const expected = follow(other, now, 11).at(-1) as Issued;
    expect(after.median).toEqual(expected.median);
    expect(forecaster.takeFit(now + 600)).toBeUndefined();
  });

  test('and fails is tried again in ten minutes; the last fit goes on', () => {
    const forecaster = learnt(start);
    follow(forecaster, start, 1);
    follow(forecaster, start, 6 * 60);
    const now = start + 6 * hour;
    take(forecaster, now).settle({ kind: 'failed', message: 'its thread has died' }, now);
    expect(follow(forecaster, now, 9).every(({ kind }) => kind === 'issued')).toBe(true);
    expect(forecaster.takeFit(now + 540)).toBeUndefined();
    follow(forecaster, now + 540, 1);
    expect(forecaster.takeFit(now + 600)).toBeDefined();
  });

  test('and fails as the first one is told of, and tried again in ten minutes', () => {
    const forecaster = learnt(start);
    const due = take(forecaster, start);
    expect(forecaster.issue(start)).toMatchObject({ kind: 'not-issued', message: 'models are being fitted' });
    due.settle({ kind: 'failed', message: 'no answer within 60 s' }, start);
    expect(forecaster.issue(start)).toMatchObject({ reason: 'CannotFit', message: 'no answer within 60 s' });
    expect(forecaster.takeFit(start + 60)).toBeUndefined();
    forecaster.observe(upTo(start + 600, start));
    expect(forecaster.takeFit(start + 600)?.isAwaited).toBe(true);
  });

  test('is awaited when another look-ahead is wanted', () => {
    const forecaster = learnt(start);
    forecaster.issue(start);
    forecaster.setOptions({ leadSeconds: 600 });
    expect(take(forecaster, start).isAwaited).toBe(true);
  });

  test('is not due with too little history, nor for a stale one', () => {
    expect(learnt(monday + hour).takeFit(monday + hour)).toBeUndefined();
    expect(learnt(start).takeFit(start + hour)).toBeUndefined();
    expect(createTargetForecaster(options).takeFit(start)).toBeUndefined();
  });
});
