// SPDX-License-Identifier: Apache-2.0
import type { InjectOptions } from 'fastify';
import { pino } from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { StatusError } from '../server/status.ts';
import type { RequestAttributes } from '../server/request-info.ts';
import { createServer } from '../server/server.ts';
import type { UserInfo } from '../server/user-info.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import type { ForecastReader } from './external-metrics.ts';
import type { MetricObservation } from './metric-handler.ts';
import { registerMetricsApi } from './routes.ts';

const startMs = Date.parse('2026-09-01T12:00:30.500Z');
const group = 'external.metrics.k8s.io';
const root = `/apis/${group}/v1beta1`;
const shop = `${root}/namespaces/shop`;
const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
/** What kube-apiserver 1.36 sends. */
const aggregatedAccept = `${aggregatedType},${aggregatedType.replace('v=v2', 'v=v2beta1')}`;

function demandForecast(name: string, seconds: number): DemandForecast {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name, namespace: 'shop', uid: 'u', generation: 1, resourceVersion: '1', creationTimestamp: '' },
    spec: { mode: 'Auto', staleAfter: '3m' } as DemandForecast['spec'],
    status: {
      observed: { value: '12500m', time: new Date(startMs - seconds * 1000).toISOString() },
      forecast: {
        issuedAt: '2026-09-01T12:00:00Z',
        startTime: '2026-09-01T12:00:00Z',
        stepSeconds: 60,
        quantile: '0.7',
        atLead: '0m',
        values: name === 'web' ? ['1250500m', '2'] : [],
      },
    },
  };
}

interface Given {
  readonly user?: UserInfo | undefined;
  readonly refuse?: (attributes: RequestAttributes) => StatusError | undefined;
  readonly hasSynced?: boolean;
  readonly groups?: readonly string[];
}

const jane: UserInfo = { name: 'jane', groups: ['system:authenticated'], extra: {} };
const apps: { close(): Promise<void> }[] = [];
afterAll(async () => {
  await Promise.all(apps.map(async (app) => await app.close()));
});

function setUp(given: Given = {}) {
  const clock = createFakeClock(startMs);
  const { app } = createServer({ logger: pino({ level: 'silent' }), clock });
  const forecasts = [demandForecast('web', 30), demandForecast('api', 10), demandForecast('old', 3600)];
  const reader: ForecastReader = {
    get: (namespace, name) => reader.list(namespace).find(({ metadata }) => metadata.name === name),
    list: (namespace) => (namespace === 'shop' ? forecasts : []),
    hasSynced: () => given.hasSynced ?? true,
  };
  const asked: RequestAttributes[] = [];
  const seen: MetricObservation[] = [];
  registerMetricsApi(app, {
    access: {
      authenticate: async () => ('user' in given ? given.user : jane),
      authorizer: {
        authorize: async (_user, attributes) => {
          asked.push(attributes);
          const refusal = given.refuse?.(attributes);
          if (refusal !== undefined) throw refusal;
        },
      },
    },
    reader,
    clock,
    productVersion: '0.1.0',
    onMetric: (observation) => seen.push(observation),
    ...(given.groups === undefined ? {} : { groups: given.groups }),
  });
  apps.push(app);
  return { app, asked, seen };
}

const { app } = setUp();

async function get(url: string, headers: InjectOptions['headers'] = {}) {
  return await app.inject({ method: 'GET', url, headers });
}

function status(code: number, reason: string, message: unknown, details?: object) {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason };
  return { ...head, ...(details === undefined ? {} : { details }), code };
}

const resourceNames = ['predicted_demand', 'observed_demand', 'forecast_demand'];
const apiGroup = {
  name: group,
  versions: [{ groupVersion: `${group}/v1beta1`, version: 'v1beta1' }],
  preferredVersion: { groupVersion: `${group}/v1beta1`, version: 'v1beta1' },
};

