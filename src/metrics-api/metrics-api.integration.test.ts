// SPDX-License-Identifier: Apache-2.0
import { request as httpsRequest } from 'node:https';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import type { KubeObject } from '../kube/client.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { createReflector } from '../kube/reflector.ts';
import { createAuthenticator } from '../server/authentication.ts';
import { createAuthorizer } from '../server/authorization.ts';
import { createCertificateManager } from '../server/certificates.ts';
import type { CertificateManager } from '../server/certificates.ts';
import { createRequestHeaderSource } from '../server/request-header-source.ts';
import { createServer } from '../server/server.ts';
import type { RequestObservation, Server } from '../server/server.ts';
import { startControlPlane } from '../testing/control-plane.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { freePort } from '../testing/ports.ts';
import { waitUntil } from '../testing/process.ts';
import { renderKustomization } from '../testing/rendering.ts';
import { createCarryingIndex, readPool } from './carrying-index.ts';
import type { PoolCarrying } from './carrying-index.ts';
import { registerMetricsApi } from './routes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const group = 'external.metrics.k8s.io';
const apiServiceName = `v1beta1.${group}`;
const namespace = 'headstart-system';
const metricPath = `/apis/${group}/v1beta1/namespaces/shop/predicted_demand?labelSelector=forecast%3Dweb`;
const metricNames = ['predicted_demand', 'observed_demand', 'forecast_demand'];

let cluster: ControlPlane;
let port: number;
let server: Server;
let certificates: CertificateManager;
/** What the clock of the certificates is ahead of the real one; the first certificate is 61 days old. */
let certificateClockMs = -61 * 86_400_000;
const stop = new AbortController();
const requests: RequestObservation[] = [];
/** What kube-apiserver had logged when the APIService became available. */
let logBefore = '';
const warnings: string[] = [];

/** Looks four times a second, so that a test need not wait for the minute. */
const certificateClock: Clock = {
  nowMs: () => systemClock.nowMs() + certificateClockMs,
  sleep: async (ms, signal) => await systemClock.sleep(Math.min(ms, 250), signal),
};

/** The metrics role with the rights of its own ServiceAccount, as the manifests give them. */
async function serveMetrics(): Promise<void> {
  const clock = systemClock;
  const random = Math.random;
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const client = createKubeClient({
    kubeconfig: await cluster.kubeconfigForServiceAccount(namespace, 'headstart-metrics'),
  });
  certificates = createCertificateManager({
    client,
    clock: certificateClock,
    random,
    logger,
    secret: { namespace, name: 'headstart-serving-certificate' },
    service: { namespace, name: 'headstart-metrics' },
    apiService: { name: apiServiceName, port, ownerClusterRole: 'headstart-metrics' },
  });
  const requestHeader = createRequestHeaderSource({ client, clock, random, logger });
  const forecasts = createReflector<DemandForecast & KubeObject>({
    client,
    clock,
    random,
    path: '/apis/headstart.dev/v1alpha1/demandforecasts',
    onError: (error) => logger.warn(String(error)),
  });
  const clones = createCarryingIndex();
  const pools = createReflector<PoolCarrying>({
    client,
    clock,
    random,
    path: '/apis/headstart.dev/v1alpha1/clonepools',
    isOptional: true,
    parse: (object) => readPool(object as unknown as ClonePool),
    onChange: clones.changed,
    onError: (error) => logger.warn(String(error)),
  });
  void forecasts.run(stop.signal);
  void pools.run(stop.signal);
  await Promise.all([
    certificates.start(stop.signal),
    requestHeader.start(stop.signal),
    forecasts.whenSynced(stop.signal),
    pools.whenSynced(stop.signal),
  ]);
  const tls = () => ({ ...certificates.current(), clientCaPem: requestHeader.current()?.clientCaPem });
  server = createServer({
    logger,
    clock,
    tls: tls(),
    drainDelayMs: 0,
    readiness: [{ name: 'demandforecasts', isReady: () => forecasts.store.hasSynced() }],
    onResponse: (observation) => void requests.push(observation),
  });
  certificates.onChange(() => server.rotate(tls()));
  requestHeader.onChange(() => server.rotate(tls()));
  const authenticate = createAuthenticator({
    client,
    clock,
    logger,
    requestHeader: () => requestHeader.current(),
    isVerified: (socket) => server.isVerified(socket),
  });
  registerMetricsApi(server.app, {
    reader: forecasts.store,
    clones,
    clock,
    access: { authenticate, authorizer: createAuthorizer({ client, clock }) },
    productVersion: '0.1.0',
  });
  await server.listen({ host: '127.0.0.1', port });
}

