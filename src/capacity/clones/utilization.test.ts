// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cloneView } from '../../testing/clone-views.ts';
import { decideExits, measureUsage, noRecord, recordSample } from './utilization.ts';
import type { IdleInput, IdleRecord, IdleRule, MeasuredContainer, UsageSample } from './utilization.ts';
import type { CloneView } from './view.ts';

const rule: IdleRule = {
  belowPercent: 15,
  clearAbovePercent: 25,
  sustainedSeconds: 180,
  minSamples: 5,
  warmupSeconds: 120,
  maxSampleAgeSeconds: 90,
  poolGuardPercent: 70,
  cooldownSeconds: 60,
};
const readyAt = 1000;
/** When the first sample can be valid. */
const warm = readyAt + rule.warmupSeconds + 10;

function sample(timestamp: number, percent: number, shape = '1/0'): UsageSample {
  return { timestamp, windowSeconds: 10, used: percent / 100, requested: 1, shape };
}

/** What a series of [timestamp, percent, shape?] makes, each taken in when it is new. */
function after(series: readonly (readonly [number, number, string?])[]): IdleRecord {
  return series.reduce(
    (before, [timestamp, percent, shape]) =>
      recordSample(before, sample(timestamp, percent, shape), { rule, readyAt, now: timestamp + 5 }),
    noRecord,
  );
}

/** One sample each 30 s from `from` on. */
function every30(from: number, ...percents: number[]): [number, number][] {
  return percents.map((percent, index) => [from + 30 * index, percent]);
}

describe('usage of a clone', () => {
  const app: MeasuredContainer = { name: 'app', isRunning: true, restarts: 0, cpu: 2, memory: undefined };
  const sidecar: MeasuredContainer = { name: 'proxy', isRunning: true, restarts: 1, cpu: undefined, memory: 100 };
  const measure = (
    containers: readonly MeasuredContainer[],
    used: Record<string, number>,
    { cpu, memory }: { readonly cpu?: number; readonly memory?: number } = {},
    resource: 'cpu' | 'memory' = 'cpu',
  ) => {
    const usage = { timestamp: 1, windowSeconds: 10, byContainer: new Map(Object.entries(used)) };
    const result = measureUsage(resource, { containers, cpu, memory }, usage);
    return result.kind === 'sample' ? `${result.used} of ${result.requested}, ${result.shape}` : result.reason;
  };

  test.each([
    ['counts containers with a request only', [app, sidecar], { app: 0.5, proxy: 3 }, {}, '0.5 of 2, 2/1'],
    ['counts all where the pod has a request', [app, sidecar], { app: 0.5, proxy: 0.5 }, { cpu: 4 }, '1 of 4, 4/1'],
    ['is unknown without a container that runs', [app, sidecar], { app: 0.5 }, {}, 'ContainerMissing'],
    ['is unknown without any container', [app], {}, {}, 'ContainerMissing'],
    [
      'does without a container that does not run',
      [app, { ...sidecar, isRunning: false }],
      { app: 1 },
      {},
      '1 of 2, 2/1',
    ],
    ['is unknown when what counts does not run', [{ ...app, isRunning: false }], {}, {}, 'ContainerMissing'],
    ['is unknown without requests', [sidecar], { proxy: 1 }, {}, 'NoRequest'],
    ['is unknown with a request of 0', [{ ...app, cpu: 0 }], { app: 1 }, {}, 'NoRequest'],
  ] as const)('%s', (...[, containers, used, whole, want]) => {
    expect(measure(containers, used, whole)).toBe(want);
  });

  test('memory has requests of its own', () => {
    expect(measure([app, sidecar], { app: 7, proxy: 50 }, {}, 'memory')).toBe('50 of 100, 100/1');
  });
});