describe('discovery', () => {
  test.each([[root], [`${root}/`]])('%s lists the metrics, each with get alone', async (url) => {
    const answer = await get(url);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json()).toEqual({
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: `${group}/v1beta1`,
      resources: resourceNames.map((name) => ({
        name,
        singularName: '',
        namespaced: true,
        kind: 'ExternalMetricValueList',
        verbs: ['get'],
      })),
    });
  });
  test('the fallback of the aggregator gets its document whatever ETag it sends', async () => {
    const { headers } = await get('/apis', { accept: aggregatedAccept });
    const answer = await get(root, { accept: 'application/json', 'if-none-match': String(headers.etag) });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).not.toHaveProperty('etag');
  });
  test('/apis in plain JSON lists the group', async () => {
    for (const accept of [undefined, '*/*', 'application/json', 'application/*;q=0.8']) {
      const answer = await get('/apis', accept === undefined ? {} : { accept });
      expect(answer.headers['content-type']).toBe('application/json');
      expect(answer.json()).toEqual({ kind: 'APIGroupList', apiVersion: 'v1', groups: [apiGroup] });
    }
  });
  test('/ lists the paths, all of which are served', async () => {
    const { paths } = (await get('/')).json<{ paths: string[] }>();
    expect(paths).toHaveLength(10);
    for (const path of paths) expect([path, (await get(path)).statusCode]).toEqual([path, 200]);
  });
  test('/apis/<group> describes the group', async () => {
    expect((await get(`/apis/${group}`)).json()).toEqual({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup });
  });
  test('/apis in aggregated form has the group with its resources, and headers as Go sends them', async () => {
    const answer = await get('/apis', { accept: aggregatedAccept });
    expect(answer.json()).toEqual({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items: [
        {
          metadata: { name: group, creationTimestamp: null },
          versions: [
            {
              version: 'v1beta1',
              freshness: 'Current',
              resources: resourceNames.map((resource) => ({
                resource,
                responseKind: { group, version: 'v1beta1', kind: 'ExternalMetricValueList' },
                scope: 'Namespaced',
                singularResource: '',
                verbs: ['get'],
              })),
            },
          ],
        },
      ],
    });
    expect(answer.headers).toMatchObject({
      'content-type': aggregatedType,
      vary: 'Accept',
      'cache-control': 'public',
      etag: expect.stringMatching(/^"[0-9A-F]{128}"$/),
    });
  });
  test('304 is for the very ETag of the document, and for nothing else', async () => {
    const { headers } = await get('/apis', { accept: aggregatedType });
    const etag = String(headers.etag);
    const same = await get('/apis', { accept: aggregatedType, 'if-none-match': etag });
    expect([same.statusCode, same.body, same.headers.etag]).toEqual([304, '', etag]);
    for (const other of ['"x"', '*', etag.toLowerCase(), `W/${etag}`, etag.slice(1, -1)]) {
      expect((await get('/apis', { accept: aggregatedType, 'if-none-match': other })).statusCode).toBe(200);
    }
  });
  test('an aggregator that knows only v2beta1 is sent to its fallback', async () => {
    const answer = await get('/apis', { accept: aggregatedType.replace('v=v2', 'v=v2beta1') });
    expect(answer.statusCode).toBe(406);
  });
  test('the group is a parameter, and there may be several', async () => {
    const both = [group, 'metrics.headstart.dev'];
    const { app: two } = setUp({ groups: both });
    const list = await two.inject({ url: '/apis', headers: { accept: aggregatedType } });
    const items = list.json<{ items: { metadata: { name: string } }[] }>().items;
    expect(items.map(({ metadata }) => metadata.name)).toEqual(both);
    const metric = await two.inject(
      '/apis/metrics.headstart.dev/v1beta1/namespaces/shop/predicted_demand?labelSelector=forecast%3Dweb',
    );
    expect(metric.json()).toMatchObject({ apiVersion: 'metrics.headstart.dev/v1beta1' });
    const index = (await two.inject('/openapi/v3')).json<{ paths: Record<string, unknown> }>();
    expect(Object.keys(index.paths)).toEqual(both.map((name) => `apis/${name}/v1beta1`));
  });
  test('/version', async () => {
    expect((await get('/version')).json()).toMatchObject({ major: '0', minor: '1', gitVersion: 'v0.1.0' });
  });
});

