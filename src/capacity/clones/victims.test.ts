// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cloneView } from '../../testing/clone-views.ts';
import { chooseVictims, dueAt } from './victims.ts';
import type { VictimOptions } from './victims.ts';
import type { CloneState, CloneView } from './view.ts';

const now = 5000;

function chosen(clones: readonly CloneView[], options: VictimOptions = {}): string[] {
  return chooseVictims(clones, now, options).map(({ clone, reason }) => `${clone.name} ${reason}`);
}

test('reasons come in the order of the contract, and nobody is named twice', () => {
  const clones = [
    cloneView({ name: 'surplus' }),
    cloneView({ name: 'idle' }),
    cloneView({ name: 'outdated' }),
    cloneView({ name: 'slow', state: 'Starting', isReady: false, readyAt: undefined }),
    cloneView({ name: 'expired', effectiveDeadline: now }),
    cloneView({ name: 'expired-and-idle', effectiveDeadline: now }),
  ];
  const options = {
    startupBudgetSeconds: 180,
    outdated: new Set(['uid-outdated']),
    idle: new Set(['uid-idle', 'uid-expired-and-idle']),
    count: 6,
  };
  expect(chosen(clones, options)).toEqual([
    'expired Expired',
    'expired-and-idle Expired',
    'slow StartFailed',
    'outdated Outdated',
    'idle Idle',
    'surplus Surplus',
  ]);
});

test.each<{ readonly that: string; readonly clone: Partial<CloneView>; readonly options?: VictimOptions }>([
  { that: 'one second before its deadline', clone: { effectiveDeadline: now + 1 } },
  { that: 'that ends already', clone: { state: 'Retiring', effectiveDeadline: 0 } },
  { that: 'that is being deleted', clone: { state: 'Terminating', effectiveDeadline: 0 } },
  { that: 'that has ended by itself', clone: { state: 'Ended', effectiveDeadline: 0 } },
  {
    that: 'still within its start-up budget',
    clone: { state: 'Pending', isReady: false, createdAt: now - 179 },
    options: { startupBudgetSeconds: 180 },
  },
  {
    that: 'that was Ready until a moment ago',
    clone: { state: 'Starting', isReady: false, readyAt: undefined, createdAt: 0 },
    options: { startupBudgetSeconds: 180, lostReadiness: new Map([['uid-a', now - 10]]) },
  },
  { that: 'where too many end for other reasons', clone: {}, options: { count: -3 } },
])('a clone $that is left alone', ({ clone, options }) => {
  expect(chosen([cloneView({ name: 'a', ...clone })], options)).toEqual([]);
});

test('whoever ends for another reason counts towards what is too many', () => {
  const clones = ['a', 'b', 'c'].map((name) => cloneView({ name, effectiveDeadline: name === 'b' ? now : now + 100 }));
  expect(chosen(clones, { count: 2 })).toEqual(['b Expired', 'a Surplus']);
});

test('a clone whose annotations were taken off lives no longer than its pool allows', () => {
  const clone = cloneView({ name: 'a', createdAt: now - 600, effectiveDeadline: now + 3000 });
  expect(dueAt(clone, undefined)).toBe(now + 3000);
  expect(chosen([clone], { maxSeconds: 600 })).toEqual(['a Expired']);
  expect(chosen([clone], { maxSeconds: 601 })).toEqual([]);
});

describe('among those with the same reason', () => {
  const due = (name: string, node: string | undefined, deadline = now - 10) =>
    cloneView({ name, node, effectiveDeadline: deadline });
  const stays = (name: string, node: string, deadline = now + 500) =>
    cloneView({ name, node, effectiveDeadline: deadline });

  test.each<{
    readonly first: string;
    readonly clones: readonly CloneView[];
    readonly options?: VictimOptions;
    readonly want: string;
  }>([
    { first: 'what has no node', clones: [due('a', 'n1'), due('b', undefined)], want: 'b,a' },
    {
      first: 'a node without other pods',
      clones: [due('a', 'n1', now - 99), due('b', 'n2')],
      options: { nodes: new Map([['n1', { hasOtherPods: true }]]) },
      want: 'b,a',
    },
    {
      first: 'the node with the fewest that stay',
      clones: [due('a', 'n1', now - 99), stays('x', 'n1'), due('b', 'n2')],
      want: 'b,a',
    },
    {
      first: 'the node without clones of other pools',
      clones: [due('a', 'n1', now - 99), due('b', 'n2')],
      options: { nodes: new Map([['n1', { otherClones: 1, otherHorizon: now + 5 }]]) },
      want: 'b,a',
    },
    {
      first: 'the node that will be empty soonest',
      clones: [due('a', 'n1', now - 99), stays('x', 'n1', now + 900), due('b', 'n2'), stays('y', 'n2', now + 100)],
      want: 'b,a',
    },
    { first: 'the earliest deadline', clones: [due('a', 'n1'), due('b', 'n2', now - 99)], want: 'b,a' },
    { first: 'by name', clones: [due('b', 'n1'), due('a', 'n1')], want: 'a,b' },
    {
      first: 'a node to its end before the next one',
      clones: [due('a', 'n1', now - 50), due('b', 'n2', now - 40), due('c', 'n1', now - 30)],
      want: 'a,c,b',
    },
  ])('$first comes first', ({ clones, options, want }) => {
    expect(
      chooseVictims(clones, now, options)
        .map(({ clone }) => clone.name)
        .join(),
    ).toBe(want);
  });

  test('surplus empties the node with the fewest clones', () => {
    const clones = [stays('a', 'n1'), stays('b', 'n1'), stays('c', 'n2'), stays('d', 'n3'), stays('e', 'n3')];
    expect(chosen(clones, { count: 2 })).toEqual(['c Surplus', 'a Surplus']);
  });
});

