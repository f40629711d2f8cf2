// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { Sample } from '../series/time-series.ts';
import { demandSeries, monday, samplesOf } from '../testing/demand.ts';
import { createRandom } from '../forecast/random.ts';
import { createTargetForecaster } from './engine.ts';
import type { Issued, TargetForecaster } from './engine.ts';
import { defaultModelNames } from './registry.ts';
import type { NotIssued, TargetOptions } from './target.ts';

const day = 86_400;
const options: TargetOptions = { timeZone: 'UTC', historySeconds: 14 * day, quantile: 0.8, leadSeconds: 180 };

function demand(days: number, changes: Partial<Parameters<typeof demandSeries>[0]> = {}): Sample[] {
  return samplesOf(demandSeries({ seed: 11, days, stepSeconds: 60, ...changes }));
}

function issued(answer: Issued | NotIssued): Issued {
  if (answer.kind === 'not-issued') throw new Error(`${answer.reason}: ${answer.message}`);
  return answer;
}

/** Tells the samples one by one, and asks after every so many. */
function run(forecaster: TargetForecaster, samples: readonly Sample[], every = 1): Issued[] {
  return samples.flatMap((sample, index) => {
    forecaster.observe([sample]);
    return index % every === 0 ? [issued(forecaster.issue(sample.timestamp + 5))] : [];
  });
}

describe('a forecast', () => {
  const samples = demand(4);
  const last = samples.at(-1)?.timestamp ?? 0;
  const forecaster = createTargetForecaster(options);
  forecaster.observe(samples);
  const forecast = issued(forecaster.issue(last + 42));

  test('starts at the minute of now and covers an hour', () => {
    expect(forecast).toMatchObject({ issuedAt: last + 42, startTime: last, stepSeconds: 60, quantile: 0.8 });
    expect(forecast.values).toHaveLength(60);
    expect(forecast.median).toHaveLength(68);
  });

  test('has finite values, none below what is seen now', () => {
    expect([...forecast.values, ...forecast.median, forecast.atLead].every((value) => Number.isFinite(value))).toBe(
      true,
    );
    expect(forecast.values[0]).toBeGreaterThanOrEqual(samples.at(-1)?.value ?? 0);
  });

  test('names the candidates and their losses, best first', () => {
    const { model } = forecast;
    expect(model.candidates.map(({ name }) => name).sort()).toEqual(defaultModelNames(3600).toSorted());
    const losses = model.candidates.map(({ loss }) => loss);
    expect(losses).toEqual(losses.toSorted((a, b) => a - b));
    expect(model).toMatchObject({ name: model.candidates[0]?.name, since: last + 42 });
  });

  test('does not depend on the order of arrival, nor on repeated samples', () => {
    const random = createRandom(1);
    const shuffled = [...samples, ...samples.slice(100, 300)].map((sample) => ({ sample, key: random() }));
    const other = createTargetForecaster(options);
    other.observe(shuffled.sort((a, b) => a.key - b.key).map(({ sample }) => sample));
    expect(issued(other.issue(last + 42))).toEqual(forecast);
  });

  test('knows the coming rise: at dawn, values are above demand, more so further ahead', () => {
    const dawn = createTargetForecaster(options);
    const night = samples.filter(({ timestamp }) => timestamp < monday + 3 * day + 6 * 3600);
    dawn.observe(night);
    const { values, median } = issued(dawn.issue(night.at(-1)?.timestamp ?? 0));
    expect(values[59]).toBeGreaterThan(1.1 * (values[0] ?? Number.NaN));
    expect(values[30]).toBeGreaterThanOrEqual(median[30] ?? Number.NaN);
  });

  test('is higher for a higher quantile and a longer lead', () => {
    const before = issued(forecaster.issue(last + 42)).values;
    forecaster.setOptions({ quantile: 0.99 });
    const higher = issued(forecaster.issue(last + 42));
    expect(higher.quantile).toBe(0.99);
    expect(higher.values.every((value, index) => value >= (before[index] ?? 0))).toBe(true);
    forecaster.setOptions({ leadSeconds: 1800 });
    const longer = issued(forecaster.issue(last + 42));
    expect(longer.median).toHaveLength(60 + 35);
    expect(longer.values[0]).toBeGreaterThan(higher.values[0] ?? Number.NaN);
  });
});

