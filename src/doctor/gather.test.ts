// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { parseServers } from '../config.ts';
import type { KubeRequest } from '../kube/client.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { demandForecast } from '../testing/builders.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { gather } from './gather.ts';
import type { GatherContext, Gathered } from './gather.ts';

const nowMs = Date.parse('2026-09-01T12:00:00Z');
const empty: MetricSource = { range: async () => [], latest: async () => undefined };

function answerOf({ path, body }: KubeRequest): unknown {
  if (path.endsWith('/selfsubjectreviews')) return { metadata: { creationTimestamp: '2026-09-01T12:01:00Z' } };
  if (path.endsWith('/subjectaccessreviews')) {
    const { spec } = body as { spec: { resourceAttributes: { resource: string } } };
    return { status: { allowed: spec.resourceAttributes.resource !== 'statefulsets' } };
  }
  if (path.endsWith('/demandforecasts')) return { items: [demandForecast({}), demandForecast({ name: 'api' })] };
  if (path.endsWith('/predicted_demand')) return { items: [{ value: '5' }] };
  if (path.endsWith('/configmaps/headstart-forecaster'))
    return { data: { HEADSTART_PROMETHEUS_SERVERS: 'default=http://p:9' } };
  if (path === '/apis/external.metrics.k8s.io/v1beta1') return { resources: [{ name: 'predicted_demand' }] };
  if (path.endsWith('/horizontalpodautoscalers') || path === '/version') return {};
  if (path.endsWith('/namespaces/default/pods')) {
    return { metadata: { annotations: { 'headstart.dev/ttl-seconds': '3600' } } };
  }
  throw new HeadstartError('NotFound', `reading ${path}: none`);
}

async function look(
  answer: (request: KubeRequest) => unknown = answerOf,
  changes: Partial<GatherContext> = {},
): Promise<Gathered & { readonly requests: readonly KubeRequest[]; readonly said: readonly string[] }> {
  const client = createFakeKubeClient(answer);
  const said: string[] = [];
  const gathered = await gather({
    client,
    clock: { nowMs: () => nowMs, sleep: async () => undefined },
    namespace: undefined,
    headstartNamespace: 'headstart-system',
    servers: undefined,
    parseServers,
    createSource: () => empty,
    onProgress: (what, done, total) => said.push(done === undefined ? what : `${what} ${done}/${total}`),
    ...changes,
  });
  return { ...gathered, requests: client.requests, said };
}

const failing = (part: string, code: 'Forbidden' | 'Unavailable') => (request: KubeRequest) => {
  if (request.path.includes(part)) throw new HeadstartError(code, `${part}: no`);
  return answerOf(request);
};

test('what is there, what is not, and what is allowed', async () => {
  const { snapshot, said } = await look();
  expect(snapshot.localClock).toEqual({ value: { aheadSeconds: -60.5, uncertaintySeconds: 0.5 } });
  expect(snapshot.apiService).toEqual({ value: undefined });
  expect(snapshot.lease).toEqual({ value: undefined });
  expect(snapshot.deployments).toEqual({
    'headstart-metrics': { value: undefined },
    'headstart-forecaster': { value: undefined },
    'headstart-clones': { value: undefined },
  });
  const denied = 'value' in snapshot.rights ? snapshot.rights.value.filter(({ isAllowed }) => !isAllowed) : [];
  expect(denied.map(({ right }) => right.resource)).toEqual(['statefulsets']);
  expect(snapshot.metrics.get('shop/api')).toEqual({ value: { answer: '5', milliseconds: 0 } });
  expect([...snapshot.histories.values()].map(({ kind }) => kind)).toEqual(['read', 'read']);
  expect(said).toContain('reading histories 2/2');
});

test('rights to the APIService are asked for, unless the metrics role is told to leave it alone', async () => {
  const asked = async (value: string): Promise<boolean> => {
    const { requests } = await look((request) => {
      if (!request.path.endsWith('/deployments/headstart-metrics')) return answerOf(request);
      const env = [{ name: 'HEADSTART_API_SERVICE', value }];
      return { spec: { template: { spec: { containers: [{ name: 'headstart', env }] } } } };
    });
    return requests.some(({ body }) => JSON.stringify(body ?? '').includes('"resource":"apiservices"'));
  };
  expect(await asked('auto')).toBe(true);
  expect(await asked('never')).toBe(false);
});

test("the apiserver's time is the time that counts", async () => {
  expect((await look()).now).toBe(nowMs / 1000 + 60.5);
  expect((await look(failing('selfsubjectreviews', 'Forbidden'))).now).toBe(nowMs / 1000);
});

test('one namespace is asked for alone', async () => {
  const { requests } = await look(undefined, { namespace: 'shop' });
  const paths = requests.map(({ path }) => path);
  expect(paths).toContain('/apis/headstart.dev/v1alpha1/namespaces/shop/demandforecasts');
  expect(paths).toContain('/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers');
});

test('what may not be read is part of the answer', async () => {
  const { snapshot } = await look(failing('/demandforecasts', 'Forbidden'));
  expect(snapshot.forecasts).toEqual({ failure: { code: 'Forbidden', message: '/demandforecasts: no' } });
  expect(snapshot.histories.size).toBe(0);
});

test('metrics are not asked for where discovery does not answer', async () => {
  const { snapshot, requests } = await look(failing('/apis/external.metrics.k8s.io', 'Unavailable'));
  expect(snapshot.discovery).toMatchObject({ failure: { code: 'Unavailable' } });
  expect(snapshot.metrics.size).toBe(0);
  expect(requests.some(({ path }) => path.endsWith('/predicted_demand'))).toBe(false);
});

