// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import { startControlPlane } from '../testing/control-plane.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { clientIdentity, startMetricsRole } from '../testing/metrics-server.ts';
import type { ClientIdentity, MetricsServer } from '../testing/metrics-server.ts';
import { createProcessGroup, waitUntil } from '../testing/process.ts';
import type { ProcessGroup } from '../testing/process.ts';
import { installReferenceAdapter, referenceMetric } from '../testing/reference-adapter.ts';

let cluster: ControlPlane;
let group: ProcessGroup;
let headstart: MetricsServer;
let reference: MetricsServer;
const identities = new Map<string, { readonly client?: ClientIdentity; readonly headers: OutgoingHttpHeaders }>();

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1 });
  group = await createProcessGroup('conformance');
  headstart = await startMetricsRole(cluster, group);
  reference = await (await installReferenceAdapter(cluster)).start(group);
  await prepareIdentities();
  await prepareForecast();
}, 900_000);

afterAll(async () => {
  await group?.stop();
  await cluster?.stop();
});

async function prepareIdentities(): Promise<void> {
  const proxy = await clientIdentity(cluster, 'front-proxy-client');
  const stranger = await clientIdentity(cluster, 'front-proxy-stranger');
  const serving = await clientIdentity(cluster, 'front-proxy-serving');
  const clusterProxy = await clientIdentity(cluster, 'cluster-proxy');
  const foreign = await (await createAuthority('foreign')).issue({ commonName: 'front-proxy-client', usage: 'client' });
  const admin = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' };
  const account = 'system:serviceaccount:kube-system:horizontal-pod-autoscaler';
  const accountGroups = ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'];
  identities.set('admin', { client: proxy, headers: admin });
  identities.set('the HPA', { client: proxy, headers: { 'x-remote-user': account, 'x-remote-group': accountGroups } });
  identities.set('the aggregator', { client: proxy, headers: { 'x-remote-user': 'system:aggregator' } });
  const jane = { 'x-remote-user': 'jane', 'x-remote-group': 'system:authenticated' };
  identities.set('jane', { client: proxy, headers: jane });
  identities.set('a front proxy that names nobody', { client: proxy, headers: {} });
  identities.set('a front proxy of another name', { client: stranger, headers: admin });
  identities.set('a serving certificate of the front proxies', { client: serving, headers: admin });
  identities.set('a front proxy by the cluster authority', { client: clusterProxy, headers: admin });
  identities.set('a front proxy by a foreign authority', {
    client: { cert: foreign.certPem, key: foreign.keyPem },
    headers: admin,
  });
  identities.set('headers alone', { headers: admin });
  identities.set('nobody', { headers: {} });
  identities.set('a made-up token', { headers: { authorization: 'Bearer made-up' } });
  const token = async (namespace: string, name: string): Promise<OutgoingHttpHeaders> => ({
    authorization: `Bearer ${await cluster.serviceAccountToken(namespace, name)}`,
  });
  identities.set('a token of the HPA', { headers: await token('kube-system', 'horizontal-pod-autoscaler') });
  identities.set('a token without rights', { headers: await token('default', 'default') });
}

/** One DemandForecast with a value, the counterpart of the reference's metric. */
async function prepareForecast(): Promise<void> {
  const forecast = {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      source: { prometheus: { query: 'up' } },
      capacityPerReplica: '50',
      staleAfter: '1h',
    },
  };
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(forecast));
  const patch = JSON.stringify({ status: { observed: { value: '42', time: new Date().toISOString() } } });
  await cluster.kubectlOk(['patch', 'df', 'web', '--subresource=status', '--type=merge', '-p', patch]);
  const isServed = async (): Promise<boolean> => (await exchange(headstart, { path: metric })).code === 200;
  await waitUntil('the forecast is served', isServed, { timeoutMs: 10_000 });
}

/** A request; METRIC, KEY and VALUE stand for what each server has. */
interface Case {
  readonly path: string;
  readonly method?: string;
  readonly as?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

interface Answer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const words = new Map<string, typeof referenceMetric>([
  ['headstart', { metric: 'predicted_demand', label: 'forecast', value: 'web' }],
  ['reference-adapter', referenceMetric],
]);

async function exchange(server: MetricsServer, wanted: Case): Promise<Answer> {
  const { metric: name = '', label = '', value = '' } = words.get(server.name) ?? {};
  const fill = (text: string): string => text.replace('METRIC', name).replaceAll('KEY', label).replace('VALUE', value);
  const identity = identities.get(wanted.as ?? 'admin');
  if (identity === undefined) throw new Error(`no identity ${wanted.as}`);
  return await new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: '127.0.0.1',
        port: server.port,
        path: fill(wanted.path),
        method: wanted.method ?? 'GET',
        servername: server.serverName,
        ca: server.caPem,
        ...identity.client,
        headers: { ...identity.headers, ...wanted.headers },
        agent: false,
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ code: response.statusCode ?? 0, headers: response.headers, body }));
      },
    );
    outgoing.on('error', reject).end(wanted.body);
  });
}

