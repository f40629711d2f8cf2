// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneTemplates } from '../../api/clone-labels.ts';
import type { ClonePoolCondition } from '../../api/conditions.ts';
import { apiVersion, demandForecasts } from '../../api/labels.ts';
import type { ClonePoolConditionType } from '../../api/reasons.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { systemClock } from '../../base/clock.ts';
import { errorCode, errorMessage } from '../../base/errors.ts';
import { cloneName } from '../../capacity/clones/build-pod.ts';
import type { PodObject } from '../../capacity/clones/read-clone.ts';
import type { Victim } from '../../capacity/clones/victims.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { KubeClient, KubeObject, KubeRequest } from '../../kube/client.ts';
import type { ReconcileObservation } from '../../kube/controller.ts';
import { createKubeClient } from '../../kube/http-client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { createEventRecorder } from '../../kube/recorder.ts';
import { createReflector } from '../../kube/reflector.ts';
import type { Change } from '../../kube/store.ts';
import { startControlPlane } from '../../testing/control-plane.ts';
import type { ControlPlane } from '../../testing/control-plane.ts';
import { waitUntil } from '../../testing/process.ts';
import { cloneSelector, parseClone } from './clone-object.ts';
import type { CloneObject } from './clone-object.ts';
import { createCloneController } from './reconcile.ts';
import type { CloneController } from './reconcile.ts';
import type { PlannedWindow, Snapshot } from './snapshot.ts';

const manifests = fileURLToPath(new URL('../../../manifests/', import.meta.url));
const failures: ReconcileObservation[] = [];
const lost: unknown[] = [];
const requests: KubeRequest[] = [];
/** What the plan is, by pool; a pool that is not here has none. */
const plans = new Map<string, readonly PlannedWindow[]>();
let cluster: ControlPlane;
let running: { stop(): Promise<void> };
let namespace = '';

/** The controller as the role runs it, with the rights of its ServiceAccount; the sweeper's part is a delete. */
async function startController(): Promise<{ stop(): Promise<void> }> {
  const stop = new AbortController();
  const kubeconfig = await cluster.kubeconfigForServiceAccount('headstart-system', 'headstart-clones');
  const client = counted(createKubeClient({ kubeconfig }));
  const onError = (error: unknown): void => void lost.push(error);
  const common = { client, clock: systemClock, random: Math.random, onError };
  // Created below, before anything runs.
  const told: { controller?: CloneController } = {};
  const follow = <T extends KubeObject>(
    plural: string,
    tell: (controller: CloneController) => (change: Change<T>) => void,
  ) =>
    createReflector<T>({
      ...common,
      path: resourcePath({ apiVersion, plural }),
      onChange: (change) => {
        if (told.controller !== undefined) tell(told.controller)(change);
      },
    });
  const pools = follow<ClonePool & KubeObject>('clonepools', ({ poolChanged }) => poolChanged);
  const templates = follow<CloneTemplate & KubeObject>(cloneTemplates, ({ templateChanged }) => templateChanged);
  const forecasts = follow<DemandForecast & KubeObject>(demandForecasts, ({ forecastChanged }) => forecastChanged);
  const hpas = createReflector<HorizontalPodAutoscaler & KubeObject>({
    ...common,
    path: resourcePath({ apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' }),
    onChange: (change) => told.controller?.hpaChanged(change),
  });
  const clones = createReflector<CloneObject>({
    ...common,
    path: resourcePath({ apiVersion: 'v1', plural: 'pods' }),
    query: { labelSelector: cloneSelector },
    parse: parseClone,
    onChange: (change) => told.controller?.cloneChanged(change),
  });
  const controller = createCloneController({
    ...common,
    now: () => Date.now() / 1000,
    pools: pools.store,
    templates: templates.store,
    forecasts: forecasts.store,
    hpas: hpas.store,
    clones: clones.store,
    recorder: createEventRecorder({
      ...common,
      reportingController: 'headstart.dev/clones',
      reportingInstance: 'test',
    }),
    endsSurplus: true,
    retire: async (_pool, victims) => await remove(client, victims),
    priorityClassName: 'headstart-clones',
    planWindows: ({ pool }: Pick<Snapshot, 'pool'>) => ({
      windows: plans.get(`${pool.metadata.namespace}/${pool.metadata.name}`) ?? [],
      reason: 'as told',
    }),
    onResult: (result) => {
      if (result.outcome !== 'Success') failures.push(result);
    },
  });
  told.controller = controller;
  const all = [pools, templates, forecasts, hpas, clones];
  const following = all.map(async (reflector) => await reflector.run(stop.signal));
  await Promise.all(all.map(async (reflector) => await reflector.whenSynced(stop.signal)));
  const work = Promise.all([...following, controller.run(stop.signal)]);
  return {
    stop: async () => {
      stop.abort(new Error('stopped'));
      await work;
    },
  };
}

async function remove(client: KubeClient, victims: readonly Victim[]): Promise<void> {
  for (const { clone } of victims) {
    const path = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace: clone.namespace, name: clone.name });
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: clone.uid } };
    await client.request({ method: 'DELETE', path, body }).catch((error: unknown) => {
      if (!['NotFound', 'Conflict'].includes(errorCode(error))) throw error;
    });
  }
}

