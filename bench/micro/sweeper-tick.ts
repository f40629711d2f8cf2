// SPDX-License-Identifier: Apache-2.0
// CPU time of one whole turn of the sweeper in which nothing is to be done: lists, groups, plans for every pool.
//
//   node bench/micro/sweeper-tick.ts [CLONES…]      default 100000
import type { ClonePool } from '../../src/api/v1alpha1/clone-pool.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createIdleWatch } from '../../src/controllers/sweep/idle-watch.ts';
import { createRetirement } from '../../src/controllers/sweep/retire.ts';
import { createSweeper } from '../../src/controllers/sweep/sweeper.ts';
import type { SweptClone } from '../../src/controllers/sweep/swept-clone.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { createStore } from '../../src/kube/store.ts';
import { cloneView } from '../../src/testing/clone-views.ts';
import { FakeClones } from '../../src/testing/fake-clones.ts';

const now = 1_800_000_000;
const perPool = 500;
const rounds = 120;
const warmUp = 20;
const { signal } = new AbortController();
const fail = (problem: unknown): never => {
  throw new Error(JSON.stringify(problem));
};
const given = process.argv.slice(2).map(Number);

for (const count of given.length > 0 ? given : [100_000]) {
  const sweeper = sweeperOf(count);
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    await sweeper.tick(signal);
    await sweeper.settled();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  const sorted = times.slice(warmUp).toSorted((a, b) => a - b);
  const at = (quantile: number): string => (sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0).toFixed(2);
  process.stdout.write(`${count} clones: median ${at(0.5)} ms, p90 ${at(0.9)} ms\n`);
}

function sweeperOf(count: number) {
  const client = new FakeClones();
  const clones = createStore<SweptClone>();
  const pools = createStore<ClonePool & KubeObject>();
  const indexes = Array.from({ length: count }, (_, index) => index);
  const owners = indexes
    .slice(0, Math.ceil(count / perPool))
    .map((n) => ({ ...client.addPool(`p${n}`, { replicas: perPool }), status: { targetRevision: 'r1' } }));
  pools.replace(owners as (ClonePool & KubeObject)[], new Set());
  clones.replace(indexes.map(sweptClone), new Set());
  for (const store of [clones, pools]) store.markSynced();
  const common = { clock: systemClock, clones, onProblem: fail };
  const retirement = createRetirement({ ...common, client, random: Math.random, onExit: fail });
  const idleWatch = createIdleWatch({ readPods: fail, readQuery: fail });
  const serverTime = { now: () => now, refresh: () => Promise.resolve() };
  return createSweeper({ ...common, pools, serverTime, retirement, idleWatch });
}

function sweptClone(index: number): SweptClone {
  const pool = `p${Math.floor(index / perPool)}`;
  const name = `web-${index}`;
  const owner = { uid: `pool-${pool}`, isPool: true };
  return {
    metadata: { name, namespace: 'shop' },
    clone: cloneView({
      name,
      pool,
      owner,
      node: `n${index % 1000}`,
      revision: 'r1',
      createdAt: now - 100,
      effectiveDeadline: now + 3600,
    }),
    measured: { containers: [], cpu: undefined, memory: undefined },
    lostReadinessAt: undefined,
    exitReason: undefined,
  };
}
