// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { CloneView } from '../capacity/clones/view.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createHorizons, readPlaced } from './horizons.ts';

const forever = Number.POSITIVE_INFINITY;

function placed(name: string, nodeName: string, kind = 'ReplicaSet') {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind, uid: 'o', controller: true }];
  const metadata = {
    name,
    namespace: 'shop',
    uid: name,
    resourceVersion: '1',
    labels: { app: 'web' },
    ownerReferences,
  };
  return readPlaced({ metadata, spec: { nodeName, containers: [] } } as Parameters<typeof readPlaced>[0]);
}

function setUp(given: Partial<Parameters<typeof createHorizons>[0]> = {}) {
  const clock = createFakeClock();
  return { clock, horizons: createHorizons({ clones: () => [], hasPlaced: () => true, clock, ...given }) };
}

test('of a pod only its name and the node that it holds are kept', () => {
  expect(placed('web', 'a')).toEqual({
    metadata: { name: 'web', namespace: 'shop', uid: 'web', resourceVersion: '1' },
    heldNode: 'a',
  });
  expect(placed('agent', 'a', 'DaemonSet').heldNode).toBeUndefined();
});

test('a node is held for good until its last other pod is gone', async () => {
  const { clock, horizons } = setUp();
  const entries = async (): Promise<unknown> => {
    await clock.advance(100);
    return [...(horizons.current() ?? [])];
  };
  horizons.onPlaced({ type: 'added', object: placed('x', 'a') });
  horizons.onPlaced({ type: 'added', object: placed('y', 'a') });
  horizons.onPlaced({ type: 'added', object: placed('agent', 'b', 'DaemonSet') });
  expect(await entries()).toEqual([['a', forever]]);
  horizons.onPlaced({ type: 'deleted', object: placed('x', 'a') });
  expect(await entries()).toEqual([['a', forever]]);
  horizons.onPlaced({ type: 'modified', old: placed('y', 'a'), object: placed('y', 'c') });
  expect(await entries()).toEqual([['c', forever]]);
  horizons.onPlaced({ type: 'deleted', object: placed('y', 'c') });
  expect(await entries()).toEqual([]);
});

test('clones are looked at ten times a second at most', async () => {
  let looks = 0;
  const clones = (): readonly CloneView[] => {
    looks += 1;
    return [];
  };
  const { clock, horizons } = setUp({ clones });
  for (let asked = 0; asked < 50; asked += 1) {
    horizons.current();
    await clock.advance(10);
  }
  expect(looks).toBe(5);
});

test('nothing is said before both the clones and the other pods are known', () => {
  expect(setUp({ clones: () => undefined }).horizons.current()).toBeUndefined();
  expect(setUp({ hasPlaced: () => false }).horizons.current()).toBeUndefined();
});
