// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Condition } from '../../api/conditions.ts';
import { apiVersion } from '../../api/labels.ts';
import type { ConditionType } from '../../api/reasons.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { systemClock } from '../../base/clock.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { KubeObject } from '../../kube/client.ts';
import type { ReconcileObservation } from '../../kube/controller.ts';
import { createKubeClient } from '../../kube/http-client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { createEventRecorder } from '../../kube/recorder.ts';
import { createReflector } from '../../kube/reflector.ts';
import { createPrometheusServers } from '../../sources/metrics/prometheus-servers.ts';
import { plainServer } from '../../sources/metrics/prometheus-settings.ts';
import { startControlPlane } from '../../testing/control-plane.ts';
import type { ControlPlane } from '../../testing/control-plane.ts';
import { waitUntil } from '../../testing/process.ts';
import { startPrometheus } from '../../testing/prometheus.ts';
import type { Prometheus } from '../../testing/prometheus.ts';
import { createForecastController } from './reconcile.ts';

const manifests = fileURLToPath(new URL('../../../manifests/', import.meta.url));
const startSeconds = Math.floor(Date.now() / 1000);
const namespace = 'shop';
const exporter = createServer((_request, response) => response.end(`# TYPE demand gauge\n${lines()}`));
const failures: ReconcileObservation[] = [];
const lost: unknown[] = [];
const stop = new AbortController();
let running: Promise<unknown> = Promise.resolve();
let cluster: ControlPlane;
let prometheus: Prometheus;

function lines(): string {
  return 'demand{app="web"} 140\ndemand{app="other"} 70\n';
}

function* history(): Generator<string> {
  yield '# TYPE demand gauge\n';
  for (const [app, value] of [
    ['web', 140],
    ['other', 70],
  ]) {
    for (let time = startSeconds - 4 * 3600; time < startSeconds - 15; time += 15) {
      yield `demand{app="${app}",instance="${address()}",job="exporter"} ${value} ${time}\n`;
    }
  }
}

