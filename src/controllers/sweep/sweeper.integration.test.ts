// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cloneAnnotations, cloneLabels, clonePools } from '../../api/clone-labels.ts';
import { apiVersion } from '../../api/labels.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import { systemClock } from '../../base/clock.ts';
import { HeadstartError } from '../../base/errors.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { createKubeClient } from '../../kube/http-client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { createReflector } from '../../kube/reflector.ts';
import type { Reflector } from '../../kube/reflector.ts';
import { createServerTime } from '../../kube/server-time.ts';
import { createLimiter } from '../../sources/metrics/limiter.ts';
import { startControlPlane } from '../../testing/control-plane.ts';
import type { ControlPlane } from '../../testing/control-plane.ts';
import { waitUntil } from '../../testing/process.ts';
import { cloneSelector } from '../clone/clone-object.ts';
import type { Exit } from './ending.ts';
import { createIdleWatch } from './idle-watch.ts';
import { createRetirement } from './retire.ts';
import { createSweeper } from './sweeper.ts';
import type { Sweeper } from './sweeper.ts';
import { parseSweptClone } from './swept-clone.ts';
import type { SweptClone } from './swept-clone.ts';

const crds = fileURLToPath(new URL('../../../manifests/crds/', import.meta.url));
const namespace = 'shop';
const stop = new AbortController();
const exits: (Exit & { readonly atMs: number })[] = [];
const problems: string[] = [];
/** Requests of the sweeper, by verb and resource. */
const sent = new Map<string, number>();
let cluster: ControlPlane;
let client: KubeClient;
let clones: Reflector<SweptClone>;
let sweeper: Sweeper;
let running: Promise<unknown> = Promise.resolve();

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 6 });
  await cluster.kubectlOk(['apply', '-k', crds]);
  await cluster.kubectlOk(['wait', '--for=condition=Established', '--timeout=30s', `crd/${clonePools}.headstart.dev`]);
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  client = createKubeClient({ kubeconfig: cluster.kubeconfigPath });
  await startSweeper();
});

afterAll(async () => {
  stop.abort(new Error('the test is over'));
  await running;
  await cluster?.stop();
});

/** The sweeper as the clones role runs it. */
async function startSweeper(): Promise<void> {
  const own = createKubeClient({
    kubeconfig: cluster.kubeconfigPath,
    onRequest: ({ verb, resource }) => void sent.set(`${verb} ${resource}`, (sent.get(`${verb} ${resource}`) ?? 0) + 1),
  });
  const common = { client: own, clock: systemClock, random: Math.random };
  const onProblem = ({ error }: { readonly error: unknown }): void => void problems.push(String(error));
  const onError = (error: unknown): void => onProblem({ error });
  const path = resourcePath({ apiVersion: 'v1', plural: 'pods' });
  const query = { labelSelector: cloneSelector };
  clones = createReflector<SweptClone>({ ...common, path, query, parse: parseSweptClone, onError });
  const pools = createReflector<ClonePool & KubeObject>({
    ...common,
    path: resourcePath({ apiVersion, plural: clonePools }),
    onError,
  });
  const retirement = createRetirement({
    ...common,
    clones: clones.store,
    onExit: (exit) => void exits.push({ ...exit, atMs: Date.now() }),
    onProblem,
  });
  const unread = (): Promise<never> => Promise.reject(new HeadstartError('Unavailable', 'no metrics here'));
  sweeper = createSweeper({
    clock: systemClock,
    serverTime: createServerTime({ ...common, onProblem: onError }),
    clones: clones.store,
    pools: pools.store,
    retirement,
    idleWatch: createIdleWatch({ readPods: unread, readQuery: unread }),
    onProblem,
  });
  const following = [clones.run(stop.signal), pools.run(stop.signal)];
  running = Promise.all([...following, sweeper.run(stop.signal)]);
  await Promise.all([clones.whenSynced(stop.signal), pools.whenSynced(stop.signal)]);
}

