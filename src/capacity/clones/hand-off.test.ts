// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { baseDemand, lookAheadSeconds, readCarrying } from './hand-off.ts';
import type { Carrying } from './hand-off.ts';

/** 2026-09-01T12:00:00Z */
const now = 1_788_264_000;

/** Clones of 50 that were seen 10 s ago; steps are [seconds from now, clones]. */
function carrying(steps: readonly (readonly [number, number])[], changes: Partial<Carrying> = {}): Carrying {
  const ready = steps.reduce((sum, [, replicas]) => sum + replicas, 0);
  const list = steps.map(([until, replicas]) => ({ until: now + until, replicas }));
  return { time: now - 10, perClone: 50, ready, steps: list, ...changes };
}

/** Of 500, while 400 are observed, with a look-ahead of 8 min. */
function base(pools: readonly Carrying[], changes: Partial<Parameters<typeof baseDemand>[0]> = {}) {
  return baseDemand({ value: 500, observed: 400, lookAheadSeconds: 480, pools, now, ...changes });
}

describe('what is left to the base', () => {
  test.each<[string, readonly Carrying[], number]>([
    ['without clones it is all', [], 500],
    ['clones that outlast the look-ahead are taken off', [carrying([[481, 4]])], 300],
    ['those that end with it are not', [carrying([[480, 4]])], 500],
    [
      'of several deadlines those count that are later',
      [
        carrying([
          [60, 1],
          [481, 2],
          [900, 3],
        ]),
      ],
      250,
    ],
    [
      'pools add up, each with its own capacity',
      [carrying([[900, 4]]), carrying([[900, 1]], { perClone: 20.5 })],
      279.5,
    ],
    ['it is never below 0', [carrying([[900, 20]])], 0],
    ['clones that carry nothing take nothing off', [carrying([[900, 20]], { perClone: 0 })], 500],
    ['more clones than are Ready do not count', [carrying([[900, 20]], { ready: 2 })], 400],
    ['a status of two minutes ago counts', [carrying([[900, 4]], { time: now - 120 })], 300],
    ['an older one takes nothing off', [carrying([[900, 4]], { time: now - 121 })], 500],
    ['nor does one from the future', [carrying([[900, 4]], { time: now + 121 })], 500],
    [
      'the pool of an old status does not spoil another',
      [carrying([[900, 4]], { time: 0 }), carrying([[900, 2]])],
      400,
    ],
    ['a capacity that is no number takes nothing off', [carrying([[900, 4]], { perClone: Number.NaN })], 500],
    ['nor does a negative one', [carrying([[900, 4]], { perClone: -50 })], 500],
    ['nor does a count that is none', [carrying([[900, 4.5]])], 500],
    [
      'nor do negative clones',
      [
        carrying([
          [900, 4],
          [901, -2],
        ]),
      ],
      500,
    ],
    ['nor does a deadline that is no time', [carrying([[Number.NaN, 4]])], 500],
  ])('%s', (_rule, pools, value) => {
    expect(base(pools).value).toBe(value);
    expect(base(pools).subtracted).toBe(500 - value);
  });
  test('a value below demand leaves the base what Ready clones do not carry of demand', () => {
    expect(base([carrying([[900, 4]])], { value: 300 }).value).toBe(200);
    expect(base([carrying([[900, 4]])], { value: 150 }).value).toBe(150);
  });
  test('without an observation there is no such floor', () => {
    expect(base([carrying([[900, 4]])], { value: 300, observed: undefined }).value).toBe(100);
  });
  test('the reason has the numbers', () => {
    expect(base([]).reason).toBe('no clones');
    expect(base([carrying([[900, 4]])]).reason).toBe('4 clones that are still there in 8m carry 200');
    expect(base([carrying([[900, 4]]), carrying([[900, 4]], { time: 0 })]).reason).toBe(
      '4 clones that are still there in 8m carry 200; 1 pools say nothing, or nothing of the last 2m',
    );
  });
  test('as clones end one after the other the base grows one look-ahead earlier', () => {
    const pools = [
      carrying([
        [600, 2],
        [700, 2],
      ]),
    ];
    const at = (later: number): number => {
      const seen = pools.map((pool) => ({ ...pool, time: now + later }));
      return base(seen, { now: now + later }).value;
    };
    expect([0, 119, 120, 219, 220, 600].map(at)).toEqual([300, 300, 400, 400, 500, 500]);
  });
});

