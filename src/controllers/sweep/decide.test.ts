// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePoolSpec } from '../../api/v1alpha1/clone-pool.ts';
import { cloneView } from '../../testing/clone-views.ts';
import { FakeClones } from '../../testing/fake-clones.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { groupClones } from '../../capacity/clones/scan.ts';
import { blockedCondition, holdDropSeconds, isQuiet, planPool, targetGoneSince } from './decide.ts';
import type { PlanInput } from './decide.ts';

const now = 5000;
const open = { id: 'w', startTime: '1970-01-01T01:00:00Z', endTime: '1970-01-01T02:00:00Z', replicas: 2 };

function plan(clones: readonly CloneView[], spec: Partial<ClonePoolSpec> | undefined, more: Partial<PlanInput> = {}) {
  return planPool(
    {
      spec: spec === undefined ? undefined : new FakeClones().addPool('web', { replicas: clones.length, ...spec }).spec,
      targetRevision: 'r1',
      clones,
      lostReadiness: new Map(),
      idle: new Set(),
      dropSince: undefined,
      ...more,
    },
    now,
  );
}

function named(clones: readonly CloneView[], spec?: Partial<ClonePoolSpec>, more?: Partial<PlanInput>): string {
  return plan(clones, spec, more)
    .victims.map(({ clone, reason }) => `${clone.name} ${reason}`)
    .join(', ');
}

const old = (name: string): CloneView => cloneView({ name, revision: 'r0' });
const fresh = (name: string): CloneView => cloneView({ name });
const starting = (name: string): CloneView =>
  cloneView({ name, state: 'Starting', isReady: false, readyAt: undefined, createdAt: now - 10 });

describe('while the target is rolled out', () => {
  test.each<readonly [string, readonly CloneView[], Partial<ClonePoolSpec>, Partial<PlanInput>, string]>([
    [
      'old ones stay until new ones are Ready',
      [old('a'), old('b'), starting('c'), starting('d')],
      { replicas: 2 },
      {},
      '',
    ],
    ['one goes for each that is', [old('a'), old('b'), fresh('c'), starting('d')], { replicas: 2 }, {}, 'a Outdated'],
    ['then all go', [old('a'), old('b'), fresh('c'), fresh('d')], { replicas: 2 }, {}, 'a Outdated, b Outdated'],
    ['fewer are wanted: old ones go first', [old('a'), fresh('b'), fresh('c')], { replicas: 2 }, {}, 'a Outdated'],
    [
      'with Keep they stay',
      [old('a'), old('b'), fresh('c'), fresh('d')],
      { replicas: 4, onTargetChange: 'Keep' },
      {},
      '',
    ],
    [
      'while the revision is not known they stay',
      [old('a'), fresh('b')],
      { replicas: 2 },
      { targetRevision: undefined },
      '',
    ],
  ])('%s', (...[, clones, spec, more, want]) => {
    expect(named(clones, spec, more)).toBe(want);
  });
});

test('clones without a pool end by their deadline and their own rule only', () => {
  const clones = [cloneView({ name: 'a', effectiveDeadline: now }), starting('b'), old('c'), fresh('d')];
  expect(named(clones, undefined, { idle: new Set(['uid-d']) })).toBe('a Expired, d Idle');
});

test.each<readonly [string, Partial<ClonePoolSpec>]>([
  ['in mode Scale, whatever spec.replicas says', { mode: 'Scale', replicas: 2 }],
  ['in mode Scale, while it is rolled out', { mode: 'Scale', replicas: 3 }],
  ['in mode Predictive, at once', { replicas: 0, windows: [open] }],
])('nobody wants clones of a target that is gone or has no replicas: %s', (_, spec) => {
  const clones = [fresh('a'), old('b'), starting('c')];
  const { victims } = plan(clones, spec, { targetGoneSince: now });
  expect(victims.map(({ clone }) => clone.name).toSorted()).toEqual(['a', 'b', 'c']);
  expect(victims.at(-1)?.reason).toBe('Surplus');
});

test('clones that are made as the target comes back stay, although the status is older', () => {
  const clones = [starting('a'), starting('b')];
  expect(named(clones, { mode: 'Scale' }, { targetGoneSince: now - 11 })).toBe('');
});

