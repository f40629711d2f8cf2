// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClonePoolCondition } from '../src/api/conditions.ts';
import { apiVersion } from '../src/api/labels.ts';
import type { ClonePoolConditionType } from '../src/api/reasons.ts';
import type { ClonePool } from '../src/api/v1alpha1/clone-pool.ts';
import { errorCode } from '../src/base/errors.ts';
import type { PodObject } from '../src/capacity/clones/read-clone.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { resourcePath } from '../src/kube/paths.ts';
import type { ResourceRef } from '../src/kube/paths.ts';
import { startControlPlane } from '../src/testing/control-plane.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { installHeadstart } from '../src/testing/installation.ts';
import type { Installation } from '../src/testing/installation.ts';
import { freePort } from '../src/testing/ports.ts';
import { waitUntil } from '../src/testing/process.ts';

let cluster: ControlPlane;
let headstart: Installation;
let client: KubeClient;
let installedMs = 0;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 4 });
  headstart = await installHeadstart(cluster, {
    prometheusUrl: 'http://127.0.0.1:9',
    env: { HEADSTART_SHUTDOWN_DELAY: '0s' },
  });
  client = createKubeClient({ kubeconfig: cluster.kubeconfigPath });
  installedMs = Date.now();
});
afterAll(async () => {
  await headstart?.stop();
  await cluster?.stop();
});

/** A namespace of a story, with the Deployment web, its Service, and what is asked of them. */
interface Scene {
  readonly namespace: string;
  /** kubectl in the namespace. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  apply(object: object): Promise<void>;
  /** A pool for web in which `count` clones are wanted from now on: a burst that stands in its windows. */
  burst(count: number, spec?: object): Promise<void>;
  /** Changes how many that are; none: the burst is over. */
  windows(count: number): Promise<void>;
  pool(): Promise<ClonePool>;
  /** Pods of web that are not clones, and not being deleted. */
  base(): Promise<readonly PodObject[]>;
  clones(): Promise<readonly PodObject[]>;
  /** Waits until so many clones are Ready, and no others are there. */
  ready(count: number, timeoutMs?: number): Promise<readonly PodObject[]>;
  gone(timeoutMs?: number): Promise<void>;
  /** Waits until so many have ended, by reason; the pool says so a moment later. */
  exits(counts: Readonly<Record<string, number>>): Promise<void>;
  /** Waits for a condition of the pool. */
  reason(type: ClonePoolConditionType, reason: string, timeoutMs?: number): Promise<ClonePoolCondition>;
}

async function list(ref: ResourceRef, labelSelector?: string): Promise<readonly PodObject[]> {
  const query = labelSelector === undefined ? {} : { labelSelector };
  return (await client.request<{ items: readonly PodObject[] }>({ path: resourcePath(ref), query })).items;
}

function isReady({ status }: PodObject): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

function stays({ metadata }: PodObject): boolean {
  return metadata.deletionTimestamp === undefined;
}

/** Neither being deleted, nor chosen to end. */
function serves(pod: PodObject): boolean {
  return stays(pod) && isReady(pod) && pod.metadata.annotations?.['headstart.dev/state'] === undefined;
}

function web(replicas: number, story: string): object {
  const labels = { app: 'web' };
  const template = { labels: { ...labels, story } };
  const container = { name: 'app', image: 'app', env: [{ name: 'REVISION', value: '1' }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: template, spec: { terminationGracePeriodSeconds: 1, containers: [container] } },
    },
  };
}