describe('properties of the hand-off', () => {
  const count = fc.nat(200);
  const pool = fc
    .record({
      age: fc.integer({ min: -300, max: 300 }),
      perClone: fc.oneof(
        { weight: 9, arbitrary: fc.nat(1000).map((milli) => milli / 8) },
        fc.constantFrom(Number.NaN, -1),
      ),
      steps: fc.array(fc.tuple(fc.integer({ min: -900, max: 3600 }), count), { maxLength: 6 }),
      ready: fc.option(count, { nil: undefined }),
    })
    .map(({ age, perClone, steps, ready }) =>
      carrying(steps, { time: now - age, perClone, ...(ready === undefined ? {} : { ready }) }),
    );
  const input = fc.record({
    value: fc.nat(100_000),
    observed: fc.option(fc.nat(100_000), { nil: undefined }),
    lookAheadSeconds: fc.integer({ min: 315, max: 2100 }),
    pools: fc.array(pool, { maxLength: 4 }),
    now: fc.constant(now),
  });
  const isTrusted = ({ time, perClone }: Carrying): boolean => Math.abs(now - time) <= 120 && perClone >= 0;
  const aliveAt = ({ ready, steps }: Carrying, time: number): number =>
    Math.min(
      ready,
      steps.reduce((sum, { until, replicas }) => (until > time ? sum + replicas : sum), 0),
    );

  test('base and clones together are never less than the plain value, at any time of the look-ahead', () => {
    fc.assert(
      fc.property(input, fc.double({ min: 0, max: 1, noNaN: true }), (given, share) => {
        const { value, subtracted } = baseDemand(given);
        const time = now + share * given.lookAheadSeconds;
        const clones = given.pools
          .filter(isTrusted)
          .reduce((sum, item) => sum + aliveAt(item, time) * item.perClone, 0);
        expect(value + clones).toBeGreaterThanOrEqual(given.value - 1e-6);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(given.value);
        expect(value + subtracted).toBeCloseTo(given.value, 6);
      }),
      { numRuns: 5000 },
    );
  });
  test('more demand is never answered with less, nor are more clones with more', () => {
    fc.assert(
      fc.property(input, pool, fc.nat(1000), (given, another, more) => {
        const { value } = baseDemand(given);
        expect(baseDemand({ ...given, value: given.value + more }).value).toBeGreaterThanOrEqual(value);
        expect(baseDemand({ ...given, observed: (given.observed ?? 0) + more }).value).toBeGreaterThanOrEqual(value);
        expect(baseDemand({ ...given, pools: [...given.pools, another] }).value).toBeLessThanOrEqual(value);
        const further = { ...given, lookAheadSeconds: given.lookAheadSeconds + more };
        expect(baseDemand(further).value).toBeGreaterThanOrEqual(value);
      }),
      { numRuns: 5000 },
    );
  });
  test('base and Ready clones are never less than observed demand, where the value is not either', () => {
    fc.assert(
      fc.property(input, (given) => {
        const ready = given.pools.filter(isTrusted).reduce((sum, item) => sum + item.ready * item.perClone, 0);
        const least = Math.min(given.value, (given.observed ?? 0) - ready);
        expect(baseDemand(given).value).toBeGreaterThanOrEqual(least - 1e-6);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('reading status.carrying', () => {
  const sound = {
    time: '2026-09-01T11:59:50Z',
    perClone: '50500m',
    ready: 4,
    steps: [{ until: '2026-09-01T12:15:00Z', replicas: 4 }],
  };
  test('times and quantities become numbers', () => {
    expect(readCarrying(sound)).toEqual({
      time: now - 10,
      perClone: 50.5,
      ready: 4,
      steps: [{ until: now + 900, replicas: 4 }],
    });
    expect(readCarrying({ ...sound, ready: 0, steps: [] })).toMatchObject({ ready: 0, steps: [] });
  });
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a word', 'four'],
    ['an empty object', {}],
    ['a time that is none', { ...sound, time: 'today' }],
    ['a time in milliseconds', { ...sound, time: '1788264000000' }],
    ['a capacity that is none', { ...sound, perClone: 'much' }],
    ['a negative capacity', { ...sound, perClone: '-1' }],
    ['no Ready clones', { ...sound, ready: undefined }],
    ['a text for a number of clones', { ...sound, ready: '4' }],
    ['steps that are no list', { ...sound, steps: 'soon' }],
    ['a step without a time', { ...sound, steps: [{ replicas: 4 }] }],
    ['a step with half a clone', { ...sound, steps: [{ ...sound.steps[0], replicas: 0.5 }] }],
    ['a step that is null', { ...sound, steps: [null] }],
  ])('%s is nothing', (_what, given) => {
    expect(readCarrying(given as ClonePoolStatus['carrying'])).toBeUndefined();
  });
  test('whatever comes, it does not throw, and what is read can be counted with', () => {
    const value = fc.constantFrom<unknown>(
      '1',
      '50m',
      '2026-09-01T12:00:00Z',
      '',
      'x',
      0,
      3,
      0.5,
      -1,
      Number.NaN,
      null,
      {},
      [],
    );
    const step = fc.record({ until: value, replicas: value });
    const steps = fc.oneof(fc.array(step, { maxLength: 2 }), value);
    const any = fc.record({ time: value, perClone: value, ready: value, steps });
    fc.assert(
      fc.property(any, (given) => {
        const read = readCarrying(given as ClonePoolStatus['carrying']);
        const { value: left } = base(read === undefined ? [] : [{ ...read, time: now }]);
        expect(left >= 0 && left <= 500).toBe(true);
      }),
      { numRuns: 20_000 },
    );
  });
});

test.each<[unknown, number]>([
  ['3m', 480],
  ['15s', 315],
  ['30m', 2100],
  ['soon', 2100],
  [undefined, 2100],
])('with a lead of %s the forecast looks %d s ahead', (p90, seconds) => {
  expect(lookAheadSeconds({ p90 })).toBe(seconds);
});
test('who has no lead yet takes the longest look-ahead', () => {
  expect(lookAheadSeconds(undefined)).toBe(2100);
});
