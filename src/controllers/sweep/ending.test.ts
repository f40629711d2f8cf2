// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { CloneView } from '../../capacity/clones/view.ts';
import { exitOf } from './ending.ts';

test.each<[string, CloneView['owner'], string | undefined]>([
  ['a clone that a pool owns ends as one of its clones', { uid: 'u1', isPool: true }, 'web'],
  ['a pod that names a pool, and is owned by nobody, is none of them', undefined, undefined],
  ['nor is one that something else owns', { uid: 'u2', isPool: false }, undefined],
])('%s', (_sentence, owner, pool) => {
  const clone = { namespace: 'shop', name: 'web-1', pool: 'web', owner } as CloneView;
  expect(exitOf({ clone, reason: 'Expired' })).toEqual({ namespace: 'shop', name: 'web-1', pool, reason: 'Expired' });
});
