// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { errorCode, HeadstartError } from '../base/errors.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { startControlPlane } from '../testing/control-plane.ts';
import { waitUntil } from '../testing/process.ts';
import { apply, applyStatus } from './apply.ts';
import type { KubeClient, KubeObject, KubeRequest } from './client.ts';
import { linkSignal } from './deadline.ts';
import { createKubeClient } from './http-client.ts';
import { createLeaderElector } from './lease.ts';
import { resourcePath } from './paths.ts';
import { createEventRecorder } from './recorder.ts';
import { createReflector } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';

const thingApi = { apiVersion: 'test.headstart.dev/v1', plural: 'things' } as const;

interface Thing extends KubeObject {
  readonly spec?: { readonly size?: number };
  readonly status?: { readonly ready?: boolean; readonly note?: string };
}

let cluster: ControlPlane;
let client: KubeClient;
let stop = new AbortController();

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1 });
  client = createKubeClient({ kubeconfig: cluster.kubeconfigPath });
  const text = { type: 'string' };
  const properties = {
    spec: { type: 'object', properties: { size: { type: 'integer', minimum: 0 } } },
    status: { type: 'object', properties: { ready: { type: 'boolean' }, note: text } },
  };
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    subresources: { status: {} },
    schema: { openAPIV3Schema: { type: 'object', properties } },
  };
  await client.request({
    method: 'POST',
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.test.headstart.dev' },
      spec: {
        group: 'test.headstart.dev',
        scope: 'Namespaced',
        names: { plural: 'things', kind: 'Thing' },
        versions: [version],
      },
    },
  });
  await eventually('things are served', async () => await client.request({ path: resourcePath(thingApi) }));
});
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});
afterAll(async () => await cluster?.stop());

async function eventually<T>(what: string, probe: () => T | Promise<T>) {
  return await waitUntil(what, probe, { timeoutMs: 30_000, intervalMs: 50 });
}

async function createNamespace(name: string): Promise<void> {
  await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } });
}

/** Creates a Thing, or changes its size. */
async function put(namespace: string, name: string, size: number): Promise<Thing> {
  const options = { fieldManager: 'test', force: true };
  return await apply(client, { ...thingApi, namespace, name }, { kind: 'Thing', spec: { size } }, options);
}

async function remove(namespace: string, name: string): Promise<void> {
  await client.request({ method: 'DELETE', path: resourcePath({ ...thingApi, namespace, name }) });
}

/** Throws everything away that etcd knows about the past. */
async function compactEtcd(): Promise<void> {
  const etcd = await readFile(join(cluster.dir, 'etcd.url'), 'utf8');
  const post = async (path: string, body: object) =>
    (await (await fetch(`${etcd}${path}`, { method: 'POST', body: JSON.stringify(body) })).json()) as {
      readonly header: { readonly revision: string };
    };
  const { header } = await post('/v3/kv/range', { key: Buffer.from('/').toString('base64') });
  await post('/v3/kv/compaction', { revision: header.revision, physical: true });
}

/** A way to the apiserver that can be cut, and that can make watches begin in the past. */
function createLossyClient() {
  let cut = linkSignal(undefined);
  const state = { isDown: false, watchFrom: undefined as string | undefined, watches: 0 };
  const failIfDown = (): void => {
    if (state.isDown) throw new HeadstartError('Unavailable', 'the network is away');
  };
  const lossy: KubeClient = {
    request: async <T>(request: KubeRequest) => {
      failIfDown();
      return await client.request<T>(request);
    },
    watch: async function* ({ path, query, signal }) {
      failIfDown();
      state.watches += 1;
      const own = linkSignal(signal);
      cut.signal.addEventListener('abort', () => own.abort(cut.signal.reason), { once: true });
      const from = state.watchFrom === undefined ? {} : { resourceVersion: state.watchFrom };
      state.watchFrom = undefined;
      yield* client.watch({ path, query: { ...query, ...from }, signal: own.signal });
    },
  };
  return {
    client: lossy,
    state,
    /** Breaks each connection; none is made until `restore`. */
    cut: () => {
      state.isDown = true;
      cut.abort(new HeadstartError('Unavailable', 'the network is away'));
      cut = linkSignal(undefined);
    },
    restore: () => {
      state.isDown = false;
    },
  };
}