const groupPath = '/apis/external.metrics.k8s.io';
const version = `${groupPath}/v1beta1`;
const metric = `${version}/namespaces/default/METRIC?labelSelector=KEY%3DVALUE`;
const bare = `${version}/namespaces/default/METRIC`;
const aggregatedV2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const aggregatedBeta = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

const cases: Record<string, Case> = {
  // Discovery
  'the index of paths': { path: '/' },
  '/api': { path: '/api' },
  'the groups': { path: '/apis' },
  'the groups, with a slash': { path: '/apis/' },
  'the groups as the aggregator asks': { path: '/apis', headers: { accept: `${aggregatedV2},${aggregatedBeta}` } },
  'the groups in the beta form alone': { path: '/apis', headers: { accept: aggregatedBeta } },
  'the groups as kubectl asks': {
    path: '/apis',
    headers: { accept: `${aggregatedV2},${aggregatedBeta},application/json` },
  },
  'the group': { path: groupPath },
  'the group, with a slash': { path: `${groupPath}/` },
  'the resources': { path: version },
  'the resources, with a slash': { path: `${version}/` },
  'the resources as the aggregator': { path: version, as: 'the aggregator' },
  'a version that is not': { path: `${groupPath}/v2` },
  'a group that is not': { path: '/apis/other.k8s.io' },
  'a resource of a group that is not': { path: '/apis/other.k8s.io/v1/namespaces/default/things' },
  'a path that is not': { path: '/nope' },
  // Documents
  'OpenAPI v2': { path: '/openapi/v2', as: 'the aggregator', headers: { accept: 'application/json' } },
  'OpenAPI v3, the index': { path: '/openapi/v3', as: 'the aggregator' },
  'OpenAPI v3, the group': { path: `/openapi/v3${version}`, as: 'the aggregator' },
  'OpenAPI v3, an old hash': { path: `/openapi/v3${version}?hash=OLD`, as: 'the aggregator' },
  'OpenAPI v3, a group that is not': { path: '/openapi/v3/apis/other.k8s.io/v1' },
  'the version': { path: '/version' },
  // Probes and metrics
  '/healthz': { path: '/healthz', as: 'nobody' },
  '/livez': { path: '/livez', as: 'nobody' },
  '/readyz': { path: '/readyz', as: 'nobody' },
  'POST to /healthz': { path: '/healthz', method: 'POST' },
  '/metrics': { path: '/metrics' },
  // The metric
  'the metric': { path: metric },
  'the metric as the HPA': {
    path: metric,
    as: 'the HPA',
    headers: { accept: 'application/vnd.kubernetes.protobuf, */*' },
  },
  'the metric, with a slash': { path: `${version}/namespaces/default/METRIC/?labelSelector=KEY%3DVALUE` },
  'the metric without a selector': { path: bare },
  'the metric with an empty selector': { path: `${bare}?labelSelector=` },
  'the metric for a selector that nothing meets': { path: `${bare}?labelSelector=KEY%3Dgone` },
  'a metric that is not': { path: `${version}/namespaces/default/other?labelSelector=KEY%3DVALUE` },
  'a metric without a namespace': { path: `${version}/METRIC` },
  'a namespace without a metric': { path: `${version}/namespaces/default` },
  'namespaces alone': { path: `${version}/namespaces` },
  'a name after the metric': { path: `${bare}/name` },
  'two names after the metric': { path: `${bare}/name/status` },
  'an empty namespace': { path: `${version}/namespaces//METRIC?labelSelector=KEY%3DVALUE` },
  'slashes that repeat': { path: `/${metric}` },
  'dots in the path': { path: `${version}/../v1beta1/namespaces/default/METRIC?labelSelector=KEY%3DVALUE` },
  'a path that is not percent-encoded as it should be': { path: `${version}/namespaces/default/%zz` },
  'a percent-encoded metric': {
    path: `${version}/namespaces/default/%6D${'METRIC'}?labelSelector=KEY%3DVALUE`,
  },
  'the metric named status': { path: `${version}/namespaces/default/status` },
  'the old form of a watch': { path: `${version}/watch/namespaces/default/METRIC?labelSelector=KEY%3DVALUE` },
  // Selectors
  ...Object.fromEntries(
    [
      'KEY==VALUE',
      'KEY in (VALUE)',
      'KEY in (VALUE,other)',
      'KEY notin (other),KEY=VALUE',
      'KEY!=other,KEY=VALUE',
      'KEY,KEY=VALUE',
      '!other,KEY=VALUE',
      ' KEY = VALUE ',
      'KEY',
      'other',
      '!KEY',
      'KEY=',
      'KEY in ()',
      'KEY>1',
      'KEY=VALUE,KEY=other',
      // Refused
      'KEY===VALUE',
      'KEY=VALUE,',
      ',',
      '=VALUE',
      'KEY in VALUE',
      'KEY in (VALUE',
      'KEY>a',
      'KEY=a b',
      '-KEY=VALUE',
      `KEY=${'v'.repeat(64)}`,
      'pre/fix/KEY=VALUE',
    ].map((selector) => [
      `selector ${selector.length > 60 ? 'with a value of 64 characters' : JSON.stringify(selector)}`,
      { path: `${bare}?labelSelector=${encodeURIComponent(selector)}` },
    ]),
  ),
  'two selectors': { path: `${bare}?labelSelector=KEY%3DVALUE&labelSelector=KEY%3Dgone` },
  // Other parameters of a list
  'watch=true': { path: `${metric}&watch=true` },
  'watch=1': { path: `${metric}&watch=1` },
  'watch=false': { path: `${metric}&watch=false` },
  'watch without a value': { path: `${metric}&watch` },
  'watch=maybe': { path: `${metric}&watch=maybe` },
  'limit=1': { path: `${metric}&limit=1` },
  'limit=many': { path: `${metric}&limit=many` },
  'timeoutSeconds=soon': { path: `${metric}&timeoutSeconds=soon` },
  'resourceVersion=0': { path: `${metric}&resourceVersion=0` },
  'a field selector': { path: `${metric}&fieldSelector=metadata.name%3Dx` },
  'a field selector that is none': { path: `${metric}&fieldSelector=%3D%3D%3D` },
  'pretty=true': { path: `${metric}&pretty=true` },
  'a parameter that is not': { path: `${metric}&colour=red` },
  // Content negotiation
  ...Object.fromEntries(
    [
      'application/json',
      'application/*',
      '*/*',
      'application/json;charset=utf-8',
      'application/json;q=0.5,text/html',
      'text/html',
      'text/html, */*;q=0.1',
      'nonsense',
      '',
      table,
      `${table},application/json`,
      'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json',
      'application/yaml',
      'application/vnd.kubernetes.protobuf',
      'application/cbor',
      'application/json;stream=watch',
    ].map((accept) => [`Accept: ${accept}`, { path: metric, headers: { accept } }]),
  ),
  'Accept: text/html for the resources': { path: version, headers: { accept: 'text/html' } },
  'Accept: application/yaml for the resources': { path: version, headers: { accept: 'application/yaml' } },
  'Accept: protobuf for the resources': { path: version, headers: { accept: 'application/vnd.kubernetes.protobuf' } },
  'Accept: protobuf for OpenAPI v2': {
    path: '/openapi/v2',
    headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
  },
  'Accept: text/html for the version': { path: '/version', headers: { accept: 'text/html' } },
  // Methods
  ...Object.fromEntries(
    ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'].flatMap((method) => [
      [`${method} of the metric`, { path: metric, method }],
      [`${method} of the resources`, { path: version, method }],
    ]),
  ),
  'POST of the groups': { path: '/apis', method: 'POST' },
  'POST of the version': { path: '/version', method: 'POST' },
  'POST of OpenAPI v2': { path: '/openapi/v2', method: 'POST' },
  'POST of a path that is not': { path: '/nope', method: 'POST' },
  'PROPFIND of a path that is not': { path: '/nope', method: 'PROPFIND' },
  'POST with a body': {
    path: metric,
    method: 'POST',
    body: '{"kind":',
    headers: { 'content-type': 'application/json' },
  },
  'GET with a body': {
    path: metric,
    body: '{"kind":',
    headers: { 'content-type': 'application/json', 'content-length': '8' },
  },
  // Who is who
  ...Object.fromEntries(
    [
      'a front proxy that names nobody',
      'a front proxy of another name',
      'a serving certificate of the front proxies',
      'a front proxy by the cluster authority',
      'a front proxy by a foreign authority',
      'headers alone',
      'nobody',
      'a made-up token',
      'a token of the HPA',
      'a token without rights',
      'jane',
    ].flatMap((as) => [
      [`${as}: the metric`, { path: metric, as }],
      [`${as}: the resources`, { path: version, as }],
    ]),
  ),
  'nobody: a path that is not': { path: '/nope', as: 'nobody' },
  'nobody: a group that is not': { path: '/apis/other.k8s.io', as: 'nobody' },
  'nobody: the version': { path: '/version', as: 'nobody' },
  'jane: a path that is not': { path: '/nope', as: 'jane' },
  'jane: POST of the metric': { path: metric, method: 'POST', as: 'jane' },
  'jane: a selector that is none': { path: `${bare}?labelSelector=%3D%3D`, as: 'jane' },
  'jane: watch': { path: `${metric}&watch=true`, as: 'jane' },
};
/** Words that are compared as they stand; of other texts and numbers only the kind is. */
const literal = [
  'kind',
  'apiVersion',
  'status',
  'reason',
  'code',
  'groupVersion',
  'namespaced',
  'scope',
  'freshness',
  'swagger',
];

