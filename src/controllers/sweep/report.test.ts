// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePool, ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { HeadstartError } from '../../base/errors.ts';
import type { EventToRecord } from '../../kube/recorder.ts';
import { createFakeClock } from '../../testing/fake-clock.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createSweepReport } from './report.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

function poolOf(status?: ClonePoolStatus): ClonePool {
  const metadata = { namespace: 'shop', name: 'web', uid: 'u1', generation: 3 };
  return { metadata, spec: {}, ...(status === undefined ? {} : { status }) } as unknown as ClonePool;
}

const unblocked: ClonePoolConditionDraft = {
  type: 'PDBBlocked',
  status: 'False',
  reason: 'NotBlocked',
  message: 'no clone waits for a budget',
};
const exit = { namespace: 'shop', pool: 'web', name: 'web-1', reason: 'Idle' } as const;

/** A report about one pool, whose status follows what is written unless the cache is held. */
function start(status?: ClonePoolStatus) {
  const world = {
    pool: poolOf(status),
    drafts: [unblocked],
    isCacheHeld: false,
    failWith: undefined as Error | undefined,
    knowsTime: true,
    problems: [] as string[],
    events: [] as EventToRecord[],
  };
  const client = createFakeKubeClient(({ body }) => {
    if (world.failWith !== undefined) throw world.failWith;
    const { status: written } = body as { status: ClonePoolStatus };
    if (!world.isCacheHeld) world.pool = poolOf({ ...world.pool.status, ...written });
    return {};
  });
  const clock = createFakeClock();
  const report = createSweepReport({
    client,
    clock,
    now: () => (world.knowsTime ? clock.nowMs() / 1000 : undefined),
    pools: {
      get: (_namespace, name) => (name === 'web' ? world.pool : undefined),
      list: () => [world.pool],
      hasSynced: () => true,
      lastContactMs: () => 0,
    },
    conditions: () => world.drafts,
    recorder: { record: (event) => void world.events.push(event) },
    onProblem: ({ key, error }) => world.problems.push(`${key}: ${(error as Error).message}`),
  });
  void report.run(stop.signal);
  const said = () => client.requests.map(({ body }) => (body as { status: ClonePoolStatus }).status);
  return { world, client, clock, report, said };
}

test('what a pool is like is said once, by a manager of its own, and then only when it changes', async () => {
  const { world, client, clock, said } = start();
  await clock.advance(60_000);
  expect(said()).toHaveLength(1);
  expect(said()[0]?.conditions).toMatchObject([{ type: 'PDBBlocked', reason: 'NotBlocked', observedGeneration: 3 }]);
  expect(client.requests[0]).toMatchObject({
    path: '/apis/headstart.dev/v1alpha1/namespaces/shop/clonepools/web/status',
    query: { fieldManager: 'headstart-sweeper', force: 'true' },
  });
  world.drafts = [{ ...unblocked, status: 'True', reason: 'BudgetExhausted', message: '2 clones wait' }];
  await clock.advance(5_000);
  expect(said()).toHaveLength(2);
});

test('numbers that waver are written once a minute', async () => {
  const { world, clock, said } = start();
  for (let second = 0; second < 180; second += 5) {
    world.drafts = [{ ...unblocked, message: `at ${second}` }];
    await clock.advance(5_000);
  }
  expect(said()).toHaveLength(3);
});

test('clones that ended are counted on top of what the status has', async () => {
  const { clock, report, said } = start({ replicas: 0, exits: { Idle: 4, Expired: 7 } });
  report.exited(exit);
  report.exited({ ...exit, reason: 'Surplus' });
  report.exited({ ...exit, pool: undefined });
  report.exited({ ...exit, pool: 'gone' });
  await clock.advance(5_000);
  expect(said().at(-1)?.exits).toEqual({ Expired: 7, Idle: 5, Surplus: 1 });
});

test('an Event tells how many clones ended, and why; of a clone without a pool it is about the pod', async () => {
  const { world, clock, report } = start();
  report.exited(exit);
  report.exited({ ...exit, name: 'web-2' });
  report.exited({ ...exit, reason: 'StartFailed' });
  report.exited({ ...exit, pool: undefined, name: 'lone', reason: 'Expired' });
  world.failWith = new HeadstartError('Unavailable', 'away');
  await clock.advance(5_000);
  expect(world.events.map(({ regarding, reason }) => [regarding.kind, regarding.name, reason])).toEqual([
    ['Pod', 'lone', 'Expired'],
  ]);
  world.failWith = undefined;
  await clock.advance(10_000);
  expect(world.events.slice(1)).toMatchObject([
    {
      regarding: { kind: 'ClonePool', name: 'web', uid: 'u1' },
      type: 'Normal',
      reason: 'Idle',
      note: '2 clones were ended, each because it had had nothing to do for long enough',
    },
    { type: 'Warning', reason: 'StartFailed', note: 'a clone was ended: it was not Ready within its time to start' },
  ]);
});

test('a cache that lags behind loses no count, and a write that failed none either', async () => {
  const { world, clock, report, said } = start();
  world.isCacheHeld = true;
  report.exited(exit);
  await clock.advance(5_000);
  report.exited(exit);
  await clock.advance(5_000);
  expect(said().at(-1)?.exits).toEqual({ Idle: 2 });
  world.failWith = new HeadstartError('Unavailable', 'away');
  report.exited(exit);
  await clock.advance(5_000);
  expect(world.problems).toEqual(['shop/web: away']);
  world.failWith = undefined;
  await clock.advance(5_000);
  expect(said().at(-1)?.exits).toEqual({ Idle: 3 });
});

test('nothing is written at an unknown time, and a pool that is gone is no problem', async () => {
  const { world, clock, said } = start();
  world.knowsTime = false;
  await clock.advance(20_000);
  expect(said()).toEqual([]);
  world.knowsTime = true;
  world.failWith = new HeadstartError('NotFound', 'gone');
  await clock.advance(5_000);
  expect(world.problems).toEqual([]);
});
