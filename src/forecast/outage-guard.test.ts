// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maxHoldSeconds, stepGuard, watching } from './outage-guard.ts';
import type { GuardLook, GuardState } from './outage-guard.ts';

const start = 1_788_264_000;
const calm: GuardLook = {
  now: start,
  demand: 100,
  expected: 100,
  before: 100,
  pods: { ready: 10, wanted: 10 },
  alarms: [],
  isBlind: false,
};
const alarms = ['errorRate is 0.4, normal are up to 0.05'];

/** One look a minute from `start` on. */
function run(looks: readonly Partial<GuardLook>[], from: GuardState = watching): GuardState[] {
  let state = from;
  return looks.map((look, index) => {
    state = stepGuard(state, { ...calm, now: start + 60 * index, ...look });
    return state;
  });
}
const kinds = (states: readonly GuardState[]): string[] => states.map(({ kind }) => kind);
const repeat = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('a fall', () => {
  test.each<[string, Partial<GuardLook>, string]>([
    ['with errors is held', { demand: 40, alarms }, 'holding'],
    ['with pods that are not Ready is held', { demand: 40, pods: { ready: 6, wanted: 10 } }, 'holding'],
    ['to no samples at all is held', { demand: Number.NaN }, 'holding'],
    ['of nothing but demand is believed', { demand: 10 }, 'watching'],
    ['that was forecast is believed', { demand: 40, expected: 42, alarms }, 'watching'],
    ['that came long ago is believed', { demand: 40, before: 45, alarms }, 'watching'],
    ['by a third is believed', { demand: 66, alarms }, 'watching'],
    ['without a forecast is not judged', { demand: 10, expected: Number.NaN, alarms }, 'watching'],
    [
      'with pods still starting, most of them Ready, is believed',
      { demand: 40, pods: { ready: 7, wanted: 10 } },
      'watching',
    ],
    ['of a workload scaled to zero is believed', { demand: 0, pods: { ready: 0, wanted: 0 } }, 'watching'],
    ['that nobody saw is not judged', { demand: Number.NaN, isBlind: true }, 'watching'],
    ['errors alone are no fall', { alarms }, 'watching'],
  ])('%s', (_, look, kind) => {
    expect(kinds(run([look]))).toEqual([kind]);
  });

  test('the sentence has the numbers', () => {
    const [state] = run([{ demand: 40.04, alarms }]);
    expect(state).toMatchObject({
      evidence: 'ErrorsRise',
      message: 'demand fell to 40 where 100 was forecast, 100 came before, and errorRate is 0.4, normal are up to 0.05',
    });
  });
});

describe('a hold', () => {
  const fallen = { demand: 40, alarms };
  test('ends when demand is back for two looks', () => {
    expect(kinds(run([fallen, {}, fallen, {}, {}]))).toEqual(['holding', 'holding', 'holding', 'holding', 'watching']);
  });
  test('ends when nothing was wrong for five minutes: the fall was real', () => {
    const states = kinds(run([fallen, ...repeat(6, { demand: 40 })]));
    expect(states).toEqual([...repeat(5, 'holding'), 'watching', 'watching']);
  });
  test('ends after 30 minutes in any case, and does not begin anew', () => {
    const states = kinds(run(repeat(60, fallen)));
    expect(states.filter((kind) => kind === 'holding')).toHaveLength(maxHoldSeconds / 60);
    expect(states.lastIndexOf('holding')).toBe(29);
    expect(states.at(-1)).toBe('given-up');
  });
  test('after it was given up, it may begin anew once demand was back', () => {
    expect(kinds(run([...repeat(31, fallen), {}, fallen])).slice(-3)).toEqual(['given-up', 'watching', 'holding']);
  });
  test('goes on while nobody can be asked', () => {
    expect(kinds(run([fallen, ...repeat(9, { demand: Number.NaN, isBlind: true })]))).toEqual(repeat(10, 'holding'));
  });
  test('ends when the clock was set back', () => {
    expect(kinds(run([fallen, { ...fallen, now: start - 3600 }]))).toEqual(['holding', 'given-up']);
  });
});

describe('whatever comes', () => {
  const number = fc.oneof(fc.constant(Number.NaN), fc.double({ min: 0, max: 200, noNaN: true }));
  const look = fc.record({
    demand: number,
    expected: number,
    before: number,
    pods: fc.option(fc.record({ ready: fc.nat(10), wanted: fc.nat(10) }), { nil: undefined }),
    alarms: fc.constantFrom([], alarms),
    isBlind: fc.boolean(),
    after: fc.integer({ min: 1, max: 600 }),
  });

  test('no hold lasts longer than 30 minutes and a look, and none begins without evidence and a fall', () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 80 }), (looks) => {
        let state: GuardState = watching;
        let now = start;
        for (const { after, ...rest } of looks) {
          now += after;
          const next = stepGuard(state, { ...rest, now });
          const { demand, expected, before, pods, isBlind } = rest;
          const isHolding = next.kind === 'holding';
          const inTrouble = rest.alarms.length > 0 || Number.isNaN(demand) || (pods && pods.ready < pods.wanted);
          const hasReason = Boolean(inTrouble) && !isBlind && !(demand >= Math.min(expected, before));
          expect(isHolding && now - next.since >= maxHoldSeconds).toBe(false);
          expect(isHolding && state.kind !== 'holding' && !hasReason).toBe(false);
          state = next;
        }
      }),
    );
  });

  test('a workload without trouble is never held', () => {
    fc.assert(
      fc.property(fc.array(number, { maxLength: 50 }), (demands) => {
        const looks = demands.map((demand) => ({ demand, isBlind: Number.isNaN(demand) }));
        expect(kinds(run(looks))).toEqual(repeat(looks.length, 'watching'));
      }),
    );
  });
});
