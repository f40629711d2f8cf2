// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { apiVersion } from '../../api/labels.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { errorMessage } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/client.ts';
import { createKubeClient } from '../../kube/http-client.ts';
import { startControlPlane } from '../../testing/control-plane.ts';
import type { ControlPlane } from '../../testing/control-plane.ts';
import { startMetricsServer } from '../../testing/resource-metrics.ts';
import { waitUntil } from '../../testing/process.ts';
import { createUsageRegistry } from './resource-source.ts';

const manifests = fileURLToPath(new URL('../../../manifests/', import.meta.url));
const namespace = 'shop';
const cluster: { plane?: ControlPlane; client?: KubeClient } = {};
const problems: string[] = [];
let stopMetricsServer = (): Promise<void> => Promise.resolve();
/** Cores that each pod uses; undefined answers without it. */
let usage: (pod: string) => string | undefined = () => '250m';

async function podNames(): Promise<string[]> {
  const names = await kubectl(['get', 'pods', '-n', namespace, '-l', 'app=web', '-o', 'name']);
  return names.split('\n').flatMap((line) => line.split('/')[1] ?? []);
}

async function kubectl(args: readonly string[], input?: unknown): Promise<string> {
  return (await cluster.plane?.kubectlOk([...args], input === undefined ? undefined : JSON.stringify(input))) ?? '';
}

async function forecastNamed(name: string): Promise<DemandForecast> {
  const given = {
    apiVersion,
    kind: 'DemandForecast',
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      source: { resource: { name: 'cpu' } },
      capacityPerReplica: '1',
    },
  };
  await kubectl(['apply', '-f', '-'], given);
  return JSON.parse(await kubectl(['get', 'df', name, '-n', namespace, '-o', 'json'])) as DemandForecast;
}

/** The source as a forecaster that has just started has it. */
function open(forecast: DemandForecast, resource: 'cpu' | 'memory' = 'cpu') {
  if (cluster.client === undefined) throw new Error('no cluster');
  const onProblem = ({ error }: { error: unknown }): void => void problems.push(errorMessage(error));
  return createUsageRegistry({ client: cluster.client, onProblem }).open({ forecast, resource }, 'app=web');
}

/** Later than the initial CPU period of pods that have just started. */
const startSeconds = Math.ceil(Date.now() / 300_000) * 300 + 600;

beforeAll(async () => {
  const plane = await startControlPlane({ nodes: 1, podStartupMs: 500 });
  cluster.plane = plane;
  await kubectl(['apply', '-k', `${manifests}crds`]);
  for (const crd of ['demandforecasts', 'demandhistories']) {
    await kubectl(['wait', '--for=condition=Established', `crd/${crd}.headstart.dev`]);
  }
  for (const file of ['namespace.yaml', 'rbac-forecaster.yaml'])
    await kubectl(['apply', '-f', `${manifests}base/${file}`]);
  await kubectl(['create', 'namespace', namespace]);
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'none' }] } };
  const spec = { replicas: 4, selector: { matchLabels: labels }, template };
  await kubectl(['apply', '-f', '-'], {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec,
  });
  await kubectl(['rollout', 'status', 'deployment/web', '-n', namespace]);
  const kubeconfig = await plane.kubeconfigForServiceAccount('headstart-system', 'headstart-forecaster');
  cluster.client = createKubeClient({ kubeconfig });
  const before = open(await forecastNamed('early'));
  await expect(before.latest({ query: 'cpu', atSeconds: startSeconds })).rejects.toThrow(
    'is metrics-server installed?',
  );
  stopMetricsServer = await startMetricsServer(plane, (pod) => {
    const cpu = usage(pod);
    return cpu === undefined ? undefined : { cpu, memory: '64Mi' };
  });
});

afterAll(async () => {
  await cluster.plane?.stop();
  await stopMetricsServer();
});

beforeEach(() => {
  problems.length = 0;
  usage = () => '250m';
});

