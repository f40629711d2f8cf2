// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;
const usual = 280;
const fallen = 60;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => usual },
    historySeconds: 2 * 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
  stage.setErrors('web', 0);
});
afterAll(() => stage?.stop());

/** What a kubelet says of containers whose probes fail, or succeed. */
async function setReady(pods: readonly string[], isReady: boolean): Promise<void> {
  const status = isReady ? 'True' : 'False';
  const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status }));
  const patch = JSON.stringify({ status: { conditions } });
  for (const pod of pods) {
    await stage.controlPlane.kubectlOk(['patch', 'pod', pod, '--subresource=status', '-p', patch]);
  }
}

async function podsOf(app: string): Promise<string[]> {
  const args = ['get', 'pods', '-l', `app=${app}`, '-o', 'jsonpath={.items[*].metadata.name}'];
  return (await stage.controlPlane.kubectlOk(args)).split(' ').filter((name) => name !== '');
}

async function published(): Promise<number> {
  return (await stage.metric('predicted_demand', 'web')).value;
}

async function observedBelow(limit: number): Promise<void> {
  const isBelow = async (): Promise<boolean> => (await stage.metric('observed_demand', 'web')).value < limit;
  await waitUntil(`observed demand is below ${limit}`, isBelow, { timeoutMs: 180_000, intervalMs: 1000 });
}

test('demand collapses because pods fail: what is published holds, and nothing is learnt', async () => {
  await stage.apply(deployment('web', 8));
  await stage.applyExample('web.yaml', (object) => {
    const signals = { errorRate: { query: 'max(http_error_share{app="web"})' } };
    if (object.kind === 'DemandForecast') Object.assign(object.spec, { signals });
  });
  await stage.reason('web', 'Publishing', 'Forecast');
  await stage.reason('web', 'SignalsObserved', 'AllObserved');
  await stage.reason('web', 'DemandTrusted', 'NoIncident');
  await waitUntil('the HPA follows', async () => (await stage.hpa('web')).current >= 8, { timeoutMs: 60_000 });
  await pass(30);

  const broken = (await podsOf('web')).slice(0, 6);
  await setReady(broken, false);
  stage.setErrors('web', 0.5);
  stage.setDemand('web', () => fallen);
  const message = await stage.reason('web', 'DemandTrusted', 'OutageGuard', 240_000);
  expect(message).toMatch(/demand fell to \d+ where \d+ was forecast, \d+ came before, and errorRate is 0\.5/);
  await observedBelow(100);
  for (let look = 0; look < 12; look += 1) {
    expect(await published()).toBeGreaterThanOrEqual(0.9 * usual);
    await pass(5);
  }
  const { status: during } = await stage.forecast('web');
  expect(during?.signals).toMatchObject([{ name: 'errorRate', value: '0.5' }]);
  expect(during?.exclusions).toHaveLength(1);
  expect((await stage.hpa('web')).desired).toBeGreaterThanOrEqual(8);

  await setReady(broken, true);
  stage.setErrors('web', 0);
  stage.setDemand('web', () => usual);
  await stage.reason('web', 'DemandTrusted', 'NoIncident', 240_000);
  // What is forecast now is what the incident has taught, if it has.
  await pass(15);
  const { status: after } = await stage.forecast('web');
  expect(after?.exclusions?.[0]?.endTime).toBeDefined();
  for (const value of after?.forecast?.values ?? [])
    expect(Number.parseInt(value, 10) / 1000).toBeGreaterThan(0.9 * usual);
  const events = await stage.controlPlane.kubectlOk([
    'get',
    'events.events.k8s.io',
    '-o',
    'jsonpath={.items[*].reason}',
  ]);
  expect(events.split(' ')).toContain('OutageGuard');
});

test('a real fall of demand is followed', async () => {
  stage.setDemand('web', () => fallen);
  await observedBelow(100);
  expect(await stage.reason('web', 'DemandTrusted', 'NoIncident')).toContain('believed');
  await waitUntil('what is published falls', async () => (await published()) < 0.6 * usual, {
    timeoutMs: 400_000,
    intervalMs: 2000,
  });
  const { status } = await stage.forecast('web');
  expect(status?.exclusions).toHaveLength(1);
});
