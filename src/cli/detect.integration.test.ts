// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { demandSeries } from '../testing/demand.ts';
import { startPrometheus } from '../testing/prometheus.ts';
import type { Prometheus } from '../testing/prometheus.ts';
import { runDetect } from './detect.ts';

const stepSeconds = 300;
const end = Math.floor(Date.now() / 300_000) * stepSeconds;
const series = demandSeries({ seed: 62, days: 3, stepSeconds, startSeconds: end - 3 * 86_400 });
const spike = series.values.length - 20;
let prometheus: Prometheus;

function* history(): Generator<string> {
  yield '# TYPE demand gauge\n';
  for (const [index, value] of series.values.entries()) {
    yield `demand ${index === spike ? 10 * value : value} ${series.startSeconds + index * stepSeconds}\n`;
  }
}

beforeAll(async () => {
  prometheus = await startPrometheus({ backfill: history() });
});

afterAll(async () => {
  await prometheus?.stop();
});

async function run(query: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const io = {
    stdin: (async function* () {})(),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
  };
  const range = ['--history', '3d', '--step', '5m'];
  return { code: await runDetect(['--prometheus', prometheus.url, '--query', query, ...range], io), ...written };
}

test('headstart detect reads the history of a real Prometheus, and finds the spike in it', async () => {
  const { code, stdout, stderr } = await run('demand');
  expect([code, stderr]).toEqual([0, '']);
  const rows = stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
  expect(rows.length).toBeGreaterThan(800);
  const found = rows.find(([timestamp]) => timestamp === series.startSeconds + spike * stepSeconds);
  expect(found?.[1]).toBeGreaterThan(0.5);
});

test('passes on what Prometheus says of a bad query', async () => {
  const { code, stderr } = await run('sum(demand');
  expect(code).toBe(1);
  expect(stderr).toContain('parse error');
});