/** What the manifests install for the metrics role; the Service leads to this machine. */
async function install(kinds: readonly string[]): Promise<void> {
  const items = (await renderKustomization(cluster, `${root}manifests/base`)).filter(({ kind }) =>
    kinds.includes(kind),
  );
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'headstart-metrics', namespace },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  };
  const all = kinds.includes('Secret') ? [...items, service] : items;
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: all }));
}

async function setStatus(name: string, status: DemandForecast['status']): Promise<void> {
  const patch = JSON.stringify({ status });
  await cluster.kubectlOk(['-n', 'shop', 'patch', 'df', name, '--subresource=status', '--type=merge', '-p', patch]);
}

async function createForecast(name: string): Promise<void> {
  const forecast = {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name, namespace: 'shop' },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name },
      source: { prometheus: { query: 'up' } },
      capacityPerReplica: '50',
    },
  };
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(forecast));
}

/** A kind of which this test needs no schema. */
async function installPools(kind: string): Promise<void> {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const names = { kind, plural: 'clonepools', singular: 'clonepool' };
  const versions = [{ name: 'v1alpha1', served: true, storage: true, subresources: { status: {} }, schema }];
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'clonepools.headstart.dev' },
    spec: { group: 'headstart.dev', scope: 'Namespaced', names, versions },
  };
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(crd));
  await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd/clonepools.headstart.dev', '--timeout=30s']);
}

async function available(): Promise<boolean> {
  const path = "jsonpath={.status.conditions[?(@.type=='Available')].status}";
  return (await cluster.kubectlOk(['get', 'apiservice', apiServiceName, '-o', path])) === 'True';
}

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1, hpaSyncPeriodSeconds: 1 });
  port = await freePort();
  await install([
    'Namespace',
    'CustomResourceDefinition',
    'ServiceAccount',
    'ClusterRole',
    'ClusterRoleBinding',
    'Role',
    'RoleBinding',
    'Secret',
  ]);
  await cluster.kubectlOk([
    'wait',
    '--for=condition=Established',
    'crd/demandforecasts.headstart.dev',
    '--timeout=30s',
  ]);
  await cluster.kubectlOk(['create', 'namespace', 'shop']);
  await serveMetrics();
  await createForecast('web');
  await waitUntil('the APIService is available', available, { timeoutMs: 30_000, intervalMs: 200 });
  logBefore = await cluster.componentLog('kube-apiserver');
}, 600_000);

afterAll(async () => {
  stop.abort();
  await server?.stop();
  await cluster?.stop();
});

interface Answer {
  readonly code: number | undefined;
  readonly body: string;
}

/** A direct call, past the aggregator. */
async function direct(path: string, token?: string): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const ca = certificates.current().caBundlePem;
  const options = { host: '127.0.0.1', port, path, servername: `headstart-metrics.${namespace}.svc`, ca, headers };
  return await new Promise((resolve, reject) => {
    httpsRequest({ ...options, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ code: response.statusCode, body }));
    })
      .on('error', reject)
      .end();
  });
}

