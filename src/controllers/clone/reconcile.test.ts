// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { PodManifest } from '../../capacity/clones/build-pod.ts';
import { HeadstartError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { KubeObject, KubeRequest } from '../../kube/client.ts';
import type { EventToRecord } from '../../kube/recorder.ts';
import { createStore } from '../../kube/store.ts';
import { clonePool } from '../../testing/builders.ts';
import { createFakeClock } from '../../testing/fake-clock.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createCloneController } from './reconcile.ts';
import type { PlannedWindow } from './snapshot.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

const ownerReferences = [{ kind: 'Deployment', uid: 'd1' }];
const unowned = clonePool({ metadata: { uid: 'u1' }, spec: { serving: 'Hidden' } });
const pool = { ...unowned, metadata: { ...unowned.metadata, ownerReferences } };
const deployment = {
  metadata: { name: 'web', namespace: 'shop', uid: 'd1' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'app', image: 'a' }] } },
  },
};

/** A controller of one pool, in a world where pods are refused as told. */
async function start(refusal?: readonly [ErrorCode, string], serving: ClonePool['spec']['serving'] = 'Hidden') {
  const clock = createFakeClock();
  const now = (): number => clock.nowMs() / 1000;
  const world = {
    refusal,
    plan: [] as readonly PlannedWindow[],
    events: [] as EventToRecord[],
    told: [] as string[],
    services: [] as object[],
    made: [] as string[],
  };
  const pools = createStore<ClonePool & KubeObject>();
  const change = (): void => void pools.set({ ...pool, spec: { ...pool.spec, serving } });
  change();
  const answer = ({ method = 'GET', path, body }: KubeRequest): unknown => {
    if (path.endsWith('/deployments/web')) return deployment;
    if (path.endsWith('/services')) return { items: world.services };
    if (method === 'GET') return {};
    if (method === 'POST' && world.refusal !== undefined) throw new HeadstartError(...world.refusal);
    if (method === 'POST') world.made.push((body as PodManifest).metadata.labels['app'] ?? '');
    return body;
  };
  const empty = <T extends KubeObject>() => {
    const store = createStore<T>();
    store.markSynced();
    return store;
  };
  const controller = createCloneController({
    client: createFakeKubeClient(answer),
    clock,
    random: () => 0.5,
    now,
    pools,
    clones: empty(),
    templates: empty(),
    forecasts: empty(),
    hpas: empty(),
    recorder: { record: (event) => void world.events.push(event) },
    retire: async () => undefined,
    endsSurplus: false,
    planWindows: () => ({ windows: world.plan, reason: 'as told' }),
    onRefusal: (reason) => void world.told.push(reason),
    onScaling: (reason) => void world.told.push(reason),
  });
  void controller.run(stop.signal);
  const plan = async (replicas: number): Promise<void> => {
    const window = { id: 'w-1', startTime: now() - 10, endTime: now() + 1200, replicas };
    world.plan = replicas === 0 ? [] : [window];
    controller.poolChanged({ type: 'added', object: pool });
    await clock.advance(15_000);
  };
  await clock.advance(1_000);
  return { world, plan, change };
}

const notes = (events: readonly EventToRecord[], action: string): string[] =>
  events.flatMap((event) => (event.action === action ? [`${event.type} ${event.reason}: ${event.note}`] : []));

test('whatever more, or less, is wanted is told once, as an Event and to the metrics, with the reason', async () => {
  const { world, plan } = await start();
  expect(world.told).toEqual([]);
  for (const count of [4, 4, 6, 0]) await plan(count);
  expect(world.told).toEqual(['ScaledUp', 'ScaledUp', 'ScaledDown']);
  expect(notes(world.events, 'Scale')).toEqual([
    'Normal ScaledUp: 4 clones are wanted, 0 before: as told',
    'Normal ScaledUp: 6 clones are wanted, 4 before: as told',
    'Normal ScaledDown: 0 clones are wanted, 6 before: as told',
  ]);
  expect(notes(world.events, 'Create')[0]).toMatch(/^Normal ClonesCreated: made 4 of 4 clones, the first one web-/);
});

test.each<[string, ErrorCode, string]>([
  ['QuotaExceeded', 'Forbidden', 'pods "web-1" is forbidden: exceeded quota: small'],
  ['Refused', 'Forbidden', 'pods "web-1" is forbidden: violates PodSecurity "restricted"'],
  ['InvalidPod', 'InvalidInput', 'Pod "web-1" is invalid: spec.containers[0].image: Required value'],
  ['ServerUnavailable', 'Unavailable', 'no connection'],
])('%s is a warning about the pool, and counted, by the same word', async (reason, code, message) => {
  const { world, plan } = await start([code, message]);
  await plan(4);
  expect(new Set(world.told)).toEqual(new Set(['ScaledUp', reason]));
  const [note] = notes(world.events, 'CreationBlocked');
  expect(note).toMatch(`Warning ${reason}: `);
});

test('in a namespace that is being deleted, which takes no Events, the refusal is counted alone', async () => {
  const { world, plan } = await start(['Forbidden', 'unable to create: because it is being terminated']);
  await plan(4);
  expect(world.told).toContain('NamespaceTerminating');
  expect(notes(world.events, 'CreationBlocked')).toEqual([]);
});

test('clones are made with the labels that a Service of a moment ago wants', async () => {
  const { world, plan } = await start(undefined, 'ServiceLabels');
  await plan(0);
  world.services = [{ spec: { selector: { app: 'web' } } }];
  await plan(4);
  expect(new Set(world.made)).toEqual(new Set(['web']));
});

test('and one that came with the change of the pool, however soon after a look', async () => {
  const { world, plan, change } = await start(undefined, 'ServiceLabels');
  world.services = [{ spec: { selector: { app: 'web' } } }];
  change();
  await plan(4);
  expect(new Set(world.made)).toEqual(new Set(['web']));
});

test('without a Service they get a label that no HPA counts', async () => {
  const { world, plan } = await start(undefined, 'ServiceLabels');
  await plan(4);
  expect(new Set(world.made)).toEqual(new Set(['web-clone']));
});
