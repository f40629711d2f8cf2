// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import { exitReasons } from '../../api/clone-labels.ts';
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePool, ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { HeadstartError } from '../../base/errors.ts';
import { clonePool } from '../../testing/builders.ts';
import { createFakeClock } from '../../testing/fake-clock.ts';
import type { EventToRecord } from '../../kube/recorder.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createSweepReport } from './report.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

function poolOf(status?: ClonePoolStatus, ageSeconds = 0): ClonePool {
  const creationTimestamp = formatRfc3339(createFakeClock().nowMs() / 1000 - ageSeconds);
  const metadata = { uid: 'u1', generation: 3, creationTimestamp };
  return clonePool({ metadata, ...(status === undefined ? {} : { status }) });
}

const unblocked: ClonePoolConditionDraft = {
  type: 'PDBBlocked',
  status: 'False',
  reason: 'NotBlocked',
  message: 'no clone waits for a budget',
};
const exit = { namespace: 'shop', pool: 'web', name: 'web-1', reason: 'Idle' } as const;

/** A report about one pool, whose status follows what is written unless the cache is held. */
function start(status?: ClonePoolStatus, ageSeconds = 0) {
  const world = {
    pool: poolOf(status, ageSeconds),
    drafts: [unblocked],
    isCacheHeld: false,
    failWith: undefined as Error | undefined,
    knowsTime: true,
    problems: [] as string[],
    events: [] as EventToRecord[],
    changes: [] as string[],
  };
  const client = createFakeKubeClient(({ body }) => {
    if (world.failWith !== undefined) throw world.failWith;
    const { status: written } = body as { status: ClonePoolStatus };
    if (!world.isCacheHeld) world.pool = poolOf({ ...world.pool.status, ...written }, ageSeconds);
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
    onChange: ({ type, status: value, reason, isWarning }) =>
      void world.changes.push([type, value, reason, ...(isWarning ? ['!'] : [])].join(' ')),
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

const exhausted: ClonePoolConditionDraft = {
  type: 'PDBBlocked',
  status: 'True',
  reason: 'BudgetExhausted',
  message: 'a PodDisruptionBudget refuses that 2 clones end',
};
const toldOf = ({ type, reason, action, note, regarding: { kind, name } }: EventToRecord) =>
  [type, action, reason, `${kind}/${name}`, note].join(' | ');

test('a condition that changes is told of once, whoever has written it into the status before', async () => {
  const { world, clock } = start();
  await clock.advance(10_000);
  expect(world.events).toEqual([]);
  expect(world.changes).toEqual(['PDBBlocked False NotBlocked']);
  world.drafts = [exhausted];
  const condition = { ...exhausted, observedGeneration: 3, lastTransitionTime: '2026-01-01T00:00:00Z' } as const;
  world.pool = poolOf({ replicas: 2, conditions: [condition] });
  await clock.advance(10_000);
  world.drafts = [unblocked];
  await clock.advance(10_000);
  expect(world.events.map(toldOf)).toEqual([
    'Warning | PDBBlocked | BudgetExhausted | ClonePool/web | a PodDisruptionBudget refuses that 2 clones end',
    'Normal | PDBBlocked | NotBlocked | ClonePool/web | no clone waits for a budget',
  ]);
  expect(world.changes.slice(1)).toEqual(['PDBBlocked True BudgetExhausted !', 'PDBBlocked False NotBlocked']);
});

test.each([
  ['an old pool, of which the leader before has told', 3600, 0],
  ['a new pool, of which nobody has', 0, 1],
])('what stands in the status of %s', async (_what, ageSeconds, events) => {
  const condition = { ...exhausted, observedGeneration: 3, lastTransitionTime: '2026-01-01T00:00:00Z' } as const;
  const { world, clock } = start({ replicas: 2, conditions: [condition] }, ageSeconds);
  world.drafts = [exhausted];
  await clock.advance(10_000);
  expect(world.events).toHaveLength(events);
});

test.each(exitReasons.map((reason) => [reason]))('clones that end as %s are an Event of their pool', async (reason) => {
  const { world, clock, report } = start();
  report.exited({ ...exit, reason });
  await clock.advance(5_000);
  const type = reason === 'Failed' || reason === 'StartFailed' ? 'Warning' : 'Normal';
  expect(world.events).toMatchObject([
    { type, reason, action: 'Retire', regarding: { kind: 'ClonePool', namespace: 'shop', name: 'web', uid: 'u1' } },
  ]);
  expect(world.events[0]?.note).toContain('a clone was ended, web-1: ');
});

test('five hundred that end in a minute are two Events, with their number', async () => {
  const { world, clock, report } = start();
  for (let index = 0; index < 500; index += 1) {
    report.exited({ ...exit, reason: 'Expired', name: `web-${index}` });
    if (index % 50 === 49) await clock.advance(5_000);
  }
  await clock.advance(600_000);
  expect(world.events.map(({ note }) => note.split(':')[0])).toEqual([
    '50 clones were ended, the last one web-49',
    '450 clones were ended, the last one web-499',
  ]);
});

test('pods without a pool are told of by namespace, at the last of them', async () => {
  const { world, clock, report } = start();
  for (const name of ['a', 'b']) report.exited({ ...exit, pool: undefined, name, reason: 'Expired' });
  report.exited({ ...exit, namespace: 'lab', pool: 'gone', name: 'c', reason: 'Expired' });
  await clock.advance(5_000);
  expect(world.events.map(toldOf)).toEqual([
    'Normal | Retire | Expired | Pod/b | 2 clones were ended, the last one b: the deadline or the time to live was over',
    'Normal | Retire | Expired | Pod/c | a clone was ended, c: the deadline or the time to live was over',
  ]);
});