/** The namespace is the story's own, so that stories can be told at the same time. */
async function setScene(namespace: string, replicas = 2): Promise<Scene> {
  const kubectl: Scene['kubectl'] = async (args, input) => await cluster.kubectlOk(['-n', namespace, ...args], input);
  const apply = async (object: object) => void (await kubectl(['apply', '-f', '-'], JSON.stringify(object)));
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  await apply(web(replicas, namespace));
  const port = { port: 80 };
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [port] },
  });
  const pods = { apiVersion: 'v1', plural: 'pods', namespace };
  const scene = { namespace, kubectl, apply, ...looks(namespace) };
  const base = async () => (await list(pods, 'app=web,!headstart.dev/clone')).filter(stays);
  await waitUntil(`${namespace}: web is ready`, async () => (await base()).filter(isReady).length === replicas, {
    timeoutMs: 60_000,
  });
  return {
    ...scene,
    base,
    windows: async (count) => {
      const patch = JSON.stringify({ spec: burstOf(count) });
      const isWritten = async () => {
        await kubectl(['patch', 'clonepool', 'web', '--type=merge', '-p', patch]);
        // A look at the pool that was going on may write down what it saw before.
        await delay(1_500);
        return ((await scene.pool()).spec.windows?.length ?? 0) === (count === 0 ? 0 : 1);
      };
      await waitUntil(`${namespace}: the windows are written`, isWritten, { timeoutMs: 30_000 });
    },
    burst: async (count, spec = {}) => await apply(clonePool({ ...burstOf(count), ...spec })),
  };
}

/** What the clone controller writes where clones are wanted from now on. */
function burstOf(count: number): object {
  const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z/, 'Z');
  const [startTime, endTime] = [time(Date.now() - 5_000), time(Date.now() + 900_000)];
  return { windows: count === 0 ? [] : [{ id: 'burst', startTime, endTime, replicas: count }], replicas: count };
}

function clonePool(spec: object): object {
  const lifetime = { maxSeconds: 1800 };
  const termination = { maxPerMinute: 600 };
  // Nobody forecasts here: windows stand as they were written.
  const forecastRef = { name: 'nobody' };
  return {
    apiVersion,
    kind: 'ClonePool',
    metadata: { name: 'web' },
    spec: { targetRef: { name: 'web' }, forecastRef, maxReplicas: 20, lifetime, termination, ...spec },
  };
}

function looks(namespace: string): Pick<Scene, 'pool' | 'clones' | 'ready' | 'gone' | 'exits' | 'reason'> {
  const pods = { apiVersion: 'v1', plural: 'pods', namespace };
  const clones = async () => await list(pods, 'headstart.dev/clone=true');
  const path = resourcePath({ apiVersion, plural: 'clonepools', namespace, name: 'web' });
  const pool = async () => await client.request<ClonePool>({ path });
  return {
    pool,
    clones,
    ready: async (count, timeoutMs = 60_000) => {
      const probe = async () => {
        const all = await clones();
        return all.length === count && all.filter(serves).length === count ? all : undefined;
      };
      return await waitUntil(`${namespace}: ${count} clones are Ready`, probe, { timeoutMs, intervalMs: 250 });
    },
    gone: async (timeoutMs = 90_000) => {
      const isGone = async () => (await clones()).length === 0;
      await waitUntil(`${namespace}: no clones are there`, isGone, { timeoutMs, intervalMs: 250 });
    },
    exits: async (counts) =>
      await becomes(
        async () => (await pool()).status?.exits,
        (exits) => isDeepStrictEqual(exits, counts),
      ),
    reason: async (type, reason, timeoutMs = 60_000) => {
      let last: ClonePoolCondition | undefined;
      const probe = async () => {
        last = (await pool()).status?.conditions?.find((condition) => condition.type === type);
        return last?.reason === reason ? last : undefined;
      };
      const what = `${namespace}: ${type} becomes ${reason}`;
      return await waitUntil(what, probe, { timeoutMs, intervalMs: 250 }).catch((cause: unknown) => {
        throw new Error(`${what}; last seen ${JSON.stringify(last)}`, { cause });
      });
    },
  };
}

/** Waits for what is told a moment later. Not expect.poll, which knows of one test at a time. */
async function becomes<T>(probe: () => Promise<T>, isRight: (seen: T) => boolean): Promise<void> {
  let last: T | undefined;
  const look = async () => isRight((last = await probe()));
  await waitUntil('what was wanted', look, { timeoutMs: 30_000, intervalMs: 250 }).catch((cause: unknown) => {
    throw new Error(`last seen ${JSON.stringify(last)}`, { cause });
  });
}

/** Looks again and again until stopped; gives the least number seen. */
function least(probe: () => Promise<number>): { stop(): Promise<number> } {
  let isOver = false;
  const watch = async (): Promise<number> => {
    let seen = Number.POSITIVE_INFINITY;
    while (!isOver) {
      seen = Math.min(seen, await probe());
      await delay(100);
    }
    return seen;
  };
  const watching = watch();
  return {
    stop: async () => {
      isOver = true;
      return await watching;
    },
  };
}

