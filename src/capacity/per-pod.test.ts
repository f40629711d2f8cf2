// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgePerPod, noReplicas, recordReplicas } from './per-pod.ts';
import type { ReplicaRecord } from './per-pod.ts';

const minute = 60;

interface World {
  /** Total load at a minute. */
  readonly load: (minute: number) => number;
  /** What the HPA wants at a minute, by the load that it sees. */
  readonly pods: (minute: number, load: number, replicas: number) => number;
  /** What is called demand. */
  readonly demand: (load: number, replicas: number) => number;
  readonly minutes: number;
}

/** Scales up at once and down after five minutes (the HPA's stabilization), pods are ready a minute later. */
function play({ load, pods, demand, minutes }: World): ReplicaRecord {
  let record = noReplicas;
  let replicas = 4;
  const wanted: number[] = [];
  for (let at = 0; at < minutes; at += 1) {
    record = recordReplicas(record, { timestamp: at * minute, replicas, demand: demand(load(at), replicas) });
    wanted.push(Math.min(100, Math.max(1, pods(at, load(at), replicas))));
    replicas = Math.max(...wanted.slice(-5));
  }
  return record;
}

const total = (load: number): number => load;
const average = (load: number, replicas: number): number => load / replicas;
const byLoad: World['pods'] = (_at, load) => Math.ceil(load / 35);
const wave = (at: number): number => 400 + 350 * Math.sin((at / 240) * 2 * Math.PI);
/** Ten minutes up, an hour apart, and gone before the pods are there. */
const spikes = (at: number): number => (at % 60 < 4 ? 700 : 140);
const bySchedule: World['pods'] = (at) => (Math.floor(at / 20) % 2 === 0 ? 4 : 8);

describe('averages per pod are found', () => {
  test.each<[string, Omit<World, 'demand' | 'minutes'>]>([
    ['pods by a schedule, constant load', { load: () => 140, pods: bySchedule }],
    ['pods by a schedule, load with noise', { load: (at) => 140 + 10 * Math.sin(at * 7.3), pods: bySchedule }],
    ['an HPA that is led in circles', { load: () => 700, pods: (at) => (Math.floor(at / 10) % 2 === 0 ? 20 : 1) }],
  ])('%s', (_what, world) => {
    expect(judgePerPod(play({ ...world, demand: average, minutes: 600 })).isPerPod).toBe(true);
  });

  test('not before five rises, and a fall', () => {
    const world = { load: () => 140, demand: average };
    expect(judgePerPod(play({ ...world, pods: bySchedule, minutes: 160 })).isPerPod).toBe(false);
    expect(judgePerPod(play({ ...world, pods: (at) => 4 + Math.floor(at / 20), minutes: 300 })).isPerPod).toBe(false);
  });
});

describe('honest totals are not refused', () => {
  test.each<[string, Omit<World, 'demand' | 'minutes'>]>([
    ['a wave', { load: wave, pods: byLoad }],
    ['a wave, scaled ahead of', { load: wave, pods: (at) => Math.ceil(wave(at + 10) / 35) }],
    ['a wave, scaled too late', { load: wave, pods: (at) => Math.ceil(wave(at - 10) / 35) }],
    ['spikes that are over when their pods are ready', { load: spikes, pods: byLoad }],
    ['pods by a schedule', { load: () => 140, pods: bySchedule }],
    ['pods against the load', { load: wave, pods: (at) => Math.ceil((800 - wave(at)) / 35) }],
  ])('%s', (_what, world) => {
    const record = play({ ...world, demand: total, minutes: 1440 });
    expect(judgePerPod(record).changes).toBeGreaterThan(0);
    expect(judgePerPod(record).isPerPod).toBe(false);
  });

  test('whatever the load, when pods follow it', () => {
    const steps = fc.array(fc.integer({ min: 20, max: 2000 }), { minLength: 10, maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 3, max: 30 }), (levels, length) => {
        const load = (at: number): number => levels[Math.floor(at / length) % levels.length] ?? 1;
        const record = play({ load, pods: byLoad, demand: total, minutes: 700 });
        expect(judgePerPod(record).isPerPod).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });
});

test('looks without pods or demand, and several in a minute, add nothing', () => {
  const first = recordReplicas(noReplicas, { timestamp: 0, replicas: 2, demand: 10 });
  for (const look of [
    { timestamp: 60, replicas: 0, demand: 10 },
    { timestamp: 60, replicas: 2, demand: 0 },
    { timestamp: 60, replicas: 2, demand: Number.NaN },
    { timestamp: 30, replicas: 2, demand: 10 },
  ]) {
    expect(recordReplicas(first, look)).toBe(first);
  }
});