describe('through the aggregator of a real kube-apiserver', () => {
  test('a metric is read, and what there is not says why', async () => {
    const time = new Date().toISOString();
    const missing = await cluster.kubectl(['get', '--raw', metricPath]);
    expect(missing.stderr).toContain('predicted_demand for shop/web: no observation, mode is Preview');
    await setStatus('web', { observed: { value: '12500m', time } });
    const read = async (): Promise<string | false> => {
      const { code, stdout } = await cluster.kubectl(['get', '--raw', metricPath]);
      return code === 0 && stdout;
    };
    const text = await waitUntil('the value arrives', read, { timeoutMs: 10_000 });
    expect(JSON.parse(text)).toEqual({
      kind: 'ExternalMetricValueList',
      apiVersion: `${group}/v1beta1`,
      metadata: {},
      items: [
        {
          metricName: 'predicted_demand',
          metricLabels: { forecast: 'web' },
          timestamp: `${time.slice(0, 19)}Z`,
          value: '12500m',
        },
      ],
    });
  });
  test.each([
    [
      metricPath.replace('web', 'gone'),
      '(NotFound): predicted_demand: no DemandForecast in namespace shop matches forecast=gone',
    ],
    [
      metricPath.replace('shop', 'default'),
      '(NotFound): predicted_demand: no DemandForecast in namespace default matches forecast=web',
    ],
    [
      metricPath.replace('predicted', 'other'),
      '(NotFound): the server could not find the metric other_demand for namespace shop',
    ],
    [metricPath.replace('%3Dweb', '%3D%3D%3D'), '(BadRequest): labelSelector, character 11: got "="'],
    [
      `/apis/${group}/v1beta1/namespaces/shop/predicted_demand`,
      '(BadRequest): labelSelector: got none for predicted_demand in namespace shop',
    ],
    [`${metricPath}&watch=true`, '(MethodNotAllowed): watch is not supported here'],
  ])('%s is refused: %s', async (path, message) => {
    const { code, stderr } = await cluster.kubectl(['get', '--raw', path]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
  test('a user without the right is refused, and let in once it has it', async () => {
    const as = ['get', '--raw', metricPath, '--as=jane', '--as-group=a,b', '--as-group=system:authenticated'];
    const { stderr } = await cluster.kubectl(as);
    expect(stderr).toContain(
      `(Forbidden): predicted_demand.${group} is forbidden: User "jane" cannot list resource "predicted_demand" in API group "${group}" in the namespace "shop"`,
    );
    // The group with the comma is one group, on the whole way.
    const role = ['--verb=list', `--resource=predicted_demand.${group}`];
    await cluster.kubectlOk(['create', 'clusterrole', 'metric-reader', ...role]);
    await cluster.kubectlOk([
      'create',
      'rolebinding',
      'jane',
      '-n',
      'shop',
      '--clusterrole=metric-reader',
      '--group=a,b',
    ]);
    const read = async (): Promise<boolean> => (await cluster.kubectl(as)).code === 0;
    await waitUntil('the right has arrived', read, { timeoutMs: 20_000, intervalMs: 1000 });
    expect(
      (await cluster.kubectl([...as.slice(0, 2), metricPath.replace('shop', 'default'), ...as.slice(3)])).stderr,
    ).toContain('(Forbidden)');
  });
  test('kubectl api-resources lists the metrics and complains about nothing', async () => {
    const list = async (): Promise<string | false> => {
      const { code, stdout, stderr } = await cluster.kubectl(['api-resources', '--no-headers', `--api-group=${group}`]);
      return code === 0 && stderr === '' && metricNames.every((name) => stdout.includes(name)) && stdout;
    };
    const lines = await waitUntil('the metrics are listed', list, { timeoutMs: 90_000, intervalMs: 1000 });
    expect(lines.trim().split('\n')).toHaveLength(3);
    const all = await cluster.kubectl(['api-resources']);
    expect([all.code, all.stderr]).toEqual([0, '']);
  });
  test('the aggregated discovery of kube-apiserver has the group, current', async () => {
    const get = (path: string): Promise<string> => cluster.kubectlOk(['get', '--raw', path]);
    const list = JSON.parse(await get(`/apis/${group}/v1beta1`)) as { resources: { name: string }[] };
    expect(list.resources.map(({ name }) => name)).toEqual(metricNames);
    expect(
      requests.filter(({ route }) => route === '/apis').every(({ statusCode }) => [200, 304].includes(statusCode)),
    ).toBe(true);
    expect(requests.some(({ route }) => route === '/apis')).toBe(true);
  });
  test('OpenAPI is taken in, v2 and v3', async () => {
    const path = `/apis/${group}/v1beta1/namespaces/{namespace}/predicted_demand`;
    const has = (url: string) => async (): Promise<boolean> => {
      const { code, stdout } = await cluster.kubectl(['get', '--raw', url]);
      return code === 0 && path in (JSON.parse(stdout) as { paths: object }).paths;
    };
    const wait = { timeoutMs: 150_000, intervalMs: 2000 };
    await waitUntil('v3 has the metrics', has(`/openapi/v3/apis/${group}/v1beta1`), wait);
    await waitUntil('v2 has the metrics', has('/openapi/v2'), wait);
    const isUnchanged = (): boolean =>
      requests.some(({ route, statusCode }) => route === '/openapi/v2' && statusCode === 304);
    await waitUntil('v2 has been asked for again, and has not changed', isUnchanged, wait);
    const explained = ['explain', 'predicted_demand', `--api-version=${group}/v1beta1`];
    expect(await cluster.kubectlOk(explained)).toContain('Values of a metric; there is exactly one.');
  }, 320_000);
  test('the HPA controller reads the metric', async () => {
    const spec = { containers: [{ name: 'main', image: 'none' }] };
    const metadata = { name: 'web', namespace: 'shop' };
    const items = [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: { selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec } },
      },
      {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata,
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
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
      },
    ];
    await setStatus('web', { observed: { value: '125000m', time: new Date().toISOString() } });
    await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const desired = async (): Promise<string> =>
      await cluster.kubectlOk(['-n', 'shop', 'get', 'hpa', 'web', '-o', 'jsonpath={.status.desiredReplicas}']);
    // 125 / 35
    await expect.poll(desired, { timeout: 60_000, interval: 500 }).toBe('4');
  }, 90_000);
  test('a namespace is deleted in the end', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'short-lived']);
    await cluster.kubectlOk(['delete', 'namespace', 'short-lived', '--timeout=60s']);
    expect((await cluster.kubectl(['get', 'namespace', 'short-lived'])).stderr).toContain('NotFound');
  }, 90_000);
});

