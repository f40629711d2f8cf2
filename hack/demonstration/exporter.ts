// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { Counter } from './counter.ts';
import { twins } from './score.ts';

/** The two services as Prometheus sees them: counters with the same increments. */
export interface Exporter {
  close(): Promise<void>;
}

const metric = 'http_requests_total';
export const exporterJob = 'demo';

/**
 * Samples are this far apart, scraped or not. Where the spacing changes within the minute of a rate, Prometheus
 * extrapolates from a part of it and falls short.
 */
export const scrapeSeconds = 10;

/**
 * The history of both counters as OpenMetrics text, from one epoch second to another, in pieces. It has the labels that
 * the scraped series have, so that they go on where it ends.
 */
export function* openMetrics(
  counter: Counter,
  range: { readonly fromSeconds: number; readonly toSeconds: number },
  address: string,
): Generator<string> {
  const samples: string[] = [];
  const first = Math.ceil(range.fromSeconds / scrapeSeconds) * scrapeSeconds;
  for (let at = first; at <= range.toSeconds; at += scrapeSeconds) {
    const total = counter.at(at);
    if (total !== undefined) samples.push(`${total.toFixed(3)} ${at}\n`);
  }
  yield `# HELP http_requests Requests that came.\n# TYPE http_requests counter\n`;
  for (const app of twins) {
    const series = `${metric}{app="${app}",instance="${address}",job="${exporterJob}"} `;
    for (let index = 0; index < samples.length; index += 1000) {
      yield samples
        .slice(index, index + 1000)
        .map((sample) => series + sample)
        .join('');
    }
  }
}

/** Serves the counters at `/metrics` on loopback; each scrape sees them as they are at that moment. */
export async function startExporter(counter: Counter, port: number): Promise<Exporter> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end('only /metrics is here\n');
      return;
    }
    const total = counter.at(Date.now() / 1000);
    const lines = total === undefined ? [] : twins.map((app) => `${metric}{app="${app}"} ${total.toFixed(3)}\n`);
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(`# TYPE ${metric} counter\n${lines.join('')}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
