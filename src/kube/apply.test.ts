// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { apply, applyStatus } from './apply.ts';
import type { KubeClient, KubeRequest } from './client.ts';
import { resourcePath } from './paths.ts';
import type { ResourceRef } from './paths.ts';

test.each<[ResourceRef, string]>([
  [{ apiVersion: 'v1', plural: 'pods' }, '/api/v1/pods'],
  [{ apiVersion: 'v1', plural: 'nodes', name: 'n1' }, '/api/v1/nodes/n1'],
  [{ apiVersion: 'apps/v1', plural: 'deployments', namespace: 'shop' }, '/apis/apps/v1/namespaces/shop/deployments'],
  [
    { apiVersion: 'apps/v1', plural: 'deployments', namespace: 'shop', name: 'web', subresource: 'scale' },
    '/apis/apps/v1/namespaces/shop/deployments/web/scale',
  ],
  [{ apiVersion: 'v1', plural: 'pods', namespace: '../x', name: 'a?b' }, '/api/v1/namespaces/..%2Fx/pods/a%3Fb'],
])('the path of %j is %s', (ref, path) => {
  expect(resourcePath(ref)).toBe(path);
});

test.each(['', '.', '..'])('a name %j leads nowhere and is refused', (name) => {
  expect(() => resourcePath({ apiVersion: 'v1', plural: 'pods', namespace: 'shop', name })).toThrow(/^name: got/);
});

test.each([
  ['apply', apply, ''],
  ['applyStatus', applyStatus, '/status'],
])('%s sends the fields with the identity of its target', async (_, call, subresource) => {
  const requests: KubeRequest[] = [];
  const client = {
    request: async (request: KubeRequest) => void requests.push(request),
    watch: () => {
      throw new Error('nobody watches');
    },
  } as unknown as KubeClient;
  const target = { apiVersion: 'headstart.dev/v1alpha1', plural: 'demandforecasts', namespace: 'shop', name: 'web' };
  const body = { kind: 'DemandForecast', metadata: { labels: { a: 'b' } }, status: { mode: 'Preview' } };
  await call(client, target, body, { fieldManager: 'headstart', force: true });
  expect(requests).toEqual([
    {
      method: 'PATCH',
      path: `/apis/headstart.dev/v1alpha1/namespaces/shop/demandforecasts/web${subresource}`,
      query: { fieldManager: 'headstart', force: 'true' },
      body: {
        kind: 'DemandForecast',
        apiVersion: 'headstart.dev/v1alpha1',
        metadata: { labels: { a: 'b' }, namespace: 'shop', name: 'web' },
        status: { mode: 'Preview' },
      },
      contentType: 'application/apply-patch+yaml',
    },
  ]);
});