const states: readonly CloneState[] = ['Pending', 'Starting', 'Serving', 'Retiring', 'Terminating', 'Ended'];
const clone = fc
  .record({
    name: fc.integer({ min: 0, max: 999 }).map((n) => `c${n}`),
    node: fc.constantFrom(undefined, 'n1', 'n2', 'n3'),
    state: fc.constantFrom(...states),
    isReady: fc.boolean(),
    createdAt: fc.integer({ min: now - 300, max: now }),
    effectiveDeadline: fc.integer({ min: now - 50, max: now + 50 }),
  })
  .map(cloneView);
const pool = fc.uniqueArray(clone, { maxLength: 12, selector: ({ name }) => name });

test('the same clones in another order give the same victims, each once and none that ends already', () => {
  fc.assert(
    fc.property(pool, fc.nat(15), fc.nat(), (clones, count, turn) => {
      const options = { startupBudgetSeconds: 180, count };
      const victims = chosen(clones, options);
      const turned = clones
        .map((_, index) => clones[(index + turn) % clones.length])
        .filter((item) => item !== undefined);
      expect(chosen(turned, options)).toEqual(victims);
      expect(new Set(victims).size).toBe(victims.length);
      const alive = clones.filter(({ state }) => ['Pending', 'Starting', 'Serving'].includes(state));
      const due = victims.filter((text) => !text.endsWith('Surplus'));
      expect(victims.length).toBe(Math.min(alive.length, Math.max(count, due.length)));
    }),
    { numRuns: 2000 },
  );
});

/** The clones as they are when some of the victims have been marked, and a process begins anew. */
function markSome(clones: readonly CloneView[], count: number, isMarked: (index: number) => boolean) {
  const options = { startupBudgetSeconds: 180, count };
  const before = chooseVictims(clones, now, options).map(({ clone: { uid } }) => uid);
  const marked = new Set(before.filter((_, index) => isMarked(index)));
  const left = clones.map((item) => (marked.has(item.uid) ? { ...item, state: 'Retiring' as const } : item));
  const again = chooseVictims(left, now, { ...options, count: count - marked.size });
  return { unmarked: before.filter((uid) => !marked.has(uid)), again };
}

test('after the first of the victims have gone, the rest of them are chosen again', () => {
  fc.assert(
    fc.property(pool, fc.nat(15), fc.nat(12), (clones, count, gone) => {
      const { unmarked, again } = markSome(clones, count, (index) => index < gone);
      expect(new Set(again.map(({ clone: { uid } }) => uid))).toEqual(new Set(unmarked));
    }),
    { numRuns: 2000 },
  );
});

test('whichever of the victims have gone, those that must end are chosen again, and as many of the others', () => {
  fc.assert(
    fc.property(pool, fc.nat(15), fc.array(fc.boolean(), { maxLength: 12 }), (clones, count, gone) => {
      const due = new Set(chooseVictims(clones, now, { startupBudgetSeconds: 180 }).map(({ clone: { uid } }) => uid));
      const { unmarked, again } = markSome(clones, count, (index) => gone[index] ?? false);
      const mustEnd = again.filter(({ reason }) => reason !== 'Surplus').map(({ clone: { uid } }) => uid);
      expect(new Set(mustEnd)).toEqual(new Set(unmarked.filter((uid) => due.has(uid))));
      expect(again).toHaveLength(unmarked.length);
    }),
    { numRuns: 2000 },
  );
});
