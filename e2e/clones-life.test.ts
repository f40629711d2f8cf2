// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, test } from 'vitest';
import { startMetricsServer } from '../src/testing/resource-metrics.ts';
import {
  cloneTarget,
  clonePool,
  conditionOf,
  eventsAbout,
  exitsOf,
  followPods,
  isBaseOf,
  isCloneOf,
  readPool,
  serviceOf,
} from './clones-stage.ts';
import type { PodLog, SeenPod, Sight } from './clones-stage.ts';
import { pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const minute = 60;
const day = 86_400;
const burstStart = Math.ceil((Date.now() / 1000 + 210) / minute) * minute;
const burstSeconds = 90;
/** Requests per second that a pod carries; the HPA of web fills it to 35. */
const perPod = 50;

/** Every day a burst of a minute and a half, and for two hours after it another level than before. */
function daily({ before, burst, after }: Readonly<Record<'before' | 'burst' | 'after', number>>) {
  return (seconds: number): number => {
    const since = (((seconds - burstStart) % day) + day) % day;
    const level = since < burstSeconds ? burst : since < 7200 ? after : before;
    return level * (1 + 0.005 * Math.sin(seconds / 37));
  };
}

/** After the burst more than before it: the base must have taken over when clones go. */
const web = daily({ before: 100, burst: 390, after: 135 });
const lull = daily({ before: 150, burst: 390, after: 150 });

let stage: Stage;
let pods: PodLog;
let stopMetrics: (() => Promise<void>) | undefined;
/** Millicores by the pod's name; of others there are no metrics. */
const usage = new Map<string, number>();

beforeAll(async () => {
  stage = await setStage({ demand: { web, lull, net: lull }, historySeconds: 2 * day });
  const { controlPlane } = stage;
  pods = followPods(controlPlane);
  stopMetrics = await startMetricsServer(controlPlane, (pod) => {
    const used = usage.get(pod);
    return used === undefined ? undefined : { cpu: `${used}m`, memory: '1Mi' };
  });
});
afterAll(async () => {
  await stopMetrics?.();
  await pods?.stop();
  await stage?.stop();
});

async function create(...objects: readonly unknown[]): Promise<void> {
  for (const object of objects) await stage.controlPlane.kubectlOk(['create', '-f', '-'], JSON.stringify(object));
}

function forecastOf(name: string): object {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name, namespace: 'default' },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name },
      source: { prometheus: { query: `sum(rate(http_requests_total{app="${name}"}[1m]))` } },
      capacityPerReplica: String(perPod),
      lead: '30s',
      mode: 'Auto',
      gate: { override: true },
    },
  };
}

/** Nothing but predicted_demand, and it scales down at once, so that nothing of its own covers a gap. */
function hpaOf(name: string): object {
  const metric = { name: 'predicted_demand', selector: { matchLabels: { forecast: name } } };
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, namespace: 'default' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      minReplicas: 2,
      maxReplicas: 20,
      metrics: [{ type: 'External', external: { metric, target: { type: 'AverageValue', averageValue: '35' } } }],
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  };
}

/** After a minute of little to do a clone ends. */
const soonIdle = {
  belowPercent: 15,
  clearAbovePercent: 25,
  sustainedSeconds: 60,
  minSamples: 3,
  warmupSeconds: 0,
  maxSampleAgeSeconds: 30,
  poolGuardPercent: 70,
};

/** A pod that somebody marks as a clone. */
function clone(name: string, more: { readonly labels?: object; readonly annotations?: object }): object {
  const resources = { requests: { cpu: '100m', memory: '64Mi' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      labels: { 'headstart.dev/clone': 'true', ...more.labels },
      annotations: more.annotations,
    },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'app', resources }] },
  };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Sights that have the pod, the first and the last. */
function sightsOf(uid: string): { first: Sight; last: Sight } {
  const all = pods.sights.filter((sight) => sight.pods.some((pod) => pod.uid === uid && !pod.isDeleted));
  const [first, last] = [all[0], all.at(-1)];
  if (first === undefined || last === undefined) throw new Error(`pod ${uid} was never seen`);
  return { first, last };
}