async function createPool(name: string, spec: Partial<ClonePool['spec']>): Promise<ClonePool> {
  return await client.request<ClonePool>({
    method: 'POST',
    path: resourcePath({ apiVersion, plural: clonePools, namespace }),
    body: {
      apiVersion,
      kind: 'ClonePool',
      metadata: { name, namespace },
      spec: {
        targetRef: { name: 'web' },
        forecastRef: { name: 'web' },
        maxReplicas: 1000,
        lifetime: { maxSeconds: 3600 },
        ...spec,
      },
    },
  });
}

async function readPool(name: string): Promise<ClonePool> {
  return await client.request<ClonePool>({ path: resourcePath({ apiVersion, plural: clonePools, namespace, name }) });
}

interface Given {
  readonly pool?: ClonePool;
  readonly deadline?: string;
  readonly ttlSeconds?: number;
}

async function createClone(name: string, { pool, deadline, ttlSeconds = 3600 }: Given): Promise<void> {
  const owner = pool && {
    apiVersion,
    kind: 'ClonePool',
    name: pool.metadata.name,
    uid: pool.metadata.uid,
    controller: true,
  };
  await client.request({
    method: 'POST',
    path: resourcePath({ apiVersion: 'v1', plural: 'pods', namespace }),
    timeoutMs: 60_000,
    body: {
      metadata: {
        name,
        labels: { [cloneLabels.clone]: 'true', app: name, ...(pool && { [cloneLabels.pool]: pool.metadata.name }) },
        annotations: {
          [cloneAnnotations.ttlSeconds]: String(ttlSeconds),
          ...(deadline && { [cloneAnnotations.deadline]: deadline }),
        },
        ownerReferences: owner === undefined ? [] : [owner],
      },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'none' }] },
    },
  });
}

/** A deadline so many seconds from now; the servers' clocks are this machine's. */
function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

async function isThere(name: string): Promise<boolean> {
  return (await cluster.kubectl(['get', 'pod', name, '-n', namespace])).code === 0;
}

async function isGone(name: string, timeoutMs = 30_000): Promise<void> {
  const probe = async (): Promise<boolean> => !(await isThere(name));
  await waitUntil(`pod ${name} is gone`, probe, { timeoutMs, intervalMs: 300 });
}

async function isServing(name: string): Promise<void> {
  const probe = (): boolean => clones.store.get(namespace, name)?.clone.state === 'Serving';
  await waitUntil(`pod ${name} serves`, probe, { timeoutMs: 30_000, intervalMs: 100 });
}

function exitOf(name: string): (typeof exits)[number] | undefined {
  return exits.find((exit) => exit.name === name);
}

test('clones end by deadline and by time to live, with their pool, and when it is gone with --cascade=orphan', async () => {
  const [kept, left] = await Promise.all([createPool('kept', { replicas: 2 }), createPool('left', { replicas: 1 })]);
  const createdMs = Date.now();
  await Promise.all([
    createClone('by-ttl', { ttlSeconds: 60 }),
    createClone('by-deadline', { pool: kept, deadline: inSeconds(8) }),
    createClone('not-yet', { pool: kept, deadline: inSeconds(3000) }),
    createClone('orphan', { pool: left, deadline: inSeconds(60) }),
  ]);
  // Until the garbage collector has let go of its clones, which takes it up to 30 s after a new kind has come.
  await cluster.kubectlOk(['delete', 'clonepool', 'left', '-n', namespace, '--cascade=orphan']);
  const owners = ['get', 'pod', 'orphan', '-n', namespace, '-o', 'jsonpath={.metadata.ownerReferences}'];
  expect(await cluster.kubectlOk(owners)).toBe('');
  await isGone('by-deadline');
  expect(exitOf('by-deadline')).toMatchObject({ pool: 'kept', reason: 'Expired' });
  expect((await readPool('kept')).spec.replicas).toBe(1);
  await Promise.all([isGone('orphan', 70_000), isGone('by-ttl', 70_000)]);
  for (const name of ['orphan', 'by-ttl']) {
    expect(exitOf(name)).toMatchObject({ reason: 'Expired' });
    expect((exitOf(name)?.atMs ?? 0) - createdMs).toBeGreaterThanOrEqual(59_000);
  }
  expect(await isThere('not-yet')).toBe(true);
}, 120_000);

