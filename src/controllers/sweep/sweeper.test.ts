// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { createStore } from '../../kube/store.ts';
import { createFakeClock } from '../../testing/fake-clock.ts';
import { FakeClones } from '../../testing/fake-clones.ts';
import type { FakeCloneOptions } from '../../testing/fake-clones.ts';
import type { Exit } from './ending.ts';
import { createIdleWatch } from './idle-watch.ts';
import type { IdleWatch } from './idle-watch.ts';
import { createRetirement } from './retire.ts';
import { createSweeper } from './sweeper.ts';
import { parseSweptClone } from './swept-clone.ts';
import type { SweptClone } from './swept-clone.ts';

const now = 5000;
const { signal } = new AbortController();

/** A process that sweeps, on what it sees of the cluster at each `step`. */
function startProcess(
  cluster: FakeClones,
  parts: { readonly client?: KubeClient; readonly idleWatch?: IdleWatch } = {},
) {
  const clock = createFakeClock();
  const clones = createStore<SweptClone>();
  const pools = createStore<ClonePool & KubeObject>();
  const exits: Exit[] = [];
  const problems: string[] = [];
  const startMs = clock.nowMs();
  const { client = cluster, idleWatch = createIdleWatch({ readPods: unread, readQuery: unread }) } = parts;
  const retirement = createRetirement({
    client,
    clock,
    random: () => 0,
    clones,
    onExit: (exit) => void exits.push(exit),
    onProblem: ({ name, error }) => void problems.push(`${name}: ${errorMessage(error)}`),
  });
  const time = { now: (): number | undefined => now + (clock.nowMs() - startMs) / 1000 };
  const sweeper = createSweeper({
    clock,
    serverTime: { now: () => time.now(), refresh: () => Promise.resolve() },
    clones,
    pools,
    retirement,
    idleWatch,
    onProblem: ({ error }) => void problems.push(errorMessage(error)),
  });
  const look = (): void => {
    clones.replace(cluster.pods().map(parseSweptClone), new Set());
    pools.replace(cluster.pools() as (ClonePool & KubeObject)[], new Set());
    for (const store of [clones, pools]) {
      store.markSynced();
      store.touch(clock.nowMs());
    }
  };
  const step = async (seconds = 1): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      await sweeper.tick(signal);
      await sweeper.settled();
      await clock.advance(1000);
    }
  };
  /** Looks, sweeps, and lets pods go, again and again. */
  const run = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      look();
      await step();
      cluster.reap();
    }
  };
  return { clock, clones, exits, problems, retirement, sweeper, time, look, step, run };
}

function unread(): Promise<never> {
  return Promise.reject(new HeadstartError('Unavailable', 'no metrics here'));
}

/** A cluster with the pool `web` that wants so many clones. */
function clusterOf(
  clones: Readonly<Record<string, Partial<FakeCloneOptions>>>,
  replicas: number,
  spec: Partial<ClonePool['spec']> = {},
) {
  const cluster = new FakeClones();
  cluster.addPool('web', { replicas, ...spec });
  for (const [name, options] of Object.entries(clones)) cluster.addClone(name, { deadline: now + 3000, ...options });
  return cluster;
}

const expired = { deadline: now - 1 };

/** What was asked, in short: `PATCH clonepools/web`, `POST pods/a/eviction`. */
function asked({ requests }: FakeClones): string[] {
  return requests.map(({ method = 'GET', path }) => `${method} ${path.replace(/^.*\/shop\//, '')}`);
}

