// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../src/base/clock.ts';
import type { KubeObject } from '../src/kube/client.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { resourcePath } from '../src/kube/paths.ts';
import { createReflector } from '../src/kube/reflector.ts';
import { readAudit } from '../src/testing/audit.ts';
import {
  answeredAt,
  burstPool,
  burstTarget,
  countClones,
  isCreation,
  isEnd,
  runBurst,
} from '../src/testing/clone-burst.ts';
import { startControlPlane } from '../src/testing/control-plane.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { createRandom } from '../src/forecast/random.ts';
import { installHeadstart } from '../src/testing/installation.ts';
import type { Installation, Replica } from '../src/testing/installation.ts';
import { waitUntil } from '../src/testing/process.ts';
import { pass } from './stage.ts';

const role = 'headstart-clones';
/** So slow that a process which dies after a second or two has done a part of its work. */
const slow = { HEADSTART_CLONES_QPS: '4' };

/** How many clones of a pool are there, and not being deleted: now, and at most. */
interface Watching {
  alive(pool: string): number;
  mostAlive(pool: string): number;
  stop(): Promise<void>;
}

let cluster: ControlPlane;
let headstart: Installation;
let watching: Watching;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 10, audit: true });
  headstart = await installHeadstart(cluster, {
    prometheusUrl: 'http://127.0.0.1:9',
    env: { HEADSTART_SHUTDOWN_DELAY: '0s' },
  });
  watching = follow();
});
afterAll(async () => {
  await watching?.stop();
  await headstart?.stop();
  await cluster?.stop();
});

/** Looks at every state of every clone. */
function follow(): Watching {
  const pools = new Map<string, { alive: Set<string>; most: number }>();
  const over = new AbortController();
  const reflector = createReflector<KubeObject>({
    client: createKubeClient({ kubeconfig: cluster.kubeconfigPath, userAgent: 'story' }),
    path: resourcePath({ apiVersion: 'v1', plural: 'pods' }),
    query: { labelSelector: 'headstart.dev/clone=true' },
    clock: systemClock,
    random: Math.random,
    onChange: ({ type, object: { metadata } }) => {
      const pool = metadata.labels?.['headstart.dev/pool'] ?? '';
      const known = pools.get(pool) ?? { alive: new Set(), most: 0 };
      pools.set(pool, known);
      if (type === 'deleted' || metadata.deletionTimestamp !== undefined) known.alive.delete(metadata.uid ?? '');
      else known.alive.add(metadata.uid ?? '');
      known.most = Math.max(known.most, known.alive.size);
    },
  });
  const running = reflector.run(over.signal);
  return {
    alive: (pool) => pools.get(pool)?.alive.size ?? 0,
    mostAlive: (pool) => pools.get(pool)?.most ?? 0,
    stop: async () => {
      over.abort(new Error('the stories are over'));
      await running;
    },
  };
}

