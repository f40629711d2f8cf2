// SPDX-License-Identifier: Apache-2.0
import { get } from 'node:https';
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

/** Asks one replica, past the aggregator. */
async function askDirectly(port: number, token: string): Promise<{ status: number | undefined; body: string }> {
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/predicted_demand?labelSelector=forecast%3Dweb';
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const request = get({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    request.once('error', reject);
  });
}

test('several replicas answer identically', async () => {
  const { kubectlOk } = stage.controlPlane;
  await kubectlOk(['create', 'serviceaccount', 'reader']);
  await kubectlOk(['create', 'rolebinding', 'reader', '--clusterrole=view', '--serviceaccount=default:reader']);
  const token = await stage.controlPlane.serviceAccountToken('default', 'reader');
  const ports = stage.headstart.replicas('headstart-metrics').map(({ securePort }) => securePort);
  expect(ports).toHaveLength(2);
  // A new status reaches the replicas some milliseconds apart.
  const agree = async (): Promise<boolean> => {
    const [first, second] = await Promise.all(ports.map((port) => askDirectly(port, token)));
    return first?.status === 200 && first.body === second?.body;
  };
  let agreed = 0;
  for (let round = 0; round < 20; round += 1) {
    if (await agree()) agreed += 1;
    await pass(0.3);
  }
  expect(agreed).toBeGreaterThanOrEqual(18);
});

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