describe('clones', () => {
  test('predicted_demand is less by what a ClonePool carries over the look-ahead, as soon as there is the kind', async () => {
    const read = async (metric: string): Promise<string> => {
      const text = await cluster.kubectlOk(['get', '--raw', metricPath.replace('predicted_demand', metric)]);
      return (JSON.parse(text) as { items: { value: string }[] }).items[0]?.value ?? '';
    };
    const at = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();
    const lead = { p50: '1m', p90: '2m', samples: 9, source: 'Measured' };
    await setStatus('web', { observed: { value: '500', time: at(0) }, lead } as DemandForecast['status']);
    await expect.poll(async () => await read('predicted_demand'), { timeout: 10_000 }).toBe('500000m');
    const isInstalled = (await cluster.kubectl(['get', 'crd', 'clonepools.headstart.dev'])).code === 0;
    if (!isInstalled) await installPools('ClonePool');
    const pool = {
      apiVersion: 'headstart.dev/v1alpha1',
      kind: 'ClonePool',
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        forecastRef: { name: 'web' },
        maxReplicas: 10,
        lifetime: { maxSeconds: 3600 },
      },
    };
    await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(pool));
    const steps = [
      { until: at(300), replicas: 1 },
      { until: at(1800), replicas: 4 },
    ];
    const status = { replicas: 5, carrying: { time: at(0), perClone: '50', ready: 5, steps } };
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await cluster.kubectlOk(['-n', 'shop', 'patch', 'clonepools', 'web', ...patch]);
    await expect.poll(async () => await read('predicted_demand'), { timeout: 60_000, interval: 500 }).toBe('300000m');
    expect(await read('observed_demand')).toBe('500000m');
    await cluster.kubectlOk(['-n', 'shop', 'delete', 'clonepools', 'web']);
    await expect.poll(async () => await read('predicted_demand'), { timeout: 10_000 }).toBe('500000m');
  }, 120_000);
});