interface Budget {
  readonly status?: {
    readonly expectedPods?: number;
    readonly disruptionsAllowed?: number;
    readonly conditions?: readonly { readonly type: string; readonly reason: string }[];
  };
}

function budget(spec: object, name = 'web'): object {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  };
}

function refusal(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing was refused',
    (error: unknown) => String(error),
  );
}

test.concurrent('what a budget does not let go is deleted when the time is up, and the pool says so meanwhile', async () => {
  const scene = await setScene('blocked');
  const base = (await scene.base()).map(({ metadata }) => metadata.uid);
  await scene.apply(budget({ maxUnavailable: 0 }));
  await scene.burst(2, { termination: { evictTimeoutSeconds: 60, maxPerMinute: 600 } });
  await scene.ready(2);
  await scene.windows(0);
  const message = async () => (await scene.reason('PDBBlocked', 'BudgetExhausted', 30_000)).message;
  await expect
    .poll(message, { timeout: 30_000 })
    .toBe('a PodDisruptionBudget refuses that 2 clones end; they are deleted 60 s after the first refusal');
  const refused = await scene.clones();
  expect(refused.filter(stays).map(({ metadata }) => metadata.annotations?.['headstart.dev/exit-reason'])).toEqual([
    'Surplus',
    'Surplus',
  ]);
  await scene.gone(120_000);
  await scene.reason('PDBBlocked', 'NotBlocked', 30_000);

  // Two budgets for one pod: an eviction is an error then, whatever they allow.
  await scene.apply(budget({ maxUnavailable: 5 }, 'second'));
  await scene.windows(1);
  await scene.ready(1);
  await scene.windows(0);
  await scene.reason('PDBBlocked', 'SeveralBudgets', 30_000);
  await scene.gone(120_000);
  await scene.reason('PDBBlocked', 'NotBlocked', 30_000);
  await scene.exits({ Surplus: 3 });
  expect((await scene.base()).map(({ metadata }) => metadata.uid)).toEqual(base);
});

test.concurrent('a quota that is too small is named in the condition, and what it allows is there; a larger one lets the rest in', async () => {
  const scene = await setScene('quota');
  const quota = (pods: string) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'few' },
    spec: { hard: { pods } },
  });
  await scene.apply(quota('4'));
  await scene.burst(6);
  const { message } = await scene.reason('CreationBlocked', 'QuotaExceeded');
  expect(message).toContain('exceeded quota: few, requested: pods=1, used: pods=4, limited: pods=4');
  await scene.ready(2);
  const told = async () => (await scene.reason('Ready', 'CreationBlocked')).message;
  await becomes(told, (text) => text.startsWith('2 of 6 clones are Ready: exceeded quota: few'));
  await scene.apply(quota('10'));
  const startMs = Date.now();
  await scene.ready(6);
  expect(Date.now() - startMs).toBeLessThan(45_000);
  await scene.reason('CreationBlocked', 'NotBlocked');
  await scene.reason('Ready', 'ClonesReady');
});

const rollout = ['patch', 'deployment', 'web', '--type=json', '-p'];
const newRevision = JSON.stringify([
  { op: 'replace', path: '/spec/template/spec/containers/0/env/0/value', value: '2' },
]);

/** What tells the pod templates from each other. */
function environments(pods: readonly PodObject[]): string[] {
  return pods.map(({ spec }) => JSON.stringify((spec as { readonly containers: readonly object[] }).containers));
}

test.concurrent.each([
  { room: 'with room for both', namespace: 'rolled-out', maxReplicas: 8, atLeast: 4 },
  { room: 'without room, a quarter at a time', namespace: 'rolled-out-tight', maxReplicas: 4, atLeast: 3 },
])('a rollout in a burst: clones of the new revision come first – $room', async ({
  namespace,
  maxReplicas,
  atLeast,
}) => {
  const scene = await setScene(namespace);
  await scene.burst(4, { maxReplicas });
  await scene.ready(4);
  const serving = least(async () => (await scene.clones()).filter(serves).length);
  await scene.kubectl([...rollout, newRevision]);
  const isDone = async () => {
    const clones = await scene.clones();
    const isNew = environments(clones).every((env) => env.includes('"value":"2"'));
    return clones.length === 4 && isNew && clones.every(serves);
  };
  await waitUntil('all clones are new', isDone, { timeoutMs: 120_000, intervalMs: 250 });
  expect(await serving.stop()).toBe(atLeast);
  await scene.exits({ Outdated: 4 });
  await scene.reason('RevisionCurrent', 'AllCurrent');
  await scene.reason('Ready', 'ClonesReady');
});

