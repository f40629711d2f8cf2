// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { totalUsage } from './pod-usage.ts';
import type { PodState, PodUsage } from './pod-usage.ts';

const now = 1_800_000_000;
const old: PodState = {
  name: 'old',
  phase: 'Running',
  isDeleted: false,
  startSeconds: now - 3600,
  ready: { isTrue: true, sinceSeconds: now - 3500 },
};
const usage: PodUsage = { name: 'other', timestamp: now - 10, windowSeconds: 30, value: 3 };

function total(resource: 'cpu' | 'memory', pod: Partial<PodState>, measured: Partial<PodUsage> | undefined) {
  const usages = [{ ...usage, name: 'old', value: 2 }];
  if (measured !== undefined) usages.push({ ...usage, ...measured });
  return totalUsage(resource, { pods: [old, { ...old, name: 'other', ...pod }], usages }, now);
}

test.each<[string, Partial<PodState>, Partial<PodUsage> | undefined, number, number]>([
  ['ready', {}, {}, 5, 5],
  ['deleted', { isDeleted: true }, {}, 2, 2],
  ['failed', { phase: 'Failed' }, {}, 2, 2],
  ['pending', { phase: 'Pending' }, {}, 2, 2],
  ['young and unready', { startSeconds: now - 60, ready: { isTrue: false, sinceSeconds: now - 60 } }, {}, 2, 5],
  [
    'young and ready for less than a window',
    { startSeconds: now - 60, ready: { isTrue: true, sinceSeconds: now - 30 } },
    {},
    2,
    5,
  ],
  [
    'young and ready for a window',
    { startSeconds: now - 90, ready: { isTrue: true, sinceSeconds: now - 60 } },
    {},
    5,
    5,
  ],
  ['young and not measured yet', { startSeconds: now - 60 }, undefined, 2, 2],
  ['old and never ready', { ready: { isTrue: false, sinceSeconds: now - 3600 } }, {}, 2, 5],
  ['old and not ready any more', { ready: { isTrue: false, sinceSeconds: now - 60 } }, {}, 5, 5],
  ['without a condition', { ready: undefined }, {}, 2, 5],
  ['without a start', { startSeconds: Number.NaN }, {}, 2, 5],
])('a pod that is %s', (...given) => {
  const [, pod, measured, cpu, memory] = given;
  expect(total('cpu', pod, measured)).toMatchObject({ kind: 'total', value: cpu });
  expect(total('memory', pod, measured)).toMatchObject({ kind: 'total', value: memory });
});

test('the mean stands in for a fifth of the pods; where more are missing the total is unknown', () => {
  const pods = Array.from({ length: 10 }, (_, index) => ({ ...old, name: `p${index}` }));
  const usages = (count: number) => pods.slice(0, count).map(({ name }) => ({ ...usage, name, value: 2 }));
  expect(totalUsage('cpu', { pods, usages: usages(8) }, now)).toEqual({ kind: 'total', value: 20, pods: 10 });
  expect(totalUsage('cpu', { pods, usages: usages(7) }, now)).toEqual({
    kind: 'unknown',
    message: 'no usage of 3 of 10 pods',
  });
  expect(totalUsage('cpu', { pods: [], usages: [] }, now)).toMatchObject({
    message: 'of 0 pods none is ready to be measured',
  });
});
