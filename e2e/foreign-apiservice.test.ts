// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startOtherAdapter } from './other-adapter.ts';
import type { OtherAdapter } from './other-adapter.ts';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const name = 'v1beta1.external.metrics.k8s.io';
let stage: Stage;
let adapter: OtherAdapter;

/** An HPA of the other adapter: one replica for each ten in the queue. */
const queueHpa = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'worker', namespace: 'default' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'worker' },
    minReplicas: 1,
    maxReplicas: 20,
    metrics: [
      {
        type: 'External',
        external: { metric: { name: 'queue_length' }, target: { type: 'AverageValue', averageValue: '10' } },
      },
    ],
    behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
  },
};

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 140 },
    historySeconds: 86_400,
    controlPlane: { hpaSyncPeriodSeconds: 2 },
    installation: { until: 'replicas' },
    prepare: async (controlPlane) => {
      adapter = await startOtherAdapter(controlPlane);
      adapter.setQueue(30);
      await adapter.claim();
      for (const object of [deployment('worker', 1), queueHpa]) {
        await controlPlane.kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
      }
    },
  });
});
afterAll(async () => {
  await stage?.stop();
  await adapter?.close();
});

async function owner(): Promise<string> {
  return await stage.controlPlane.kubectlOk(['get', 'apiservice', name, '-o', 'jsonpath={.spec.service.namespace}']);
}

/** The states of the APIService by what each metrics replica says about itself. */
async function states(): Promise<string[]> {
  const replicas = stage.headstart.replicas('headstart-metrics');
  return await Promise.all(
    replicas.map(async ({ operationsPort }) => {
      const text = await ownMetrics(operationsPort);
      return /headstart_apiservice_state\{state="(\w+)"\} 1/.exec(text)?.[1] ?? 'none';
    }),
  );
}

async function ownMetrics(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

async function scalesTo(queue: number, replicas: number): Promise<void> {
  adapter.setQueue(queue);
  const desired = async () => (await stage.hpa('worker')).desired;
  await expect.poll(desired, { timeout: 60_000, interval: 500 }).toBe(replicas);
}

test('an APIService of another adapter stays as it is, and its HPAs go on', async () => {
  const { kubectlOk } = stage.controlPlane;
  await scalesTo(50, 5);
  expect(await owner()).toBe('keda');
  const fields = await kubectlOk(['get', 'apiservice', name, '-o', 'yaml', '--show-managed-fields']);
  expect(fields).not.toContain('headstart');
});

test('Headstart says whose it is and what to do: in the log, in an Event and in a metric', async () => {
  const { kubectlOk } = stage.controlPlane;
  const said = `APIService ${name} belongs to Service keda/keda-operator-metrics-apiserver and is left alone`;
  const advice = 'remove that adapter (Headstart creates the APIService when it is gone)';
  const logs = await stage.headstart.logs();
  expect(logs).toContain(`"reason":"Foreign","msg":"${said}`);
  const events = async () =>
    await kubectlOk(['get', 'events', '-n', 'headstart-system', '--field-selector', 'reason=Foreign']);
  await expect.poll(events, { timeout: 30_000, interval: 500 }).toContain(said);
  expect(await events()).toContain(advice);
  expect(await states()).toEqual(['Foreign', 'Foreign']);
});

test('the rest works meanwhile: DemandForecasts are forecast, and the metrics replicas answer', async () => {
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  expect(await stage.reason('web', 'Forecastable', 'ModelFitted')).toContain('of history');
  const change = '"namespace":"default","name":"web","type":"Forecastable","status":"True","reason":"ModelFitted"';
  // The status can be seen a moment before its writer hears that it is written.
  await expect.poll(async () => await stage.headstart.logs(), { timeout: 10_000 }).toContain(change);
  const figures = await Promise.all(
    stage.headstart
      .replicas('headstart-forecaster')
      .map(async ({ operationsPort }) => await ownMetrics(operationsPort)),
  );
  const series = 'headstart_demandforecast_observed_demand{namespace="default",name="web"}';
  // The replica that leads tells of it, and no other.
  expect(figures.filter((text) => text.includes(series))).toHaveLength(1);
  expect(figures.filter((text) => /^headstart_leader\{lease="headstart-forecaster"\} 1$/m.test(text))).toHaveLength(1);
});

test('when the other adapter is removed, Headstart serves within ten seconds', async () => {
  const { kubectlOk } = stage.controlPlane;
  await kubectlOk(['delete', 'apiservice', name]);
  await expect
    .poll(async () => (await stage.metric('predicted_demand', 'web')).value, { timeout: 20_000, interval: 500 })
    .toBeGreaterThan(0);
  expect(await owner()).toBe('headstart-system');
  await expect.poll(states, { timeout: 70_000, interval: 500 }).toEqual(['Owned', 'Owned']);
});

test('when the other adapter takes it over, Headstart gives way and takes its owner reference back', async () => {
  const { kubectlOk } = stage.controlPlane;
  await adapter.claim();
  const references = async () =>
    await kubectlOk(['get', 'apiservice', name, '-o', 'jsonpath={.metadata.ownerReferences}']);
  expect(await references()).toContain('headstart-metrics');
  // While it is ours it is looked at once a minute.
  await expect.poll(references, { timeout: 90_000, interval: 500 }).not.toContain('headstart-metrics');
  await expect.poll(states, { timeout: 90_000, interval: 500 }).toEqual(['Foreign', 'Foreign']);
  await scalesTo(80, 8);
});

test('uninstalling Headstart leaves the APIService of the other adapter and its HPAs', async () => {
  await stage.headstart.uninstall();
  await scalesTo(20, 2);
  expect(await owner()).toBe('keda');
});