function counted(client: KubeClient): KubeClient {
  return {
    ...client,
    request: async <T>(request: KubeRequest) => {
      requests.push(request);
      return await client.request<T>(request);
    },
  };
}

async function apply(object: unknown): Promise<void> {
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
}

function deployment(spec: object = {}, labels: Readonly<Record<string, string>> = { app: 'web' }): object {
  const resources = { requests: { cpu: '10m', memory: '10Mi' } };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'web:1', resources }] } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: { replicas: 2, selector: { matchLabels: labels }, template, ...spec },
  };
}

function pool(spec: object = {}): object {
  return {
    apiVersion,
    kind: 'ClonePool',
    metadata: { name: 'web', namespace },
    spec: {
      targetRef: { name: 'web' },
      forecastRef: { name: 'web' },
      capacityPerClone: 50,
      maxReplicas: 40,
      lifetime: { maxSeconds: 600 },
      ...spec,
    },
  };
}

function service(): object {
  const spec = { selector: { app: 'web' }, ports: [{ port: 80 }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace }, spec };
}

/** A window that has begun. */
function plan(replicas: number, seconds = 500): void {
  const now = Math.floor(Date.now() / 1000);
  plans.set(`${namespace}/web`, [{ id: 'w-1', startTime: now - 5, endTime: now + seconds, replicas }]);
}

async function poke(): Promise<void> {
  const mark = `test.example.com/poke=${Date.now()}`;
  await cluster.kubectlOk(['annotate', 'clp', 'web', '-n', namespace, mark, '--overwrite']);
}

type Pod = PodObject & { readonly spec: { readonly containers: readonly { readonly image: string }[] } };

async function pods(selector = cloneSelector): Promise<readonly Pod[]> {
  const text = await cluster.kubectlOk(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json']);
  return (JSON.parse(text) as { items: readonly Pod[] }).items.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
}

async function read(): Promise<ClonePool> {
  return JSON.parse(await cluster.kubectlOk(['get', 'clp', 'web', '-n', namespace, '-o', 'json'])) as ClonePool;
}

async function becomes(type: ClonePoolConditionType, reason: string): Promise<ClonePoolCondition> {
  let last: unknown;
  const probe = async (): Promise<ClonePoolCondition | undefined> => {
    const found = (await read()).status?.conditions?.find((item) => item.type === type);
    last = found;
    return found?.reason === reason ? found : undefined;
  };
  return await waitUntil(`${type} becomes ${reason}`, probe, { timeoutMs: 40_000, intervalMs: 300 }).catch(
    (cause: unknown) => {
      throw new Error(`${type} does not become ${reason}, it is ${JSON.stringify(last)}`, { cause });
    },
  );
}

async function count(wanted: number): Promise<readonly Pod[]> {
  const probe = async (): Promise<readonly Pod[] | undefined> => {
    const items = await pods();
    return items.length === wanted ? items : undefined;
  };
  return await waitUntil(`there are ${wanted} clones`, probe, { timeoutMs: 60_000, intervalMs: 300 });
}

let spaces = 0;
async function inNewNamespace(): Promise<void> {
  spaces += 1;
  namespace = `shop-${spaces}`;
  await cluster.kubectlOk(['create', 'namespace', namespace]);
}

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 2, podStartupMs: 1000 });
  await cluster.kubectlOk(['apply', '-k', `${manifests}crds`]);
  const crds = ['clonepools', 'clonetemplates', 'demandforecasts'].map((name) => `crd/${name}.headstart.dev`);
  await cluster.kubectlOk(['wait', '--for=condition=Established', ...crds]);
  for (const file of ['namespace.yaml', 'rbac-clones.yaml', 'priority-class-clones.yaml']) {
    await cluster.kubectlOk(['apply', '-f', `${manifests}base/${file}`]);
  }
  running = await startController();
});

afterAll(async () => {
  await running?.stop();
  await cluster?.stop();
});

