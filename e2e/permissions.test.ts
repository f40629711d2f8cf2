// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({ demand: { web: () => 140 }, historySeconds: 86_400 });
  for (const namespace of ['blue', 'green']) {
    await stage.controlPlane.kubectlOk(['create', 'namespace', namespace]);
    await stage.controlPlane.kubectlOk(['create', 'serviceaccount', 'tenant', '-n', namespace]);
    const subject = `--serviceaccount=${namespace}:tenant`;
    await stage.controlPlane.kubectlOk([
      'create',
      'rolebinding',
      'tenant',
      '-n',
      namespace,
      '--clusterrole=edit',
      subject,
    ]);
  }
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml', ({ metadata }) => {
    metadata.namespace = 'blue';
  });
});
afterAll(() => stage?.stop());

function path(namespace: string, forecast: string): string {
  return `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/predicted_demand?labelSelector=forecast%3D${forecast}`;
}

test('a user without permission gets 403, and another namespace cannot be read', async () => {
  const { kubectl, kubectlOk } = stage.controlPlane;
  const as = (namespace: string) => ['--as', `system:serviceaccount:${namespace}:tenant`];
  await expect
    .poll(async () => (await kubectl(['get', '--raw', path('blue', 'web'), ...as('blue')])).code, {
      timeout: 60_000,
      interval: 1000,
    })
    .toBe(0);

  const nobody = await kubectl(['get', '--raw', path('blue', 'web'), '--as', 'nobody']);
  expect(nobody.code).not.toBe(0);
  expect(nobody.stderr).toMatch(/Forbidden|forbidden/);
  expect(nobody.stderr).toContain(
    'User "nobody" cannot list resource "predicted_demand" in API group "external.metrics.k8s.io" in the namespace "blue"',
  );

  const foreign = await kubectl(['get', '--raw', path('blue', 'web'), ...as('green')]);
  expect(foreign.code).not.toBe(0);
  expect(foreign.stderr).toContain('forbidden');

  // In its own namespace the other tenant may ask, but the forecast of the first is not there.
  const own = await kubectl(['get', '--raw', path('green', 'web'), ...as('green')]);
  expect(own.code).not.toBe(0);
  expect(own.stderr).toMatch(/NotFound|not found|no DemandForecast/i);

  expect(await kubectlOk(['auth', 'can-i', 'create', 'demandforecasts', '-n', 'green', ...as('green')])).toContain(
    'yes',
  );
  expect(
    (
      await kubectl([
        'auth',
        'can-i',
        'patch',
        'demandforecasts',
        '--subresource=status',
        '-n',
        'green',
        ...as('green'),
      ])
    ).stdout,
  ).toContain('no');
});

test('a selector that names nothing, everything or several is a 400 that says what is allowed', async () => {
  const raw = async (query: string) =>
    stage.controlPlane.kubectl([
      'get',
      '--raw',
      `/apis/external.metrics.k8s.io/v1beta1/namespaces/blue/predicted_demand${query}`,
    ]);
  for (const [query, message] of [
    ['', 'forecast='],
    ['?labelSelector=', 'forecast='],
    ['?labelSelector=forecast%20in%20(', 'labelSelector'],
  ]) {
    const { code, stderr } = await raw(query ?? '');
    expect({ query, failed: code !== 0 }).toEqual({ query, failed: true });
    expect(stderr).toContain('BadRequest');
    expect(stderr).toContain(message);
  }
});