test.each([
  ['TargetNotFound', 3600],
  ['TargetScaledToZero', 3600],
  ['TargetPaused', undefined],
  ['TargetUnreadable', undefined],
  ['TargetFound', undefined],
] as const)('with TargetResolved for the reason %s the target is gone since %s', (reason, want) => {
  const pool = new FakeClones().addPool('web');
  const lastTransitionTime = '1970-01-01T01:00:00Z';
  const at = { status: 'False', message: '', lastTransitionTime, observedGeneration: 1 } as const;
  const status = { replicas: 0, conditions: [{ type: 'TargetResolved' as const, reason, ...at }] };
  expect(targetGoneSince({ ...pool, status })).toBe(want);
  expect(targetGoneSince(pool)).toBeUndefined();
});

test('a drop that lasts is followed, and one that is over is forgotten', () => {
  const windows = [open];
  const clones = [fresh('a'), fresh('b')];
  const first = plan(clones, { replicas: 0, windows });
  expect(first).toEqual({ victims: [], dropSince: now });
  expect(named(clones, { replicas: 0, windows }, { dropSince: now - holdDropSeconds + 1 })).toBe('');
  expect(named(clones, { replicas: 0, windows }, { dropSince: now - holdDropSeconds })).toBe('a Surplus, b Surplus');
  expect(plan(clones, { replicas: 2, windows }, { dropSince: now - 10 }).dropSince).toBeUndefined();
});

test.each([
  [{ budgetExhausted: 0, severalBudgets: 0 }, 'False NotBlocked'],
  [{ budgetExhausted: 3, severalBudgets: 0 }, 'True BudgetExhausted'],
  [{ budgetExhausted: 3, severalBudgets: 1 }, 'True SeveralBudgets'],
])('%o is said as %s', (blocked, want) => {
  const { status, reason } = blockedCondition(blocked, 120);
  expect(`${status} ${reason}`).toBe(want);
});

const anyClone = fc
  .record({
    name: fc.integer({ min: 0, max: 99 }).map((n) => `c${n}`),
    revision: fc.constantFrom('r0', 'r1'),
    isReady: fc.boolean(),
    effectiveDeadline: fc.constantFrom(now, now + 500, now + 600),
    createdAt: fc.constantFrom(now - 500, now - 10),
  })
  .map((given) => cloneView({ ...given, state: given.isReady ? 'Serving' : 'Starting' }));
const anyPool = fc.uniqueArray(anyClone, { maxLength: 12, selector: ({ name }) => name });

test('what stays is never less than what is wanted, unless it had to end', () => {
  fc.assert(
    fc.property(anyPool, fc.nat(14), (clones, replicas) => {
      const { victims } = plan(clones, { replicas });
      const forced = victims.filter(({ reason }) => reason === 'Expired' || reason === 'StartFailed').length;
      const chosen = victims.length - forced;
      expect(chosen === 0 || clones.length - victims.length >= replicas).toBe(true);
      expect(new Set(victims.map(({ clone: { uid } }) => uid)).size).toBe(victims.length);
    }),
    { numRuns: 3000 },
  );
});

test('in a pool that is quiet nobody is to end', () => {
  const quiet = cloneView({ name: 'c', createdAt: now - 10 });
  const clones = fc.oneof(
    anyPool,
    fc.nat(4).map((count) => Array.from({ length: count }, (_, n) => ({ ...quiet, uid: `${n}` }))),
  );
  const changes = fc.record({
    onTargetChange: fc.constantFrom('Retire', 'Keep'),
    replicas: fc.nat(14),
    maxSeconds: fc.constantFrom(60, 500, 3600),
    targetRevision: fc.constantFrom('r0', 'r1', undefined),
    targetGoneSince: fc.constantFrom(undefined, undefined, now - 1),
  });
  let count = 0;
  fc.assert(
    fc.property(clones, changes, (present, { onTargetChange, replicas, maxSeconds, ...target }) => {
      const lifetime = { maxSeconds, marginSeconds: 60, startupBudgetSeconds: 180 };
      const { spec } = new FakeClones().addPool('web', { onTargetChange, replicas, lifetime });
      const [group] = groupClones(present.map((clone) => ({ clone })));
      if (group === undefined || !isQuiet(group, { spec, ...target }, now)) return;
      count += 1;
      expect(plan(present, spec, target)).toEqual({ victims: [], dropSince: undefined });
    }),
    { numRuns: 3000 },
  );
  expect(count).toBeGreaterThan(100);
});