describe('a burst', () => {
  test('its clones are made, named after pool and window, and the pool says so', async () => {
    await inNewNamespace();
    await apply(deployment());
    plan(5);
    await apply(pool());
    const items = await count(5);
    const names = items.map(({ metadata }) => metadata.name).toSorted();
    const [, hash = ''] = /^web-([0-9a-z]{6})-0$/.exec(names[0] ?? '') ?? [];
    expect(names).toEqual([0, 1, 2, 3, 4].map((index) => `web-${hash}-${index}`));
    await becomes('Ready', 'ClonesReady');
    const standing = await read();
    expect(standing.spec.replicas).toBe(5);
    expect(standing.spec.windows?.map(({ id }) => id)).toEqual(['w-1']);
    expect(standing.status).toMatchObject({
      replicas: 5,
      readyReplicas: 5,
      selector: 'headstart.dev/pool=web',
      carrying: { perClone: '50000m', ready: 5 },
    });
    const owners = (standing.metadata as { ownerReferences?: { kind: string; controller?: boolean }[] })
      .ownerReferences;
    expect(owners?.map(({ kind, controller = false }) => [kind, controller])).toEqual([['Deployment', false]]);
    const spec = items[0]?.spec as unknown as Record<string, unknown>;
    expect(spec).toMatchObject({
      priorityClassName: 'headstart-clones',
      preemptionPolicy: 'Never',
      activeDeadlineSeconds: 600 + 30 + 300,
    });
    // The Deployment counts its own pods only.
    expect(await pods('app=web,headstart.dev/clone!=true')).toHaveLength(2);
  });

  test('a controller that is started anew, twice at a time too, makes no second ones', async () => {
    const before = (await pods()).map(({ metadata }) => metadata.uid);
    const second = await startController();
    await poke();
    await running.stop();
    running = await startController();
    await second.stop();
    plan(7);
    await poke();
    const after = (await count(7)).map(({ metadata }) => metadata.uid);
    expect(after).toEqual(expect.arrayContaining(before));
  });

  test('a clone that is deleted by hand is replaced while its window lasts', async () => {
    const [victim] = await pods();
    await cluster.kubectlOk(['delete', 'pod', '-n', namespace, victim?.metadata.name ?? '', '--wait=false']);
    const replaced = async () =>
      (await pods()).length === 7 && (await pods()).every(({ metadata }) => metadata.uid !== victim?.metadata.uid);
    const done = waitUntil('it is replaced', async () => (await replaced()) || undefined, { timeoutMs: 30_000 });
    await expect(done).resolves.toBe(true);
  });

  test('a rollout replaces clones by ones of the new template', async () => {
    const resources = { requests: { cpu: '10m', memory: '10Mi' } };
    const containers = [{ name: 'main', image: 'web:2', resources }];
    await apply(deployment({ template: { metadata: { labels: { app: 'web' } }, spec: { containers } } }));
    await poke();
    const isNew = async () => {
      const items = await pods();
      return items.length === 7 && items.every((item) => item.spec.containers[0]?.image === 'web:2') ? true : undefined;
    };
    await waitUntil('all clones are new', isNew, { timeoutMs: 60_000, intervalMs: 500 });
    expect((await becomes('RevisionCurrent', 'AllCurrent')).status).toBe('True');
  });

  test('fewer are wanted: those that are too many end; paused: none come', async () => {
    plan(5);
    await poke();
    await count(5);
    await apply(deployment({ paused: true }));
    plan(8);
    await poke();
    await becomes('TargetResolved', 'TargetPaused');
    expect(await pods()).toHaveLength(5);
  });

  test('the target is deleted: the pool and all clones are gone', async () => {
    await cluster.kubectlOk(['delete', 'deployment', 'web', '-n', namespace]);
    await count(0);
    const gone = async () => (await cluster.kubectl(['get', 'clp', 'web', '-n', namespace])).code !== 0 || undefined;
    await expect(waitUntil('the pool is gone', gone, { timeoutMs: 30_000 })).resolves.toBe(true);
  });
});

