// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { startPrometheus } from '../../testing/prometheus.ts';
import type { Prometheus } from '../../testing/prometheus.ts';
import { createPrometheusSource } from './prometheus.ts';
import type { MetricSource } from './metric-source.ts';

const endSeconds = Math.floor(Date.now() / 60_000) * 60;
const startSeconds = endSeconds - 28 * 86_400;
let prometheus: Prometheus;
let source: MetricSource;

function* history(): Generator<string> {
  yield '# TYPE demand gauge\n';
  for (let time = startSeconds; time <= endSeconds; time += 60) yield `demand ${time - startSeconds} ${time}\n`;
  yield '# TYPE part gauge\n';
  for (const pod of ['a', 'b']) {
    for (let time = endSeconds - 3600; time <= endSeconds; time += 60) yield `part{pod="${pod}"} 1 ${time}\n`;
  }
}

beforeAll(async () => {
  prometheus = await startPrometheus({ backfill: history() });
  source = createPrometheusSource({ url: prometheus.url, clock: systemClock, random: Math.random });
});

afterAll(async () => {
  await prometheus?.stop();
});

describe('against a real Prometheus', () => {
  test('28 days at one minute come back, point by point', async () => {
    const samples = await source.range({
      query: 'demand',
      fromSeconds: startSeconds,
      toSeconds: endSeconds,
      stepSeconds: 60,
    });
    expect(samples).toHaveLength(28 * 1440 + 1);
    const wrong = samples.filter(({ timestamp, value }) => value !== timestamp - startSeconds);
    expect(wrong).toEqual([]);
  });

  test('the latest value is there, and outside of the history there is none', async () => {
    expect(await source.latest({ query: 'sum(part)', atSeconds: endSeconds })).toEqual({
      timestamp: endSeconds,
      value: 2,
    });
    expect(await source.latest({ query: 'demand', atSeconds: startSeconds - 3600 })).toBeUndefined();
    expect(await source.latest({ query: 'absent_metric', atSeconds: endSeconds })).toBeUndefined();
    expect(await source.latest({ query: 'scalar(demand)', atSeconds: endSeconds })).toMatchObject({
      value: 28 * 86_400,
    });
  });

  test.each([
    ['part', 'SeveralSeries', /part\{pod="a"\} and part\{pod="b"\}/],
    ['sum(demand', 'QueryFailed', /HTTP 400: .*parse error: unclosed left parenthesis/],
    ['demand[5m]', 'QueryFailed', /HTTP 400: .*expression type "range vector"/],
    ['demand * NaN', 'NotANumber', /want a finite number/],
    ['demand / 0', 'NotANumber', /want a finite number/],
  ])('the query %s is a %s', async (query, code, message) => {
    await expect(source.latest({ query, atSeconds: endSeconds })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('a server that is away is unavailable, and usable again when it is back', async () => {
    const request = { query: 'demand', atSeconds: endSeconds };
    await prometheus.down();
    const own = createPrometheusSource({ url: prometheus.url, clock: systemClock, random: Math.random });
    await expect(own.latest(request)).rejects.toMatchObject({ code: 'Unavailable' });
    await prometheus.up();
    expect(await source.latest(request)).toMatchObject({ timestamp: endSeconds });
  });
});