test('a budget that refuses is asked again, and after the timeout the clone is deleted', async () => {
  const termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 15, maxPerMinute: 60 } as const;
  const pool = await createPool('guarded', { replicas: 1, termination });
  const budget = { selector: { matchLabels: { app: 'guarded-1' } }, minAvailable: 1 };
  const metadata = { name: 'guarded', namespace };
  const pdb = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata, spec: budget };
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(pdb));
  await createClone('guarded-1', { pool, deadline: inSeconds(12) });
  await isServing('guarded-1');
  const blocked = (): boolean =>
    sweeper.conditions(pool).some(({ type, reason }) => type === 'PDBBlocked' && reason === 'BudgetExhausted');
  await waitUntil('PDBBlocked', blocked, { timeoutMs: 30_000, intervalMs: 100 });
  const refusedMs = Date.now();
  expect((await readPool('guarded')).spec.replicas).toBe(0);
  const pod = JSON.parse(
    await cluster.kubectlOk(['get', 'pod', 'guarded-1', '-n', namespace, '-o', 'json']),
  ) as KubeObject;
  expect(pod.metadata.annotations).toMatchObject({
    [cloneAnnotations.state]: 'Retiring',
    [cloneAnnotations.exitReason]: 'Expired',
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true',
  });
  await isGone('guarded-1');
  expect(Date.now() - refusedMs).toBeGreaterThanOrEqual(14_000);
  expect(sweeper.conditions(pool)).toContainEqual(expect.objectContaining({ type: 'PDBBlocked', status: 'False' }));
});

test('500 clones that expire in one second are worked off at the rate of their pool', async () => {
  const count = 500;
  const termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 600 } as const;
  const pool = await createPool('many', { replicas: count, termination });
  const limit = createLimiter(16);
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  // Long enough for all of them to be made first, whatever else the machine does.
  const deadlineMs = Date.now() + 60_000;
  const deadline = new Date(deadlineMs).toISOString();
  await Promise.all(names.map(async (name) => await limit(async () => await createClone(name, { pool, deadline }))));
  const madeMs = Date.now();
  expect(madeMs).toBeLessThan(deadlineMs);
  sent.clear();
  const ended = (): Exit[] => exits.filter((exit) => exit.pool === 'many');
  const isDone = (): boolean => ended().length === count;
  await waitUntil('all have ended', isDone, { timeoutMs: deadlineMs - madeMs + 120_000, intervalMs: 250 });
  const times = exits.filter((exit) => exit.pool === 'many').map(({ atMs }) => (atMs - deadlineMs) / 1000);
  const requests = [...sent].map(([what, times]) => `${times} ${what}`).join(', ');
  const seconds = times.at(-1) ?? 0;
  process.stdout.write(`500 clones ended in ${seconds.toFixed(1)} s; requests: ${requests}\n`);
  expect(times[0]).toBeGreaterThanOrEqual(-1);
  // Never more than the rate gives in a minute, and a second's worth at once.
  for (const [index, time] of times.entries()) {
    const later = times.slice(index).filter((other) => other - time <= 10).length;
    expect(later).toBeLessThanOrEqual(10 + 10 * 10 + 10);
  }
  expect(new Set(ended().map(({ name }) => name)).size).toBe(count);
  const inAll = [...sent].filter(([what]) => !what.includes('review')).reduce((total, [, times]) => total + times, 0);
  expect(inAll / count).toBeLessThanOrEqual(3);
  await waitUntil(
    'the cache is empty',
    () => clones.store.list(namespace).every(({ clone }) => clone.pool !== 'many'),
    {
      timeoutMs: 30_000,
      intervalMs: 250,
    },
  );
  expect((await readPool('many')).spec.replicas).toBe(0);
}, 300_000);

test('nothing went wrong that was not a budget', () => {
  expect(problems.filter((problem) => !problem.includes('disruption budget'))).toEqual([]);
});