/** A document with its values taken out; a list is the different shapes in it. */
function shape(value: unknown, key = '', within = ''): string {
  if (Array.isArray(value))
    return `[${[...new Set(value.map((item) => shape(item, key, within)))].toSorted().join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    // Named by what they describe, not by what they are.
    if (['metricLabels', 'paths', 'definitions', 'components'].includes(key)) return 'an object';
    const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([name, item]) => `${name}: ${shape(item, name, key)}`).join(', ')}}`;
  }
  if (key === 'kind' && within === 'details') return typeof value;
  return literal.includes(key) ? JSON.stringify(value) : typeof value;
}

function bodyShape({ body, headers }: Answer): string {
  if (body === '') return 'nothing';
  if (headers['content-type']?.startsWith('application/json') !== true)
    return `text ${JSON.stringify(body.slice(0, 80))}`;
  return shape(JSON.parse(body) as unknown);
}

/** Of these only the presence is compared. */
const opaque = ['audit-id', 'etag', 'expires', 'last-modified', 'location', 'process-start-time-unix'];
/** Not compared: they belong to the connection, or follow from the body. */
const ignored = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'];

/** What of an answer is compared, by aspect. */
function aspects(answer: Answer): ReadonlyMap<string, string> {
  const headers = Object.entries(answer.headers).filter(([name]) => !ignored.includes(name));
  return new Map([
    ['code', String(answer.code)],
    ['body', bodyShape(answer)],
    ...headers.map(([name, value]) => [name, opaque.includes(name) ? 'given' : String(value)] as const),
  ]);
}