describe('the protocol', () => {
  test('lowers spec.replicas first, then marks, then evicts, with uids and without a grace period', async () => {
    const cluster = clusterOf({ a: expired, b: {} }, 2);
    const { run, exits } = startProcess(cluster);
    await run(3);
    expect(asked(cluster)).toEqual(['PATCH clonepools/web', 'PATCH pods/a', 'POST pods/a/eviction']);
    const [commit, mark, eviction] = cluster.requests;
    expect(commit?.body).toMatchObject({ spec: { replicas: 1 }, metadata: { resourceVersion: expect.any(String) } });
    expect(mark?.body).toMatchObject({
      metadata: {
        annotations: {
          'headstart.dev/state': 'Retiring',
          'headstart.dev/exit-reason': 'Expired',
          'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true',
          'karpenter.sh/do-not-disrupt': null,
        },
      },
    });
    expect(JSON.stringify(eviction?.body)).toContain('"preconditions":{"uid":"uid-a-');
    expect(cluster.state()).toBe('b 1');
    expect(exits).toEqual([{ namespace: 'shop', pool: 'web', name: 'a', reason: 'Expired' }]);
  });

  test.each<{
    readonly name: string;
    readonly clone: Partial<FakeCloneOptions>;
    readonly replicas?: number;
    readonly spec?: Partial<ClonePool['spec']>;
    readonly wants: readonly string[];
    readonly state: string;
  }>([
    {
      name: 'in mode Scale spec.replicas is left to others',
      clone: expired,
      spec: { mode: 'Scale' },
      wants: ['PATCH pods/a', 'POST pods/a/eviction'],
      state: '1',
    },
    {
      name: 'a clone without a pool has no commit point',
      clone: { ...expired, pool: undefined },
      wants: ['PATCH pods/a', 'POST pods/a/eviction'],
      state: '1',
    },
    {
      name: 'a pod whose pool is gone is bounded too',
      clone: { ...expired, pool: 'old' },
      wants: ['PATCH pods/a', 'POST pods/a/eviction'],
      state: '1',
    },
    {
      name: 'what has no node is deleted at once',
      clone: { ...expired, node: '' },
      wants: ['PATCH clonepools/web', 'DELETE pods/a'],
      state: '0',
    },
    {
      name: 'policy Delete asks no budget',
      clone: expired,
      spec: { termination: { policy: 'Delete', evictTimeoutSeconds: 120, maxPerMinute: 60 } },
      wants: ['PATCH clonepools/web', 'PATCH pods/a', 'DELETE pods/a'],
      state: '0',
    },
    {
      name: 'what failed by itself is deleted, and replaced',
      clone: { phase: 'Failed' },
      wants: ['DELETE pods/a'],
      state: '1',
    },
    {
      name: 'what failed to start ends',
      clone: { createdAt: now - 180, isReady: false },
      wants: ['PATCH clonepools/web', 'PATCH pods/a', 'POST pods/a/eviction'],
      state: '0',
    },
    {
      name: 'what is too many ends without a commit',
      clone: {},
      replicas: 0,
      wants: ['PATCH pods/a', 'POST pods/a/eviction'],
      state: '0',
    },
    { name: 'what is wanted stays', clone: {}, wants: [], state: 'a 1' },
  ])('$name', async ({ clone, replicas = 1, spec = {}, wants, state }) => {
    const cluster = clusterOf({ a: clone }, replicas, spec);
    await startProcess(cluster).run(3);
    expect(asked(cluster)).toEqual(wants);
    expect(cluster.state()).toBe(state);
  });

  test('a pod of the same name that came meanwhile is not touched', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    const { look, step, exits } = startProcess(cluster);
    look();
    cluster.removePod('a');
    cluster.addClone('a', { deadline: now + 999 });
    await step(20);
    expect(cluster.state()).toBe('a 0');
    expect(exits).toEqual([]);
  });

  test('a pod that was scheduled meanwhile is marked and evicted like others', async () => {
    const cluster = clusterOf({ a: { ...expired, node: '' } }, 1);
    const { look, step, run } = startProcess(cluster);
    look();
    cluster.schedule('a', 'n1');
    await step(1);
    await run(5);
    expect(asked(cluster).slice(1)).toEqual(['DELETE pods/a', 'GET pods/a', 'PATCH pods/a', 'POST pods/a/eviction']);
  });

  test('when somebody else writes to the pool the commit is made anew', async () => {
    const cluster = clusterOf({ a: expired, b: {}, c: {} }, 3);
    const { look, step } = startProcess(cluster);
    look();
    cluster.setReplicas('web', 5);
    await step();
    expect(cluster.state()).toBe('b c 4');
    expect(asked(cluster).slice(0, 3)).toEqual(['PATCH clonepools/web', 'GET clonepools/web', 'PATCH clonepools/web']);
  });

  test('a commit that fails touches nobody, and is tried again', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    const { run, problems } = startProcess(cluster);
    cluster.before = ({ path }) => {
      if (path.endsWith('/clonepools/web')) throw new HeadstartError('Forbidden', 'not allowed');
    };
    await run(3);
    expect(cluster.state()).toBe('a 1');
    expect(problems).toContain('not allowed');
    cluster.before = () => undefined;
    await run(3);
    expect(cluster.state()).toBe('0');
  });
});