async function follow(namespace: string, options: Partial<ReflectorOptions<Thing>> = {}) {
  const lossy = createLossyClient();
  const changes: string[] = [];
  const errors: unknown[] = [];
  const reflector = createReflector<Thing>({
    client: lossy.client,
    path: resourcePath({ ...thingApi, namespace }),
    clock: systemClock,
    random: Math.random,
    onChange: ({ type, object }) => changes.push(`${type} ${object.metadata.name} ${object.spec?.size}`),
    onError: (error) => errors.push(error),
    ...options,
  });
  void reflector.run(stop.signal);
  await reflector.whenSynced(stop.signal);
  return { lossy, changes, errors, reflector };
}

test('a reflector follows creates, updates and deletes of its own namespace and selector', async () => {
  await createNamespace('follow');
  await put('default', 'elsewhere', 1);
  await put('follow', 'early', 1);
  const { changes, errors, reflector } = await follow('follow', { query: { fieldSelector: 'metadata.name!=hidden' } });
  expect(changes).toEqual(['added early 1']);
  expect(reflector.store.get('follow', 'early')).toMatchObject({ kind: 'Thing', spec: { size: 1 } });
  expect(reflector.store.get('follow', 'early')?.metadata).not.toHaveProperty('managedFields');
  await put('follow', 'late', 2);
  await put('follow', 'hidden', 2);
  await put('follow', 'late', 3);
  await remove('follow', 'early');
  await eventually('four changes', () => changes.length >= 4);
  expect(changes.slice(1)).toEqual(['added late 2', 'modified late 3', 'deleted early 1']);
  expect(reflector.store.list().map(({ metadata }) => metadata.name)).toEqual(['late']);
  expect(errors).toEqual([]);
  expect(Date.now() - reflector.store.lastContactMs()).toBeLessThan(10_000);
});

test('a reflector catches up after its connection was away, and after etcd was compacted, without a list', async () => {
  await createNamespace('away');
  await put('away', 'a', 1);
  await put('away', 'b', 1);
  const { lossy, changes, errors } = await follow('away');
  lossy.cut();
  await remove('away', 'a');
  await put('away', 'b', 2);
  await put('away', 'c', 1);
  await compactEtcd();
  changes.length = 0;
  lossy.restore();
  await eventually('caught up', () => changes.length >= 3);
  expect(changes).toEqual(['deleted a 1', 'modified b 2', 'added c 1']);
  expect(errors.every((error) => errorCode(error) === 'Unavailable')).toBe(true);
});

test('a version that the apiserver no longer has (410) means a new list, and what has gone is told', async () => {
  await createNamespace('gone');
  await put('gone', 'a', 1);
  await put('gone', 'b', 1);
  const { lossy, changes, errors, reflector } = await follow('gone');
  lossy.cut();
  lossy.state.watchFrom = '1';
  await remove('gone', 'a');
  await put('gone', 'b', 2);
  changes.length = 0;
  lossy.restore();
  await eventually('listed anew', () => changes.length >= 2);
  expect(changes).toEqual(['deleted a 1', 'modified b 2']);
  expect(errors.map(errorCode)).toContain('Gone');
  await put('gone', 'c', 1);
  await eventually('watching again', () => reflector.store.get('gone', 'c'));
});

/** A continue token as the apiserver gave it, but of a version before the last compaction. */
function outdated(token: string): string {
  const fields = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as object;
  return Buffer.from(JSON.stringify({ ...fields, rv: 1 })).toString('base64url');
}