describe('what keeps clones from being made', () => {
  test('a quota that is too small is named, some clones are made, and when it grows the rest', async () => {
    await inNewNamespace();
    const quota = (limit: number) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'few', namespace },
      spec: { hard: { pods: String(limit) } },
    });
    await apply(quota(5));
    await apply(deployment());
    const isThere = async () => (await pods('app=web')).length === 2 || undefined;
    await waitUntil('the target has its pods', isThere, { timeoutMs: 30_000 });
    // The apiserver hears of a new quota a moment later, on a busy machine several.
    const counted = ['--for=jsonpath={.status.used.pods}=2', 'resourcequota/few', '-n', namespace, '--timeout=60s'];
    await cluster.kubectlOk(['wait', ...counted]);
    plan(20);
    const before = requests.length;
    await apply(pool());
    expect((await becomes('CreationBlocked', 'QuotaExceeded')).message).toMatch(/^exceeded quota: few/);
    expect(await pods()).toHaveLength(3);
    const posts = requests
      .slice(before)
      .filter(({ method, path }) => method === 'POST' && path.endsWith(`/${namespace}/pods`));
    expect(posts.length).toBeLessThanOrEqual(15);
    await apply(quota(50));
    await count(20);
    await becomes('CreationBlocked', 'NotBlocked');
  });

  test('an HPA that would count clones: none are made, and the way out is named', async () => {
    await inNewNamespace();
    await apply(service());
    await apply(deployment());
    await cluster.kubectlOk([
      'autoscale',
      'deployment',
      'web',
      '-n',
      namespace,
      '--min=2',
      '--max=5',
      '--cpu-percent=80',
    ]);
    plan(3);
    await apply(pool());
    const { status, message } = await becomes('HPASelectorOverlap', 'HPACountsClones');
    expect(status).toBe('True');
    expect(message).toMatch(/HPA web: spec\.metrics\[0\]: Resource cpu counts .* AverageValue/);
    expect(await pods()).toEqual([]);
    await cluster.kubectlOk(['annotate', 'clp', 'web', '-n', namespace, 'headstart.dev/accept-hpa-overlap=true']);
    await count(3);
    await becomes('HPASelectorOverlap', 'OverlapAccepted');
  });

  test('a label that only the Deployment selects by is split: the Service finds clones, the HPA does not', async () => {
    await inNewNamespace();
    await apply(service());
    await apply(deployment({}, { app: 'web', track: 'base' }));
    await cluster.kubectlOk([
      'autoscale',
      'deployment',
      'web',
      '-n',
      namespace,
      '--min=2',
      '--max=5',
      '--cpu-percent=80',
    ]);
    plan(2);
    await apply(pool());
    await count(2);
    await becomes('HPASelectorOverlap', 'LabelsSplit');
    expect(await pods('app=web,track=base-clone')).toHaveLength(2);
    expect(await pods('app=web,track=base')).toHaveLength(2);
  });

  test.each([
    ['Pod Security', 'Refused', /violates PodSecurity/],
    ['a LimitRange', 'Refused', /minimum cpu usage/],
  ])('%s is named', async (what, reason, message) => {
    await inNewNamespace();
    await apply(deployment());
    const isThere = async () => (await pods('app=web')).length === 2 || undefined;
    await waitUntil('the target has its pods', isThere, { timeoutMs: 30_000 });
    if (what === 'a LimitRange') {
      const limits = [{ type: 'Container', min: { cpu: '1' } }];
      await apply({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'l', namespace }, spec: { limits } });
    } else {
      await cluster.kubectlOk(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    }
    plan(3);
    await apply(pool());
    expect((await becomes('CreationBlocked', reason)).message).toMatch(message);
  });

  test('a foreign pod of the name is left alone, and named', async () => {
    await inNewNamespace();
    await apply(deployment());
    plan(1);
    await apply(pool({ suspend: true }));
    await becomes('Ready', 'Suspended');
    const name = cloneName((await read()).metadata, { windowId: 'w-1', index: 0, generation: 1 });
    const foreign = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } };
    await apply({ ...foreign, spec: { containers: [{ name: 'main', image: 'other' }] } });
    await apply(pool());
    expect((await becomes('CreationBlocked', 'NameTaken')).message).toContain(name);
    expect((await pods('!headstart.dev/clone')).map(({ metadata }) => metadata.name)).toContain(name);
  });
});

test('a namespace that is deleted ends in peace', async () => {
  await inNewNamespace();
  await apply(deployment());
  plan(4);
  await apply(pool());
  await count(4);
  const gone = namespace;
  await cluster.kubectlOk(['delete', 'namespace', gone, '--timeout=60s']);
  expect((await cluster.kubectl(['get', 'namespace', gone])).code).not.toBe(0);
});

test('no look failed, and no right was missing', () => {
  expect(failures.map(({ key, outcome, error }) => `${key} ${outcome} ${String(error)}`)).toEqual([]);
  // A namespace that is being deleted takes no Events.
  const isExpected = (error: unknown): boolean => errorMessage(error).includes('because it is being terminated');
  expect(lost.filter((error) => !isExpected(error)).map(errorMessage)).toEqual([]);
});