async function create(...items: readonly object[]): Promise<void> {
  await cluster.kubectlOk(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

function isOf(pool: string, pod: string): boolean {
  return pod.startsWith(`${pool}-`);
}

/** What clones of a pool are called, less the pool and its hash: of which index, and which time. */
async function indexes(pool: string): Promise<string[]> {
  const text = await cluster.kubectlOk(['get', 'pods', '-l', `headstart.dev/pool=${pool}`, '-o', 'name']);
  const names = text.split('\n').filter((line) => line !== '');
  return names
    .map((name) => name.replace(`pod/${pool}-`, '').replace(/^\w+-/, ''))
    .toSorted((a, b) => Number(a) - Number(b));
}

function upTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

/** What a pool says, and what is there. */
async function state(pool: string): Promise<object> {
  const text = await cluster.kubectlOk(['get', 'clp', pool, '-o', 'json']);
  const { spec, status = {} } = JSON.parse(text) as {
    spec: { replicas: number };
    status?: Record<string, unknown>;
  };
  const { replicas, readyReplicas, retiringReplicas } = status;
  const pods = (await countClones(cluster, pool)).present;
  return { wanted: spec.replicas, replicas, readyReplicas, retiringReplicas, pods };
}

function settledAt(count: number): object {
  return { wanted: count, replicas: count, readyReplicas: count, retiringReplicas: 0, pods: count };
}

async function untilSettled(pool: string, count: number): Promise<void> {
  await expect.poll(async () => await state(pool), { timeout: 120_000, interval: 1000 }).toEqual(settledAt(count));
}

/** Names of pods of a pool that were made, or ended, by a request that succeeded; one for each request. */
async function requests(
  pool: string,
  is: typeof isEnd,
): Promise<{ readonly names: string[]; readonly times: number[] }> {
  const events = (await readAudit(cluster)).filter((event) => is(event) && isOf(pool, event.objectRef?.name ?? ''));
  return {
    names: events.map(({ objectRef }) => objectRef?.name ?? '').toSorted(),
    times: events.map(answeredAt).toSorted((a, b) => a - b),
  };
}

/**
 * The most that went on faster than the rate, over every stretch of time: what was due in a second, and the one before
 * it, may come at once, as requests take a while.
 */
function excess(times: readonly number[], perSecond: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const [first, from] of times.entries()) {
    for (const [offset, to] of times.slice(first).entries())
      most = Math.max(most, offset + 1 - (to - from) * perSecond);
  }
  return most - 2 * perSecond;
}

async function leader(): Promise<Replica> {
  return await waitUntil(
    'a replica leads',
    async () => {
      for (const replica of headstart.replicas(role)) {
        const text = await (await fetch(`http://127.0.0.1:${replica.operationsPort}/metrics`)).text();
        if (text.includes(`headstart_leader{lease="${role}"} 1`)) return replica;
      }
      return undefined;
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  );
}

test('500 clones come, expire in one second, and go no faster than is allowed', async () => {
  await leader();
  const clones = 500;
  const burst = await runBurst(cluster, headstart, { name: 'crowd', clones, lifeSeconds: 90, maxPerMinute: 600 });
  const { createdSeconds, readySeconds, retiredSeconds, requests: all, ownRequests, endedAt } = burst;
  const perClone = Object.values(all).reduce((sum, count) => sum + count, 0) / clones;
  process.stdout.write(
    `500 clones: made in ${createdSeconds.toFixed(1)} s, Ready in ${readySeconds.toFixed(1)} s, ended in ` +
      `${retiredSeconds.toFixed(1)} s; ${perClone.toFixed(2)} requests for each (${JSON.stringify(all)}), ` +
      `${(ownRequests / clones).toFixed(2)} about it and its pool\n`,
  );
  // On a machine that does other things too; docs/benchmarks-clones.md has the figures.
  expect(createdSeconds).toBeLessThan(80);
  expect(retiredSeconds).toBeLessThan(150);
  expect(perClone).toBeLessThan(6);
  expect(endedAt).toHaveLength(clones);
  expect(excess(endedAt, 10)).toBeLessThanOrEqual(0);

  await untilSettled('crowd', 0);
  expect(watching.mostAlive('crowd')).toBe(clones);
  const ended = await requests('crowd', isEnd);
  expect(ended.names).toEqual((await requests('crowd', isCreation)).names);
  expect(new Set(ended.names).size).toBe(clones);
  // They are written down every few seconds.
  const exits = async (): Promise<unknown> =>
    JSON.parse(await cluster.kubectlOk(['get', 'clp', 'crowd', '-o', 'jsonpath={.status.exits}']));
  await expect.poll(exits, { timeout: 30_000, interval: 1000 }).toEqual({ Expired: clones });
  await cluster.kubectlOk(['delete', 'clp,deployment', 'crowd']);
});

function scaledPool(name: string, maxReplicas: number): object {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: { name, namespace: 'default' },
    spec: {
      targetRef: { name },
      mode: 'Scale',
      replicas: maxReplicas,
      maxReplicas,
      lifetime: { maxSeconds: 3600 },
      termination: { maxPerMinute: 600 },
    },
  };
}

async function scale(pool: string, replicas: number): Promise<void> {
  await cluster.kubectlOk(['scale', `clonepool/${pool}`, `--replicas=${replicas}`]);
}

/**
 * Kills whoever leads, at random times of its leading. Its container is started again, in the pod that it was; every
 * seventh one is not until another has taken over.
 */
function createKiller(seed: number) {
  const random = createRandom(seed);
  /** How many clones of each pool were alive then. */
  const kills: string[] = [];
  return {
    kills,
    kill: async (times: number): Promise<void> => {
      for (let time = 0; time < times; time += 1) {
        const { process, index } = await leader();
        await pass(random() * 2);
        process.kill('SIGKILL');
        await process.exited;
        kills.push(`${watching.alive('scaled')}/${watching.alive('burst')}`);
        if (kills.length % 7 === 0) await leader();
        await headstart.startReplica(role, { index, env: slow });
      }
    },
  };
}

async function restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const { process, index } of headstart.replicas(role)) {
    await process.stop();
    await headstart.startReplica(role, { index, env });
  }
}

