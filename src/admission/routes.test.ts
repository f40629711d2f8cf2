// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { createServer } from '../server/server.ts';
import type { Server } from '../server/server.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { mutatePath, registerAdmission } from './routes.ts';
import type { ReviewObservation } from './routes.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const { app } of servers.splice(0)) await app.close();
});

function create() {
  const observed: ReviewObservation[] = [];
  const server = createServer({ logger: pino({ level: 'silent' }), clock: createFakeClock() });
  registerAdmission(server.app, {
    pools: { get: () => undefined, hasSynced: () => true },
    onReview: (observation) => void observed.push(observation),
  });
  servers.push(server);
  return { app: server.app, observed };
}

function review(metadata: object, request: object = {}) {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      object: { metadata },
      ...request,
    },
  };
}

async function post(app: Server['app'], body: unknown, contentType = 'application/json') {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  return await app.inject({
    method: 'POST',
    url: `${mutatePath}?timeout=2s`,
    headers: { 'content-type': contentType },
    payload,
  });
}

describe('the webhook', () => {
  const labels = { 'headstart.dev/clone': 'true' };
  const reviews: Record<string, [object, boolean, ReviewObservation['outcome']]> = {
    'a clone that lacks something': [review({ labels }), true, 'Stamped'],
    'a clone that has it all': [
      review({ labels, annotations: { 'headstart.dev/ttl-seconds': '60' } }),
      true,
      'Unchanged',
    ],
    'a dry run': [review({ labels }, { dryRun: true }), true, 'Stamped'],
    'what is none of ours': [review({}), true, 'Ignored'],
    'what is refused': [review({ labels, annotations: { 'headstart.dev/ttl-seconds': '1h' } }), false, 'Denied'],
  };
  test.each(Object.entries(reviews))('answers with 200 to %s, and tells of it', async (_what, [
    body,
    allowed,
    outcome,
  ]) => {
    const { app, observed } = create();
    const answer = await post(app, body);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json()).toMatchObject({ kind: 'AdmissionReview', response: { uid: 'u', allowed } });
    expect(observed).toEqual([{ outcome, seconds: expect.any(Number) as number }]);
  });
  test('gives the same answer to the same review', async () => {
    const { app } = create();
    const [first, second] = [await post(app, review({ labels })), await post(app, review({ labels }))];
    expect(second.body).toBe(first.body);
  });

  const others: Record<string, [unknown, string, number, string]> = {
    'another version': [
      { ...review({}), apiVersion: 'admission.k8s.io/v2' },
      'application/json',
      400,
      'apiVersion: got "admission.k8s.io/v2", want admission.k8s.io/v1',
    ],
    'what is no JSON': ['{', 'application/json', 400, 'JSON'],
    nothing: ['', 'application/json', 400, 'empty'],
    'another content type': ['x', 'text/plain', 415, 'Unsupported Media Type'],
    'more than 8 MiB': [review({ labels: { x: 'x'.repeat(9 * 2 ** 20) } }), 'application/json', 413, 'too large'],
  };
  test.each(Object.entries(others))('is in error about %s, and says how', async (_what, given) => {
    const [body, contentType, code, message] = given;
    const { app, observed } = create();
    const answer = await post(app, body, contentType);
    expect(answer.statusCode).toBe(code);
    expect(answer.json<{ message: string }>().message).toContain(message);
    expect(observed).toEqual([]);
  });
  test('takes a review of 7 MiB', async () => {
    const { app } = create();
    const answer = await post(app, review({ labels, annotations: { x: 'x'.repeat(7 * 2 ** 20) } }));
    expect(answer.statusCode).toBe(200);
  });
  test('takes nothing but POST', async () => {
    const { app } = create();
    const answer = await app.inject({ method: 'GET', url: mutatePath });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe('POST');
  });
});
