// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Answers range queries about `demand{app="web-<number>"}` with a daily wave whose size and phase differ by number.
 * A server of its own, so that what is measured is Headstart and not a Prometheus with a thousand series.
 */
export async function startFakePrometheus(): Promise<{ readonly url: string; readonly stop: () => void }> {
  const server = createServer((request, response) => {
    void readParameters(request).then((parameters) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer(parameters)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function readParameters(request: IncomingMessage): Promise<URLSearchParams> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
  return new URLSearchParams(body === '' ? (request.url ?? '').split('?')[1] : body);
}

function answer(parameters: URLSearchParams): unknown {
  const app = /web-\d+/.exec(parameters.get('query') ?? '')?.[0] ?? 'web-0';
  const [start, end, step] = ['start', 'end', 'step'].map((name) => Number.parseFloat(parameters.get(name) ?? '60'));
  const values: [number, string][] = [];
  for (let time = start ?? 0; time <= (end ?? 0); time += step ?? 60) values.push([time, demand(app, time).toFixed(3)]);
  return { status: 'success', data: { resultType: 'matrix', result: [{ metric: { app }, values }] } };
}

function demand(app: string, time: number): number {
  const number = Number(app.slice('web-'.length));
  const phase = (2 * Math.PI * (time / 86_400 + number / 24)) % (2 * Math.PI);
  return (100 + number) * (1 + 0.5 * Math.sin(phase) + 0.05 * Math.sin(time / 97 + number));
}