describe('an eviction that is refused', () => {
  const evictions = (cluster: FakeClones): number => asked(cluster).filter((text) => text.endsWith('/eviction')).length;

  test('is tried again after 10 s or more, and goes through when the budget allows', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    cluster.budget = () => 'Refuses';
    const { run, sweeper } = startProcess(cluster);
    await run(9);
    expect(evictions(cluster)).toBe(1);
    expect(sweeper.conditions(poolOf(cluster))).toContainEqual(
      expect.objectContaining({ type: 'PDBBlocked', status: 'True', reason: 'BudgetExhausted' }),
    );
    cluster.budget = () => 'Allows';
    await run(12);
    expect(evictions(cluster)).toBe(2);
    expect(asked(cluster)).not.toContain('DELETE pods/a');
    expect(sweeper.conditions(poolOf(cluster))).toContainEqual(
      expect.objectContaining({ type: 'PDBBlocked', status: 'False' }),
    );
  });

  test.each([
    ['Refuses', 'BudgetExhausted'],
    ['Several', 'SeveralBudgets'],
  ] as const)('for ever (%s) ends in a delete after the timeout', async (budget, reason) => {
    const cluster = clusterOf({ a: expired }, 1);
    cluster.budget = () => budget;
    const { run, exits, sweeper } = startProcess(cluster);
    await run(119);
    expect(cluster.state()).toBe('a 0');
    expect(evictions(cluster)).toBeLessThanOrEqual(6);
    expect(sweeper.conditions(poolOf(cluster))).toContainEqual(expect.objectContaining({ reason }));
    await run(4);
    expect(asked(cluster).at(-1)).toBe('DELETE pods/a');
    expect(cluster.state()).toBe('0');
    expect(exits).toHaveLength(1);
  });

  test('a delete that is refused as well is unprotected first', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    let isProtected = true;
    cluster.before = ({ method, path, body }) => {
      if (JSON.stringify(body ?? '').includes('pub.kruise.io/no-protect')) isProtected = false;
      const isEnd = method === 'DELETE' || path.endsWith('/eviction');
      if (isEnd && isProtected) throw new HeadstartError('Forbidden', 'admission webhook denied the request');
    };
    const { run } = startProcess(cluster);
    await run(130);
    expect(cluster.state()).toBe('0');
    expect(asked(cluster).slice(-2)).toEqual(['PATCH pods/a', 'DELETE pods/a']);
  });

  test('a mark that is refused does not keep a clone for ever', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    cluster.before = ({ method, path }) => {
      if (method === 'PATCH' && path.endsWith('/pods/a')) throw new HeadstartError('Forbidden', 'a policy says no');
    };
    await startProcess(cluster).run(10);
    expect(cluster.state()).toBe('0');
  });
});

function poolOf(cluster: FakeClones): ClonePool {
  const [pool] = cluster.pools();
  if (pool === undefined) throw new Error('no pool');
  return pool;
}

describe('what is not known is not acted on', () => {
  test('nothing is deleted before the first complete lists, nor without the time', async () => {
    const cluster = clusterOf({ a: expired }, 1);
    const { clones, look, step, time } = startProcess(cluster);
    clones.replace(cluster.pods().map(parseSweptClone), new Set());
    await step(3);
    look();
    const known = time.now;
    time.now = () => undefined;
    await step(3);
    expect(asked(cluster)).toEqual([]);
    time.now = known;
    await step(1);
    expect(cluster.state()).toBe('0');
  });

  test('a cache that has been silent for a minute is checked, clone by clone', async () => {
    const cluster = clusterOf({ a: { deadline: now + 61 }, b: { deadline: now + 61 } }, 2);
    const { look, step } = startProcess(cluster);
    look();
    cluster.removePod('b');
    cluster.addClone('b', { deadline: now + 999 });
    await step(64);
    expect(asked(cluster).slice(0, 2).toSorted()).toEqual(['GET pods/a', 'GET pods/b']);
    expect(cluster.state()).toBe('b 1');
  });
});