describe('a sample says nothing', () => {
  test.each<readonly [string, UsageSample, number, boolean]>([
    ['when its window reaches into the warm-up', sample(warm - 1, 5), warm, true],
    ['when it is too old', sample(warm, 5), warm + 91, true],
    ['when it is of the future', sample(warm + 91, 5), warm, true],
    ['when the clone is not Ready', sample(warm, 5), warm, false],
    ['when it is no number', { ...sample(warm, 5), used: Number.NaN }, warm, true],
    ['when it has no denominator', { ...sample(warm, 5), requested: 0 }, warm, true],
  ])('%s', (_, given, now, isReady) => {
    const at = isReady ? readyAt : undefined;
    expect(recordSample(noRecord, given, { rule, readyAt: at, now })).toBe(noRecord);
  });

  test('when it is the same as before, however often it is read', () => {
    const first = after([[warm, 5]]);
    const taken = { rule, readyAt, now: warm + 5 };
    expect(recordSample(first, sample(warm, 5), taken)).toBe(first);
    expect(recordSample(first, sample(warm, 90), taken)).toBe(first);
  });
});

describe('a streak', () => {
  const streak = (record: IdleRecord): string => `${record.samples} over ${record.coveredSeconds}`;
  test.each<readonly [string, readonly (readonly [number, number, string?])[], string]>([
    ['grows with each sample below', every30(warm, 5, 5, 5), '3 over 60'],
    ['ends at the upper bound', every30(warm, 5, 5, 25), '0 over 0'],
    ['begins anew after it', every30(warm, 5, 5, 90, 5, 5), '2 over 30'],
    ['stands still between the bounds', every30(warm, 5, 5, 20), '2 over 30'],
    ['does not count the time between the bounds', every30(warm, 5, 5, 15, 24, 5, 5), '4 over 60'],
    ['ends with a resize', [...every30(warm, 5, 5), [warm + 60, 5, '2/0']], '1 over 0'],
    ['ends with a restart', [...every30(warm, 5, 5), [warm + 60, 5, '1/1']], '1 over 0'],
    ['ends with a resize between the bounds', [...every30(warm, 5, 5), [warm + 60, 20, '2/0']], '0 over 0'],
    ['ends with a gap of which nothing is known', [...every30(warm, 5, 5), [warm + 121, 5]], '1 over 0'],
    ['outlasts a shorter one', [...every30(warm, 5, 5), [warm + 120, 5]], '3 over 120'],
  ])('%s', (_, series, want) => {
    expect(streak(after(series))).toBe(want);
  });

  test('never covers more than the time between its first and its last sample, nor counts a busy one', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 0, max: 40 })), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(steps, (given) => {
        let time = warm;
        const series = given.map(([gap, percent]): [number, number] => [(time += gap), percent]);
        const record = after(series);
        const lastBusy = series.findLast(([, percent]) => percent >= rule.clearAbovePercent)?.[0] ?? warm - 1;
        const below = series.filter(([at, percent]) => at >= lastBusy && percent < rule.belowPercent);
        expect(record.samples).toBeLessThanOrEqual(below.length);
        expect(record.coveredSeconds).toBeLessThanOrEqual(Math.max(0, time - Math.max(warm, lastBusy)));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('clones that end for want of work', () => {
  const now = 5000;
  const idle = (used = 0.05): IdleRecord => ({
    last: { ...sample(now - 10, 0), used },
    samples: 7,
    coveredSeconds: 180,
  });
  const busy = (percent: number): IdleRecord => ({ ...noRecord, last: sample(now - 10, percent) });
  const pool = (size: number): CloneView[] => Array.from({ length: size }, (_, n) => cloneView({ name: `c${n}` }));
  const decide = (
    records: readonly (IdleRecord | undefined)[],
    changes: Partial<IdleInput> = {},
  ): { readonly text: string; readonly unmeasured: number } => {
    const clones = changes.clones ?? pool(records.length);
    const known = new Map(
      records.flatMap((record, n) => (record === undefined ? [] : [[`uid-c${n}`, record] as const])),
    );
    const input = { rule, windowStarts: [], leadSeconds: 180, lastExitAt: undefined, ...changes };
    const { exits, reason, unmeasured } = decideExits({ ...input, clones, records: known }, now);
    return { text: [reason, ...exits.map(({ name }) => name)].join(' '), unmeasured };
  };
  const many = (count: number, record: IdleRecord | undefined): (IdleRecord | undefined)[] =>
    Array.from({ length: count }, () => record);

  test.each<readonly [string, readonly (IdleRecord | undefined)[], Partial<IdleInput>, string]>([
    ['one of a small pool', [idle(), idle(), idle()], {}, 'Idle c0'],
    ['a tenth of a large one', many(25, idle()), {}, 'Idle c0 c1'],
    ['none that works', [busy(50), busy(20)], {}, 'Busy'],
    ['never the last one', [idle(0)], {}, 'PoolGuard'],
    ['none where the rest would have too much to do', [idle(), busy(69), busy(76)], {}, 'PoolGuard'],
    ['one where the rest can carry it', [idle(), busy(65), busy(69)], {}, 'Idle c0'],
    ['none so soon after the last', [idle(), idle()], { lastExitAt: now - 59 }, 'Cooldown'],
    ['one after the cooldown', [idle(), idle()], { lastExitAt: now - 60 }, 'Idle c0'],
    ['none before a burst', [idle(), idle()], { windowStarts: [now + 120] }, 'BurstAhead'],
    ['one during a burst', [idle(), idle()], { windowStarts: [now - 120] }, 'Idle c0'],
    ['one long before a burst', [idle(), idle()], { windowStarts: [now + 181] }, 'Idle c0'],
    ['none when 30 % have no metrics', [...many(7, idle()), ...many(3, undefined)], {}, 'ExitFrozen'],
    ['one when 20 % have none', [...many(8, idle()), ...many(2, undefined)], {}, 'Idle c0'],
    ['none without any metrics', many(3, undefined), {}, 'ExitFrozen'],
    ['none with too few samples', [{ ...idle(), samples: 4 }, busy(20)], {}, 'Busy'],
    ['none that was idle for too short', [{ ...idle(), coveredSeconds: 179 }, busy(20)], {}, 'Busy'],
    ['none whose last sample is not below', [{ ...idle(), last: sample(now - 1, 20) }, busy(20)], {}, 'Busy'],
    ['none whose last sample is 31 s old', [{ ...idle(), last: sample(now - 31, 1) }, busy(20)], {}, 'Busy'],
  ])('%s', (_, records, changes, want) => {
    expect(decide(records, changes).text).toBe(want);
  });

  test('clones that are too young to have metrics freeze nothing, and do not end', () => {
    const clones = [...pool(2), cloneView({ name: 'c2', readyAt: now - 60 }), cloneView({ name: 'c3', readyAt: now })];
    expect(decide([idle(), idle(), idle(), undefined], { clones })).toEqual({ text: 'Idle c0', unmeasured: 0 });
  });

  test('clones that end already, or are not Ready, neither end nor carry anything', () => {
    const clones = [
      ...pool(1),
      cloneView({ name: 'c1', state: 'Retiring' }),
      cloneView({ name: 'c2', isReady: false }),
    ];
    expect(decide([idle(), idle(), idle()], { clones }).text).toBe('PoolGuard');
  });

  test('those that stay can always carry what all carry now, and the tenth is never passed', () => {
    const record = fc.oneof(
      fc.constant(undefined),
      fc.integer({ min: 0, max: 14 }).map((percent) => idle(percent / 100)),
      fc.integer({ min: 25, max: 120 }).map(busy),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), (records) => {
        const { text } = decide(records);
        const names = new Set(text.split(' ').slice(1));
        const known = records.map((item, n) => ({ name: `c${n}`, used: item?.last?.used }));
        const used = known.reduce((total, item) => total + (item.used ?? 0), 0);
        const left = known.filter(({ name, used: own }) => own !== undefined && !names.has(name)).length;
        expect(names.size).toBeLessThanOrEqual(Math.max(1, Math.floor(records.length / 10)));
        expect(names.size === 0 || used / left <= 0.7 + 1e-9).toBe(true);
        expect([...names].every((name) => (known.find((item) => item.name === name)?.used ?? 1) < 0.15)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
