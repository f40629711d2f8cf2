// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMetricsServer } from '../src/testing/resource-metrics.ts';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;
let stopMetricsServer = (): Promise<void> => Promise.resolve();
let memory = '1Gi';
/** The pods that were there first carry all the load. */
const loaded = new Set<string>();

function usage(pod: string): { cpu: string; memory: string } {
  if (loaded.size < 4) loaded.add(pod);
  return { cpu: '100m', memory: loaded.has(pod) ? memory : '0' };
}

beforeAll(async () => {
  stage = await setStage({ demand: {}, historySeconds: 60, controlPlane: { hpaSyncPeriodSeconds: 1 } });
  await stage.apply(deployment('web', 4));
  await stage.applyExample('resource.yaml', ({ kind, spec }) => {
    // Memory has no initial period to wait for.
    if (kind === 'DemandForecast')
      Object.assign(spec, { source: { resource: { name: 'memory' } }, capacityPerReplica: '1Gi' });
    else Object.assign(spec, JSON.parse(JSON.stringify(spec).replace('700m', '716Mi')));
  });
});

afterAll(async () => {
  await stopMetricsServer();
  await stage?.stop();
});

test('without metrics-server it is missed by name', async () => {
  expect(await stage.reason('web', 'Observed', 'SourceUnavailable')).toContain('is metrics-server installed?');
});

test('with it the HPA follows what all pods use', async () => {
  stopMetricsServer = await startMetricsServer(stage.controlPlane, usage);
  expect(await stage.reason('web', 'Observed', 'DemandObserved')).toContain('metrics.k8s.io');
  await expect
    .poll(async () => (await stage.metric('observed_demand', 'web')).value, { timeout: 60_000 })
    .toBe(4 * 2 ** 30);
  expect(await stage.reason('web', 'HPAReady', 'HPAFound')).toBeDefined();
  // 4 GiB at 716 MiB each.
  await expect.poll(async () => (await stage.hpa('web')).desired, { timeout: 60_000 }).toBe(6);
});

test('pods that are not measured any more are unknown, not 0', async () => {
  memory = 'unreadable';
  await stage.reason('web', 'Observed', 'QueryFailed');
  expect((await stage.forecast('web')).status?.observed?.value).toBe(`${4 * 2 ** 30 * 1000}m`);
});
