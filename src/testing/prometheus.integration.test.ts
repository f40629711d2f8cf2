// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from './process.ts';
import { startPrometheus } from './prometheus.ts';
import type { Prometheus } from './prometheus.ts';

const now = Math.floor(Date.now() / 1000);
const stepSeconds = 60;
const weeks3 = 21 * 86_400;
const exporter = createServer((_, response) => response.end('# TYPE live gauge\nlive 7\n'));
let address: string;
let prometheus: Prometheus;

function* history(): Generator<string> {
  yield '# TYPE demand gauge\n';
  for (let time = now - weeks3; time < now; time += stepSeconds) yield `demand{zone="a"} ${time % 1000} ${time}\n`;
}

async function queryRange(query: string, start: number, end: number, step: number): Promise<[number, string][]> {
  const range = new URLSearchParams({ query, start: `${start}`, end: `${end}`, step: `${step}` });
  const response = await fetch(`${prometheus.url}/api/v1/query_range?${range.toString()}`);
  const body = (await response.json()) as { data: { result: { values: [number, string][] }[] } };
  return body.data.result[0]?.values ?? [];
}

async function instant(query: string): Promise<string | undefined> {
  const response = await fetch(`${prometheus.url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
  const body = (await response.json()) as { data: { result: { value: [number, string] }[] } };
  return body.data.result[0]?.value[1];
}

beforeAll(async () => {
  await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
  address = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  prometheus = await startPrometheus({
    backfill: history(),
    scrapeTargets: [{ job: 'exporter', address, intervalSeconds: 1 }],
  });
});

afterAll(async () => {
  await prometheus?.stop();
  exporter.closeAllConnections();
  exporter.close();
});

describe('Prometheus', () => {
  test('gives the backfilled history back, from its first sample to its last', async () => {
    const first = now - weeks3;
    const values = await queryRange('demand', first, now - stepSeconds, stepSeconds * 10);
    expect(values).toHaveLength(weeks3 / stepSeconds / 10);
    expect(values[0]).toEqual([first, `${first % 1000}`]);
  });

  test('scrapes a live target', async () => {
    const value = async (): Promise<string | undefined> => await instant('live');
    expect(await waitUntil('the exporter is scraped', value, { timeoutMs: 20_000 })).toBe('7');
  });

  test('goes away and comes back with its data on the same port', async () => {
    await prometheus.down();
    await expect(fetch(prometheus.url)).rejects.toThrow('fetch failed');
    await prometheus.up();
    expect(await queryRange('demand', now - 3600, now - 1800, stepSeconds)).toHaveLength(31);
    const value = async (): Promise<string | undefined> => await instant('live');
    expect(await waitUntil('the exporter is scraped again', value, { timeoutMs: 20_000 })).toBe('7');
  });

  test('takes other scrape targets while it runs', async () => {
    await prometheus.setScrapeTargets([{ job: 'other', address, intervalSeconds: 1 }]);
    const value = async (): Promise<string | undefined> => await instant('live{job="other"}');
    expect(await waitUntil('the other job is scraped', value, { timeoutMs: 20_000 })).toBe('7');
  });

  test('says what it does not accept in a history', async () => {
    await expect(startPrometheus({ backfill: ['demand not-a-number 1\n'] })).rejects.toThrow(
      /promtool refuses the history/,
    );
  });
});
