// SPDX-License-Identifier: Apache-2.0
import { request } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cloneName } from '../src/capacity/clones/build-pod.ts';
import { burstPool, burstTarget, countClones } from '../src/testing/clone-burst.ts';
import { startMetricsServer } from '../src/testing/resource-metrics.ts';
import { reportRights } from './audited-rights.ts';
import { startOtherAdapter } from './other-adapter.ts';
import type { OtherAdapter } from './other-adapter.ts';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;
let adapter: OtherAdapter;
let stopMetricsServer = (): Promise<void> => Promise.resolve();

beforeAll(async () => {
  stage = await setStage({
    demand: { web: () => 140, db: () => 30 },
    historySeconds: 86_400,
    controlPlane: { audit: true },
    installation: { until: 'replicas' },
    prepare: async (controlPlane) => {
      stopMetricsServer = await startMetricsServer(controlPlane, () => ({ cpu: '100m', memory: '64Mi' }));
      adapter = await startOtherAdapter(controlPlane);
      await adapter.claim();
    },
  });
});
afterAll(async () => {
  await stage?.stop();
  await stopMetricsServer();
  await adapter?.close();
});

async function eventCount(namespace: string, reason: string): Promise<number> {
  const args = ['get', 'events.events.k8s.io', '-n', namespace, '--field-selector', `reason=${reason}`, '-o', 'json'];
  const { items } = JSON.parse(await stage.controlPlane.kubectlOk(args)) as { items: { series?: { count: number } }[] };
  return items.reduce((sum, { series }) => sum + (series?.count ?? 1), 0);
}