test('a collection of several pages is listed whole, anew when its version has gone (410) between two pages', async () => {
  await createNamespace('pages');
  const path = resourcePath({ apiVersion: 'v1', plural: 'configmaps', namespace: 'pages' });
  const names = Array.from({ length: 1001 }, (_, index) => `map-${index}`);
  for (let from = 0; from < names.length; from += 50) {
    const some = names.slice(from, from + 50);
    await Promise.all(
      some.map(async (name) => await client.request({ method: 'POST', path, body: { metadata: { name } } })),
    );
  }
  await compactEtcd();
  let pages = 0;
  const forgetful: KubeClient = {
    ...client,
    request: async <T>(request: KubeRequest) => {
      pages += 1;
      const token = request.query?.['continue'];
      const query =
        token !== undefined && pages === 2 ? { ...request.query, continue: outdated(token) } : request.query;
      return await client.request<T>({ ...request, ...(query === undefined ? {} : { query }) });
    },
  };
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const reflector = createReflector({ client: forgetful, path, clock: systemClock, random: Math.random, onError });
  void reflector.run(stop.signal);
  await reflector.whenSynced(stop.signal);
  // Without kube-root-ca.crt, which the controller manager puts into each namespace.
  const found = reflector.store.list().filter(({ metadata }) => metadata.name.startsWith('map-'));
  expect(found.length).toBe(1001);
  expect(errors.map(errorCode)).toEqual(['Gone']);
  expect(pages).toBe(2 + 3);
});

test('a reflector of what is not installed yet syncs once it is', async () => {
  const errors: unknown[] = [];
  const reflector = createReflector({
    client,
    path: '/apis/absent.headstart.dev/v1/things',
    clock: systemClock,
    random: Math.random,
    onError: (error) => errors.push(error),
  });
  void reflector.run(stop.signal);
  await eventually('two tries', () => errors.length >= 2);
  expect(errors.map(errorCode)).toEqual(['NotFound', 'NotFound']);
  expect(reflector.store.hasSynced()).toBe(false);
});

test('status is applied by its manager; another manager meets a conflict, and takes over by force', async () => {
  const target = { ...thingApi, namespace: 'default', name: 'applied' };
  await put('default', 'applied', 5);
  const status = (fields: Thing['status']) => ({ kind: 'Thing', status: fields });
  const ours = { fieldManager: 'headstart', force: true };
  const first = await applyStatus<Thing>(client, target, status({ ready: true, note: 'fitted' }), ours);
  expect(first).toMatchObject({ spec: { size: 5 }, status: { ready: true, note: 'fitted' } });
  const second = await applyStatus<Thing>(client, target, status({ ready: false }), ours);
  expect(second.status).toEqual({ ready: false });
  const theirs = { fieldManager: 'other', force: false };
  await expect(applyStatus(client, target, status({ ready: true }), theirs)).rejects.toMatchObject({
    code: 'Conflict',
    message: expect.stringContaining('conflict with "headstart"'),
  });
  await applyStatus(client, target, status({ ready: true }), { ...theirs, force: true });
  await expect(applyStatus(client, { ...target, name: 'absent' }, status({}), ours)).rejects.toMatchObject({
    code: 'NotFound',
  });
  await expect(put('default', 'applied', -1)).rejects.toMatchObject({
    code: 'InvalidInput',
    message: expect.stringContaining('spec.size: Invalid value: -1'),
  });
});

