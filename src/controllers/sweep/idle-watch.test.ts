// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { ClonePool, UtilizationExit } from '../../api/v1alpha1/clone-pool.ts';
import { HeadstartError } from '../../base/errors.ts';
import { cloneView } from '../../testing/clone-views.ts';
import { FakeClones } from '../../testing/fake-clones.ts';
import { createIdleWatch } from './idle-watch.ts';
import type { WatchedGroup } from './idle-watch.ts';
import type { SweptClone } from './swept-clone.ts';
import type { PodUsage } from './usage.ts';

const rule: UtilizationExit = {
  serverRef: 'default',
  belowPercent: 15,
  clearAbovePercent: 25,
  sustainedSeconds: 60,
  minSamples: 3,
  warmupSeconds: 30,
  maxSampleAgeSeconds: 90,
  poolGuardPercent: 70,
  cooldownSeconds: 60,
};
const { signal } = new AbortController();
/** When the clones became Ready, and when they are first measured. */
const readyAt = 1010;
const start = readyAt + 200;

function swept(name: string, changes: Partial<SweptClone['clone']> = {}, cpu: number | undefined = 1): SweptClone {
  const clone = cloneView({ name, ...changes });
  const container = { name: 'app', isRunning: true, restarts: 0, cpu, memory: undefined };
  return {
    metadata: { name, namespace: 'shop' },
    clone,
    measured: { containers: [container], cpu: undefined, memory: undefined },
    lostReadinessAt: undefined,
    exitReason: undefined,
  };
}

function poolOf(exit: UtilizationExit | undefined, spec: Partial<ClonePool['spec']> = {}): ClonePool {
  return new FakeClones().addPool('web', { ...(exit === undefined ? {} : { utilizationExit: exit }), ...spec });
}

function usageOf(name: string, cores: number | undefined, timestamp: number): [string, PodUsage][] {
  if (cores === undefined) return [];
  const usage = { timestamp, windowSeconds: 15, byContainer: new Map([['app', cores]]) };
  return [[name, { cpu: usage, memory: usage }]];
}

/** Samples each 30 s from `start` on; gives who is idle after the last of them, 5 s later. */
async function watchFor(
  seconds: number,
  { group, used }: { readonly group: WatchedGroup; readonly used: (name: string) => number | undefined | Error },
) {
  let now = start;
  const asked: string[] = [];
  const names = group.clones.map(({ clone }) => clone.name);
  const value = (name: string): number | undefined => {
    const given = used(name);
    if (given instanceof Error) throw given;
    return given;
  };
  const watch = createIdleWatch({
    readPods: async (namespace) => {
      asked.push(`pods of ${namespace}`);
      return new Map(names.flatMap((name) => usageOf(name, value(name), now - 5)));
    },
    readQuery: async ({ query }) => {
      asked.push(query);
      const samples = names.map((name) => [name, { timestamp: now - 5, value: value(name) ?? Number.NaN }] as const);
      return new Map(samples);
    },
  });
  for (; now <= start + seconds; now += 30) await watch.sample([group], now, signal);
  const last = now - 25;
  const idle = [...watch.idle(group, last)];
  const conditions = group.pool === undefined ? [] : watch.conditions(group.pool);
  return { watch, asked, idle, last, conditions: conditions.map(({ status, reason }) => `${status} ${reason}`) };
}

const three = [swept('a'), swept('b'), swept('c')];

test('a clone of a pool that has nothing to do is named, after as long as the pool says', async () => {
  const group = { namespace: 'shop', pool: poolOf(rule), clones: three };
  const used = (name: string): number => (name === 'a' ? 0.05 : 0.4);
  expect((await watchFor(30, { group, used })).idle).toEqual([]);
  const { idle, asked, conditions } = await watchFor(60, { group, used });
  expect(idle).toEqual(['uid-a']);
  expect(asked).toEqual(['pods of shop', 'pods of shop', 'pods of shop']);
  expect(conditions).toEqual(['True MetricsRead', 'False NotFrozen']);
});

