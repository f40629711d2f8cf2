// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 140 },
    historySeconds: 2 * 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
});
afterAll(() => stage?.stop());

/** Makes what is in status older, as if the time had passed; the forecaster is gone and does not write it again. */
async function age(seconds: number): Promise<void> {
  const { status } = await stage.forecast('web');
  const older = (time: string | undefined): string =>
    new Date(Date.parse(time ?? '') - seconds * 1000).toISOString().replace(/\.\d+Z/, 'Z');
  const forecast = { ...status?.forecast, issuedAt: older(status?.forecast?.issuedAt) };
  const observed = { ...status?.observed, time: older(status?.observed?.time) };
  const patch = JSON.stringify({ status: { forecast, observed } });
  await stage.controlPlane.kubectlOk(['patch', 'df', 'web', '--subresource=status', '--type=merge', '-p', patch]);
}

test('the forecaster is killed: metrics replicas go down the ladder, at last to an error that does not scale down', async () => {
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml', (object) => {
    if (object.kind === 'DemandForecast') Object.assign(object.spec, { staleAfter: '30s' });
  });
  await stage.reason('web', 'Publishing', 'Forecast');
  const replicas = await waitUntil(
    'the HPA scales to the demand',
    async () => {
      const { desired, current } = await stage.hpa('web');
      return desired >= 4 && current === desired ? desired : undefined;
    },
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  // 1: observed fresh, curve valid: the larger of both.
  const fresh = await stage.metric('predicted_demand', 'web');
  expect(fresh.value).toBeGreaterThanOrEqual(139);

  for (const { process } of stage.headstart.replicas('headstart-forecaster')) process.kill('SIGKILL');
  await waitUntil('observed demand is stale', async () => (await stage.metric('observed_demand', 'web')).code !== 0, {
    timeoutMs: 60_000,
    intervalMs: 1000,
  });
  // 2: observed stale, curve younger than 15 min: the larger of the curve and of what was observed last.
  const stale = await stage.metric('predicted_demand', 'web');
  expect(stale.value).toBeGreaterThanOrEqual(139);

  await age(16 * 60);
  // 3: nothing is fresh: an error that names the ages.
  await waitUntil('the curve has expired', async () => (await stage.metric('predicted_demand', 'web')).code !== 0, {
    timeoutMs: 30_000,
    intervalMs: 500,
  });
  const expired = await stage.metric('predicted_demand', 'web');
  expect(expired.stderr).toMatch(/predicted_demand for default\/web: .*1[67]m/);
  await waitUntil('the HPA says so', async () => (await stage.hpa('web')).scalingActive === 'False', {
    timeoutMs: 30_000,
    intervalMs: 500,
  });
  await pass(10);
  expect(await stage.hpa('web')).toMatchObject({ desired: replicas, current: replicas });
});