test('the total of the pods, with the rights of the manifests, through the real aggregator', async () => {
  const forecast = await forecastNamed('web');
  const query = 'x';
  expect(await open(forecast).latest({ query, atSeconds: startSeconds })).toEqual({
    timestamp: startSeconds,
    value: 1,
  });
  expect((await open(forecast, 'memory').latest({ query, atSeconds: startSeconds }))?.value).toBe(4 * 64 * 2 ** 20);
  const [first] = await podNames();
  usage = (pod) => (pod === first ? undefined : '250m');
  await expect(open(forecast).latest({ query, atSeconds: startSeconds })).rejects.toThrow('no usage of 1 of 4 pods');
});

test('samples are kept in an object of the forecast, and are there after a restart', async () => {
  const forecast = await forecastNamed('kept');
  const source = open(forecast);
  for (let minute = 0; minute <= 10; minute += 1) {
    usage = () => `${100 + 10 * minute}m`;
    await source.latest({ query: 'cpu', atSeconds: startSeconds + minute * 60 });
  }
  const history = JSON.parse(await kubectl(['get', 'dh', 'kept', '-n', namespace, '-o', 'json'])) as {
    metadata: { ownerReferences: object[] };
    samples: object;
  };
  expect(history.metadata.ownerReferences).toMatchObject([
    { kind: 'DemandForecast', name: 'kept', uid: forecast.metadata.uid },
  ]);
  expect(history.samples).toMatchObject({ version: '1', resource: 'cpu', target: 'Deployment/web', stepSeconds: 300 });

  const later = startSeconds + 15 * 60;
  const restarted = open(forecast);
  await restarted.latest({ query: 'cpu', atSeconds: later });
  const samples = await restarted.range({ query: 'cpu', fromSeconds: startSeconds, toSeconds: later, stepSeconds: 60 });
  // Means of two times five minutes, and what came after the restart.
  expect(samples).toHaveLength(11);
  expect(samples[0]?.value).toBeCloseTo(0.48, 5);
  expect(samples[9]?.value).toBeCloseTo(0.68, 5);
  expect(problems).toEqual([]);
});

test('samples of another resource are left alone, and replaced', async () => {
  const forecast = await forecastNamed('kept');
  const memory = open(forecast, 'memory');
  await memory.latest({ query: 'memory', atSeconds: startSeconds });
  const before = { query: 'memory', fromSeconds: startSeconds - 3600, toSeconds: startSeconds, stepSeconds: 60 };
  expect(await memory.range(before)).toHaveLength(1);
});

test('a history that is not whole is discarded with a message, and written anew', async () => {
  const forecast = await forecastNamed('kept');
  await kubectl(['patch', 'dh', 'kept', '-n', namespace, '--type=merge', '-p', '{"samples":{"values":"AAAA"}}']);
  const source = open(forecast);
  for (const minute of [0, 5, 10]) await source.latest({ query: 'cpu', atSeconds: startSeconds + minute * 60 });
  expect(problems).toEqual(['the DemandHistory is discarded: samples: neither whole nor of at most 28 days']);
  const text = await kubectl(['get', 'dh', 'kept', '-n', namespace, '-o', 'jsonpath={.samples.values}']);
  expect(text).not.toBe('AAAA');
});

test('it goes with its forecast', async () => {
  await kubectl(['delete', 'df', 'kept', '-n', namespace]);
  const isGone = async () => (await kubectl(['get', 'dh', '-n', namespace, '-o', 'name'])) === '';
  expect(await waitUntil('the DemandHistory is collected', isGone, { timeoutMs: 40_000 })).toBe(true);
});

test('prometheus and resource together, or neither, are rejected', async () => {
  const base = { scaleTargetRef: { kind: 'Deployment', name: 'web' }, capacityPerReplica: '1' };
  for (const source of [{}, { resource: { name: 'cpu' }, prometheus: { query: 'x' } }]) {
    const given = {
      apiVersion,
      kind: 'DemandForecast',
      metadata: { name: 'wrong', namespace },
      spec: { ...base, source },
    };
    await expect(kubectl(['apply', '-f', '-'], given)).rejects.toThrow('exactly one of prometheus and resource');
  }
});
