// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import type { KubeClient, KubeRequest } from './client.ts';
import { createEventRecorder } from './recorder.ts';
import type { EventToRecord } from './recorder.ts';

const web: EventToRecord = {
  regarding: {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    namespace: 'shop',
    name: 'web',
    uid: 'u1',
  },
  type: 'Warning',
  reason: 'SourceUnavailable',
  action: 'Observe',
  note: 'Prometheus default answered HTTP 503',
};

function create() {
  const clock = createFakeClock(Date.parse('2026-10-18T06:00:00Z'));
  const requests: KubeRequest[] = [];
  const failures: Error[] = [];
  const errors: string[] = [];
  const client: KubeClient = {
    request: async <T>(request: KubeRequest) => {
      requests.push(request);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return {} as T;
    },
    watch: () => {
      throw new Error('nobody watches');
    },
  };
  const recorder = createEventRecorder({
    client,
    clock,
    random: () => 0.5,
    reportingController: 'headstart.dev/forecaster',
    reportingInstance: 'headstart-forecaster-0',
    onError: (error) => errors.push((error as Error).message),
  });
  const sent = () => requests.map(({ method, body }) => ({ method, ...(body as { note?: string; series?: object }) }));
  return { clock, requests, failures, errors, recorder, sent };
}

test('an Event is written as events.k8s.io/v1 wants it', async () => {
  const { recorder, requests } = create();
  recorder.record(web);
  await recorder.flush();
  expect(requests).toEqual([
    {
      method: 'POST',
      path: '/apis/events.k8s.io/v1/namespaces/shop/events',
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: expect.stringMatching(/^web\.[0-9a-f]+$/), namespace: 'shop' },
        eventTime: '2026-10-18T06:00:00.000000Z',
        reportingController: 'headstart.dev/forecaster',
        reportingInstance: 'headstart-forecaster-0',
        ...web,
      },
    },
  ]);
});

test('the same again within ten minutes is a count, written at most once a minute', async () => {
  const { clock, recorder, sent, requests } = create();
  for (let times = 0; times < 13; times += 1) {
    recorder.record(web);
    await clock.advance(10_000);
  }
  expect(sent().map(({ method, series }) => [method, series])).toEqual([
    ['POST', undefined],
    ['PATCH', { count: 2, lastObservedTime: '2026-10-18T06:00:10.000000Z' }],
    ['PATCH', { count: 8, lastObservedTime: '2026-10-18T06:01:10.000000Z' }],
  ]);
  expect(requests[1]).toMatchObject({
    path: expect.stringMatching(/^\/apis\/events\.k8s\.io\/v1\/namespaces\/shop\/events\/web\.[0-9a-f]+$/),
    contentType: 'application/merge-patch+json',
  });
  await clock.advance(10 * 60_000);
  recorder.record(web);
  await settle();
  expect(sent().at(-1)?.method).toBe('POST');
});

test.each([
  ['another note', { note: 'Prometheus default answered HTTP 500' }],
  ['another reason', { reason: 'SourceTimeout' }],
  ['another object', { regarding: { ...web.regarding, name: 'api' } }],
])('%s is another Event', async (_, change) => {
  const { recorder, sent } = create();
  recorder.record(web);
  recorder.record({ ...web, ...change });
  await recorder.flush();
  expect(sent().map(({ method }) => method)).toEqual(['POST', 'POST']);
});

test('a count of an Event that the apiserver has dropped begins a new one', async () => {
  const { recorder, failures, sent, errors } = create();
  recorder.record(web);
  await recorder.flush();
  failures.push(new HeadstartError('NotFound', 'patching'));
  recorder.record(web);
  await recorder.flush();
  expect(sent().map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
  expect(sent()[2]).toMatchObject({ note: web.note, series: { count: 2 } });
  expect(errors).toEqual([]);
});

test('an object that floods is cut off, alone, and may go on after a while', async () => {
  const { clock, recorder, sent, errors } = create();
  for (let times = 0; times < 30; times += 1) recorder.record({ ...web, note: `demand ${times}` });
  recorder.record({ ...web, regarding: { ...web.regarding, name: 'api' } });
  await recorder.flush();
  expect(sent().length).toBe(26);
  expect(errors.length).toBe(5);
  expect(errors[0]).toBe('writing Event SourceUnavailable of DemandForecast shop/web: too many Events about it');
  await clock.advance(5 * 60_000);
  recorder.record({ ...web, note: 'demand 31' });
  recorder.record({ ...web, note: 'demand 32' });
  await recorder.flush();
  expect(sent().length).toBe(27);
});

test('an Event is tried again while that can help, and given up with a word', async () => {
  const { clock, recorder, failures, sent, errors } = create();
  failures.push(new HeadstartError('Unavailable', 'connection refused'), new HeadstartError('Forbidden', 'denied'));
  recorder.record(web);
  await clock.advance(2000);
  expect(sent().length).toBe(2);
  expect(errors).toEqual(['writing an Event']);
  failures.push(...Array.from({ length: 3 }, () => new HeadstartError('Unavailable', 'connection refused')));
  recorder.record({ ...web, note: 'other' });
  await clock.advance(60_000);
  expect([sent().length, errors.length]).toEqual([5, 2]);
});

test('in a namespace that is going an Event is dropped without a word', async () => {
  const { recorder, failures, sent, errors } = create();
  const message = 'unable to create new content in namespace shop because it is being terminated';
  failures.push(new HeadstartError('Forbidden', message));
  recorder.record(web);
  await recorder.flush();
  expect([sent().length, errors]).toEqual([1, []]);
});

test('while the apiserver is away a bounded number waits; record never throws', async () => {
  const { recorder, failures, errors, clock, sent } = create();
  failures.push(new HeadstartError('Unavailable', 'connection refused'));
  for (let times = 0; times < 1100; times += 1) {
    recorder.record({ ...web, regarding: { ...web.regarding, name: `web-${times}` } });
  }
  await settle();
  expect(errors.length).toBe(99);
  expect(errors[0]).toContain('1000 Events wait already');
  recorder.record({} as EventToRecord);
  expect(errors.length).toBe(100);
  await clock.advance(5000);
  await recorder.flush();
  expect(sent().length).toBe(1 + 1001);
});

test('a note is cut to what the apiserver takes, between characters', async () => {
  const { recorder, sent } = create();
  recorder.record({ ...web, note: 'ü'.repeat(600) });
  recorder.record({ ...web, note: `x${'ü'.repeat(600)}` });
  await recorder.flush();
  expect(sent().map(({ note }) => note?.length)).toEqual([512, 512]);
});