function address(): string {
  return `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
}

async function apply(object: unknown): Promise<void> {
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
}

function forecast(name: string, spec: object = {}): object {
  return {
    apiVersion,
    kind: 'DemandForecast',
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      source: { prometheus: { query: 'sum(demand{app="web"})' } },
      capacityPerReplica: '50',
      mode: 'Auto',
      gate: { override: true },
      history: { window: '3h' },
      models: ['naive', 'drift'],
      ...spec,
    },
  };
}

function deployment(name: string): object {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'none' }] } };
  const spec = { replicas: 6, selector: { matchLabels: labels }, template };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace }, spec };
}

const hpa = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web', namespace },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 6,
    maxReplicas: 10,
    metrics: [
      {
        type: 'External',
        external: {
          metric: { name: 'predicted_demand', selector: { matchLabels: { forecast: 'web' } } },
          target: { type: 'AverageValue', averageValue: '35' },
        },
      },
    ],
  },
};

async function read(name: string): Promise<DemandForecast> {
  return JSON.parse(await cluster.kubectlOk(['get', 'df', name, '-n', namespace, '-o', 'json'])) as DemandForecast;
}

/** Waits for a condition's reason. */
async function becomes(name: string, type: ConditionType, reason: string): Promise<Condition> {
  let last: Condition | undefined;
  const probe = async (): Promise<Condition | undefined> => {
    last = (await read(name)).status?.conditions?.find((item) => item.type === type);
    return last?.reason === reason ? last : undefined;
  };
  return await waitUntil(`${name}: ${type} becomes ${reason}`, probe, { timeoutMs: 40_000, intervalMs: 250 }).catch(
    (cause: unknown) => {
      throw new Error(`${name}: ${type} does not become ${reason}, it is ${JSON.stringify(last)}`, { cause });
    },
  );
}

/** The controller as the forecaster runs it, with the rights of its ServiceAccount. */
async function startController(): Promise<void> {
  const kubeconfig = await cluster.kubeconfigForServiceAccount('headstart-system', 'headstart-forecaster');
  const client = createKubeClient({ kubeconfig });
  const common = { client, clock: systemClock, random: Math.random };
  const onError = (error: unknown): void => void lost.push(error);
  const hpas = createReflector<HorizontalPodAutoscaler & KubeObject>({
    ...common,
    path: resourcePath({ apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' }),
    onError,
  });
  const forecasts = createReflector<DemandForecast & KubeObject>({
    ...common,
    path: resourcePath({ apiVersion, plural: 'demandforecasts' }),
    onChange: (change) => controller.changed(change),
    onError,
  });
  const settings = { servers: new Map([['default', plainServer(prometheus.url)]]), allowedUrls: [] };
  const controller = createForecastController({
    ...common,
    forecasts: forecasts.store,
    hpas: hpas.store,
    servers: createPrometheusServers(settings, { ...common, onRequest: () => undefined }),
    recorder: createEventRecorder({
      ...common,
      reportingController: 'headstart.dev/forecaster',
      reportingInstance: 'test',
      onError,
    }),
    intervalSeconds: 2,
    onResult: (result) => {
      if (result.outcome !== 'Success') failures.push(result);
    },
    onProblem: ({ error }) => onError(error),
  });
  const following = [forecasts.run(stop.signal), hpas.run(stop.signal)];
  await Promise.all([forecasts.whenSynced(stop.signal), hpas.whenSynced(stop.signal)]);
  running = Promise.all([...following, controller.run(stop.signal)]);
}

beforeAll(async () => {
  await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
  [cluster, prometheus] = await Promise.all([
    startControlPlane({ nodes: 1, podStartupMs: 2000 }),
    startPrometheus({
      backfill: history(),
      scrapeTargets: [{ job: 'exporter', address: address(), intervalSeconds: 1 }],
    }),
  ]);
  await cluster.kubectlOk(['apply', '-k', `${manifests}crds`]);
  await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd/demandforecasts.headstart.dev']);
  for (const file of ['namespace.yaml', 'rbac-forecaster.yaml']) {
    await cluster.kubectlOk(['apply', '-f', `${manifests}base/${file}`]);
  }
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  await startController();
});

afterAll(async () => {
  stop.abort(new Error('the test is over'));
  await running;
  await Promise.all([cluster?.stop(), prometheus?.stop()]);
  exporter.closeAllConnections();
  exporter.close();
});

describe('the life of a DemandForecast', () => {
  test('before its Deployment and its HPA are there, demand is observed, and what is missing is named', async () => {
    await apply(forecast('web'));
    expect((await becomes('web', 'TargetReady', 'TargetNotFound')).message).toContain('Deployment/web');
    expect((await becomes('web', 'HPAReady', 'NoHPA')).message).toContain('averageValue: "35"');
    await becomes('web', 'Publishing', 'ObservedOnly');
    const { status } = await read('web');
    expect(status?.observed?.value).toBe('140000m');
    expect(status?.forecast).toBeUndefined();
  });

  test('then it forecasts, with the lead of its own pods and the target of its own HPA', async () => {
    await apply(deployment('web'));
    await apply(hpa);
    await becomes('web', 'TargetReady', 'TargetFound');
    await becomes('web', 'HPAReady', 'HPAFound');
    await becomes('web', 'Forecastable', 'ModelFitted');
    await becomes('web', 'Publishing', 'Forecast');
    const measured = async () => ((await read('web')).status?.lead?.source === 'Measured' ? true : undefined);
    await waitUntil('the lead is measured', measured, { timeoutMs: 30_000 });
    const { status } = await read('web');
    expect(status?.lead).toEqual({ p50: '1m', p90: '1m', samples: 6, source: 'Measured' });
    expect(status?.hpa).toEqual({ name: 'web', targetAverageValue: '35', utilization: '0.7' });
    expect(status?.forecast?.values).toHaveLength(60);
    expect(JSON.stringify(status).length).toBeLessThan(4096);
    const row = await cluster.kubectlOk(['get', 'df', 'web', '-n', namespace]);
    expect(row).toMatch(/web +Auto +140000m +1[34]\d+m +1m +(naive|drift) .*Forecast/);
  });

  test('a second one for the Deployment gives way, and takes over when the first is gone', async () => {
    await apply(forecast('second'));
    expect((await becomes('second', 'TargetReady', 'DuplicateTarget')).message).toContain('DemandForecast web');
    await becomes('second', 'Publishing', 'ObservedOnly');
    await becomes('web', 'TargetReady', 'TargetFound');
    await cluster.kubectlOk(['delete', 'df', 'web', '-n', namespace]);
    await becomes('second', 'TargetReady', 'TargetFound');
    await becomes('second', 'Publishing', 'Forecast');
    await cluster.kubectlOk(['delete', 'df', 'second', '-n', namespace]);
  });

  test.each([
    ['syntax', 'sum(rate(', 'QueryFailed', 'parse error'],
    ['several', 'demand', 'SeveralSeries', 'app="other"'],
    ['nothing', 'sum(no_such_metric)', 'NoData', 'no data'],
    ['nan', 'sum(demand) * NaN', 'NotANumber', 'NaN'],
    ['negative', '-sum(demand)', 'NegativeDemand', 'negative'],
    ['huge', 'sum(demand) * 1e12', 'TooLarge', 'counts to'],
  ])('a query that gives %s says so', async (name, query, reason, words) => {
    await apply(forecast(name, { source: { prometheus: { query } } }));
    expect((await becomes(name, 'Observed', reason)).message).toContain(words);
    expect((await read(name)).status?.observed).toBeUndefined();
    await cluster.kubectlOk(['delete', 'df', name, '-n', namespace]);
  });

  test('signals are read, shown, and told of where they are missing', async () => {
    const errorRate = { query: 'sum(demand) * 0' };
    await apply(forecast('signals', { signals: { errorRate } }));
    await becomes('signals', 'SignalsObserved', 'AllObserved');
    expect((await read('signals')).status?.signals).toMatchObject([{ name: 'errorRate', value: '0' }]);
    expect((await becomes('signals', 'DemandTrusted', 'NoIncident')).status).toBe('True');
    await apply(forecast('signals', { signals: { errorRate, latency: { query: 'sum(rate(' } } }));
    expect((await becomes('signals', 'SignalsObserved', 'SignalMissing')).message).toContain('latency: ');
    await cluster.kubectlOk(['delete', 'df', 'signals', '-n', namespace]);
  });

  test.each([
    ['query and preset', { latency: { query: 'x', preset: 'http-p95' } }, 'exactly one of query and preset'],
    ['neither of them', { latency: {} }, 'exactly one of query and preset'],
    ['the preset of another signal', { latency: { preset: 'cpu' } }, 'supported values: "ingress-nginx-p95"'],
    ['a signal that there is not', { mood: { query: 'x' } }, 'unknown field "spec.signals.mood"'],
  ])('a signal with %s is rejected', async (_what, signals, words) => {
    const { code, stderr } = await cluster.kubectl(
      ['apply', '-f', '-'],
      JSON.stringify(forecast('refused', { signals })),
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain(words);
  });

  test('signals without Prometheus are rejected', async () => {
    const given = forecast('refused', { source: { resource: { name: 'cpu' } }, signals: { cpu: { preset: 'cpu' } } });
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], JSON.stringify(given));
    expect(code).not.toBe(0);
    expect(stderr).toContain('signals need source.prometheus');
  });

  test('Prometheus goes away and comes back', async () => {
    await apply(forecast('web'));
    await becomes('web', 'Publishing', 'Forecast');
    const { status: before } = await read('web');
    await prometheus.down();
    expect((await becomes('web', 'Observed', 'SourceUnavailable')).message).toMatch(/server "default": no connection/);
    const { status: away } = await read('web');
    expect(away?.observed?.value).toBe('140000m');
    expect(away?.forecast).toBeDefined();
    await prometheus.up();
    await becomes('web', 'Observed', 'DemandObserved');
    const { status: after } = await read('web');
    expect(after?.model?.since).toBe(before?.model?.since);
  });

  test('Events tell of it, and only what is Headstart’s in status belongs to Headstart', async () => {
    const events = await cluster.kubectlOk(['get', 'events', '-n', namespace, '-o', 'json']);
    const { items } = JSON.parse(events) as { items: { reason: string; involvedObject: { kind: string } }[] };
    const own = items.filter(({ involvedObject }) => involvedObject.kind === 'DemandForecast');
    const told = new Set(own.map(({ reason }) => reason));
    for (const reason of ['TargetNotFound', 'NoHPA', 'DuplicateTarget', 'QueryFailed', 'SourceUnavailable']) {
      expect(told).toContain(reason);
    }
    const raw = await cluster.kubectlOk(['get', 'df', 'web', '-n', namespace, '-o', 'json', '--show-managed-fields']);
    const { metadata } = JSON.parse(raw) as { metadata: { managedFields: Record<string, string>[] } };
    const status = metadata.managedFields.filter(({ subresource }) => subresource === 'status');
    expect(status.map(({ manager, operation }) => `${manager} ${operation}`).toSorted()).toEqual([
      'headstart Apply',
      'headstart-conditions Apply',
    ]);
  });

  test('no look failed, and no right was missing', () => {
    expect(failures).toEqual([]);
    expect(lost).toEqual([]);
  });
});