test.concurrent.each([
  { mode: 'Predictive', namespace: 'zero' },
  { mode: 'Scale', namespace: 'zero-scale' },
])('nobody wants clones of a target with no replicas, in mode $mode; they come again with it', async ({
  mode,
  namespace,
}) => {
  const scene = await setScene(namespace);
  if (mode === 'Predictive') await scene.burst(3);
  else await scene.apply(clonePool({ mode, replicas: 3 }));
  await scene.ready(3);
  await scene.kubectl(['scale', 'deployment/web', '--replicas=0']);
  const { message } = await scene.reason('TargetResolved', 'TargetScaledToZero');
  expect(message).toBe('Deployment web has spec.replicas 0; nobody wants clones then');
  await scene.gone(120_000);
  await scene.exits({ Surplus: 3 });
  await scene.kubectl(['scale', 'deployment/web', '--replicas=2']);
  await scene.ready(3);
});

test.concurrent('a target that is deleted takes its pool and the clones with it', async () => {
  const scene = await setScene('orphaned-target');
  await scene.burst(5);
  await scene.ready(5);
  await scene.kubectl(['delete', 'deployment', 'web']);
  const isGone = async () =>
    await scene.pool().then(
      () => false,
      (error: unknown) => errorCode(error) === 'NotFound',
    );
  await waitUntil('the pool is gone', isGone, { timeoutMs: 60_000, intervalMs: 250 });
  await scene.gone();
  await delay(3_000);
  expect(await scene.clones()).toEqual([]);
});

test.concurrent.each([
  'background',
  'foreground',
])('a pool that is deleted in the %s takes its clones with it', async (cascade) => {
  const scene = await setScene(`deleted-${cascade}`);
  const base = (await scene.base()).map(({ metadata }) => metadata.uid);
  await scene.burst(5);
  await scene.ready(5);
  await scene.kubectl(['delete', 'clonepool', 'web', `--cascade=${cascade}`, '--timeout=60s']);
  await scene.gone();
  await delay(3_000);
  expect(await scene.clones()).toEqual([]);
  expect((await scene.base()).map(({ metadata }) => metadata.uid)).toEqual(base);
});

test.concurrent('a namespace that is deleted in a burst goes, and nobody tries to fill it', async () => {
  const scene = await setScene('short-lived');
  await scene.burst(12, { maxReplicas: 200 });
  await scene.ready(12);
  // More are on their way while it goes.
  await scene.windows(150);
  await scene.kubectl(['delete', 'namespace', 'short-lived', '--timeout=90s']);
  const refused = async () =>
    (await headstart.logs())
      .split('\n')
      .filter((line) => /"level":(40|50|"warn"|"error")/.test(line) && line.includes('short-lived'));
  await delay(3_000);
  expect((await refused()).slice(0, 3)).toEqual([]);
});

test.concurrent('a pool that is deleted with --cascade=orphan leaves clones that end by their time to live, and nobody adopts them', async () => {
  const scene = await setScene('orphans');
  const base = (await scene.base()).map(({ metadata }) => metadata.uid);
  await scene.burst(3, { lifetime: { maxSeconds: 75 } });
  const clones = await scene.ready(3);
  await scene.kubectl(['delete', 'clonepool', 'web', '--cascade=orphan']);
  const owners = async () => (await scene.clones()).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
  await becomes(owners, (all) => all.length === 0);
  const ends = clones.map(({ metadata }) => Date.parse(metadata.creationTimestamp ?? '') + 75_000);
  const dead = least(async () => {
    const now = Date.now();
    const missing = 3 - (await scene.clones()).filter(serves).length;
    return missing === 0 ? Number.POSITIVE_INFINITY : now;
  });
  await scene.gone(120_000);
  const firstMs = await dead.stop();
  // Times in the cluster are whole seconds.
  expect(firstMs).toBeGreaterThan(Math.min(...ends) - 1_000);
  expect(Date.now() - Math.max(...ends)).toBeLessThan(15_000);
  expect((await scene.base()).map(({ metadata }) => metadata.uid)).toEqual(base);
});