describe('how fast', () => {
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`c${n}`, expired]));
  const termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 600 } as const;

  test('a pile is worked off at the rate of its pool, one commit for each batch', async () => {
    const cluster = clusterOf(many, 50, { termination });
    const { run } = startProcess(cluster);
    const ended: number[] = [];
    for (let second = 0; second < 6; second += 1) {
      await run(1);
      ended.push(cluster.ended.length);
    }
    expect(ended).toEqual([10, 20, 30, 40, 50, 50]);
    expect(asked(cluster).filter((text) => text === 'PATCH clonepools/web')).toHaveLength(5);
    expect(cluster.requests.length).toBe(5 + 100);
  });

  test('a cache that lags behind ends nobody twice, and lowers spec.replicas once for each', async () => {
    const cluster = clusterOf({ ...many, stays: {} }, 51, { termination });
    const { look, run, step, exits } = startProcess(cluster);
    for (let second = 0; second < 10; second += 1) {
      if (second % 3 === 0) look();
      await step(1);
    }
    await run(5);
    expect(cluster.state()).toBe('stays 1');
    expect(cluster.endedAgain).toEqual([]);
    expect(exits).toHaveLength(50);
  });
});

describe('surplus', () => {
  const window = (from: number, to: number) => {
    const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();
    return { id: 'w', startTime: iso(from), endTime: iso(to), replicas: 4 };
  };
  const four = { a: {}, b: {}, c: {}, d: {} };

  test('a sudden drop by more than half within a window must last', async () => {
    const cluster = clusterOf(four, 0, { windows: [window(now - 100, now + 900)] });
    const { run } = startProcess(cluster);
    await run(59);
    expect(cluster.state()).toBe('a b c d 0');
    await run(5);
    expect(cluster.state()).toBe('0');
  });

  test.each<readonly [string, number, Partial<ClonePool['spec']>, string]>([
    ['a small one need not', 2, { windows: [window(now - 100, now + 900)] }, 'c d 2'],
    ['after the window it need not', 0, { windows: [window(now - 900, now - 100)] }, '0'],
    ['in mode Scale it need not', 0, { mode: 'Scale' }, '0'],
  ])('%s', async (_, replicas, spec, state) => {
    const cluster = clusterOf(four, replicas, spec);
    await startProcess(cluster).run(5);
    expect(cluster.state()).toBe(state);
  });
});

test('a node where clones of other pools stay is emptied last', async () => {
  const termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 60 } as const;
  const cluster = clusterOf({ a: expired, b: { ...expired, node: 'n2' } }, 2, { termination });
  cluster.addPool('other', { replicas: 1 });
  cluster.addClone('x', { deadline: now + 3000, pool: 'other', node: 'n1' });
  await startProcess(cluster).run(1);
  expect(cluster.state()).toBe('a x 1');
});

test('clones of an old revision end as new ones become Ready', async () => {
  const cluster = clusterOf(
    { a: { revision: 'r0' }, b: { revision: 'r0' }, c: {}, d: { isReady: false, createdAt: now } },
    2,
  );
  const known = cluster.pools.bind(cluster);
  cluster.pools = () => known().map((pool) => ({ ...pool, status: { replicas: 4, targetRevision: 'r1' } }));
  const { run, exits } = startProcess(cluster);
  await run(5);
  expect(cluster.state()).toBe('b c d 2');
  expect(exits).toMatchObject([{ name: 'a', reason: 'Outdated' }]);
});