test.each([
  ['ends in good order', 5000],
  ['is cut off', 15_000],
])('when a leader %s, the other one leads within %i ms, and never both', async (how, withinMs) => {
  const lossy = createLossyClient();
  const name = `lock-${how.length}`;
  const times = { leaseDurationMs: 6000, renewDeadlineMs: 3000, retryPeriodMs: 400 };
  const common = { namespace: 'kube-system', name, clock: systemClock, random: Math.random, ...times };
  const a = createLeaderElector({ ...common, client: lossy.client, identity: 'a' });
  const b = createLeaderElector({ ...common, client, identity: 'b' });
  const leading = new Set<string>();
  let most = 0;
  const work = (identity: string) => async (signal: AbortSignal) => {
    leading.add(identity);
    most = Math.max(most, leading.size);
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    leading.delete(identity);
  };
  const stopA = linkSignal(stop.signal);
  const aEnded = a.run({ signal: stopA.signal, onStartedLeading: work('a') });
  await eventually('a leads', () => a.isLeader());
  const bEnded = b.run({ signal: stop.signal, onStartedLeading: work('b') });
  const startMs = Date.now();
  if (how === 'is cut off') lossy.cut();
  else stopA.abort(new Error('stopping'));
  await eventually('b leads', () => b.isLeader());
  expect([a.isLeader(), [...leading], most]).toEqual([false, ['b'], 1]);
  expect(Date.now() - startMs).toBeLessThan(withinMs);
  const lease = await client.request({
    path: resourcePath({ apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace: 'kube-system', name }),
  });
  expect(lease).toMatchObject({ spec: { holderIdentity: 'b', leaseDurationSeconds: 6, leaseTransitions: 1 } });
  stop.abort(new Error('test is over'));
  await Promise.all([aEnded, bEnded]);
});

test('an Event appears at its object, and its repetition as a count', async () => {
  const { metadata } = await put('default', 'eventful', 1);
  const errors: unknown[] = [];
  const recorder = createEventRecorder({
    client,
    clock: systemClock,
    random: Math.random,
    reportingController: 'headstart.dev/forecaster',
    reportingInstance: 'headstart-forecaster-0',
    onError: (error) => errors.push(error),
  });
  const regarding = { apiVersion: thingApi.apiVersion, kind: 'Thing', namespace: 'default', name: 'eventful' };
  const note = 'Prometheus default answered HTTP 503';
  const event = { type: 'Warning', reason: 'SourceUnavailable', action: 'Observe', note } as const;
  for (const name of ['eventful', 'eventful'])
    recorder.record({ ...event, regarding: { ...regarding, name, uid: metadata.uid } });
  await recorder.flush();
  expect(errors).toEqual([]);
  const described = await cluster.kubectlOk(['describe', 'things.test.headstart.dev', 'eventful']);
  expect(described).toMatch(/Warning\s+SourceUnavailable\s.*\(x2 over .*\).*Prometheus default answered HTTP 503/);
  const clusterWide = { apiVersion: 'v1', kind: 'Node', name: 'node-1' };
  recorder.record({ ...event, regarding: clusterWide, note: 'ü'.repeat(2000) });
  await recorder.flush();
  expect(errors).toEqual([]);
});

test('a service account is told what it may not do, and a wrong token that it is wrong', async () => {
  const kubeconfig = await cluster.kubeconfigForServiceAccount('kube-system', 'default');
  const limited = createKubeClient({ kubeconfig });
  await expect(limited.request({ path: '/api/v1/nodes' })).rejects.toMatchObject({
    code: 'Forbidden',
    message: expect.stringContaining('User "system:serviceaccount:kube-system:default" cannot list resource "nodes"'),
  });
  const watching = async () => {
    for await (const event of limited.watch({ path: '/api/v1/nodes', signal: stop.signal })) void event;
  };
  await expect(watching()).rejects.toMatchObject({ code: 'Forbidden' });
  const wrong = join(cluster.dir, 'wrong.kubeconfig');
  await writeFile(wrong, (await readFile(kubeconfig, 'utf8')).replace(/"token":"[^"]*"/, '"token":"wrong"'));
  await expect(createKubeClient({ kubeconfig: wrong }).request({ path: '/api/v1/nodes' })).rejects.toMatchObject({
    code: 'Unauthorized',
  });
});
