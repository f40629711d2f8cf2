// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { heldNode, nodeHorizons, placementScore, scoreNodes } from './placement.ts';
import type { PodObject } from './read-clone.ts';
import type { CloneView } from './view.ts';

const now = 1_790_000_000;
const minute = 60;
const hour = 3600;

function clone(node: string | undefined, effectiveDeadline: number, state: CloneView['state'] = 'Serving'): CloneView {
  return {
    namespace: 'shop',
    name: 'web-1',
    uid: 'u',
    resourceVersion: '1',
    pool: 'web',
    owner: { uid: 'p', isPool: true },
    createdAt: now - 60,
    effectiveDeadline,
    windowId: undefined,
    revision: undefined,
    node,
    state,
    isReady: true,
    readyAt: now - 30,
    requests: { cpu: 1, memory: undefined },
    exitBelow: undefined,
  };
}

describe('the score of a node for a clone that ends in 30 minutes', () => {
  const deadline = now + 30 * minute;
  test.each([
    ['whose clones end with it is the best', deadline, 10],
    ['whose clones end a minute later is as good', deadline + minute, 10],
    ['whose clones end half an hour later is a little worse', deadline + 30 * minute, 9],
    ['whose clones end five hours later loses two points, the most', deadline + 5 * hour, 8],
    ['that stays for good counts as if it stayed an hour longer', Number.POSITIVE_INFINITY, 9],
    ['that must stay half a minute longer loses a point', deadline - 30, 9],
    ['that must stay five minutes longer loses three', deadline - 5 * minute, 7],
    ['that is empty loses five', now, 5],
    ['whose clones are overdue counts as empty', now - hour, 5],
  ])('a node %s', (_what, horizon, score) => {
    expect(placementScore({ deadline, horizon, now })).toBe(score);
  });

  test('a clone that is overdue prolongs no node', () => {
    expect(placementScore({ deadline: now - 5, horizon: now, now })).toBe(10);
  });

  test('with a unit of 3 s, what takes a twentieth of the time gets the same score', () => {
    const fast = { deadline: now + 90, horizon: now + 75, now, unitSeconds: 3 };
    const slow = { deadline: now + 1800, horizon: now + 1500, now };
    expect(placementScore(fast)).toBe(placementScore(slow));
  });
});

const time = fc.integer({ min: now - 10 * hour, max: now + 30 * 24 * hour });
const horizon = fc.oneof(time, fc.constant(Number.POSITIVE_INFINITY));

test('a score is a whole number from 0 to 10', () => {
  fc.assert(
    fc.property(time, horizon, fc.constantFrom(1, 3, 60, 300), (deadline, until, unitSeconds) => {
      const score = placementScore({ deadline, horizon: until, now, unitSeconds });
      expect(Number.isInteger(score) && score >= 0 && score <= 10).toBe(true);
    }),
  );
});

test('the longer a node must stay because of the clone, the lower the score', () => {
  fc.assert(
    fc.property(time, time, time, (deadline, a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      fc.pre(high <= deadline);
      expect(placementScore({ deadline, horizon: low, now })).toBeLessThanOrEqual(
        placementScore({ deadline, horizon: high, now }),
      );
    }),
  );
});

test('the longer a node stays beyond the clone, the lower the score, and never by more than 2', () => {
  fc.assert(
    fc.property(time, time, time, (deadline, a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      fc.pre(low >= deadline);
      const far = placementScore({ deadline, horizon: high, now });
      expect(far).toBeLessThanOrEqual(placementScore({ deadline, horizon: low, now }));
      expect(far).toBeGreaterThanOrEqual(8);
    }),
  );
});

test('every node that was asked about gets a score, once, in its order', () => {
  const names = fc.array(fc.string({ maxLength: 6 }), { maxLength: 20 });
  const horizons = fc.dictionary(fc.string({ maxLength: 6 }), horizon);
  fc.assert(
    fc.property(names, horizons, time, (given, known, deadline) => {
      const scored = scoreNodes({ names: given, horizons: new Map(Object.entries(known)), deadline, now });
      expect(scored.map(({ name }) => name)).toEqual(given);
    }),
  );
});

test('a node that nothing is known of is scored as an empty one', () => {
  const deadline = now + hour;
  const [scored] = scoreNodes({ names: ['new'], horizons: new Map(), deadline, now });
  expect(scored?.score).toBe(placementScore({ deadline, horizon: now, now }));
});

describe('a node is needed', () => {
  test.each([
    ['until the last of its clones ends', [clone('a', now + 60), clone('a', now + 90)], [], [['a', now + 90]]],
    ['until now, when its clones are overdue', [clone('a', now - 60)], [], [['a', now]]],
    ['not because of a clone that is on no node', [clone(undefined, now + 60, 'Pending')], [], []],
    [
      'not because of clones that are ending or have ended',
      [clone('a', now + 60, 'Retiring'), clone('b', now + 60, 'Terminating'), clone('c', now + 60, 'Ended')],
      [],
      [],
    ],
    [
      'for good, where another pod is',
      [clone('a', now + 60)],
      [
        ['a', 1],
        ['b', 2],
        ['c', 0],
      ],
      [
        ['a', Number.POSITIVE_INFINITY],
        ['b', Number.POSITIVE_INFINITY],
      ],
    ],
  ] as [string, CloneView[], [string, number][], [string, number][]][])('%s', (_what, clones, others, expected) => {
    expect([...nodeHorizons(clones, new Map(others), now)]).toEqual(expected);
  });

  test('in whatever order the clones are', () => {
    const some = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), time), { maxLength: 20 });
    fc.assert(
      fc.property(some, (given) => {
        const clones = given.map(([node, deadline]) => clone(node, deadline));
        const forwards = nodeHorizons(clones, new Map(), now);
        const backwards = nodeHorizons(clones.toReversed(), new Map(), now);
        expect(Object.fromEntries(backwards)).toEqual(Object.fromEntries(forwards));
      }),
    );
  });
});

describe('a node is held', () => {
  const owner = (kind: string) => [{ apiVersion: 'apps/v1', kind, uid: 'o', controller: true }];
  const pod = (metadata: Partial<PodObject['metadata']>, rest: Omit<PodObject, 'metadata'> = {}): PodObject => ({
    metadata: { name: 'x', ...metadata },
    spec: { nodeName: 'a' },
    ...rest,
  });
  test.each<[string, PodObject, string | undefined]>([
    ['by a pod', pod({}), 'a'],
    ['by a pod of a Deployment', pod({ ownerReferences: owner('ReplicaSet') }), 'a'],
    ['not by a clone', pod({ labels: { 'headstart.dev/clone': 'true' } }), undefined],
    ['not by a pod of a DaemonSet', pod({ ownerReferences: owner('DaemonSet') }), undefined],
    ['not by a static pod', pod({ annotations: { 'kubernetes.io/config.mirror': 'h' } }), undefined],
    [
      'not by a pod that has succeeded',
      pod({}, { spec: { nodeName: 'a' }, status: { phase: 'Succeeded' } }),
      undefined,
    ],
    ['not by a pod that is on none', pod({}, { spec: {} }), undefined],
    ['not by a pod whose node is empty', pod({}, { spec: { nodeName: '' } }), undefined],
  ])('%s', (_what, given, expected) => {
    expect(heldNode(given)).toBe(expected);
  });
});