describe('a process that dies between any two steps', () => {
  const termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 15, maxPerMinute: 6000 } as const;
  const slow = { createdAt: now - 500, isReady: false };
  const scenarios = {
    'expired, slow and wanted clones': () => clusterOf({ a: expired, b: expired, c: slow, d: {}, e: {} }, 5),
    'too many': () => clusterOf({ a: {}, b: { node: 'n2' }, c: { node: 'n2' }, d: {}, e: { node: 'n3' } }, 2),
    'expired and too many': () => clusterOf({ a: expired, b: {}, c: {}, d: { node: 'n2' } }, 2),
    'some without node, pool or life': () =>
      clusterOf({ a: { ...expired, node: '' }, b: { ...expired, pool: undefined }, c: { phase: 'Failed' }, d: {} }, 2),
    'a budget that never allows': () => {
      const cluster = clusterOf({ a: expired, b: expired, c: {} }, 3, { termination });
      cluster.budget = (pod) => (pod === 'a' ? 'Refuses' : 'Allows');
      return cluster;
    },
    'several budgets, in mode Scale': () => {
      const cluster = clusterOf({ a: expired, b: {} }, 2, { mode: 'Scale', termination });
      cluster.budget = () => 'Several';
      return cluster;
    },
  } as const;

  describe.each(Object.entries(scenarios))('%s', (_, create) => {
    test.each([
      'before',
      'after',
    ] as const)('dying %s a request was carried out changes nothing in the end', async (when) => {
      const whole = create();
      await startProcess(whole).run(25);
      const requests = whole.requests.length;
      expect(requests).toBeGreaterThan(2);
      for (let nth = 1; nth <= requests; nth += 1) {
        const cluster = create();
        await runUntilDeath(cluster, { nth, when });
        await startProcess(cluster).run(25);
        expect(`${nth}: ${cluster.state()}`).toBe(`${nth}: ${whole.state()}`);
        expect(cluster.ended.toSorted()).toEqual(whole.ended.toSorted());
        expect(cluster.endedAgain).toEqual([]);
      }
    });
  });

  test('three deaths in a row change nothing either', async () => {
    for (let seed = 0; seed < 16; seed += 1) {
      const cluster = scenarios['expired and too many']();
      for (let death = 0; death < 3; death += 1) {
        await runUntilDeath(cluster, {
          nth: 1 + ((seed >> death) % 4),
          when: (seed + death) % 2 === 0 ? 'before' : 'after',
        });
      }
      await startProcess(cluster).run(5);
      expect(cluster.state()).toBe('b c 2');
      expect(cluster.ended).toHaveLength(2);
      expect(cluster.endedAgain).toEqual([]);
    }
  });
});

/** Runs a process whose nth request is its last: it is not carried out, or its answer is not seen. */
async function runUntilDeath(
  cluster: FakeClones,
  { nth, when }: { readonly nth: number; readonly when: 'before' | 'after' },
): Promise<void> {
  let seen = 0;
  const client: KubeClient = {
    watch: () => cluster.watch(),
    request: async (request) => {
      seen += 1;
      if (seen > nth || (seen === nth && when === 'before')) throw new Error('dead');
      const answer = await cluster.request<never>(request);
      if (seen >= nth) throw new Error('dead');
      return answer;
    },
  };
  const { look, step } = startProcess(cluster, { client });
  for (let second = 0; second < 25 && seen < nth; second += 1) {
    look();
    await step();
    cluster.reap();
  }
}

test('an answer that is lost is neither a second end nor a forgotten one', async () => {
  const cluster = clusterOf({ a: expired }, 1);
  let lost = 0;
  cluster.after = ({ path }) => {
    if (!path.endsWith('/eviction') || lost > 0) return;
    lost += 1;
    throw new HeadstartError('Timeout', 'no answer');
  };
  const { look, step, run, exits } = startProcess(cluster);
  look();
  await step(5);
  await run(2);
  expect(exits).toHaveLength(1);
  expect(cluster.endedAgain).toEqual([]);
});

test('run ends with its signal, after what it has begun', async () => {
  const cluster = clusterOf({ a: expired }, 1);
  const { clock, look, sweeper } = startProcess(cluster);
  const stop = new AbortController();
  look();
  const running = sweeper.run(stop.signal);
  await clock.advance(2500);
  stop.abort();
  await running;
  expect(cluster.ended).toEqual(['a']);
});