test('after one has begun to end the cooldown holds', async () => {
  const group = { namespace: 'shop', pool: poolOf(rule), clones: three };
  const { watch, last } = await watchFor(90, { group, used: () => 0.01 });
  expect(watch.idle(group, last).size).toBe(1);
  watch.exited('pool-web', last);
  expect(watch.idle(group, last + 1).size).toBe(0);
});

test('a query is asked in place of metrics.k8s.io, in percent', async () => {
  const group = { namespace: 'shop', pool: poolOf({ ...rule, query: 'load' }), clones: three };
  const { idle, asked } = await watchFor(90, { group, used: (name) => (name === 'b' ? 5 : 50) });
  expect(idle).toEqual(['uid-b']);
  expect(new Set(asked)).toEqual(new Set(['load']));
});

test.each<readonly [string, UtilizationExit | undefined, (name: string) => number | undefined | Error, string[]]>([
  ['without a rule nothing is measured', undefined, () => 0, ['True NoUtilizationExit', 'False NotFrozen']],
  [
    'without metrics nobody ends',
    rule,
    () => new HeadstartError('Unavailable', 'down'),
    ['False MetricsUnavailable', 'True MetricsUnavailable'],
  ],
  [
    'a query that fails is the query',
    { ...rule, query: 'load' },
    () => new HeadstartError('QueryFailed', 'parse error'),
    ['False QueryFailed', 'True MetricsUnavailable'],
  ],
  [
    'where one of three is missing nobody ends',
    rule,
    (name) => (name === 'a' ? undefined : 0),
    ['True MetricsRead', 'True MetricsMissing'],
  ],
])('%s', async (_, exit, used, want) => {
  const group = { namespace: 'shop', pool: poolOf(exit), clones: three };
  const { idle, conditions } = await watchFor(90, { group, used });
  expect(idle).toEqual([]);
  expect(conditions).toEqual(want);
});

test('a clone without a request cannot be measured, and that is said', async () => {
  const clones = [swept('a', {}, 0)];
  const { conditions } = await watchFor(90, {
    group: { namespace: 'shop', pool: poolOf(rule), clones },
    used: () => 0,
  });
  expect(conditions).toEqual(['False NoRequests', 'True MetricsMissing']);
});

test('a burst that is foreseen keeps idle clones', async () => {
  const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
  const windows = [{ id: 'w', startTime: at(start + 200), endTime: at(start + 900), replicas: 3 }];
  const group = { namespace: 'shop', pool: poolOf(rule, { windows }), clones: three };
  const { idle, conditions } = await watchFor(90, { group, used: () => 0 });
  expect(idle).toEqual([]);
  expect(conditions).toEqual(['True MetricsRead', 'True BurstExpected']);
});

test('a clone without a pool ends by its own annotation, alone as it is', async () => {
  const mine = { pool: undefined, owner: undefined };
  const clones = [
    swept('idle', { ...mine, exitBelow: 'cpu=15%/60s' }),
    swept('busy', { ...mine, exitBelow: 'cpu=15%/60s' }),
    swept('long', { ...mine, exitBelow: 'cpu=15%/3600s' }),
    swept('broken', { ...mine, exitBelow: 'cpu below 15' }),
    swept('silent', mine),
  ];
  const group = { namespace: 'shop', pool: undefined, clones };
  const { idle, asked } = await watchFor(180, { group, used: (name) => (name === 'busy' ? 0.5 : 0.01) });
  expect(idle).toEqual(['uid-idle']);
  expect(asked).toHaveLength(7);
});

test('where no clone has a rule nobody is asked', async () => {
  const clones = [swept('a', { pool: undefined, owner: undefined })];
  const { asked } = await watchFor(60, { group: { namespace: 'shop', pool: undefined, clones }, used: () => 0 });
  expect(asked).toEqual([]);
});

test('whoever is gone is forgotten', async () => {
  const group = { namespace: 'shop', pool: poolOf(rule), clones: three };
  const { watch, last } = await watchFor(90, { group, used: () => 0.01 });
  watch.keepOnly(new Set(), new Set());
  expect(watch.idle(group, last).size).toBe(0);
});
