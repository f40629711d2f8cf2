// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DemandForecast } from '../src/api/v1alpha1/demand-forecast.ts';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

/** Values that must not be seen anywhere but in their Secrets and at their listener. */
const token = 'tkn-7f3a9c-of-blue';
const password = 'pwd-51be0d-of-blue';
const greenToken = 'tkn-e2d4b8-of-green';

interface Listener {
  readonly url: string;
  readonly hits: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[];
  readonly server: Server;
}

let stage: Stage;
let allowed: Listener;
let forbidden: Listener;

/** Answers as Prometheus would, and writes down who asked. */
async function listen(): Promise<Listener> {
  const hits: Listener['hits'] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      hits.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
      const values = [[Number(new URLSearchParams(body).get('end')), '42']];
      const data = { resultType: 'matrix', result: [{ metric: {}, values }] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ status: 'success', data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits, server };
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

function prometheusSecret(name: string, namespace: string, values: object, type = 'headstart.dev/prometheus'): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type, stringData: values };
}

/** What a tenant with the role `edit` does in its namespace. */
async function asTenant(namespace: string, object: unknown) {
  const user = `system:serviceaccount:${namespace}:tenant`;
  return await stage.controlPlane.kubectl(['apply', '-f', '-', '--as', user], JSON.stringify(object));
}

function forecast(name: string, prometheus: object, namespace = 'blue'): object {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      source: { prometheus },
      capacityPerReplica: '50',
    },
  };
}

/** Waits until Observed has the reason, and the value is there, which is written after it; gives the forecast. */
async function becomes(name: string, reason: string, namespace = 'blue'): Promise<DemandForecast> {
  let last = 'nothing';
  const probe = async (): Promise<DemandForecast | undefined> => {
    const found = await stage.forecast(name, namespace);
    const condition = found.status?.conditions?.find(({ type }) => type === 'Observed');
    last = `${condition?.reason}: ${condition?.message}`;
    const isWhole = reason !== 'DemandObserved' || found.status?.observed !== undefined;
    return condition?.reason === reason && isWhole ? found : undefined;
  };
  return await waitUntil(`${name} becomes ${reason}`, probe, { timeoutMs: 60_000, intervalMs: 500 }).catch(
    (cause: unknown) => {
      throw new Error(`${name} does not become ${reason}, it is ${last}`, { cause });
    },
  );
}

beforeAll(async () => {
  [allowed, forbidden] = await Promise.all([listen(), listen()]);
  stage = await setStage({
    // The label app is what this Prometheus tells tenants apart by.
    demand: { blue: () => 140, green: () => 70 },
    historySeconds: 3600,
    prometheusConfig: (url) =>
      JSON.stringify({
        servers: { tenants: { url, enforceNamespaceLabel: 'app' } },
        allowedUrls: [{ url: `${allowed.url}/prom` }],
      }),
  });
  const { kubectlOk } = stage.controlPlane;
  for (const namespace of ['blue', 'green']) {
    await kubectlOk(['create', 'namespace', namespace]);
    await kubectlOk(['create', 'serviceaccount', 'tenant', '-n', namespace]);
    const subject = `--serviceaccount=${namespace}:tenant`;
    await kubectlOk(['create', 'rolebinding', 'tenant', '-n', namespace, '--clusterrole=edit', subject]);
    const web = deployment('web');
    await stage.apply({ ...web, metadata: { name: 'web', namespace } });
  }
  // The Role is of the example; blue lets Headstart read these by name, green lets it read nothing.
  await stage.applyExample('own-prometheus.yaml', (object) => {
    object.metadata.namespace = 'blue';
    if (object.kind === 'Role') {
      const { rules } = object as unknown as { rules: { resourceNames: string[] }[] };
      rules[0]?.resourceNames.push('basic', 'opaque', 'elsewhere', 'of-green', 'silent');
    }
    if (object.kind === 'DemandForecast') object.metadata.name = 'example';
  });
  const url = `${allowed.url}/prom`;
  for (const secret of [
    prometheusSecret('prometheus', 'blue', { url, token }),
    prometheusSecret('basic', 'blue', { url, username: 'blue', password }),
    prometheusSecret('opaque', 'blue', { url, token }, 'Opaque'),
    prometheusSecret('elsewhere', 'blue', { url: forbidden.url, token }),
    prometheusSecret('silent', 'blue', { url: forbidden.url, token }),
    prometheusSecret('of-green', 'green', { url, token: greenToken }),
  ]) {
    const { namespace = '' } = (secret as { metadata: { namespace?: string } }).metadata;
    expect(await asTenant(namespace, secret)).toMatchObject({ code: 0 });
  }
});

