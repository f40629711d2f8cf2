// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { Sample } from '../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../testing/demand.ts';
import { createRandom } from '../forecast/random.ts';
import { createTargetForecaster } from './engine.ts';
import type { TargetForecaster } from './engine.ts';
import type { TargetOptions } from './target.ts';

const day = 86_400;
const hour = 3600;
const options: TargetOptions = { timeZone: 'UTC', historySeconds: 14 * day, quantile: 0.8, leadSeconds: 180 };
const cheap: TargetOptions = { ...options, models: ['naive', 'seasonal-profile', 'level-corrected'] };

function feed(forecaster: TargetForecaster, samples: readonly Sample[], [from, to]: [number, number]): void {
  forecaster.observe(samples.filter(({ timestamp }) => timestamp >= from && timestamp < to));
}

/** What made fits due while time went on from `from` to `to` in steps of half an hour. */
function follow(forecaster: TargetForecaster, samples: readonly Sample[], [from, to]: [number, number]): string[] {
  const made: string[] = [];
  for (let now = from; now <= to; now += hour / 2) {
    feed(forecaster, samples, [now - hour / 2, now]);
    forecaster.issue(now);
    made.push(...forecaster.takeRefits());
  }
  return made;
}

describe('fits', () => {
  const start = monday + 12 * day;

  test('every six hours of the models in use; once a day they are chosen anew', () => {
    const samples = samplesOf(demandSeries({ seed: 2, days: 14, stepSeconds: 300 }));
    const forecaster = createTargetForecaster(cheap);
    feed(forecaster, samples, [monday, start]);
    expect(follow(forecaster, samples, [start, start + 30 * hour])).toEqual([
      'first',
      'scheduled',
      'scheduled',
      'scheduled',
      'reselection',
      'scheduled',
    ]);
    expect(forecaster.takeRefits()).toEqual([]);
  });

  test('at once after a level shift, and once', () => {
    const shift = { day: 12.1, factor: 2 };
    const samples = samplesOf(demandSeries({ seed: 2, days: 14, stepSeconds: 300, shift }));
    const forecaster = createTargetForecaster(cheap);
    feed(forecaster, samples, [monday, start]);
    const made = follow(forecaster, samples, [start, start + 20 * hour]);
    expect(made.filter((reason) => reason === 'level-shift')).toHaveLength(1);
  });
});

describe('skill', () => {
  const random = createRandom(4);
  let level = 100;
  const walk = Array.from({ length: 6 * 1440 }, (_, index) => {
    level = Math.max(10, level + 20 * (random() - 0.5));
    return { timestamp: monday + 60 * index, value: level };
  });
  const now = monday + 6 * day - 60;

  test('a random walk cannot be foreseen: it is told so with the numbers', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(walk);
    const answer = forecaster.issue(now);
    expect(answer).toMatchObject({ kind: 'not-issued', reason: 'NoSkill' });
    expect('message' in answer && answer.message).toMatch(
      /^no model foresees this demand: the best has .* %.*need 3\.0 %/,
    );
  });

  test('who names models gets them', () => {
    const forecaster = createTargetForecaster({ ...options, models: ['naive', 'ensemble'] });
    forecaster.observe(walk);
    expect(forecaster.issue(now).kind).toBe('issued');
  });

  test('demand with a rhythm is forecast', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samplesOf(demandSeries({ seed: 2, days: 6, stepSeconds: 60 })));
    expect(forecaster.issue(now).kind).toBe('issued');
  });
});