test('the leader is killed twenty times during a burst, and nobody could tell from what is left', async () => {
  const [most, left, bursting] = [40, 15, 30];
  await create(burstTarget('calm'), scaledPool('calm', most));
  await untilSettled('calm', most);
  await scale('calm', left);
  await untilSettled('calm', left);

  await restart(slow);
  const { kill, kills } = createKiller(20);
  await create(burstTarget('scaled'), burstTarget('burst'));
  await leader();
  const startMs = Date.now();
  const lifeSeconds = 120;
  await create(
    scaledPool('scaled', most),
    burstPool({ name: 'burst', clones: bursting, lifeSeconds, maxPerMinute: 600 }),
  );
  await kill(7);
  await untilSettled('scaled', most);
  await untilSettled('burst', bursting);
  // None twice, and none for the second time.
  expect(await indexes('scaled')).toEqual(upTo(most));
  expect(await indexes('burst')).toEqual(upTo(bursting));

  await scale('scaled', left);
  await kill(6);
  await pass(Math.max(0, lifeSeconds - (Date.now() - startMs) / 1000));
  await kill(7);
  await untilSettled('scaled', left);
  await untilSettled('burst', 0);
  process.stdout.write(`killed with clones of two pools alive: ${kills.join(' ')}\n`);
  expect(kills).toHaveLength(20);
  // It was in the middle of something.
  expect(new Set(kills).size).toBeGreaterThan(8);
  expect(await state('scaled')).toEqual(await state('calm'));

  const gone = [
    ['calm', most, most - left],
    ['scaled', most, most - left],
    ['burst', bursting, bursting],
  ] as const;
  for (const [pool, made, over] of gone) {
    const [created, ended] = [await requests(pool, isCreation), await requests(pool, isEnd)];
    const counts = { pool, made: created.names.length, ended: ended.names.length, most: watching.mostAlive(pool) };
    expect(counts).toEqual({ pool, made, ended: over, most: made });
    expect([new Set(created.names).size, new Set(ended.names).size]).toEqual([made, over]);
  }
  await cluster.kubectlOk(['delete', 'clp,deployment', 'calm', 'scaled', 'burst']);
  const present = async () => await cluster.kubectlOk(['get', 'pods', '-A', '-l', 'headstart.dev/clone', '-o', 'name']);
  await expect.poll(present, { timeout: 60_000, interval: 1000 }).toBe('');
});

test('what became due while nobody was there ends at the rate that is allowed, not at once', async () => {
  await restart();
  await leader();
  const lifeSeconds = 70;
  const startMs = Date.now();
  await create(burstTarget('overdue'), burstPool({ name: 'overdue', clones: 30, lifeSeconds, maxPerMinute: 120 }));
  await untilSettled('overdue', 30);
  const replicas = headstart.replicas(role);
  for (const { process } of replicas) process.kill('SIGKILL');
  await pass(lifeSeconds + 5 - (Date.now() - startMs) / 1000);
  expect(await countClones(cluster, 'overdue')).toEqual({ present: 30, ready: 30 });

  for (const { index } of replicas) await headstart.startReplica(role, { index });
  await untilSettled('overdue', 0);
  const { names, times } = await requests('overdue', isEnd);
  expect(new Set(names).size).toBe(30);
  expect(names).toHaveLength(30);
  expect(excess(times, 2)).toBeLessThanOrEqual(0);
});

test('the role is refused nothing that it asks for', async () => {
  expect(await headstart.logs()).not.toContain('Forbidden');
});
