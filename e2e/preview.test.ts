// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const started = Date.now() / 1000;
/** 122/s, and each day 600/s for an hour, which begins five minutes after the story does. */
const daily = (seconds: number): number => {
  const phase = (seconds - started - 300 + 10 * 86_400) % 86_400;
  return phase < 3600 ? 600 : 122;
};
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: daily },
    historySeconds: 3 * 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
});
afterAll(() => stage?.stop());

test('a DemandForecast in Preview changes nothing and publishes observed demand', async () => {
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml', (object) => {
    if (object.kind === 'DemandForecast') Object.assign(object.spec, { mode: 'Preview' });
  });
  await stage.reason('web', 'Publishing', 'Preview');
  await stage.reason('web', 'Forecastable', 'ModelFitted');
  await stage.reason('web', 'HPAReady', 'HPAFound');
  await pass(15);
  // A rate falls short while its window holds the join of history and scrapes, which is late on a busy machine.
  const seen = async () => (await stage.metric('observed_demand', 'web')).value;
  await expect.poll(seen, { timeout: 90_000, interval: 2000 }).toBeGreaterThan(115);

  const [predicted, observed, forecast] = await Promise.all(
    ['predicted_demand', 'observed_demand', 'forecast_demand'].map((metric) => stage.metric(metric, 'web')),
  );
  expect(observed?.value).toBeLessThan(130);
  expect(predicted?.value).toBe(observed?.value);
  // The forecast sees the hour that begins within its look-ahead, and is shown, but not published.
  expect(forecast?.value).toBeGreaterThan(400);
  expect(await stage.hpa('web')).toMatchObject({ desired: 4, scalingActive: 'True' });

  const { status } = await stage.forecast('web');
  expect(status?.hpa).toEqual({ name: 'web', targetAverageValue: '35', utilization: '0.7' });
  expect(JSON.stringify(status).length).toBeLessThanOrEqual(4096);
  const row = await stage.controlPlane.kubectlOk(['get', 'df']);
  expect(row).toMatch(/NAME +MODE +OBSERVED +ATLEAD +LEAD +MODEL +COVERAGE +STATUS +AGE/);
  expect(row).toMatch(/web +Preview +1[12]\d+m /);
});