/** What differs, for which cases, and how; a body that differs is only said to. */
interface Row {
  readonly cases: readonly string[];
  /** Headstart's and the reference's. */
  readonly code?: readonly [number, number];
  readonly body?: true;
  readonly headers?: Readonly<Record<string, readonly [string | undefined, string | undefined]>>;
}

const methods = ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const protobuf = 'application/vnd.kubernetes.protobuf';
const json = 'application/json';
const ranges = { 'accept-ranges': [undefined, 'bytes'], 'last-modified': [undefined, 'given'] } as const;
const encodings = 'Accept-Encoding, Accept';

/** Every difference that there is, by its reason; docs/reference/external-metrics-api.md lists the same reasons. */
const differences: Readonly<Record<string, readonly Row[]>> = {
  'An unknown path is a Status that says so, not a list of the known paths.': [
    {
      cases: [
        '/api',
        'a group that is not',
        'a resource of a group that is not',
        'a path that is not',
        'slashes that repeat',
        'POST of a path that is not',
        'PROPFIND of a path that is not',
      ],
      body: true,
    },
  ],
  'The list of groups names its apiVersion, gives no server addresses (nothing reads them), and varies by Accept in either form.':
    [
      { cases: ['the groups', 'the groups, with a slash'], body: true, headers: { vary: ['Accept', undefined] } },
      { cases: ['the groups in the beta form alone'], headers: { vary: ['Accept', undefined] } },
    ],
  'Aggregated discovery has the group in it; the library answers with an empty list.': [
    { cases: ['the groups as the aggregator asks', 'the groups as kubectl asks'], body: true },
  ],
  'OpenAPI documents describe the metrics alone, in JSON, uncompressed and whole: the aggregator asks for nothing else.':
    [
      { cases: ['OpenAPI v2'], body: true, headers: { ...ranges, vary: ['Accept', encodings] } },
      { cases: ['OpenAPI v3, the index', 'OpenAPI v3, the group'], headers: ranges },
      {
        cases: ['Accept: protobuf for OpenAPI v2'],
        code: [406, 200],
        body: true,
        headers: {
          ...ranges,
          etag: [undefined, 'given'],
          vary: ['Accept', encodings],
          'content-type': [json, 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'],
        },
      },
    ],
  'An old hash of an OpenAPI document gets the document of now: the aggregator does not follow redirects.': [
    { cases: ['OpenAPI v3, an old hash'], code: [200, 301], body: true, headers: { location: [undefined, 'given'] } },
  ],
  'An OpenAPI document that is not there is a 404, not an empty 200.': [
    {
      cases: ['OpenAPI v3, a group that is not'],
      code: [404, 200],
      body: true,
      headers: { 'content-type': [json, undefined] },
    },
  ],
  'The version is the product’s own: no Go, and nothing emulated.': [{ cases: ['the version'], body: true }],
  '/metrics is on the operations port, where Prometheus needs no client certificate.': [
    {
      cases: ['/metrics'],
      code: [404, 200],
      body: true,
      headers: {
        'content-type': [json, 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores'],
        'process-start-time-unix': [undefined, 'given'],
      },
    },
  ],
  'Answers are JSON. Who takes anything, as the HPA controller does, gets JSON; who takes protobuf or YAML alone gets a 406.':
    [
      { cases: ['the metric as the HPA'], body: true, headers: { 'content-type': [json, protobuf] } },
      ...[`Accept: ${protobuf}`, 'Accept: protobuf for the resources'].map((name) => ({
        cases: [name],
        code: [406, 200] as const,
        body: true as const,
        headers: { 'content-type': [json, protobuf] as const },
      })),
      {
        cases: ['Accept: application/yaml', 'Accept: application/yaml for the resources'],
        code: [406, 200],
        body: true,
        headers: { 'content-type': [json, 'application/yaml'] },
      },
    ],
  'application/* takes JSON, as RFC 9110 has it.': [{ cases: ['Accept: application/*'], code: [200, 406], body: true }],
  'A list of metadata is not to be had, so that the next choice in Accept counts; the library answers 500.': [
    {
      cases: [`Accept: ${json};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,${json}`],
      code: [200, 500],
      body: true,
    },
  ],
  'A metric without a selector is refused: the HPA adds up all that it gets, so that the second DemandForecast of a namespace would break the HPA of the first.':
    [{ cases: ['the metric without a selector', 'the metric with an empty selector'], code: [400, 200], body: true }],
  'Several labelSelector parameters are refused; the library takes the first.': [
    { cases: ['two selectors'], code: [400, 200], body: true },
  ],
  'Nothing to publish is a 404 whose message says why, and HPAs show it; an empty list, which the HPA takes for an error too, says nothing.':
    [
      {
        cases: [
          'the metric for a selector that nothing meets',
          'a metric that is not',
          'a percent-encoded metric',
          'the metric named status',
          ...['other', '!KEY', 'KEY=', 'KEY in ()', 'KEY>1', 'KEY=VALUE,KEY=other'].map(
            (selector) => `selector ${JSON.stringify(selector)}`,
          ),
        ],
        code: [404, 200],
        body: true,
      },
    ],
  'A metric is of a namespace, which is a tenant; an empty one is not all of them.': [
    { cases: ['an empty namespace'], code: [404, 200], body: true },
  ],
  'A path that cannot be decoded is refused with a Status.': [
    {
      cases: ['a path that is not percent-encoded as it should be'],
      body: true,
      headers: {
        'content-type': [json, 'text/plain; charset=utf-8'],
        'cache-control': ['no-cache, private', undefined],
      },
    },
  ],
  'fieldSelector is not read: there is no field to select by.': [
    { cases: ['a field selector that is none'], code: [200, 400], body: true },
  ],
  'A 405 names the allowed methods in Allow, as RFC 9110 asks, and OpenAPI documents take GET alone.': [
    {
      cases: [
        ...methods.flatMap((method) => [`${method} of the metric`, `${method} of the resources`]),
        'POST of the groups',
        'POST of the version',
        'POST with a body',
      ],
      headers: { allow: ['GET', undefined] },
    },
    {
      cases: ['POST of OpenAPI v2'],
      code: [405, 200],
      body: true,
      headers: {
        ...ranges,
        allow: ['GET', undefined],
        etag: [undefined, 'given'],
        vary: [undefined, encodings],
      },
    },
  ],
  'Client certificates of the cluster’s own authority are not accepted: users come through the aggregator, and a second authority in the handshake could let one of its certificates pass for a front proxy.':
    [
      {
        cases: ['a front proxy by the cluster authority: the metric'],
        code: [401, 403],
        body: true,
        headers: { 'x-content-type-options': [undefined, 'nosniff'] },
      },
      { cases: ['a front proxy by the cluster authority: the resources'], code: [401, 200], body: true },
    ],
  'Who says nothing about who they are gets a 401 without a question to the apiserver; the library asks what system:anonymous may do, which is to read the version.':
    [
      {
        cases: [
          'headers alone: the metric',
          'headers alone: the resources',
          'nobody: the metric',
          'nobody: the resources',
          'nobody: a path that is not',
          'nobody: a group that is not',
        ],
        code: [401, 403],
        body: true,
        headers: { 'x-content-type-options': [undefined, 'nosniff'] },
      },
      { cases: ['nobody: the version'], code: [401, 200], body: true },
    ],
};

/** The differences that are listed for a case, one line an aspect. */
function listed(name: string): string[] {
  const lines = Object.values(differences)
    .flat()
    .filter(({ cases: names }) => names.includes(name))
    .flatMap(({ code, body, headers = {} }) => [
      ...(code === undefined ? [] : [`code: ${code[0]}, reference ${code[1]}`]),
      ...(body === undefined ? [] : ['body']),
      ...Object.entries(headers).map(([header, [ours, theirs]]) => `${header}: ${ours}, reference ${theirs}`),
    ]);
  return lines.toSorted();
}

function found(ours: ReadonlyMap<string, string>, theirs: ReadonlyMap<string, string>): string[] {
  return [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((aspect) => ours.get(aspect) !== theirs.get(aspect))
    .map((aspect) => (aspect === 'body' ? aspect : `${aspect}: ${ours.get(aspect)}, reference ${theirs.get(aspect)}`))
    .toSorted();
}

describe('compared with the Go library, for the same request', () => {
  test.each(Object.entries(cases))('%s', async (name, wanted) => {
    const [ours, theirs] = await Promise.all([exchange(headstart, wanted), exchange(reference, wanted)]);
    const difference = found(aspects(ours), aspects(theirs));
    expect(difference, `${bodyShape(ours)}\nreference ${bodyShape(theirs)}`).toEqual(listed(name));
  });
  test('the table of differences names cases that there are', () => {
    const names = Object.values(differences).flatMap((rows) => rows.flatMap((row) => row.cases));
    expect(names.filter((name) => !(name in cases))).toEqual([]);
  });
  test('no answer asks the HPA controller to wait', async () => {
    for (const wanted of Object.values(cases)) {
      expect((await exchange(headstart, wanted)).headers).not.toHaveProperty('retry-after');
    }
  });
  test('the reference page lists every difference with its reason', async () => {
    const page = await readFile(new URL('../../docs/reference/external-metrics-api.md', import.meta.url), 'utf8');
    const text = page.replaceAll(/\s+/g, ' ');
    expect(Object.keys(differences).filter((reason) => !text.includes(reason))).toEqual([]);
  });
});

describe('who may read the metric', () => {
  test.each([
    ['admin', 200],
    ['the HPA', 200],
    ['jane', 403],
    ['the aggregator', 403],
    ['a front proxy that names nobody', 401],
    ['a front proxy of another name', 401],
    ['a serving certificate of the front proxies', 401],
    ['a front proxy by the cluster authority', 401],
    ['a front proxy by a foreign authority', 401],
    ['headers alone', 401],
    ['nobody', 401],
    ['a made-up token', 401],
    ['a token of the HPA', 200],
    ['a token without rights', 403],
  ])('%s: %i', async (as, code) => {
    const answer = await exchange(headstart, { path: metric, as });
    expect(answer.code).toBe(code);
    const reason = { 401: 'Unauthorized', 403: 'Forbidden' }[code];
    expect((JSON.parse(answer.body) as { reason?: string }).reason).toBe(reason);
  });
});
