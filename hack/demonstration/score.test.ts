// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { neededPods, rampStart, score } from './score.ts';
import type { Observation } from './score.ts';

const sizing = { capacityPerPod: 50, minReplicas: 2, maxReplicas: 100 };

/** Demand, and desired/ready pods of the reactive twin; the predictive one has what it needs a minute before. */
function observation(atSeconds: number, demand: number, desired: number, ready: number): Observation {
  return { atSeconds, demand, reactive: { desired, ready }, predictive: { desired: 20, ready: 20 } };
}

const show = [
  observation(0, 500, 15, 15),
  observation(30, 510, 15, 15),
  observation(60, 500, 15, 15),
  observation(90, 1000, 15, 15),
  observation(120, 1500, 30, 15),
  observation(180, 1500, 43, 30),
  observation(240, 1500, 43, 43),
];

test.each([
  ['is rounded up', 501, 11],
  ['is exact at the border', 500, 10],
  ['never goes below the least', 0, 2],
  ['never goes above the most', 9999, 100],
])('the number of pods that demand needs %s', (_, demand, pods) => {
  expect(neededPods(demand, sizing)).toBe(pods);
});

test('the ramp starts when demand is a quarter above that of the first minute', () => {
  expect(rampStart(show)).toBe(90);
  expect(rampStart(show.slice(0, 3))).toBeUndefined();
});

test('a twin is short of the pods that it needs and has not ready, until the next look', () => {
  const reactive = score(show, 'reactive', sizing);
  // 1000/50 - 15 = 5 pods for 30 s, then 30 - 15 = 15 pods for 60 s.
  expect(reactive.deficientPodMinutes).toBeCloseTo((5 * 30 + 15 * 60) / 60, 9);
  expect(reactive.worstShortage).toBe(15);
  expect(reactive.podHours).toBeCloseTo((15 * 120 + 30 * 60 + 43 * 60) / 3600, 9);
  expect(reactive.beganSeconds).toBe(120);
});

test('a twin that never scales has no time at which it began', () => {
  const predictive = score(show, 'predictive', sizing);
  expect(predictive).not.toHaveProperty('beganSeconds');
  expect(predictive.deficientPodMinutes).toBeCloseTo(20, 9);
});

test('nothing observed scores zero', () => {
  expect(score([], 'reactive', sizing)).toEqual({ deficientPodMinutes: 0, worstShortage: 0, podHours: 0 });
});