describe('no forecast', () => {
  test('without a sample', () => {
    expect(createTargetForecaster(options).issue(monday)).toEqual({
      kind: 'not-issued',
      reason: 'NoHistory',
      message: 'there is no sample yet',
      have: '0s',
      need: '2h',
    });
    expect(createTargetForecaster(options).history(monday)).toEqual({ haveSeconds: 0, needSeconds: 7200 });
  });

  test('with an hour of history: says what there is, what is needed, and when there will be enough', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(demand(1 / 24));
    expect(forecaster.history(monday + 3600)).toEqual({
      haveSeconds: 3600,
      needSeconds: 7200,
      lastTimestamp: monday + 3540,
    });
    expect(forecaster.issue(monday + 3600)).toEqual({
      kind: 'not-issued',
      reason: 'TooLittleHistory',
      message: 'have 1h of history, need 2h; forecasting starts 2026-01-05T02:00:00Z',
      have: '1h',
      need: '2h',
      readyAt: monday + 7200,
    });
  });

  test('with a day of history when only models of the day are allowed', () => {
    const forecaster = createTargetForecaster({ ...options, models: ['seasonal-profile', 'level-corrected'] });
    forecaster.observe(demand(1));
    expect(forecaster.issue(monday + day)).toMatchObject({ reason: 'TooLittleHistory', have: '24h', need: '26h' });
  });

  test('from a last sample that is old', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(demand(1));
    expect(forecaster.issue(monday + day + 3600)).toMatchObject({
      kind: 'not-issued',
      reason: 'NoHistory',
      message: 'the last sample is 1h1m old (2026-01-05T23:59:00Z), forecasting needs one of the last 15m',
    });
  });
});

describe('with little history', () => {
  test('two hours let naive or drift forecast', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(demand(2 / 24));
    const { model, values } = issued(forecaster.issue(monday + 7200 - 60));
    expect(['naive', 'drift', 'ensemble']).toContain(model.name);
    expect(model.candidates).toHaveLength(2);
    expect(values.every((value) => Number.isFinite(value))).toBe(true);
  });

  test('26 hours bring in the models of the day', () => {
    const forecaster = createTargetForecaster({ ...options, models: ['level-corrected'] });
    forecaster.observe(demand(26 / 24));
    expect(issued(forecaster.issue(monday + 26 * 3600 - 60)).model.name).toBe('level-corrected');
  });

  test('a young target is fitted every hour: the better model is found soon', () => {
    const forecaster = createTargetForecaster(options);
    const samples = demand(2, { noise: 0.01, wave: 0.8 });
    const names = [1435, 1500, 2870].map((end, index, ends) => {
      forecaster.observe(samples.slice(ends[index - 1] ?? 0, end));
      return issued(forecaster.issue(monday + end * 60)).model.name;
    });
    expect(['naive', 'drift', 'ensemble']).toContain(names[0]);
    expect(['seasonal-profile', 'level-corrected', 'ensemble']).toContain(names.at(-1));
  });
});

describe('samples that do not come as they should', () => {
  const samples = demand(3);
  const last = samples.at(-1)?.timestamp ?? 0;

  test('a delayed sample: the forecast for a minute is nearly what it would have been', () => {
    const [prompt, late] = [createTargetForecaster(options), createTargetForecaster(options)];
    prompt.observe(samples);
    late.observe(samples.slice(0, -3));
    const [one, other] = [issued(prompt.issue(last)), issued(late.issue(last))];
    expect(other.startTime).toBe(last);
    expect(other.values).toHaveLength(60);
    for (const [index, value] of other.values.entries()) {
      expect(Math.abs(value / (one.values[index] ?? 0) - 1)).toBeLessThan(0.15);
    }
  });

  test('a hole of hours does not stop it, once samples come again', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples.filter(({ timestamp }) => timestamp < monday + 2 * day || timestamp > last - 600));
    expect(issued(forecaster.issue(last)).values.every((value) => value > 0)).toBe(true);
  });

  test('five minutes between samples: each stands until the next', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples.filter(({ timestamp }) => timestamp % 300 === 0));
    expect(forecaster.history(last).haveSeconds).toBeGreaterThan(0.5 * day);
    const forecast = issued(forecaster.issue(last));
    expect(forecast.model.candidates).toHaveLength(defaultModelNames(3600).length);
    expect(forecaster.history(last).haveSeconds).toBeGreaterThan(2.9 * day);
  });

  test('four samples a minute are averaged, wherever they come from', () => {
    const [single, split] = [createTargetForecaster(options), createTargetForecaster(options)];
    single.observe(samples);
    const parts = samples.flatMap(({ timestamp, value }) =>
      [-3, -1, 1, 3].map((off, index) => ({ timestamp: timestamp + 15 * index, value: value + off })),
    );
    split.observe(parts.slice(0, -2));
    for (const part of parts.slice(-2)) split.observe([part]);
    const [one, other] = [issued(single.issue(last + 59)), issued(split.issue(last + 59))];
    for (const [index, value] of other.values.entries()) expect(value).toBeCloseTo(one.values[index] ?? 0, 3);
  });

  test('history that arrives afterwards is fitted at once', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples.slice(-200));
    expect(issued(forecaster.issue(last)).model.candidates.length).toBeLessThan(defaultModelNames(3600).length);
    forecaster.observe(samples);
    expect(issued(forecaster.issue(last)).model.candidates).toHaveLength(defaultModelNames(3600).length);
  });

  test('no value at all is NaN or infinite, whatever is observed', () => {
    const forecaster = createTargetForecaster(options);
    forecaster.observe([...samples, { timestamp: last - 60, value: Number.NaN }, { timestamp: Number.NaN, value: 1 }]);
    forecaster.observe([{ timestamp: last + 60, value: Number.POSITIVE_INFINITY }]);
    expect(issued(forecaster.issue(last)).values.every((value) => Number.isFinite(value))).toBe(true);
  });
});

