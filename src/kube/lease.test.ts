// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import type { FakeClock } from '../testing/fake-clock.ts';
import type { KubeClient, KubeObject, KubeRequest } from './client.ts';
import { createLeaderElector } from './lease.ts';
import type { LeaderElectorOptions } from './lease.ts';

type Lease = KubeObject & { spec: Record<string, unknown> };

/** An apiserver with one Lease and its optimistic lock; `cut` names the clients that cannot reach it. */
function createLeaseServer() {
  let lease: Lease | undefined;
  let version = 0;
  const cut = new Set<string>();
  const requests: { readonly identity: string; readonly method: string }[] = [];
  const write = (body: Lease): Lease => {
    version += 1;
    lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(version) } };
    return lease;
  };
  const answer = ({ method = 'GET', body }: KubeRequest): Lease => {
    if (method === 'POST') {
      if (lease !== undefined) throw new HeadstartError('AlreadyExists', 'creating');
      return write(body as Lease);
    }
    if (lease === undefined) throw new HeadstartError('NotFound', 'reading');
    if (method === 'GET') return lease;
    const isCurrent = (body as Lease).metadata.resourceVersion === lease.metadata.resourceVersion;
    if (!isCurrent) throw new HeadstartError('Conflict', 'updating');
    return write(body as Lease);
  };
  const clientOf = (identity: string): KubeClient => ({
    request: async <T>(request: KubeRequest) => {
      requests.push({ identity, method: request.method ?? 'GET' });
      if (cut.has(identity)) throw new HeadstartError('Unavailable', 'connection refused');
      return answer(request) as T;
    },
    watch: () => {
      throw new Error('nobody watches');
    },
  });
  return {
    cut,
    requests,
    clientOf,
    spec: () => lease?.spec ?? {},
    remove: () => {
      lease = undefined;
    },
    edit: (spec: Record<string, unknown>) => {
      version += 1;
      lease = { metadata: { name: 'lock', resourceVersion: String(version) }, spec: { ...lease?.spec, ...spec } };
    },
  };
}

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

function createElector(
  server: ReturnType<typeof createLeaseServer>,
  clock: FakeClock,
  identity: string,
  more: Partial<LeaderElectorOptions> = {},
) {
  const errors: string[] = [];
  const log: string[] = [];
  const controller = new AbortController();
  stop.signal.addEventListener('abort', () => controller.abort(stop.signal.reason), { once: true });
  const elector = createLeaderElector({
    client: server.clientOf(identity),
    namespace: 'headstart-system',
    name: 'lock',
    identity,
    clock,
    random: () => 0,
    monotonicMs: clock.nowMs,
    onError: (error) => errors.push((error as Error).message),
    ...more,
  });
  const begin = (work: (signal: AbortSignal) => Promise<void> | void = () => undefined) =>
    elector.run({
      signal: controller.signal,
      onStartedLeading: async (signal) => {
        log.push('started');
        signal.addEventListener('abort', () => log.push('told to stop'), { once: true });
        await work(signal);
      },
      onStoppedLeading: () => log.push('stopped'),
    });
  return { elector, errors, log, begin, end: () => controller.abort(new Error('stopping')) };
}

test('the first one creates the Lease, leads and renews it, the second one waits', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock(Date.parse('2026-10-18T06:00:00Z'));
  const a = createElector(server, clock, 'a');
  const b = createElector(server, clock, 'b');
  void a.begin();
  await settle();
  void b.begin();
  await clock.advance(60_500);
  expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([true, false]);
  expect([a.log, b.log]).toEqual([['started'], []]);
  expect(server.spec()).toEqual({
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    acquireTime: '2026-10-18T06:00:00.000000Z',
    renewTime: '2026-10-18T06:01:00.000000Z',
    leaseTransitions: 0,
  });
  expect(server.requests.filter(({ identity, method }) => identity === 'a' && method === 'GET').length).toBe(1);
});

test('a leader that ends gives the Lease up, and the next one need not wait for its expiry', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const a = createElector(server, clock, 'a');
  const b = createElector(server, clock, 'b');
  const ended = a.begin();
  await settle();
  void b.begin();
  await clock.advance(20_000);
  a.end();
  await ended;
  expect(a.log).toEqual(['started', 'told to stop', 'stopped']);
  expect(server.spec()['holderIdentity']).toBeUndefined();
  await clock.advance(2000);
  expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([false, true]);
  expect(server.spec()['leaseTransitions']).toBe(1);
});

test('the Lease is kept, and renewed, until the work of a leader that ends has ended', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const a = createElector(server, clock, 'a');
  const b = createElector(server, clock, 'b');
  const ended = a.begin(async (signal) => {
    await clock.sleep(1_000_000, signal).catch(async () => await clock.sleep(40_000));
  });
  await settle();
  void b.begin();
  await clock.advance(20_000);
  a.end();
  await clock.advance(39_000);
  expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([true, false]);
  await clock.advance(1000);
  await ended;
  await clock.advance(3000);
  expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([false, true]);
});