/** Straight to a replica, with a bearer token: the way without the aggregator. */
async function askDirectly(port: number, token: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    const path =
      '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/predicted_demand?labelSelector=forecast%3Dweb';
    const headers = { authorization: `Bearer ${token}` };
    request({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

function scaledPool(name: string, target: string): object {
  const spec = { targetRef: { name: target }, mode: 'Scale', maxReplicas: 5, lifetime: { maxSeconds: 3600 } };
  const metadata = { name, namespace: 'default' };
  return { apiVersion: 'headstart.dev/v1alpha1', kind: 'ClonePool', metadata, spec };
}

async function poolReason(name: string, type: string, reason: string): Promise<void> {
  const path = `jsonpath={.status.conditions[?(@.type=="${type}")].reason}`;
  const read = async () => await stage.controlPlane.kubectlOk(['get', 'clp', name, '-o', path]);
  await expect.poll(read, { timeout: 60_000, interval: 500 }).toBe(reason);
}

test('a run through everything that clones do', async () => {
  const { kubectlOk } = stage.controlPlane;
  await stage.apply(burstTarget('burst'));
  await stage.apply(burstTarget('nowhere'));
  await kubectlOk([
    'patch',
    'deployment',
    'nowhere',
    '-p',
    '{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}',
  ]);
  const clones = async (pool: string) => await countClones(stage.controlPlane, pool);
  const polled = { timeout: 60_000, interval: 500 };

  // Windows are written down, and clones measured.
  const planned = burstPool({ name: 'burst', clones: 2, lifeSeconds: 3600, maxPerMinute: 600 });
  await stage.apply(planned);
  await kubectlOk(['patch', 'clp', 'burst', '--type=merge', '-p', '{"spec":{"utilizationExit":{"resource":"cpu"}}}']);
  await expect.poll(async () => await clones('burst'), polled).toEqual({ present: 2, ready: 2 });

  // What has no node is deleted, not evicted.
  await stage.apply(scaledPool('nowhere', 'nowhere'));
  await kubectlOk(['scale', 'clp/nowhere', '--replicas=1']);
  await expect.poll(async () => await clones('nowhere'), polled).toEqual({ present: 1, ready: 0 });
  await kubectlOk(['scale', 'clp/nowhere', '--replicas=0']);
  await expect.poll(async () => await clones('nowhere'), polled).toEqual({ present: 0, ready: 0 });

  // What has a node is evicted.
  await stage.apply(scaledPool('served', 'burst'));
  await kubectlOk(['scale', 'clp/served', '--replicas=1']);
  await expect.poll(async () => await clones('served'), polled).toEqual({ present: 1, ready: 1 });
  await kubectlOk(['scale', 'clp/served', '--replicas=0']);
  await expect.poll(async () => await clones('served'), polled).toEqual({ present: 0, ready: 0 });

  // Somebody has a pod of the name that a clone is to have: whose it is, is looked at.
  await stage.apply(scaledPool('taken', 'burst'));
  const uid = await kubectlOk(['get', 'clp', 'taken', '-o', 'jsonpath={.metadata.uid}']);
  const name = cloneName({ name: 'taken', uid }, { windowId: undefined, index: 0, generation: 1 });
  await kubectlOk(['run', name, '--image=registry.k8s.io/pause:3.10', '--restart=Never']);
  await kubectlOk(['scale', 'clp/taken', '--replicas=1']);
  await poolReason('taken', 'CreationBlocked', 'NameTaken');

  // The same Event twice is a count.
  for (const [suspend, reason] of [
    [true, 'Suspended'],
    [false, 'NoneWanted'],
    [true, 'Suspended'],
  ] as const) {
    await kubectlOk(['patch', 'clp', 'nowhere', '--type=merge', '-p', JSON.stringify({ spec: { suspend } })]);
    await poolReason('nowhere', 'Ready', reason);
  }
  await expect.poll(async () => await eventCount('default', 'Suspended'), polled).toBe(2);
  await poolReason('burst', 'MetricsAvailable', 'MetricsRead');
});

test('a run through everything that forecasts do', async () => {
  const { controlPlane, headstart } = stage;
  const { kubectlOk } = controlPlane;
  await stage.apply(deployment('web'));
  await stage.apply({ ...deployment('db', 1), kind: 'StatefulSet' });
  await stage.applyExample('web.yaml');
  await stage.applyExample('preview.yaml', (object) => {
    const text = JSON.stringify(object).replaceAll('web', 'db').replace('"Deployment"', '"StatefulSet"');
    Object.assign(object, JSON.parse(text));
  });
  await stage.apply(deployment('jobs'));
  await stage.applyExample('resource.yaml', (object) => {
    // Memory has no initial period to wait for.
    const text = JSON.stringify(object).replaceAll('web', 'jobs').replace('"name":"cpu"', '"name":"memory"');
    Object.assign(object, JSON.parse(text));
  });
  await stage.reason('jobs', 'Observed', 'DemandObserved');
  await stage.reason('web', 'Publishing', 'Forecast');
  await stage.reason('db', 'TargetReady', 'TargetFound');

  // The same twice in ten minutes is a count in an Event that is there.
  for (let time = 0; time < 2; time += 1) {
    await kubectlOk(['delete', 'hpa', 'web']);
    await stage.reason('web', 'HPAReady', 'NoHPA');
    await stage.applyExample('web.yaml');
    await stage.reason('web', 'HPAReady', 'HPAFound');
  }
  await expect.poll(async () => await eventCount('default', 'NoHPA'), { timeout: 30_000 }).toBeGreaterThan(1);

  await kubectlOk(['delete', 'apiservice', 'v1beta1.external.metrics.k8s.io']);
  const value = async () => (await stage.metric('predicted_demand', 'web')).value;
  await expect.poll(value, { timeout: 30_000, interval: 500 }).toBeGreaterThan(0);
  await adapter.claim();
  const foreign = async () => await eventCount('headstart-system', 'Foreign');
  // Each replica says it once more; the first time both said it before.
  await expect.poll(foreign, { timeout: 150_000, interval: 1000 }).toBeGreaterThan(2);

  const token = await controlPlane.serviceAccountToken('kube-system', 'horizontal-pod-autoscaler');
  const [replica] = headstart.replicas('headstart-metrics');
  expect(await askDirectly(replica?.securePort ?? 0, token)).toBe(200);
});

test('every right in the manifests was used, and none was missing', async () => {
  const { unused, forbidden, used } = await reportRights(stage.controlPlane, stage.headstart.objects);
  expect(forbidden).toEqual([]);
  // What is added here needs its reason in a comment.
  expect(unused).toEqual([
    // Only where somebody else writes to the pool at the same moment; sweeper.test.ts does it.
    'headstart-clones: get clonepools.headstart.dev',
    // Asked by an admission plugin that is off by default (OwnerReferencesPermissionEnforcement), never by Headstart.
    'headstart-clones: update clonepools/finalizers.headstart.dev',
    // Samples are kept ten minutes after the start for the first time; resource-source.integration.test.ts does it, with
    // these rights.
    'headstart-forecaster: create demandhistories.headstart.dev',
    'headstart-forecaster: patch demandhistories.headstart.dev',
  ]);
  expect(used).toBeGreaterThan(20);
});
