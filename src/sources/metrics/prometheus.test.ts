// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { createLimiter } from './limiter.ts';
import { createPrometheusSource } from './prometheus.ts';
import type { PrometheusOptions } from './prometheus.ts';

type Form = Record<string, string>;
type Answer = (response: ServerResponse, form: Form) => void;

const timeoutMs = 10_000;
const forms: Form[] = [];
const answers: Answer[] = [];
let requestsOpen = 0;
let mostOpen = 0;
let url: string;

const server = createServer((request, response) => {
  let text = '';
  requestsOpen += 1;
  mostOpen = Math.max(mostOpen, requestsOpen);
  response.on('close', () => {
    requestsOpen -= 1;
  });
  request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  request.on('end', () => {
    const form = { path: request.url ?? '', ...Object.fromEntries(new URLSearchParams(text)) };
    forms.push(form);
    (answers.shift() ?? gridOf(() => '7'))(response, form);
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  forms.length = 0;
  answers.length = 0;
  mostOpen = 0;
});

/** Answers with a point for each step. */
function gridOf(value: (timestamp: number) => string, metric: object = {}): Answer {
  return (response, form) => {
    const [start, end, step] = [Number(form['start']), Number(form['end']), Number(form['step'])];
    const values: [number, string][] = [];
    for (let time = start; time <= end; time += step) values.push([time, value(time)]);
    const data = { resultType: 'matrix', result: [{ metric, values }] };
    response.end(JSON.stringify({ status: 'success', data }));
  };
}

function fails(status: number, body = ''): Answer {
  return (response) => response.writeHead(status).end(body);
}

/** Waits are over at once, except for the time limit, which comes when `expire` is called. */
function testClock() {
  const waits: number[] = [];
  const limits: (() => void)[] = [];
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    sleep: async (ms, signal) => {
      if (ms !== timeoutMs) {
        waits.push(ms);
        return;
      }
      await new Promise<void>((resolve, reject) => {
        limits.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
    },
  };
  return { clock, waits, expire: () => limits.forEach((limit) => limit()), advance: (ms: number) => (nowMs += ms) };
}

function sourceWith(options: Partial<PrometheusOptions> = {}) {
  return createPrometheusSource({ url, clock: testClock().clock, random: () => 0.5, timeoutMs, ...options });
}

const hour = { query: 'demand', fromSeconds: 3600, toSeconds: 7200, stepSeconds: 60 };

describe('reading a range', () => {
  test('both ends are included, and the query travels in a form', async () => {
    const samples = await sourceWith().range({ ...hour, query: 'sum(rate(x{a="ü&="}[2m]))' });
    expect(samples).toHaveLength(61);
    expect([samples[0], samples.at(-1)]).toEqual([
      { timestamp: 3600, value: 7 },
      { timestamp: 7200, value: 7 },
    ]);
    expect(forms).toMatchObject([
      { path: '/api/v1/query_range', query: 'sum(rate(x{a="ü&="}[2m]))', start: '3600', end: '7200', step: '60' },
    ]);
  });

  test('a path prefix of the URL is kept', async () => {
    await sourceWith({ url: `${url}/prometheus/` }).range(hour);
    expect(forms[0]?.['path']).toBe('/prometheus/api/v1/query_range');
  });

  test('28 days at one minute are read in pieces that neither overlap nor leave a gap', async () => {
    const toSeconds = 28 * 86_400;
    answers.push(...Array.from({ length: 4 }, () => gridOf((time) => String(time))));
    const samples = await sourceWith().range({ query: 'x', fromSeconds: 0, toSeconds, stepSeconds: 60 });
    expect(forms).toHaveLength(4);
    expect(samples).toHaveLength(28 * 1440 + 1);
    expect(samples.every(({ timestamp, value }, index) => timestamp === index * 60 && value === timestamp)).toBe(true);
  });

  test('points that are not a number are absent', async () => {
    answers.push(gridOf((time) => (time === 3660 ? 'NaN' : time === 3720 ? '+Inf' : '1')));
    expect(await sourceWith().range({ ...hour, toSeconds: 3780 })).toEqual([
      { timestamp: 3600, value: 1 },
      { timestamp: 3780, value: 1 },
    ]);
  });

  test('no data is an empty array, also when one piece has some', async () => {
    const none: Answer = (response) => response.end('{"status":"success","data":{"resultType":"matrix","result":[]}}');
    answers.push(none);
    expect(await sourceWith().range(hour)).toEqual([]);
    answers.push(
      none,
      gridOf(() => '1'),
    );
    expect(await sourceWith({ maxPoints: 31 }).range(hour)).toHaveLength(30);
  });

  test('a series that changes its labels from one piece to the next is several series', async () => {
    answers.push(
      gridOf(() => '1', { pod: 'a' }),
      gridOf(() => '1', { pod: 'b' }),
    );
    await expect(sourceWith({ maxPoints: 31 }).range(hour)).rejects.toThrow(/such as \{pod="a"\} and \{pod="b"\}/);
  });

  test.each([
    ['the wrong way round', { fromSeconds: 2, toSeconds: 1 }],
    ['without a step', { stepSeconds: 0 }],
    ['of NaN', { fromSeconds: Number.NaN }],
  ])('a range %s is refused', async (_name, part) => {
    await expect(sourceWith().range({ ...hour, ...part })).rejects.toMatchObject({ code: 'InvalidInput' });
  });
});

describe('reading the latest value', () => {
  test('it is the value at that time', async () => {
    expect(await sourceWith().latest({ query: 'x', atSeconds: 3601 })).toEqual({ timestamp: 3601, value: 7 });
  });

  test('not a number is said, never taken for no data', async () => {
    answers.push(gridOf(() => 'NaN'));
    await expect(sourceWith().latest({ query: 'x', atSeconds: 3601 })).rejects.toMatchObject({ code: 'NotANumber' });
  });
});

describe('failures', () => {
  test('5xx and 429 are tried again, with growing waits', async () => {
    const { clock, waits } = testClock();
    answers.push(fails(503), fails(429));
    expect(await sourceWith({ clock }).range(hour)).toHaveLength(61);
    expect(waits).toEqual([187.5, 375]);
  });

  test('the third failure is told', async () => {
    answers.push(fails(502), fails(502), fails(502));
    await expect(sourceWith().range(hour)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(forms).toHaveLength(3);
  });

  test('a refused query is not tried again', async () => {
    answers.push(fails(400, '{"status":"error","errorType":"bad_data","error":"parse error"}'));
    await expect(sourceWith().range(hour)).rejects.toThrow('Prometheus answers HTTP 400: parse error');
    expect(forms).toHaveLength(1);
  });

  test('nobody listens: unavailable, with the address', async () => {
    const source = sourceWith({ url: 'http://127.0.0.1:1' });
    const error: unknown = await source.range(hour).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'Unavailable', message: 'no connection to http://127.0.0.1:1' });
    expect((error as Error).cause).toMatchObject({ message: expect.stringMatching(/ECONNREFUSED/) });
  });

  test('a server that does not answer in time is a timeout', async () => {
    const { clock, expire } = testClock();
    answers.push((response) => {
      response.write('{"status":');
      expire();
    });
    await expect(sourceWith({ clock }).range(hour)).rejects.toMatchObject({
      code: 'Timeout',
      message: `no answer from ${url} within 10 s`,
    });
    expect(forms).toHaveLength(1);
  });

  test('a caller that gives up gets its own reason, also while it waits', async () => {
    const controller = new AbortController();
    answers.push(() => controller.abort(new Error('shutting down')));
    await expect(sourceWith().range({ ...hour, signal: controller.signal })).rejects.toThrow('shutting down');
  });

  test('an answer without end is cut off', async () => {
    answers.push((response) => {
      const chunk = 'x'.repeat(65_536);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    await expect(sourceWith({ maxResponseBytes: 2 ** 20 }).range(hour)).rejects.toThrow(/larger than 1 MiB/);
  });

  test('after three failures in a row the server is left alone for 15 s', async () => {
    const { clock, expire, advance } = testClock();
    const source = sourceWith({ clock });
    for (let round = 0; round < 3; round += 1) {
      answers.push(() => expire());
      await expect(source.range(hour)).rejects.toMatchObject({ code: 'Timeout' });
    }
    await expect(source.range(hour)).rejects.toMatchObject({ code: 'Timeout' });
    expect(forms).toHaveLength(3);
    advance(15_000);
    expect(await source.range(hour)).toHaveLength(61);
    expect(await source.range(hour)).toHaveLength(61);
  });

  test('a query that always fails does not stand in the way of others', async () => {
    const source = sourceWith();
    answers.push(fails(500), fails(500), fails(500));
    await expect(source.range(hour)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(await source.range(hour)).toHaveLength(61);
  });
});

test('no more requests at a time than are allowed', async () => {
  const source = sourceWith({ limiter: createLimiter(2) });
  const held: (() => void)[] = [];
  const inPairs: Answer = (response, form) => {
    held.push(() => gridOf(() => '1')(response, form));
    if (held.length === 2) for (const answer of held.splice(0)) answer();
  };
  answers.push(...Array.from({ length: 8 }, () => inPairs));
  await Promise.all(Array.from({ length: 8 }, async () => await source.range(hour)));
  expect(mostOpen).toBe(2);
});

test('every request is told, with its outcome', async () => {
  const calls: string[] = [];
  answers.push(fails(503), fails(400));
  const source = sourceWith({ onRequest: ({ outcome }) => calls.push(outcome) });
  await source.range(hour).catch(() => undefined);
  await source.range(hour);
  expect(calls).toEqual(['Unavailable', 'QueryFailed', 'Success']);
});

test.each([
  'http://user:secret@host:9090',
  'https://:secret@host',
])('credentials in a URL are refused, and not repeated', (given) => {
  const act = (): unknown => sourceWith({ url: given });
  expect(act).toThrow(/credentials do not belong in the URL of host/);
  expect(act).not.toThrow(/secret/);
});

test.each(['', 'prometheus:9090', 'ftp://host'])('%j is no URL of Prometheus', (given) => {
  expect(() => sourceWith({ url: given })).toThrow(/want an http:\/\/ or https:\/\/ URL/);
});

test('a connection that breaks is tried again', async () => {
  answers.push((response) => response.destroy(), hangsUp);
  expect(await sourceWith().range(hour)).toHaveLength(61);
});

const hangsUp: Answer = (response) => {
  response.write('{"status"');
  response.destroy();
};
