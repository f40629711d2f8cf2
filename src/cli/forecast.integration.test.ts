// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { demandSeries } from '../testing/demand.ts';
import { startPrometheus } from '../testing/prometheus.ts';
import type { Prometheus } from '../testing/prometheus.ts';
import { runForecast } from './forecast.ts';

const end = Math.floor(Date.now() / 60_000) * 60;
const series = demandSeries({ seed: 61, days: 3, stepSeconds: 60, startSeconds: end - 3 * 86_400 });
let prometheus: Prometheus;

function* history(): Generator<string> {
  yield '# TYPE demand gauge\n';
  for (const [index, value] of series.values.entries()) {
    for (const part of [0.25, 0.75])
      yield `demand{part="${part}"} ${part * value} ${series.startSeconds + index * 60}\n`;
  }
}

beforeAll(async () => {
  prometheus = await startPrometheus({ backfill: history() });
});

afterAll(async () => {
  await prometheus?.stop();
});

async function run(
  query: string,
  more: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const io = {
    stdin: (async function* () {})(),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
  };
  const origin = ['--origin', String(end - 7200), '--horizon', '1h', '--quantiles', '0.05,0.5,0.95'];
  return {
    code: await runForecast(['--prometheus', prometheus.url, '--query', query, ...origin, ...more], io),
    ...written,
  };
}

test('headstart forecast reads the history of a real Prometheus, and forecasts the hour that followed', async () => {
  const { code, stdout, stderr } = await run('sum(demand)');
  expect([code, stderr]).toEqual([0, '']);
  const rows = stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
  expect(rows).toHaveLength(60);
  const within = rows.filter(([, time = 0, low = 0, , high = 0]) => {
    const actual = series.values[(time - series.startSeconds) / 60] ?? Number.NaN;
    return actual >= low && actual <= high;
  });
  expect(within.length).toBeGreaterThan(45);
});

test('knows what is known ahead of the demand that Prometheus has, and explains itself', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headstart-forecast-'));
  try {
    const [events, regressors] = [join(folder, 'events.csv'), join(folder, 'regressors.csv')];
    await writeFile(events, `start,end,type\n${end - 7200},${end},campaign\n`);
    await writeFile(regressors, `timestamp,price\n${series.startSeconds},1\n${end},2\n`);
    const known = ['--events', events, '--regressors', regressors, '--holidays', 'US'];
    const { code, stdout, stderr } = await run('sum(demand)', [...known, '--explain', '--output', 'json']);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({
        explanation: expect.objectContaining({ origin: end - 7200, missing: 0, regressors: ['price', 'campaign'] }),
      }),
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('says that a query gives several series', async () => {
  const { code, stdout, stderr } = await run('demand');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('headstart forecast: the query gives more than one series');
});

test('passes on what Prometheus says of a bad query', async () => {
  const { code, stderr } = await run('sum(demand');
  expect(code).toBe(1);
  expect(stderr).toContain('parse error');
});