afterAll(async () => {
  await stage?.stop();
  for (const { server } of [allowed, forbidden]) {
    server?.closeAllConnections();
    server?.close();
  }
});

const query = 'sum(rate(http_requests_total[1m]))';

describe('what is refused', () => {
  test.each<[string, string, () => object, string, RegExp, string?]>([
    ['a URL that is not allowed', 'url', () => ({ query, url: forbidden.url }), 'URLNotAllowed', /allow-list/],
    [
      'a URL beside the one allowed',
      'beside',
      () => ({ query, url: `${allowed.url}/promo` }),
      'URLNotAllowed',
      /allow/,
    ],
    ['a way out of it', 'dots', () => ({ query, url: `${allowed.url}/prom/../x` }), 'URLNotAllowed', /allow-list/],
    [
      'a Secret for a URL that is not allowed',
      'silent',
      () => ({ query, url: forbidden.url, secretRef: { name: 'silent' } }),
      'URLNotAllowed',
      /allow-list/,
    ],
    [
      'a Secret that names another URL',
      'elsewhere',
      () => ({ query, url: `${allowed.url}/prom`, secretRef: { name: 'elsewhere' } }),
      'SecretInvalid',
      /Secret elsewhere: its url does not name http:\/\/127/,
    ],
    [
      'a Secret for another URL on a named server',
      'named',
      () => ({ query, secretRef: { name: 'prometheus' } }),
      'SecretInvalid',
      /does not name/,
    ],
    [
      'a Secret of another type',
      'opaque',
      () => ({ query, url: `${allowed.url}/prom`, secretRef: { name: 'opaque' } }),
      'SecretInvalid',
      /its type is Opaque, want headstart.dev\/prometheus/,
    ],
    [
      'a Secret that only another namespace has',
      'foreign',
      () => ({ query, url: `${allowed.url}/prom`, secretRef: { name: 'of-green' } }),
      'SecretNotFound',
      /Secret of-green/,
    ],
    [
      'a Secret that no Role lets Headstart read',
      'unreadable',
      () => ({ query, url: `${allowed.url}/prom`, secretRef: { name: 'of-green' } }),
      'SecretUnreadable',
      /a Role in its namespace must allow it/,
      'green',
    ],
    [
      'a server that there is not',
      'unknown',
      () => ({ query, serverRef: 'theirs' }),
      'UnknownServer',
      /default, tenants/,
    ],
    [
      "another namespace's series",
      'green-series',
      () => ({ query: 'sum(rate(http_requests_total{app="green"}[1m]))', serverRef: 'tenants' }),
      'QueryNotAllowed',
      /asks for app="green"/,
    ],
    [
      'a query that cannot be held to its namespace',
      'joined',
      () => ({ query: 'sum(info(http_requests_total))', serverRef: 'tenants' }),
      'QueryNotAllowed',
      /info\(\)/,
    ],
    [
      'an average per pod',
      'average',
      () => ({ query: 'avg(rate(http_requests_total[1m]))', url: `${allowed.url}/prom` }),
      'PerPodAverage',
      /avg\(rate/,
    ],
  ])('%s', async (...given) => {
    const [, name, prometheus, reason, words, namespace = 'blue'] = given;
    expect(await asTenant(namespace, forecast(name, prometheus(), namespace))).toMatchObject({ code: 0 });
    const { status } = await becomes(name, reason, namespace);
    expect(status?.conditions?.find(({ type }) => type === 'Observed')?.message).toMatch(words);
    expect(status?.observed).toBeUndefined();
  });

  test.each([
    ['a namespace of a Secret', { query, secretRef: { name: 'of-green', namespace: 'green' } }, 'unknown field'],
    ['credentials in a URL', { query, url: 'http://u:p@127.0.0.1' }, 'source.prometheus.url'],
    ['url and serverRef', { query, url: 'http://127.0.0.1', serverRef: 'tenants' }, 'url and serverRef cannot both'],
    ['query and preset', { query, preset: 'cpu' }, 'exactly one of query and preset'],
    ['neither', {}, 'exactly one of query and preset'],
    ['a preset that there is not', { preset: 'luck' }, 'supported values: "cpu"'],
    ['a Service that no preset asks for', { preset: 'cpu', service: 'web' }, 'service is for preset ingress-nginx'],
  ])('%s is rejected by the API', async (_what, prometheus, words) => {
    const { code, stderr } = await asTenant('blue', forecast('rejected', prometheus));
    expect(code).not.toBe(0);
    expect(stderr).toContain(words);
  });

  test('a foreign namespace cannot be written to', async () => {
    const user = 'system:serviceaccount:green:tenant';
    const given = JSON.stringify(forecast('intruder', { query }, 'blue'));
    expect((await stage.controlPlane.kubectl(['apply', '-f', '-', '--as', user], given)).stderr).toContain('forbidden');
  });

  test('and nothing was sent', async () => {
    await pass(15);
    expect(forbidden.hits).toEqual([]);
    expect(allowed.hits).toEqual([]);
  });
});

describe('what is allowed', () => {
  test('the same query gives each namespace its own series on a server with an enforced matcher', async () => {
    for (const [namespace, demand] of [
      ['blue', 140],
      ['green', 70],
    ] as const) {
      expect(await asTenant(namespace, forecast('own', { query, serverRef: 'tenants' }, namespace))).toMatchObject({
        code: 0,
      });
      const { status } = await becomes('own', 'DemandObserved', namespace);
      const observed = Number(status?.observed?.value.replace('m', '')) / 1000;
      expect(Math.abs(observed / demand - 1)).toBeLessThan(0.2);
    }
    expect(
      await asTenant(
        'blue',
        forecast('by-regex', { query: 'sum(http_requests_total{app=~"green"})', serverRef: 'tenants' }),
      ),
    ).toMatchObject({ code: 0 });
    await becomes('by-regex', 'NoData');
  });

  test.each([
    ['token', 'prometheus', `Bearer ${token}`],
    ['password', 'basic', `Basic ${Buffer.from(`blue:${password}`).toString('base64')}`],
  ])('a %s arrives at the URL that its Secret names, and only there', async (_what, name, authorization) => {
    allowed.hits.length = 0;
    const given = forecast(`with-${name}`, { query, url: `${allowed.url}/prom`, secretRef: { name } });
    expect(await asTenant('blue', given)).toMatchObject({ code: 0 });
    const { status } = await becomes(`with-${name}`, 'DemandObserved');
    expect(status?.observed?.value).toBe('42000m');
    expect(new Set(allowed.hits.map((hit) => hit.path))).toEqual(new Set(['/prom/api/v1/query_range']));
    expect(allowed.hits.every((hit) => hit.authorization === authorization)).toBe(true);
    await stage.controlPlane.kubectlOk(['delete', 'df', `with-${name}`, '-n', 'blue']);
    await pass(6);
  });

  test('a Secret that is replaced is used at the next look', async () => {
    await asTenant(
      'blue',
      forecast('renewed', { query, url: `${allowed.url}/prom`, secretRef: { name: 'prometheus' } }),
    );
    await becomes('renewed', 'DemandObserved');
    await asTenant('blue', prometheusSecret('prometheus', 'blue', { url: `${allowed.url}/prom`, token: `${token}-2` }));
    const last = () => allowed.hits.at(-1)?.authorization;
    await expect.poll(last, { timeout: 30_000, interval: 500 }).toBe(`Bearer ${token}-2`);
  });
});

test('no secret is seen in a status, an Event, a log or a metric', async () => {
  const { kubectlOk } = stage.controlPlane;
  const kinds = 'demandforecasts,events,configmaps,leases,pods,deployments';
  const objects = await kubectlOk(['get', kinds, '-A', '-o', 'yaml', '--show-managed-fields']);
  const pages = await Promise.all(
    [...stage.headstart.replicas('headstart-forecaster'), ...stage.headstart.replicas('headstart-metrics')].map(
      async ({ operationsPort }) => await (await fetch(`http://127.0.0.1:${operationsPort}/metrics`)).text(),
    ),
  );
  const seen = [objects, await stage.headstart.logs(), ...pages].join('\n');
  expect(seen).toContain('SecretInvalid');
  expect(seen).toContain('headstart_source_request_duration_seconds');
  for (const value of [token, password, greenToken]) {
    expect(seen).not.toContain(value);
    expect(seen).not.toContain(Buffer.from(value).toString('base64').replace(/=+$/, '').slice(0, -1));
  }
  expect(forbidden.hits).toEqual([]);
});