async function podNamed(name: string): Promise<SeenPod | undefined> {
  return pods.sights.at(-1)?.pods.find((pod) => pod.name === name);
}

interface Carried {
  readonly time: number;
  readonly base: number;
  readonly clones: number;
  readonly demand: number;
}

/** What was Ready of web, and what it had to carry. */
function carriedBy({ time, pods: seen }: Sight): Carried {
  const ready = seen.filter(({ isReady }) => isReady);
  return {
    time,
    base: ready.filter((pod) => isBaseOf(pod, 'web')).length,
    clones: ready.filter((pod) => isCloneOf(pod, 'web')).length,
    demand: web(time),
  };
}

describe.concurrent('the life of clones', () => {
  test('a burst in the forecast: clones are Ready before it and go after it, and demand is carried all the time', async ({
    expect,
  }) => {
    await create(cloneTarget('web', 3), serviceOf('web'), forecastOf('web'));
    await create(
      clonePool('web', {
        forecastRef: { name: 'web' },
        maxReplicas: 10,
        maxBurstSeconds: 600,
        lifetime: { maxSeconds: 1200, marginSeconds: 0 },
      }),
    );
    const areReady = async () => {
      const { spec, status } = await readPool(stage.controlPlane, 'web');
      return spec.replicas >= 2 && status?.readyReplicas === spec.replicas;
    };
    const untilBurst = () => (burstStart - Date.now() / 1000) * 1000;
    await expect.poll(areReady, { timeout: untilBurst(), interval: 500 }).toBe(true);
    const readyAt = Date.now() / 1000;
    const { spec } = await readPool(stage.controlPlane, 'web');
    const windows = (spec.windows ?? []).map(({ startTime, endTime }) => ({
      start: Date.parse(startTime) / 1000,
      end: Date.parse(endTime) / 1000,
    }));
    expect(windows.filter(({ start, end }) => start < burstStart && end > burstStart + burstSeconds)).toHaveLength(1);
    // The story is short, and begins within the look-ahead: an HPA that is there before would take the burst.
    await create(hpaOf('web'));

    await pass(burstStart + burstSeconds - readyAt);
    const duringBurst = (await pods.clonesOf('web')).filter(({ isReady }) => isReady).length;
    const left = async () => (await pods.clonesOf('web')).length;
    await expect.poll(left, { timeout: 270_000, interval: 500 }).toBe(0);
    const goneAt = Date.now() / 1000;
    // The base alone, for a while.
    await pass(15);

    const carried = pods.sights.filter(({ time }) => time >= readyAt).map(carriedBy);
    const spare = carried.map(({ base, clones, demand }) => (base + clones) * perPod - demand);
    const lowest = carried[spare.indexOf(Math.min(...spare))];
    const gaps = carried.map(({ time }, index) => time - (carried[index - 1]?.time ?? time));
    const after = (time: number) => `${(time - burstStart).toFixed(0)} s`;
    const firstLeft = carried.find(({ clones }, index) => clones < (carried[index - 1]?.clones ?? 0));
    say(
      `web: clones Ready ${after(readyAt)}, the first one left at ${after(firstLeft?.time ?? Number.NaN)}, the last one at ` +
        `${after(goneAt)} from the start of the burst; least spare capacity ${Math.min(...spare).toFixed(0)}/s ` +
        `(${JSON.stringify(lowest)}); ${carried.length} looks, at most ${Math.max(...gaps).toFixed(1)} s apart`,
    );
    expect(duringBurst).toBeGreaterThanOrEqual(2);
    expect(firstLeft?.time).toBeGreaterThan(burstStart + burstSeconds);
    expect(carried.filter(({ base, clones, demand }) => (base + clones) * perPod < demand)).toEqual([]);
    expect(carried.length).toBeGreaterThan(0.4 * (goneAt - readyAt));

    const made = new Set(
      pods.sights.flatMap((sight) => sight.pods.filter((pod) => isCloneOf(pod, 'web')).map(({ uid }) => uid)),
    );
    const counted = async () =>
      Object.values(exitsOf(await readPool(stage.controlPlane, 'web'))).reduce((sum, count) => sum + count, 0);
    await expect.poll(counted, { timeout: 30_000, interval: 500 }).toBe(made.size);
    const end = await readPool(stage.controlPlane, 'web');
    expect(end.spec.replicas).toBe(0);
    expect(end.status?.replicas).toBe(0);
    const reasons = Object.keys(exitsOf(end));
    expect(['Expired', 'Surplus']).toEqual(expect.arrayContaining(reasons));
    const told = async () =>
      (await eventsAbout(stage.controlPlane, 'ClonePool', 'web')).map((text) => text.split(':')[0]);
    await expect
      .poll(told, { timeout: 30_000, interval: 500 })
      .toEqual(expect.arrayContaining(['ClonesCreated', ...reasons]));
    say(`web: exits ${JSON.stringify(exitsOf(end))}`);
  });

  test('a clone that has nothing to do ends, unless metrics are missing or the others could not carry its work', async ({
    expect,
  }) => {
    await create(cloneTarget('lull', 4), forecastOf('lull'));
    await create(
      clonePool('lull', {
        forecastRef: { name: 'lull' },
        maxReplicas: 10,
        maxBurstSeconds: 600,
        lifetime: { maxSeconds: 1200, marginSeconds: 0, startupBudgetSeconds: 60 },
        utilizationExit: soonIdle,
      }),
    );
    const pool = async () => await readPool(stage.controlPlane, 'lull');
    const ready = async () => (await pods.clonesOf('lull')).filter(({ isReady }) => isReady).length;
    await expect.poll(ready, { timeout: 180_000, interval: 500 }).toBe(4);
    const all = (await pods.clonesOf('lull')).map(({ name }) => name);
    const [idle = '', second = '', ...others] = all;
    const alive = async () => (await pods.clonesOf('lull')).map(({ name }) => name);

    // Two are idle, of two nothing is known.
    usage.set(idle, 1).set(second, 1);
    const frozen = async () => conditionOf(await pool(), 'ExitFrozen');
    await expect.poll(frozen, { timeout: 90_000, interval: 1000 }).toMatch(/^MetricsMissing: 2 of 4/);
    await pass(60);
    expect(await frozen()).toMatch(/^MetricsMissing: /);
    expect(await alive()).toEqual(all);

    // One is idle, the others are all but full.
    for (const name of [second, ...others]) usage.set(name, 95);
    await expect.poll(frozen, { timeout: 60_000, interval: 1000 }).toMatch(/^PoolBusy: /);
    await pass(20);
    expect(await alive()).toEqual(all);

    // The others could take it over.
    for (const name of [second, ...others]) usage.set(name, 40);
    await expect.poll(alive, { timeout: 60_000, interval: 500 }).not.toContain(idle);
    await expect.poll(async () => exitsOf(await pool()), { timeout: 30_000, interval: 500 }).toEqual({ Idle: 1 });
    expect((await pool()).spec.replicas).toBe(3);
    expect(await alive()).toEqual([second, ...others].toSorted());
    const told = async () => await eventsAbout(stage.controlPlane, 'ClonePool', 'lull');
    await expect
      .poll(told, { timeout: 30_000, interval: 500 })
      .toEqual(expect.arrayContaining([expect.stringMatching(/^Idle: a clone was ended/)]));
  });

  test('what clones do may be measured by a query of Prometheus with a series for each pod', async ({ expect }) => {
    await create(cloneTarget('net', 4), forecastOf('net'));
    await create(
      clonePool('net', {
        forecastRef: { name: 'net' },
        maxReplicas: 10,
        maxBurstSeconds: 600,
        lifetime: { maxSeconds: 1200, marginSeconds: 0, startupBudgetSeconds: 60 },
        utilizationExit: { ...soonIdle, query: 'pod_network_percent' },
      }),
    );
    const pool = async () => await readPool(stage.controlPlane, 'net');
    const names = async () => (await pods.clonesOf('net')).map(({ name }) => name);
    const ready = async () => (await pods.clonesOf('net')).filter(({ isReady }) => isReady).length;
    await expect.poll(ready, { timeout: 180_000, interval: 500 }).toBe(4);
    const all = await names();
    const [idle = '', ...busy] = all;

    // There is no series yet: unknown, and nobody ends.
    const frozen = async () => conditionOf(await pool(), 'ExitFrozen');
    await expect.poll(frozen, { timeout: 90_000, interval: 1000 }).toMatch(/^MetricsMissing: 4 of 4/);
    expect(await names()).toEqual(all);

    stage.setNetwork(idle, 1);
    for (const name of busy) stage.setNetwork(name, 40);
    await expect.poll(names, { timeout: 180_000, interval: 500 }).not.toContain(idle);
    expect(await names()).toEqual(busy.toSorted());
    await expect.poll(async () => exitsOf(await pool()), { timeout: 30_000, interval: 500 }).toEqual({ Idle: 1 });
  });

  test('a Ready clone is an endpoint of the Service, and is none any more before it is gone; its time to live ends it', async ({
    expect,
  }) => {
    const { controlPlane } = stage;
    await create(cloneTarget('shop', 1), serviceOf('shop'));
    await create(clonePool('shop', { mode: 'Scale', maxReplicas: 3, lifetime: { maxSeconds: 90 } }));
    await controlPlane.kubectlOk(['scale', 'clonepool/shop', '--replicas=2']);
    /** Whether each pod of the Service gets traffic. */
    const endpoints = async (): Promise<Map<string, boolean>> => {
      const selector = 'kubernetes.io/service-name=shop';
      const text = await controlPlane.kubectlOk(['get', 'endpointslices', '-l', selector, '-o', 'json']);
      const { items } = JSON.parse(text) as {
        items: { endpoints: { targetRef: { name: string }; conditions: { ready: boolean } }[] | null }[];
      };
      return new Map(
        items.flatMap((slice) =>
          (slice.endpoints ?? []).map(({ targetRef, conditions }) => [targetRef.name, conditions.ready] as const),
        ),
      );
    };
    const ready = async () => (await pods.clonesOf('shop')).filter(({ isReady }) => isReady).length;
    await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe(2);
    const [first, second] = await pods.clonesOf('shop');
    if (first === undefined || second === undefined) throw new Error('two clones were Ready');
    const isServed = async (name: string) => (await endpoints()).get(name);
    for (const { name } of [first, second]) {
      await expect.poll(async () => await isServed(name), { timeout: 20_000, interval: 200 }).toBe(true);
    }

    // As the containers of a real pod would while they end: the pod stays for a while after its deletion.
    const hold = (finalizers: readonly string[]) =>
      controlPlane.kubectlOk([
        'patch',
        'pod',
        first.name,
        '--type=merge',
        '-p',
        JSON.stringify({ metadata: { finalizers } }),
      ]);
    await hold(['example.com/containers-end']);
    const isEnding = async () => (await pods.clonesOf('shop')).find(({ uid }) => uid === first.uid)?.isDeleted;
    await expect.poll(isEnding, { timeout: 120_000, interval: 200 }).toBe(true);
    await expect.poll(async () => await isServed(first.name), { timeout: 30_000, interval: 200 }).toBe(false);
    expect(await isEnding()).toBe(true);
    await hold([]);
    await expect.poll(async () => await isServed(first.name), { timeout: 30_000, interval: 200 }).toBeUndefined();

    for (const { uid, createdAt, annotations } of [first, second]) {
      const isGone = () => pods.sights.at(-1)?.pods.every((pod) => pod.uid !== uid);
      await expect.poll(isGone, { timeout: 30_000, interval: 500 }).toBe(true);
      const lived = sightsOf(uid).last.time - createdAt;
      say(`shop: a clone with ttl-seconds ${annotations['headstart.dev/ttl-seconds']} lived for ${lived.toFixed(0)} s`);
      expect(lived).toBeGreaterThan(87);
      expect(lived).toBeLessThan(135);
    }
    // In mode Scale others take their place.
    await expect.poll(ready, { timeout: 30_000, interval: 500 }).toBe(2);
    const expired = async () => exitsOf(await readPool(controlPlane, 'shop')).Expired;
    await expect.poll(expired, { timeout: 30_000, interval: 500 }).toBeGreaterThanOrEqual(2);
    const told = async () => await eventsAbout(controlPlane, 'ClonePool', 'shop');
    await expect
      .poll(told, { timeout: 30_000, interval: 500 })
      .toEqual(expect.arrayContaining([expect.stringMatching(/^Expired: /)]));
    await controlPlane.kubectlOk(['scale', 'clonepool/shop', '--replicas=0']);
  });

  test('a pod that somebody marks as a clone gets the time to live of its pool, and ends by it', async ({ expect }) => {
    // A pool that makes none itself.
    await create(clonePool('quick', { mode: 'Scale', maxReplicas: 1, lifetime: { maxSeconds: 60 } }));
    await pass(2);
    await create(clone('visitor', { labels: { 'headstart.dev/pool': 'quick' } }));
    await expect.poll(async () => await podNamed('visitor'), { timeout: 10_000, interval: 500 }).toBeDefined();
    const visitor = await podNamed('visitor');
    expect(visitor?.annotations).toMatchObject({ 'headstart.dev/ttl-seconds': '60' });
    await expect.poll(async () => await podNamed('visitor'), { timeout: 120_000, interval: 500 }).toBeUndefined();
    const lived = sightsOf(visitor?.uid ?? '').last.time - (visitor?.createdAt ?? 0);
    say(`visitor: lived for ${lived.toFixed(0)} s`);
    expect(lived).toBeGreaterThan(57);
    expect(lived).toBeLessThan(75);
    const told = async () => await eventsAbout(stage.controlPlane, 'Pod', 'visitor');
    await expect
      .poll(told, { timeout: 30_000, interval: 500 })
      .toEqual(expect.arrayContaining([expect.stringMatching(/^Expired: /)]));
    // It was never one of the pool's own.
    expect(exitsOf(await readPool(stage.controlPlane, 'quick'))).toEqual({});
  });

  test('a pod that somebody marks as a clone, with exit-below, ends when it has nothing to do; a busy one stays', async ({
    expect,
  }) => {
    const annotations = { 'headstart.dev/exit-below': 'cpu=15%/60s' };
    usage.set('idler', 1).set('worker', 60);
    await create(clone('idler', { annotations }), clone('worker', { annotations }));
    await expect.poll(async () => await podNamed('idler'), { timeout: 10_000, interval: 500 }).toBeDefined();
    const idler = await podNamed('idler');
    expect(idler?.annotations).toMatchObject({ 'headstart.dev/ttl-seconds': '3600' });
    await expect.poll(async () => await podNamed('idler'), { timeout: 300_000, interval: 500 }).toBeUndefined();
    const lived = sightsOf(idler?.uid ?? '').last.time - (idler?.createdAt ?? 0);
    say(`idler: lived for ${lived.toFixed(0)} s`);
    // Two minutes of warm-up, then one of idleness.
    expect(lived).toBeGreaterThan(180);
    expect(await podNamed('worker')).toMatchObject({ isReady: true });
    const told = async () => await eventsAbout(stage.controlPlane, 'Pod', 'idler');
    await expect
      .poll(told, { timeout: 30_000, interval: 500 })
      .toEqual(expect.arrayContaining([expect.stringMatching(/^Idle: /)]));
  });
});