describe('OpenAPI', () => {
  test('v2 is as it was, with an ETag', async () => {
    const answer = await get('/openapi/v2', { accept: 'application/json' });
    await expect(JSON.stringify(answer.json(), null, 2)).toMatchFileSnapshot('golden/openapi-v2.json');
    const again = await get('/openapi/v2', { 'if-none-match': String(answer.headers.etag) });
    expect([again.statusCode, again.body]).toEqual([304, '']);
  });
  test('v3 names a document that is as it was, and may be kept forever under its hash', async () => {
    const index = await get('/openapi/v3');
    const { paths } = index.json<{ paths: Record<string, { serverRelativeURL: string }> }>();
    expect(Object.keys(paths)).toEqual([`apis/${group}/v1beta1`]);
    const url = paths[`apis/${group}/v1beta1`]?.serverRelativeURL ?? '';
    expect(url).toMatch(/^\/openapi\/v3\/apis\/external\.metrics\.k8s\.io\/v1beta1\?hash=[0-9A-F]{128}$/);
    const leaf = await get(url);
    await expect(JSON.stringify(leaf.json(), null, 2)).toMatchFileSnapshot('golden/openapi-v3.json');
    expect(leaf.headers).toMatchObject({
      etag: `"${url.split('=')[1]}"`,
      'cache-control': 'public, immutable',
      expires: 'Wed, 01 Sep 2027 12:00:30 GMT',
    });
    const other = await get('/openapi/v3/apis/external.metrics.k8s.io/v1beta1?hash=OLD');
    expect(other.body).toBe(leaf.body);
    expect(other.headers).not.toHaveProperty('expires');
  });
  test('describes every metric, and every reference leads somewhere', async () => {
    for (const url of ['/openapi/v2', '/openapi/v3/apis/external.metrics.k8s.io/v1beta1']) {
      const document = (await get(url)).json<{ paths: Record<string, unknown> }>();
      expect(Object.keys(document.paths)).toEqual(
        resourceNames.map((name) => `${root}/namespaces/{namespace}/${name}`),
      );
      const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)];
      expect(references.length).toBeGreaterThan(3);
      for (const [, path = ''] of references) {
        const target = path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], document);
        expect(target).toMatchObject({ type: 'object' });
      }
    }
  });
  test('is not there in protobuf', async () => {
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    expect((await get('/openapi/v2', { accept })).statusCode).toBe(406);
  });
});

describe('a metric', () => {
  test('has one item, in integer milli', async () => {
    const answer = await get(`${shop}/predicted_demand?labelSelector=forecast%3Dweb`, {
      accept: 'application/vnd.kubernetes.protobuf, */*',
    });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-cache, private',
    });
    expect(answer.body).toBe(
      JSON.stringify({
        kind: 'ExternalMetricValueList',
        apiVersion: 'external.metrics.k8s.io/v1beta1',
        metadata: {},
        items: [
          {
            metricName: 'predicted_demand',
            metricLabels: { forecast: 'web' },
            timestamp: '2026-09-01T12:00:00Z',
            window: 60,
            value: '1250500m',
          },
        ],
      }),
    );
  });
  test('that is an observation has no window', async () => {
    const answer = await get(`${shop}/observed_demand?labelSelector=forecast%3Dapi`);
    expect(answer.json<{ items: unknown[] }>().items).toEqual([
      {
        metricName: 'observed_demand',
        metricLabels: { forecast: 'api' },
        timestamp: '2026-09-01T12:00:20Z',
        value: '12500m',
      },
    ]);
  });
  test.each([
    ['labelSelector=forecast+in+%28web%29'],
    ['labelSelector=%20forecast%20%3D%3D%20web'],
    ['fieldSelector=a%3Db&labelSelector=forecast%3Dweb&limit=500&continue=x&resourceVersion=0&timeoutSeconds=5'],
    ['allowWatchBookmarks=true&labelSelector=forecast%3Dweb&pretty=true&watch=false'],
  ])('is found with ?%s', async (query) => {
    const answer = await get(`${shop}/predicted_demand?${query}`);
    expect(answer.json()).toMatchObject({ items: [{ value: '1250500m' }] });
  });
  test('is given to kubectl get as JSON', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    expect((await get(`${shop}/predicted_demand?labelSelector=forecast%3Dweb`, { accept })).statusCode).toBe(200);
  });
  test('is counted with its rung', async () => {
    const { app: counted, seen } = setUp();
    for (const name of ['web', 'api', 'old']) {
      await counted.inject(`${shop}/predicted_demand?labelSelector=forecast%3D${name}`);
    }
    expect(seen.map(({ metric, rung }) => `${metric} ${rung}`)).toEqual([
      'predicted_demand Forecast',
      'predicted_demand ObservedOnly',
      'predicted_demand Nothing',
    ]);
  });
});