test('a leader that is cut off stops before the other takes over; there are never two', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const a = createElector(server, clock, 'a');
  const b = createElector(server, clock, 'b');
  void a.begin();
  await settle();
  void b.begin();
  await clock.advance(20_000);
  server.cut.add('a');
  const leaders: string[] = [];
  for (let second = 0; second < 30; second += 1) {
    await clock.advance(1000);
    leaders.push(`${a.elector.isLeader() ? 'a' : ''}${b.elector.isLeader() ? 'b' : ''}`);
  }
  expect(leaders).not.toContain('ab');
  expect([leaders.indexOf(''), leaders.indexOf('b')]).toEqual([9, 15]);
  expect(a.log).toEqual(['started', 'told to stop', 'stopped']);
  expect(a.errors).toContain('leading by lease headstart-system/lock: not renewed for 10 s');
  server.cut.clear();
  await clock.advance(10_000);
  expect([a.elector.isLeader(), b.elector.isLeader()]).toEqual([false, true]);
});

test('a request that hangs does not prolong leadership', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const healthy = server.clientOf('a');
  let hangs = false;
  const client: KubeClient = {
    ...healthy,
    request: async (request) => (hangs ? await new Promise(() => {}) : await healthy.request(request)),
  };
  const a = createElector(server, clock, 'a', { client });
  void a.begin();
  await clock.advance(4000);
  hangs = true;
  await clock.advance(9000);
  expect([a.elector.isLeader(), a.log]).toEqual([true, ['started']]);
  await clock.advance(1000);
  expect([a.elector.isLeader(), a.log]).toEqual([false, ['started', 'told to stop', 'stopped']]);
});

test("what counts is how long a record stands still here, never the other's clock", async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const long = '2000-01-01T00:00:00.000000Z';
  server.edit({ holderIdentity: 'other', leaseDurationSeconds: 30, renewTime: long, leaseTransitions: 4 });
  const a = createElector(server, clock, 'a');
  void a.begin();
  await clock.advance(20_000);
  server.edit({ renewTime: '2000-01-01T00:00:01.000000Z' });
  await clock.advance(29_000);
  expect(a.elector.isLeader()).toBe(false);
  await clock.advance(4000);
  expect(a.elector.isLeader()).toBe(true);
  expect(server.spec()).toMatchObject({ holderIdentity: 'a', leaseTransitions: 5 });
});

test.each([
  ['removes the Lease', 'goes on leading', (server: ReturnType<typeof createLeaseServer>) => server.remove()],
  [
    'empties the holder',
    'goes on leading',
    (server: ReturnType<typeof createLeaseServer>) => server.edit({ holderIdentity: '' }),
  ],
  [
    'gives it to another',
    'stops',
    (server: ReturnType<typeof createLeaseServer>) => server.edit({ holderIdentity: 'x' }),
  ],
])('somebody %s: the leader %s', async (_, outcome, act) => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const a = createElector(server, clock, 'a');
  void a.begin();
  await clock.advance(5000);
  act(server);
  await clock.advance(3000);
  expect(a.elector.isLeader()).toBe(outcome === 'goes on leading');
  expect(a.errors).toEqual(outcome === 'stops' ? ['leading by lease headstart-system/lock: taken by x'] : []);
});

test('of many that begin at once one leads', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const all = ['a', 'b', 'c', 'd', 'e'].map((identity) => createElector(server, clock, identity));
  for (const one of all) void one.begin();
  await clock.advance(30_000);
  expect(all.filter(({ elector }) => elector.isLeader()).length).toBe(1);
  expect(all.flatMap(({ log }) => log)).toEqual(['started']);
});

test('work that fails ends the election with its error, and gives the Lease up', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  const a = createElector(server, clock, 'a');
  await expect(
    a.begin(() => {
      throw new Error('port in use');
    }),
  ).rejects.toThrow('port in use');
  expect(a.log).toEqual(['started', 'told to stop', 'stopped']);
  expect(server.spec()['holderIdentity']).toBeUndefined();
  expect(clock.sleepers()).toBe(0);
});

test('an elector that is stopped while it waits ends at once', async () => {
  const server = createLeaseServer();
  const clock = createFakeClock();
  server.cut.add('a');
  const a = createElector(server, clock, 'a');
  const ended = a.begin();
  await clock.advance(5000);
  a.end();
  await ended;
  expect(a.errors).toEqual(['connection refused', 'connection refused', 'connection refused']);
  expect([a.log, clock.sleepers()]).toEqual([[], 0]);
});