test.concurrent('who lowers maxReplicas in a burst is not refused for what the controller wrote', async () => {
  const scene = await setScene('fewer');
  await scene.burst(6);
  await scene.ready(6);
  await scene.kubectl([
    'patch',
    'clonepool',
    'web',
    '--type=merge',
    '-p',
    JSON.stringify({ spec: { maxReplicas: 4 } }),
  ]);
  await scene.ready(4);
  const { spec } = await scene.pool();
  expect(spec.replicas).toBe(4);
});

test.concurrent('nobody but Headstart changes what decides how long a clone lives', async () => {
  const scene = await setScene('edited');
  await scene.burst(1);
  const [clone] = await scene.ready(1);
  const name = clone?.metadata.name ?? '';
  const path = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace: 'edited', name });
  const before = (await client.request<PodObject>({ path })).metadata;
  const later = '2030-01-01T00:00:00Z';
  for (const [field, args] of [
    [
      'metadata.annotations[headstart.dev/deadline]',
      ['annotate', '--overwrite', 'pod', name, `headstart.dev/deadline=${later}`],
    ],
    ['metadata.annotations[headstart.dev/deadline]', ['annotate', 'pod', name, 'headstart.dev/deadline-']],
    [
      'metadata.annotations[headstart.dev/ttl-seconds]',
      ['annotate', '--overwrite', 'pod', name, 'headstart.dev/ttl-seconds=86400'],
    ],
    ['metadata.annotations[headstart.dev/state]', ['annotate', 'pod', name, 'headstart.dev/state=Retiring']],
    ['metadata.labels[headstart.dev/clone]', ['label', 'pod', name, 'headstart.dev/clone-']],
    ['metadata.labels[headstart.dev/pool]', ['label', '--overwrite', 'pod', name, 'headstart.dev/pool=other']],
  ] as const) {
    const said = await refusal(scene.kubectl(args));
    expect(said).toContain(`${field}: only Headstart changes this of a clone; delete the clone, and make another`);
  }
  await scene.kubectl(['annotate', 'pod', name, 'example.com/note=mine']);
  const after = (await client.request<PodObject>({ path })).metadata;
  expect(after.annotations).toEqual({ ...before.annotations, 'example.com/note': 'mine' });
  expect(after.labels).toEqual(before.labels);
});

function hpa(metric: object): object {
  const spec = {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 2,
    maxReplicas: 10,
    metrics: [metric],
  };
  return { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web' }, spec };
}

test.concurrent('beside an HPA by CPU, which would count them, no clones are made; what the condition names as the way out is one', async () => {
  const scene = await setScene('counted');
  await scene.apply(
    hpa({ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } }),
  );
  await scene.burst(3);
  const { message, status } = await scene.reason('HPASelectorOverlap', 'HPACountsClones');
  expect(status).toBe('True');
  expect(message).toContain(
    "HPA web: spec.metrics[0]: Resource cpu counts every pod that the Deployment's selector matches, clones too",
  );
  expect(message).toContain(
    'let the HPA read predicted_demand of a DemandForecast (source.resource for cpu and memory) as type External with target AverageValue',
  );
  expect(message).toContain('serving: Hidden');
  expect((await scene.reason('Ready', 'HPASelectorOverlap')).message).toBe(message);
  await delay(5_000);
  expect(await scene.clones()).toEqual([]);
  const metric = { name: 'predicted_demand', selector: { matchLabels: { forecast: 'web' } } };
  await scene.apply(
    hpa({ type: 'External', external: { metric, target: { type: 'AverageValue', averageValue: '10' } } }),
  );
  await scene.ready(3);
  await scene.reason('HPASelectorOverlap', 'ExternalAverageValue');
});