test('an apiserver that does not answer is a failure of the whole; one that refuses is there', async () => {
  await expect(look(failing('/version', 'Unavailable'))).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(look(failing('/version', 'Forbidden'))).resolves.toBeDefined();
});

const withServers = (data: object) => (request: KubeRequest) =>
  request.path.endsWith('/configmaps/headstart-forecaster') ? { data } : answerOf(request);

test.each([
  { name: 'no key in the ConfigMap', data: {}, kind: 'no-configuration' },
  { name: 'a list that is none', data: { HEADSTART_PROMETHEUS_SERVERS: 'x' }, kind: 'bad-configuration' },
  {
    name: 'a password in a URL',
    data: { HEADSTART_PROMETHEUS_SERVERS: 'default=http://a:secret@p' },
    kind: 'bad-configuration',
  },
  { name: 'other servers', data: { HEADSTART_PROMETHEUS_SERVERS: 'two=http://p' }, kind: 'unknown-server' },
])('servers: $name', async ({ data, kind }) => {
  const history = (await look(withServers(data))).snapshot.histories.get('shop/web');
  expect(history?.kind).toBe(kind);
  expect(JSON.stringify(history)).not.toContain('secret');
});

test('a preset is asked for by its query', async () => {
  const asked: string[] = [];
  const note: MetricSource['range'] = async ({ query }) => {
    asked.push(query);
    return [];
  };
  const spec = { source: { prometheus: { preset: 'cpu', serverRef: 'default' } } } as const;
  await look(
    (request) =>
      request.path.endsWith('/demandforecasts') ? { items: [demandForecast({ spec })] } : answerOf(request),
    { createSource: () => ({ ...empty, range: note }) },
  );
  expect(asked[0]).toContain('container_cpu_usage_seconds_total{namespace="shop"');
});

test.each([
  { url: 'https://team.example' },
  { secretRef: { name: 'prometheus' } },
])('what is for the forecaster alone is not asked: %j', async (own) => {
  const spec = { source: { prometheus: { query: 'x', serverRef: 'default', ...own } } };
  const { snapshot } = await look((request) =>
    request.path.endsWith('/demandforecasts') ? { items: [demandForecast({ spec })] } : answerOf(request),
  );
  expect(snapshot.histories.get('shop/web')).toEqual({ kind: 'own-access' });
});

test("servers of the forecaster's file are not known", async () => {
  const { snapshot } = await look((request) => {
    if (!request.path.endsWith('/deployments/headstart-forecaster')) return answerOf(request);
    const env = [{ name: 'HEADSTART_PROMETHEUS_CONFIG', value: '/etc/headstart/prometheus/config.yaml' }];
    return { spec: { template: { spec: { containers: [{ name: 'headstart', env }] } } } };
  });
  expect(snapshot.histories.get('shop/web')).toMatchObject({ kind: 'no-configuration' });
});

test('a source that fails, and servers that were named', async () => {
  const fail = async (): Promise<never> => await Promise.reject(new HeadstartError('Unavailable', 'no connection'));
  const servers = new Map([['default', 'http://127.0.0.1:1']]);
  const { snapshot, requests } = await look(undefined, {
    servers,
    createSource: () => ({ range: fail, latest: fail }),
  });
  expect(snapshot.histories.get('shop/web')).toEqual({
    kind: 'failed',
    server: 'default',
    url: 'http://127.0.0.1:1',
    isNamed: true,
    failure: { code: 'Unavailable', message: 'no connection' },
  });
  expect(requests.some(({ path }) => path.includes('/configmaps/'))).toBe(false);
});

test('what is a fault of ours is not taken for an answer', async () => {
  const broken = (request: KubeRequest): unknown => {
    if (request.path.endsWith('/leases/headstart-forecaster')) throw new TypeError('a bug');
    return answerOf(request);
  };
  await expect(look(broken)).rejects.toThrow('a bug');
});

test('the one thing that is made is a pod, in a dry run, that would be a clone without an end', async () => {
  const { snapshot, requests } = await look();
  expect(snapshot.stamped).toEqual({ value: '3600' });
  const isQuestion = ({ path }: KubeRequest): boolean => /\/(selfsubject|subjectaccess)reviews$/.test(path);
  const made = requests.filter((request) => (request.method ?? 'GET') !== 'GET' && !isQuestion(request));
  expect(made).toHaveLength(1);
  expect(made[0]).toMatchObject({
    method: 'POST',
    path: '/api/v1/namespaces/default/pods',
    query: { dryRun: 'All' },
    body: { metadata: { labels: { 'headstart.dev/clone': 'true' } } },
  });
  expect(JSON.stringify(made[0]?.body)).not.toContain('ttl-seconds');
});

test('the webhook, its certificate and the policy that bounds clones', async () => {
  const none = (await look()).snapshot;
  expect(none.webhook).toEqual({ value: undefined });
  expect(none.webhookCertificate).toEqual({ value: undefined });
  expect(none.guard).toEqual({ value: { isThere: false, actions: undefined } });
  const { snapshot } = await look((request) => {
    const { path } = request;
    if (path.endsWith('/validatingadmissionpolicies/headstart-clone-guard')) return {};
    if (path.endsWith('/validatingadmissionpolicybindings/headstart-clone-guard')) {
      return { spec: { validationActions: ['Deny', 'Audit'] } };
    }
    if (path.endsWith('/clonepools')) return { items: [] };
    return answerOf(request);
  });
  expect(snapshot.guard).toEqual({ value: { isThere: true, actions: ['Deny', 'Audit'] } });
  expect(snapshot.pools).toEqual({ value: [] });
});
