// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const started = Date.now() / 1000;
const rampStart = started + 360;
/** 350/s; once a day 1,200/s for two hours, reached within four minutes; the ramp comes some minutes off each day. */
const daily = (seconds: number): number => {
  const cycle = Math.round((seconds - rampStart) / 86_400);
  const jitter = cycle === 0 ? 0 : ((cycle * 7919) % 5) * 60 - 120;
  const since = seconds - rampStart - cycle * 86_400 - jitter;
  const up = Math.min(1, Math.max(0, since / 240));
  const noise = 1 + 0.02 * Math.sin(seconds / 37) + 0.01 * Math.sin(seconds / 11);
  return (350 + 850 * (since > 7200 ? 0 : up)) * noise;
};
/** Desired replicas for 350/s are 10 or 11; this is more than noise. */
const scaled = 14;
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { reactive: daily, predictive: daily },
    historySeconds: 5 * 86_400,
    syncPeriod: '15s',
  });
});
afterAll(() => stage?.stop());

test('Auto scales the Deployment before the ramp, the reactive twin after it', async () => {
  await stage.applyExample('reactive.yaml');
  await stage.applyExample('predictive.yaml');
  await stage.reason('predictive', 'Publishing', 'Forecast');
  const began = new Map<string, number>();
  while (began.size < 2 && Date.now() / 1000 < rampStart + 300) {
    for (const name of ['reactive', 'predictive']) {
      const { desired } = await stage.hpa(name);
      if (desired >= scaled && !began.has(name)) began.set(name, Date.now() / 1000 - rampStart);
    }
    await pass(1);
  }
  const reactive = began.get('reactive') ?? Number.NaN;
  const predictive = began.get('predictive') ?? Number.NaN;
  process.stdout.write(
    `began to scale: predictive ${predictive.toFixed(0)} s, reactive ${reactive.toFixed(0)} s after the ramp\n`,
  );
  expect(predictive).toBeLessThan(0);
  expect(reactive).toBeGreaterThan(0);
  expect(reactive - predictive).toBeGreaterThanOrEqual(45);
});