test.concurrent('with the webhook down clones are made, with an end, and it comes', async () => {
  const scene = await setScene('webhook-down');
  const configuration = 'mutatingwebhookconfiguration/headstart-clone-defaults';
  const point = async (port: number) => {
    const patch = [{ op: 'replace', path: '/webhooks/0/clientConfig/service/port', value: port }];
    await cluster.kubectlOk(['patch', configuration, '--type=json', '-p', JSON.stringify(patch)]);
  };
  const foreign = (name: string, annotations: object = {}) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { 'headstart.dev/clone': 'true' }, annotations },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'app' }] },
    });
  const create = (...pod: Parameters<typeof foreign>) => scene.kubectl(['create', '-f', '-'], foreign(...pod));
  await point(await freePort());
  try {
    // Until the apiserver has seen it, the webhook still stamps.
    await waitUntil(
      'a clone without an end is refused',
      async () => {
        const said = await refusal(create('endless'));
        if (said.includes('headstart.dev/ttl-seconds')) return true;
        await scene.kubectl(['delete', 'pod', 'endless', '--ignore-not-found', '--now']);
        return false;
      },
      { timeoutMs: 30_000, intervalMs: 500 },
    );
    await scene.burst(3, { lifetime: { maxSeconds: 60 } });
    const clones = await scene.ready(3);
    for (const { metadata, spec } of clones) {
      expect(metadata.annotations).toMatchObject({ 'headstart.dev/ttl-seconds': '60' });
      expect(spec).toMatchObject({ activeDeadlineSeconds: 361 });
    }
    await create('bounded', { 'headstart.dev/ttl-seconds': '60' });
    const first = new Set(clones.map(({ metadata }) => metadata.name));
    // Those that come after them are of the same burst.
    const isOver = async () =>
      (await scene.clones()).every(({ metadata: { name } }) => !first.has(name) && name !== 'bounded');
    await waitUntil('they have ended', isOver, { timeoutMs: 100_000, intervalMs: 500 });
    await scene.reason('CreationBlocked', 'NotBlocked');
  } finally {
    await point(headstart.clonesPort ?? 443);
  }
});

test('a node is drained under a budget in percent: before a burst, in it, while it ends and after it', async () => {
  // Until kube-controller-manager knows of ClonePools, it takes a budget with clones for one that allows nothing.
  await delay(Math.max(0, installedMs + 35_000 - Date.now()));
  const scene = await setScene('drained', 8);
  await scene.apply(budget({ maxUnavailable: '25%' }));
  const path = resourcePath({
    apiVersion: 'policy/v1',
    plural: 'poddisruptionbudgets',
    namespace: 'drained',
    name: 'web',
  });
  const standing = async () => (await client.request<Budget>({ path })).status;
  const expected = async (pods: number) => {
    let last: Budget['status'];
    const probe = async () => {
      last = await standing();
      return last?.expectedPods === pods;
    };
    await waitUntil(`the budget covers ${pods} pods`, probe, { timeoutMs: 60_000 }).catch((cause: unknown) => {
      throw new Error(`the budget covers ${pods} pods; last seen ${JSON.stringify(last)}`, { cause });
    });
  };
  const drain = async (node: string): Promise<void> => {
    await cluster.kubectlOk(['drain', node, '--ignore-daemonsets', '--pod-selector=story=drained', '--timeout=60s']);
    await cluster.kubectlOk(['uncordon', node]);
    await waitUntil('web is whole', async () => (await scene.base()).filter(isReady).length === 8, {
      timeoutMs: 60_000,
    });
  };
  await expected(8);
  await drain('node-0');

  // They end one after the other, for as long as a drain takes.
  await scene.burst(8, { termination: { maxPerMinute: 30 } });
  await scene.ready(8);
  await expected(16);
  const readyBase = least(async () => (await scene.base()).filter(isReady).length);
  await drain('node-1');
  // What was evicted of the burst comes again.
  await scene.ready(8);
  expect((await standing())?.conditions).toContainEqual(
    expect.objectContaining({ type: 'DisruptionAllowed', reason: 'SufficientPods' }),
  );

  await scene.windows(0);
  await drain('node-2');
  await scene.gone();
  await expected(8);
  await drain('node-3');
  // A quarter of 16, at most, was away at one time.
  expect(await readyBase.stop()).toBeGreaterThanOrEqual(4);
  expect((await scene.pool()).status?.exits?.['Surplus']).toBeGreaterThan(0);
});
