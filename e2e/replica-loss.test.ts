// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, pass, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 140 },
    historySeconds: 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 1 },
  });
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  await stage.reason('web', 'Publishing', 'Forecast');
  await waitUntil('the HPA reads the metric', async () => (await stage.hpa('web')).scalingActive === 'True', {
    timeoutMs: 60_000,
    intervalMs: 500,
  });
});
afterAll(() => stage?.stop());

async function failedSyncs(): Promise<string[]> {
  const events = await stage.controlPlane.kubectlOk(['get', 'events', '-o', 'json']);
  const { items } = JSON.parse(events) as {
    items: { reason: string; message: string; lastTimestamp?: string; eventTime?: string; count?: number }[];
  };
  return items
    .filter(({ reason }) => reason.startsWith('FailedGetExternalMetric') || reason === 'FailedComputeMetricsReplicas')
    .map(({ reason, message, count }) => `${reason} ×${count}: ${message}`);
}

test('one metrics replica is killed under a constant stream of requests: no request and no HPA sync fails', async () => {
  const before = await failedSyncs();
  const failures: string[] = [];
  let requests = 0;
  let streaming = true;
  const stream = async (): Promise<void> => {
    while (streaming) {
      const { code, stderr } = await stage.metric('predicted_demand', 'web');
      requests += 1;
      if (code !== 0) failures.push(stderr);
    }
  };
  const streams = [stream(), stream()];
  await pass(3);
  const [victim, survivor] = stage.headstart.replicas('headstart-metrics');
  // What the kubelet does to a deleted pod.
  victim?.process.kill('SIGTERM');
  await victim?.process.exited;
  await pass(3);
  await stage.headstart.startReplica('headstart-metrics');
  await pass(5);
  // What the kernel does to a pod that takes too much memory.
  survivor?.process.kill('SIGKILL');
  await pass(8);
  streaming = false;
  await Promise.all(streams);
  expect(requests).toBeGreaterThan(50);
  expect(failures).toEqual([]);
  expect(await failedSyncs()).toEqual(before);
  expect((await stage.hpa('web')).scalingActive).toBe('True');
});
