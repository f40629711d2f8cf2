// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import type { LatestRequest } from '../../sources/metrics/metric-source.ts';
import type { PrometheusServer } from '../../sources/metrics/prometheus-servers.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createUsageReader, failureOf } from './usage.ts';

const { signal } = new AbortController();
const noServers = { named: () => undefined, names: ['default', 'other'] };

function readerOf(answer: unknown) {
  const client = createFakeKubeClient(() => {
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return { client, reader: createUsageReader({ client, servers: noServers }) };
}

describe('metrics.k8s.io', () => {
  const item = (changes: object = {}): object => ({
    metadata: { name: 'a', namespace: 'shop' },
    timestamp: '2026-01-01T00:00:30Z',
    window: '10.5s',
    containers: [
      { name: 'app', usage: { cpu: '250000000n', memory: '1.5Gi' } },
      { name: 'proxy', usage: { cpu: '0', memory: '1e3' } },
    ],
    ...changes,
  });

  test('is asked for the clones of a namespace, by label', async () => {
    const { client, reader } = readerOf({ items: [item()] });
    const usage = (await reader.readPods('shop', signal)).get('a');
    expect(usage?.cpu).toEqual({
      timestamp: Date.parse('2026-01-01T00:00:30Z') / 1000,
      windowSeconds: 10.5,
      byContainer: new Map([
        ['app', 0.25],
        ['proxy', 0],
      ]),
    });
    expect([...(usage?.memory.byContainer ?? [])]).toEqual([
      ['app', 1.5 * 2 ** 30],
      ['proxy', 1000],
    ]);
    expect(client.requests[0]).toMatchObject({
      path: '/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods',
      query: { labelSelector: 'headstart.dev/clone=true' },
    });
  });

  test.each<readonly [string, object]>([
    ['whose usage cannot be read', { containers: [{ name: 'app', usage: { cpu: 'much' } }] }],
    ['without usage', { containers: [{ name: 'app' }] }],
    ['without containers', { containers: null }],
  ])('a container %s is missing, not zero', async (_, changes) => {
    const { reader } = readerOf({ items: [item(changes)] });
    expect((await reader.readPods('shop', signal)).get('a')?.cpu.byContainer.size).toBe(0);
  });

  test.each([
    ['1m0s', 60],
    ['15s', 15],
    ['1h0m0s', 3600],
    ['', Number.NaN],
    ['soon', Number.NaN],
  ])('the window %j is %d seconds', async (window, seconds) => {
    const { reader } = readerOf({ items: [item({ window })] });
    expect((await reader.readPods('shop', signal)).get('a')?.cpu.windowSeconds).toBe(seconds);
  });

  test('no metrics-server is said in words', async () => {
    const { reader } = readerOf(new HeadstartError('NotFound', 'HTTP 404'));
    await expect(reader.readPods('shop', signal)).rejects.toThrow('is metrics-server installed?');
    expect(await readerOf({}).reader.readPods('shop', signal)).toEqual(new Map());
  });
});

describe('a query', () => {
  const query = { namespace: 'shop', serverRef: 'default', query: 'pod_load' };

  test.each([
    [undefined, 'pod_load'],
    ['namespace', 'pod_load{namespace="shop"}'],
  ])('is asked by the label pod, in its namespace where %s is enforced', async (enforceNamespaceLabel, want) => {
    const asked: LatestRequest[] = [];
    const latestByLabel: PrometheusServer['source']['latestByLabel'] = async (request) => {
      asked.push(request);
      return new Map([['a', { timestamp: 60, value: 7 }]]);
    };
    const server = { enforceNamespaceLabel, source: { latestByLabel } } as unknown as PrometheusServer;
    const reader = createUsageReader({
      client: createFakeKubeClient(() => ({})),
      servers: { named: (name) => (name === 'default' ? server : undefined), names: ['default'] },
    });
    expect([...(await reader.readQuery(query, 60, signal))]).toEqual([['a', { timestamp: 60, value: 7 }]]);
    expect(asked[0]).toMatchObject({ query: want, label: 'pod', atSeconds: 60 });
  });

  test('for a server that is not configured names those that are', async () => {
    const { reader } = readerOf({});
    const asking = reader.readQuery({ ...query, serverRef: 'mine' }, 60, signal);
    await expect(asking).rejects.toThrow('spec.utilizationExit.serverRef: got "mine", want one of default, other');
  });
});

test.each([
  [new HeadstartError('Timeout', 'x'), false, 'MetricsUnavailable'],
  [new HeadstartError('Timeout', 'x'), true, 'MetricsUnavailable'],
  [new HeadstartError('QueryFailed', 'x'), true, 'QueryFailed'],
  [new HeadstartError('InvalidInput', 'x'), true, 'QueryFailed'],
  [new HeadstartError('NotFound', 'x'), true, 'UnknownServer'],
])('%o (query: %s) is %s', (error, isQuery, reason) => {
  expect(failureOf(error, isQuery).reason).toBe(reason);
});