describe('rotation of the serving certificate', () => {
  test('costs no request', async () => {
    await setStatus('web', { observed: { value: '12500m', time: new Date().toISOString() } });
    const outcomes = new Map<string, number>();
    const client = createKubeClient({
      kubeconfig: cluster.kubeconfigPath,
      onRequest: ({ outcome }) => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1),
    });
    const first = certificates.current();
    const done = new AbortController();
    const load = async (): Promise<void> => {
      while (!done.signal.aborted) await client.request({ path: metricPath });
    };
    const loads = Promise.all([load(), load(), load()]);
    certificateClockMs = 0;
    const knowsBoth = (): boolean => certificates.current().caBundlePem.split('BEGIN').length === 3;
    await waitUntil('the next authority is known', knowsBoth, { timeoutMs: 10_000 });
    expect(certificates.current().certPem).toBe(first.certPem);
    certificateClockMs = 600_000;
    const isNext = (): boolean => certificates.current().certPem !== first.certPem;
    await waitUntil('the next certificate is served', isNext, { timeoutMs: 10_000 });
    // New connections meet the new certificate.
    server.app.server.closeIdleConnections();
    const before = outcomes.get('Success') ?? 0;
    await waitUntil('more answers', () => (outcomes.get('Success') ?? 0) > before + 200, { timeoutMs: 30_000 });
    done.abort();
    await loads;
    expect([...outcomes.keys()]).toEqual(['Success']);
  }, 90_000);
});

describe('without the aggregator', () => {
  test('a token is reviewed, and its user needs the right', async () => {
    const path = metricPath;
    expect((await direct(path)).code).toBe(401);
    expect((await direct(path, 'made-up')).code).toBe(401);
    const token = await cluster.serviceAccountToken('shop', 'default');
    const refused = await direct(path, token);
    expect(refused.code).toBe(403);
    expect(refused.body).toContain('User \\"system:serviceaccount:shop:default\\" cannot list');
    expect((await direct(`/apis/${group}/v1beta1`, token)).code).toBe(200);
    const hpa = await cluster.serviceAccountToken('kube-system', 'horizontal-pod-autoscaler');
    expect((await direct(path, hpa)).code).toBe(200);
  });
  test('headers of a front proxy without its certificate count for nothing', async () => {
    const ca = certificates.current().caBundlePem;
    const code = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' };
      httpsRequest(
        { host: '127.0.0.1', port, path: metricPath, servername: `headstart-metrics.${namespace}.svc`, ca, headers },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });
    expect(code).toBe(401);
  });
  test('the probes answer anybody', async () => {
    for (const path of ['/livez', '/readyz', '/healthz']) expect(await direct(path)).toEqual({ code: 200, body: 'ok' });
  });
});

describe('afterwards', () => {
  test('the log of kube-apiserver has no complaint about the group', async () => {
    const log = (await cluster.componentLog('kube-apiserver')).slice(logBefore.length);
    const complaints = log.split('\n').filter((line) => /^[EW]\d{4}/.test(line) && line.includes(group));
    expect(complaints).toEqual([]);
  });
  test('Headstart itself has complained about nothing', () => {
    const messages = warnings.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages).toEqual([]);
  });
  test('the caBundle is what the certificate is verified by', async () => {
    const bundle = await cluster.kubectlOk(['get', 'apiservice', apiServiceName, '-o', 'jsonpath={.spec.caBundle}']);
    expect(Buffer.from(bundle, 'base64').toString('utf8')).toBe(certificates.current().caBundlePem);
    expect(certificates.apiService()?.state).toBe('Owned');
  });
});
