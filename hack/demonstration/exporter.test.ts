// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { freePort } from '../../src/testing/ports.ts';
import { createCounter } from './counter.ts';
import { openMetrics, startExporter } from './exporter.ts';

test('the history has both counters, each with the labels that a scrape gives them', () => {
  const counter = createCounter({ demandAt: () => 2 }, 1000);
  const text = [...openMetrics(counter, { fromSeconds: 1000, toSeconds: 1029 }, '127.0.0.1:9')].join('');
  expect(text).toBe(`# HELP http_requests Requests that came.
# TYPE http_requests counter
http_requests_total{app="reactive",instance="127.0.0.1:9",job="demo"} 0.000 1000
http_requests_total{app="reactive",instance="127.0.0.1:9",job="demo"} 20.000 1010
http_requests_total{app="reactive",instance="127.0.0.1:9",job="demo"} 40.000 1020
http_requests_total{app="predictive",instance="127.0.0.1:9",job="demo"} 0.000 1000
http_requests_total{app="predictive",instance="127.0.0.1:9",job="demo"} 20.000 1010
http_requests_total{app="predictive",instance="127.0.0.1:9",job="demo"} 40.000 1020
`);
});

test('the history leaves out what has no row', () => {
  const counter = createCounter({ demandAt: (seconds) => (seconds < 1040 ? 1 : Number.NaN) }, 1000);
  const text = [...openMetrics(counter, { fromSeconds: 1000, toSeconds: 1080 }, '127.0.0.1:9')].join('');
  expect(text.match(/^http_requests_total/gm)).toHaveLength(8);
});

test('a scrape gives the same total for both, and it grows', async () => {
  const port = await freePort();
  const exporter = await startExporter(createCounter({ demandAt: () => 1000 }, Date.now() / 1000 - 5), port);
  const url = `http://127.0.0.1:${port}`;
  const totals = async (): Promise<number[]> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return [...text.matchAll(/^http_requests_total\{app="\w+"\} (\S+)$/gm)].map(([, total]) => Number(total));
  };
  try {
    const [first, same] = await totals();
    expect(first).toBeGreaterThanOrEqual(5000);
    expect(same).toBe(first);
    await expect.poll(async () => (await totals())[0]).toBeGreaterThan(first ?? Number.NaN);
    expect((await fetch(`${url}/`)).status).toBe(404);
  } finally {
    await exporter.close();
  }
});