describe('refusals', () => {
  test.each([
    [
      'no selector',
      `${shop}/predicted_demand`,
      400,
      /^labelSelector: got none for predicted_demand in namespace shop, want forecast=<name of a DemandForecast>$/,
    ],
    ['an empty selector', `${shop}/predicted_demand?labelSelector=`, 400, /^labelSelector: got none/],
    ['a selector of white space', `${shop}/predicted_demand?labelSelector=%20`, 400, /^labelSelector: got none/],
    [
      'a broken selector',
      `${shop}/predicted_demand?labelSelector=forecast%3D%3D%3Dweb`,
      400,
      /^labelSelector, character 11: got "=", want a value/,
    ],
    [
      'two selectors',
      `${shop}/predicted_demand?labelSelector=a&labelSelector=b`,
      400,
      'labelSelector: got several, want one',
    ],
    [
      'a selector that matches several',
      `${shop}/predicted_demand?labelSelector=forecast`,
      400,
      'labelSelector: forecast matches 3 DemandForecasts in namespace shop (api, old, web), want one: forecast=<name>',
    ],
    [
      'a selector that matches none',
      `${shop}/predicted_demand?labelSelector=forecast%3Dgone`,
      404,
      'predicted_demand: no DemandForecast in namespace shop matches forecast=gone',
    ],
    ['another label', `${shop}/predicted_demand?labelSelector=app%3Dweb`, 404, /matches app=web$/],
    [
      'another namespace',
      `${root}/namespaces/other/predicted_demand?labelSelector=forecast%3Dweb`,
      404,
      /in namespace other/,
    ],
    [
      'a forecast that is out of date',
      `${shop}/predicted_demand?labelSelector=forecast%3Dold`,
      404,
      'predicted_demand for shop/old: demand observed 1h ago (staleAfter 3m), forecast issued 31s ago without a value for now',
    ],
    [
      'an unknown metric',
      `${shop}/s0-cron?labelSelector=x`,
      404,
      'the server could not find the metric s0-cron for namespace shop; metrics are predicted_demand, observed_demand, forecast_demand',
    ],
    [
      'a very long metric name',
      `${shop}/${'x'.repeat(3000)}`,
      404,
      /^the server could not find the metric x{117}… for namespace shop/,
    ],
    [
      'an upper-case metric name',
      `${shop}/Predicted_Demand?labelSelector=forecast%3Dweb`,
      404,
      /could not find the metric Predicted_Demand/,
    ],
    ['a watch', `${shop}/predicted_demand?labelSelector=forecast%3Dweb&watch=true`, 405, /^watch is not supported/],
    // The path table of custom-metrics-apiserver (pkg/apiserver/installer/apiserver_test.go).
    [
      'a metric without a namespace',
      `${root}/predicted_demand`,
      404,
      'the server could not find the requested resource',
    ],
    ['a namespace without a metric', `${shop}`, 404, 'the server could not find the requested resource'],
    ['a trailing segment', `${shop}/predicted_demand/web`, 404, 'the server could not find the requested resource'],
    [
      'two trailing segments',
      `${shop}/predicted_demand/web/more`,
      404,
      'the server could not find the requested resource',
    ],
    ['limit', `${shop}/predicted_demand?limit=many`, 400, 'limit: got "many", want an integer'],
    [
      'timeoutSeconds',
      `${shop}/predicted_demand?timeoutSeconds=soon`,
      400,
      'timeoutSeconds: got "soon", want an integer',
    ],
    [
      'an encoded slash',
      `${shop.replace('shop', 'a%2Fshop')}/predicted_demand`,
      404,
      'the server could not find the requested resource',
    ],
    ['namespaces alone', `${root}/namespaces`, 404, 'the server could not find the requested resource'],
    [
      'another version',
      `/apis/${group}/v1/namespaces/shop/predicted_demand`,
      404,
      'the server could not find the requested resource',
    ],
    ['another group', '/apis/custom.metrics.k8s.io/v1beta1', 404, 'the server could not find the requested resource'],
    [
      'an unknown OpenAPI document',
      '/openapi/v3/apis/apps/v1',
      404,
      'the server could not find the requested resource',
    ],
    ['an unknown path', '/nothing', 404, 'the server could not find the requested resource'],
  ])('%s', async (_what, url, code, message) => {
    const answer = await get(url);
    const reason = { 400: 'BadRequest', 404: 'NotFound', 405: 'MethodNotAllowed' }[code] ?? '';
    const { details: _, ...body } = answer.json<{ message: string; details?: unknown }>();
    expect(body).toEqual(status(code, reason, body.message));
    expect(typeof message === 'string' ? body.message === message : message.test(body.message)).toBe(true);
    expect(answer.statusCode).toBe(code);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    expect(answer.headers).not.toHaveProperty('retry-after');
  });
  test.each([
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
  ] as const)('%s', async (method) => {
    for (const url of [`${shop}/predicted_demand`, root, '/apis', '/openapi/v2', '/version']) {
      const answer = await app.inject({ method, url, ...(method === 'POST' ? { payload: { a: 1 } } : {}) });
      expect([url, answer.statusCode, answer.headers.allow]).toEqual([url, 405, 'GET']);
    }
    const { body } = await app.inject({ method, url: root });
    expect(method === 'HEAD' ? '' : body).toBe(
      method === 'HEAD'
        ? ''
        : JSON.stringify(status(405, 'MethodNotAllowed', `${method} is not supported here, only GET is`, {})),
    );
  });
  test.each([
    ['application/vnd.kubernetes.protobuf', {}],
    ['text/html', {}],
    ['application/json;q=0', {}],
    ['application/json;as=Table;v=v1;g=meta.k8s.io', undefined],
  ])('Accept: %s', async (accept, details) => {
    for (const url of [
      `${shop}/predicted_demand?labelSelector=forecast%3Dweb`,
      root,
      '/apis',
      '/openapi/v3',
      '/version',
    ]) {
      const answer = await get(url, { accept });
      expect(answer.json()).toEqual(
        status(406, 'NotAcceptable', 'only the following media types are accepted: application/json', details),
      );
    }
  });
  test('before the cache is filled nothing is answered, but discovery', async () => {
    const { app: early } = setUp({ hasSynced: false });
    const answer = await early.inject(`${shop}/predicted_demand?labelSelector=forecast%3Dweb`);
    expect(answer.json()).toEqual(
      status(503, 'ServiceUnavailable', 'DemandForecasts have not been read from the apiserver yet'),
    );
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect((await early.inject(root)).statusCode).toBe(200);
  });
});

