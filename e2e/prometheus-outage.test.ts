// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 280 },
    historySeconds: 2 * 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
});
afterAll(() => stage?.stop());

test('Prometheus goes away and comes back: the status says so, the HPA keeps its replicas, nothing learnt is lost', async () => {
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml', (object) => {
    if (object.kind === 'DemandForecast') Object.assign(object.spec, { staleAfter: '30s' });
  });
  await stage.reason('web', 'Publishing', 'Forecast');
  await waitUntil('the HPA follows', async () => (await stage.hpa('web')).current >= 8, { timeoutMs: 60_000 });
  const { status: before } = await stage.forecast('web');

  await stage.prometheus.down();
  const message = await stage.reason('web', 'Observed', 'SourceUnavailable');
  expect(message).toContain('default');
  expect(message).not.toContain('undefined');
  await pass(40);
  expect((await stage.metric('predicted_demand', 'web')).value).toBeGreaterThanOrEqual(279);
  expect((await stage.hpa('web')).desired).toBeGreaterThanOrEqual(8);

  await stage.prometheus.up();
  await stage.reason('web', 'Observed', 'DemandObserved');
  await stage.reason('web', 'Publishing', 'Forecast');
  const { status: after } = await stage.forecast('web');
  expect(after?.model?.since).toBe(before?.model?.since);
  expect(Date.parse(after?.observed?.time ?? '')).toBeGreaterThan(Date.parse(before?.observed?.time ?? ''));
});