describe('what has come due', () => {
  /** Share of the issued first values that the maximum over the look-ahead of eight minutes did not exceed. */
  function covered(samples: readonly Sample[], forecasts: readonly Issued[]): number {
    const known = forecasts.filter(({ startTime }) => startTime + 480 <= (samples.at(-1)?.timestamp ?? 0));
    const hits = known.filter(({ startTime, values }) => {
      const index = samples.findIndex(({ timestamp }) => timestamp === startTime);
      return Math.max(...samples.slice(index, index + 9).map(({ value }) => value)) <= (values[0] ?? Number.NaN);
    });
    return hits.length / known.length;
  }

  test('is scored: coverage is near the quantile, and the loss smaller than that of seasonal naive', () => {
    const samples = demand(5, { seed: 21 });
    const start = 4 * 1440;
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples.slice(0, start));
    const forecasts = run(forecaster, samples.slice(start), 3);
    const { accuracy } = forecasts.at(-1) ?? {};
    expect(forecasts[0]?.accuracy).toBeUndefined();
    // The last three are still open.
    expect(accuracy?.scores).toBe(1440 / 3 - 3);
    expect(Math.abs((accuracy?.coverage ?? 0) - 0.8)).toBeLessThan(0.05);
    expect(accuracy?.coverage).toBeCloseTo(covered(samples, forecasts), 2);
    expect(accuracy?.pinballSkill).toBeGreaterThan(0.05);
    expect(Math.abs(accuracy?.bias ?? 99)).toBeLessThan(5);
  }, 60_000);

  test('makes it follow a level shift: the day after, coverage is near the quantile again', () => {
    const samples = demand(5, { seed: 22, shift: { day: 3, factor: 2 } });
    const forecaster = createTargetForecaster(options);
    forecaster.observe(samples.slice(0, 3 * 1440 - 60));
    run(forecaster, samples.slice(3 * 1440 - 60, 4 * 1440), 10);
    const second = run(forecaster, samples.slice(4 * 1440), 10);
    expect(Math.abs(covered(samples, second) - 0.8)).toBeLessThan(0.1);
  }, 60_000);
});

describe.each([1, 2, 3])('a steep ramp that comes at about the same time each day (seed %d)', (seed) => {
  // 100 to 350 within four minutes at 09:00, some minutes early or late, and slowly down again; days differ by 5 %.
  const random = createRandom(seed);
  const days = Array.from({ length: 11 }, () => ({
    ramp: 540 + Math.round((random() + random() - 1) * 4),
    level: 1 + 0.1 * (random() - 0.5),
  }));
  const samples = days.flatMap(({ ramp, level }, index) =>
    Array.from({ length: 1440 }, (_, minute) => {
      const height =
        minute < ramp ? 0 : Math.min(1, (minute - ramp) / 4) * 2 ** (-Math.max(0, minute - ramp - 45) / 90);
      const noise = 1 + 0.03 * (random() - 0.5);
      return { timestamp: monday + (index * 1440 + minute) * 60, value: (100 + 250 * height) * level * noise };
    }),
  );
  const today = 10 * 1440 + (days[10]?.ramp ?? 0);
  const forecaster = createTargetForecaster({ ...options, quantile: 0.7, leadSeconds: 120 });
  forecaster.observe(samples.slice(0, today - 30));
  const values = new Map(
    run(forecaster, samples.slice(today - 30, today + 10)).map((forecast, index) => [index - 30, forecast.values[0]]),
  );

  test('is published before it begins', () => {
    expect(values.get(0)).toBeGreaterThan(250);
  });

  test('is not published half an hour before', () => {
    expect(values.get(-30)).toBeLessThan(130);
  });

  test('is not given up while it is a little late', () => {
    for (let minute = 0; minute < 10; minute += 1) expect(values.get(minute)).toBeGreaterThan(220);
  });
});
