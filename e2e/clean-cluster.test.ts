// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({ demand: { web: () => 140 }, historySeconds: 86_400 });
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  await stage.reason('web', 'Publishing', 'Forecast');
});
afterAll(() => stage?.stop());

test('kubectl api-resources is clean and lists the three metrics', async () => {
  const { code, stdout, stderr } = await stage.controlPlane.kubectl(['api-resources']);
  expect(code).toBe(0);
  expect(stderr).toBe('');
  for (const name of ['predicted_demand', 'observed_demand', 'forecast_demand', 'demandforecasts']) {
    expect(stdout).toContain(name);
  }
});

test('the apiserver does not complain about the API after some minutes of discovery and OpenAPI', async () => {
  // Before the first replica was up there was nothing to fetch from: only what comes after counts.
  const { length } = await stage.controlPlane.componentLog('kube-apiserver');
  // Aggregated discovery and OpenAPI are fetched once a minute.
  await pass(70);
  const log = await stage.controlPlane.componentLog('kube-apiserver');
  const complaints = log
    .slice(length)
    .split('\n')
    .filter((line) => /^[EW]\d{4}/.test(line) && line.includes('external.metrics.k8s.io'));
  expect(complaints).toEqual([]);
  const explained = await stage.controlPlane.kubectlOk([
    'get',
    '--raw',
    '/openapi/v3/apis/external.metrics.k8s.io/v1beta1',
  ]);
  expect(explained).toContain('predicted_demand');
});

test('a namespace is deleted while Headstart runs', async () => {
  const { kubectlOk } = stage.controlPlane;
  await kubectlOk(['create', 'namespace', 'short-lived']);
  await stage.applyExample('preview.yaml', ({ metadata }) => {
    metadata.namespace = 'short-lived';
  });
  expect(await kubectlOk(['delete', 'namespace', 'short-lived', '--timeout=60s'])).toContain('deleted');
});

test('uninstall leaves nothing behind, HPAs work as before, and namespaces can still be deleted', async () => {
  const { kubectl, kubectlOk } = stage.controlPlane;
  await kubectlOk(['create', 'namespace', 'outlives']);
  await stage.headstart.uninstall();
  expect(await kubectlOk(['delete', 'namespace', 'outlives', '--timeout=60s'])).toContain('deleted');

  // The APIService, which no manifest holds, goes by garbage collection.
  const everything = 'crd,apiservice,clusterrole,clusterrolebinding,namespace';
  await expect
    .poll(async () => await kubectlOk(['get', everything, '-o', 'name']), { timeout: 30_000, interval: 500 })
    .not.toMatch(/headstart|external\.metrics/);
  expect(
    await kubectlOk(['get', 'rolebinding,role,lease,secret,configmap', '-n', 'kube-system', '-o', 'name']),
  ).not.toContain('headstart');
  const resources = await kubectl(['api-resources']);
  expect(resources.code).toBe(0);
  expect(resources.stderr).toBe('');
  const { current } = await stage.hpa('web');
  expect(current).toBeGreaterThanOrEqual(4);
});