describe('access', () => {
  const urls = [
    '/apis',
    `/apis/${group}`,
    root,
    `${shop}/predicted_demand`,
    '/openapi/v2',
    '/openapi/v3',
    '/version',
    '/apis/nothing',
    '/nothing',
    '/',
  ];
  test.each(urls)('%s is for nobody unknown', async (url) => {
    const { app: closed } = setUp({ user: undefined });
    const answer = await closed.inject(url);
    expect(answer.json()).toEqual(status(401, 'Unauthorized', 'Unauthorized'));
    expect(answer.statusCode).toBe(401);
  });
  test.each(urls)('%s is for nobody without the right', async (url) => {
    const { app: closed } = setUp({ refuse: () => new StatusError('Forbidden', 'forbidden: no') });
    for (const method of ['GET', 'POST'] as const) {
      const answer = await closed.inject({ method, url });
      expect(answer.json()).toEqual(status(403, 'Forbidden', 'forbidden: no'));
    }
  });
  test('nobody can tell who may: 500', async () => {
    const { app: broken } = setUp({ refuse: () => new StatusError('InternalError', 'Internal error occurred: no') });
    expect((await broken.inject(root)).json()).toEqual(status(500, 'InternalError', 'Internal error occurred: no'));
  });
  test('the probes are for anybody', async () => {
    const { app: closed, asked } = setUp({ user: undefined });
    for (const url of ['/livez', '/readyz', '/healthz']) expect((await closed.inject(url)).statusCode).toBe(200);
    expect(asked).toEqual([]);
  });
  test('a metric is asked for as list on it, in its namespace', async () => {
    const { app: watched, asked } = setUp();
    await watched.inject(`${shop}/predicted_demand?labelSelector=forecast%3Dweb`);
    expect(asked).toEqual([
      { kind: 'resource', verb: 'list', group, version: 'v1beta1', namespace: 'shop', resource: 'predicted_demand' },
    ]);
  });
});
