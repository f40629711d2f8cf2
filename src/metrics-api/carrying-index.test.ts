// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { ClonePool, ClonePoolStatus } from '../api/v1alpha1/clone-pool.ts';
import { demandForecast } from '../testing/builders.ts';
import { createCarryingIndex, readPool } from './carrying-index.ts';

interface Given {
  readonly name?: string;
  readonly forecast?: string;
  readonly target?: string;
  readonly ready?: number;
  readonly carrying?: unknown;
  readonly metadata?: Partial<ClonePool['metadata']>;
}

function pool({ name = 'web', forecast = 'web', target = 'web', ready = 4, carrying, metadata }: Given = {}) {
  const steps = [{ until: '2026-09-01T12:30:00Z', replicas: ready }];
  const sound = { time: '2026-09-01T12:00:00Z', perClone: '50', ready, steps };
  return readPool({
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-of-${name}`,
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '',
      ...metadata,
    },
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: target },
      forecastRef: { name: forecast },
    } as ClonePool['spec'],
    status: { replicas: ready, carrying: (carrying ?? sound) as ClonePoolStatus['carrying'] } as ClonePoolStatus,
  });
}

/** Ready clones of each pool that counts for the forecast web of the Deployment web. */
function ready(index: ReturnType<typeof createCarryingIndex>, name = 'web'): number[] {
  return index.carryingFor(demandForecast({ name })).map((carrying) => carrying.ready);
}

test('pools are found by the forecast that they name, and follow it', () => {
  const index = createCarryingIndex();
  expect(ready(index)).toEqual([]);
  index.changed({ type: 'added', object: pool() });
  index.changed({ type: 'added', object: pool({ name: 'other', ready: 2 }) });
  expect(ready(index)).toEqual([4, 2]);
  index.changed({ type: 'modified', object: pool({ ready: 3 }) });
  expect(ready(index)).toEqual([2, 3]);
  index.changed({ type: 'modified', object: pool({ forecast: 'api' }) });
  expect([ready(index), ready(index, 'api')]).toEqual([[2], [4]]);
  index.changed({ type: 'deleted', object: pool({ forecast: 'third' }) });
  index.changed({ type: 'deleted', object: pool({ name: 'other' }) });
  expect([ready(index), ready(index, 'api')]).toEqual([[], []]);
});

test.each<[string, Given]>([
  ['of another namespace', { metadata: { namespace: 'other' } }],
  ['of another target', { target: 'api' }],
  ['that is being deleted', { metadata: { deletionTimestamp: '2026-09-01T12:00:00Z' } }],
  ['that has not said anything', { carrying: {} }],
  ['whose status makes no sense', { carrying: { time: 'now', perClone: '50', ready: 4, steps: [] } }],
])('a pool %s takes nothing off', (_which, given) => {
  const index = createCarryingIndex();
  index.changed({ type: 'added', object: pool(given) });
  expect(ready(index)).toEqual([]);
});

test('little is kept of a pool', () => {
  expect(pool({ metadata: { annotations: { a: 'b' } } })).toEqual({
    metadata: { name: 'web', namespace: 'shop', uid: 'uid-of-web', resourceVersion: '1' },
    forecast: 'web',
    target: 'Deployment/web',
    carrying: { time: 1_788_264_000, perClone: 50, ready: 4, steps: [{ until: 1_788_265_800, replicas: 4 }] },
  });
});
