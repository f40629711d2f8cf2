// SPDX-License-Identifier: Apache-2.0
// CPU time of one scan of the sweeper: every clone that is cached, grouped by its pool, and asked whether it is to end.
//
//   node bench/micro/sweeper-scan.ts [CLONES…]      default 100000
import { groupClones } from '../../src/capacity/clones/scan.ts';
import { chooseVictims } from '../../src/capacity/clones/victims.ts';
import { cloneView } from '../../src/testing/clone-views.ts';

const now = 1_800_000_000;
const perPool = 500;
const rounds = 200;
const warmUp = 20;
const given = process.argv.slice(2).map(Number);

for (const count of given.length > 0 ? given : [100_000]) {
  for (const due of [0, 600]) {
    // As from a watch: each has texts of its own.
    const clones = Array.from({ length: count }, (_, index) =>
      JSON.parse(JSON.stringify({ clone: clone(index, due) })),
    );
    const times = Array.from({ length: rounds }, () => cpuMs(() => scan(clones)));
    const sorted = times.slice(warmUp).toSorted((a, b) => a - b);
    const at = (quantile: number): string => (sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0).toFixed(2);
    process.stdout.write(
      `${count} clones in ${Math.ceil(count / perPool)} pools, ${due} due: median ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
    );
  }
}

function clone(index: number, due: number): ReturnType<typeof cloneView> {
  const pool = Math.floor(index / perPool);
  return cloneView({
    name: `web-${index}`,
    pool: `pool-${pool}`,
    owner: { uid: `00000000-0000-0000-0000-${String(pool).padStart(12, '0')}`, isPool: true },
    node: `node-${index % 1000}`,
    createdAt: now - 100,
    effectiveDeadline: index < due ? now - 1 : now + 1 + (index % 3600),
  });
}

function scan(clones: readonly { readonly clone: ReturnType<typeof cloneView> }[]): number {
  let victims = 0;
  for (const group of groupClones(clones)) {
    victims += chooseVictims(group.clones, now, { startupBudgetSeconds: 180, maxSeconds: 7200 }).length;
  }
  return victims;
}

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
