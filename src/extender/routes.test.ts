// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { createServer } from '../server/server.ts';
import type { Server } from '../server/server.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { prioritizePath, registerExtender } from './routes.ts';
import type { ExtenderOptions, PrioritizeObservation } from './routes.ts';

const startMs = Date.parse('2026-10-01T12:00:00Z');
const startSeconds = startMs / 1000;
const servers: Server[] = [];

afterEach(async () => {
  for (const { app } of servers.splice(0)) await app.close();
});

function create(options: Partial<ExtenderOptions> = {}) {
  const observed: PrioritizeObservation[] = [];
  const clock = createFakeClock(startMs);
  const server = createServer({ logger: pino({ level: 'silent' }), clock });
  registerExtender(server.app, {
    horizons: () =>
      new Map([
        ['same', startSeconds + 1800],
        ['forever', Number.POSITIVE_INFINITY],
        ['shorter', startSeconds + 60],
      ]),
    clock,
    onPrioritize: (observation) => void observed.push(observation),
    ...options,
  });
  servers.push(server);
  const post = async (payload: string, contentType = 'application/json') =>
    await server.app.inject({ method: 'POST', url: prioritizePath, headers: { 'content-type': contentType }, payload });
  return { app: server.app, observed, post };
}

function clone(annotations: object = { 'headstart.dev/deadline': '2026-10-01T12:30:00Z' }) {
  const labels = { 'headstart.dev/clone': 'true' };
  return {
    metadata: { name: 'web-1', namespace: 'shop', creationTimestamp: '2026-10-01T12:00:00Z', labels, annotations },
  };
}

const nodeNames = ['empty', 'shorter', 'same', 'forever'];

describe('the extender', () => {
  test('scores every node of a clone, in the words of kube-scheduler', async () => {
    const { post, observed } = create();
    const response = await post(JSON.stringify({ Pod: clone(), Nodes: null, NodeNames: nodeNames }));
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.json()).toEqual([
      { Host: 'empty', Score: 5 },
      { Host: 'shorter', Score: 5 },
      { Host: 'same', Score: 10 },
      { Host: 'forever', Score: 9 },
    ]);
    expect(observed).toEqual([{ nodes: 4, seconds: expect.any(Number) }]);
  });

  test('takes the default time to live where a deadline cannot be read', async () => {
    const { post } = create();
    const response = await post(
      JSON.stringify({ Pod: clone({ 'headstart.dev/deadline': 'never' }), NodeNames: ['same'] }),
    );
    expect(response.json()).toEqual([{ Host: 'same', Score: 5 }]);
  });

  test('has no opinion about pods that are no clones', async () => {
    const { post } = create({ horizons: () => undefined });
    const response = await post(JSON.stringify({ Pod: { metadata: { name: 'other' } }, NodeNames: nodeNames }));
    expect(response.json()).toEqual(nodeNames.map((Host) => ({ Host, Score: 0 })));
  });

  test('says 503 while the pods are not known', async () => {
    const { post } = create({ horizons: () => undefined });
    const response = await post(JSON.stringify({ Pod: clone(), NodeNames: nodeNames }));
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ kind: 'Status', message: 'which pods are on which node is not known' });
  });

  test.each([
    ['what is no JSON', '{', 'application/json', 400],
    ['JSON that is no ExtenderArgs', '{}', 'application/json', 400],
    ['nothing', '', 'application/json', 400],
    ['a key that would change prototypes', '{"__proto__":{}}', 'application/json', 400],
    ['another type', 'x', 'text/plain', 415],
    ['more than 16 MiB', JSON.stringify('x'.repeat(16 * 1024 * 1024)), 'application/json', 413],
  ])('refuses %s', async (_what, body, contentType, code) => {
    const { post, observed } = create();
    const response = await post(body, contentType);
    expect(response.statusCode).toBe(code);
    expect(response.json()).toMatchObject({ kind: 'Status', code });
    expect(observed).toEqual([]);
  });

  test('says which field is wrong', async () => {
    const { post } = create();
    const response = await post(JSON.stringify({ Pod: clone(), NodeNames: [7] }));
    expect(response.json()).toMatchObject({ message: 'NodeNames[0]: got 7, want a string' });
  });

  test('is only posted to, and has no other verb', async () => {
    const { app } = create();
    const get = await app.inject({ method: 'GET', url: prioritizePath });
    expect([get.statusCode, get.headers['allow']]).toEqual([405, 'POST']);
    const filter = await app.inject({ method: 'POST', url: '/scheduler/v1/filter', payload: {} });
    expect(filter.statusCode).toBe(404);
  });
});
