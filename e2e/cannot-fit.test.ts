// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 210 },
    historySeconds: 600,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
});
afterAll(() => stage?.stop());

test('the model cannot fit: observed demand is published, and the status says what is missing', async () => {
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  const message = await stage.reason('web', 'Forecastable', 'TooLittleHistory');
  expect(message).toMatch(/have \d+m.*need \d+h/);
  await stage.reason('web', 'Publishing', 'ObservedOnly');
  // A rate falls short while its window holds the join of history and scrapes, which is late on a busy machine.
  const predicted = async () => Math.abs((await stage.metric('predicted_demand', 'web')).value - 210);
  await expect.poll(predicted, { timeout: 90_000, interval: 2000 }).toBeLessThan(10);
  const { status } = await stage.forecast('web');
  expect(status?.forecast).toBeUndefined();
  expect(status?.history?.need).toMatch(/h$/);
  const forecast = await stage.metric('forecast_demand', 'web');
  expect(forecast.code).not.toBe(0);
  expect(forecast.stderr).toContain('forecast_demand for default/web');
});
