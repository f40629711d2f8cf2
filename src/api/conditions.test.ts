// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { mergeConditions } from './conditions.ts';
import type { Condition } from './conditions.ts';

const standing: Condition = {
  type: 'Observed',
  status: 'True',
  reason: 'DemandObserved',
  message: '500 now',
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
};
const at = { observedGeneration: 2, now: '2026-01-02T00:00:00Z' };

test('the transition time moves only when the status changes', () => {
  const [same] = mergeConditions(
    [standing],
    [{ type: 'Observed', status: 'True', reason: 'DemandObserved', message: '600 now' }],
    at,
  );
  expect(same).toEqual({ ...standing, message: '600 now', observedGeneration: 2 });
  const [changed] = mergeConditions(
    [standing],
    [{ type: 'Observed', status: 'False', reason: 'NoData', message: 'none' }],
    at,
  );
  expect(changed?.lastTransitionTime).toBe(at.now);
});

test('a standing condition without a draft stays', () => {
  const merged = mergeConditions(
    [standing],
    [{ type: 'HPAReady', status: 'False', reason: 'NoHPA', message: 'none' }],
    at,
  );
  expect(merged.map(({ type }) => type)).toEqual(['Observed', 'HPAReady']);
  expect(merged[0]).toBe(standing);
});
