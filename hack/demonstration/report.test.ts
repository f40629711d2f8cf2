// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { dailyCost, liveHeader, liveLine, summary } from './report.ts';

const sizing = { capacityPerPod: 50, minReplicas: 2, maxReplicas: 100 };

test('a line says what is needed, what is there and what is missing', () => {
  const twins = { reactive: { desired: 31, ready: 15 }, predictive: { desired: 43, ready: 31 } };
  const forecast = { leadSeconds: 145, atLead: 1800.4, published: 1900 };
  expect(liveLine({ atSeconds: 1345, demand: 1510.2, forecast, ...twins }, 1000, sizing)).toBe(
    '   5:45     1510/s       31     1800/s        31     15     16        43     31      ·',
  );
  expect(liveLine({ atSeconds: 1000, demand: 99, ...twins }, 1000, sizing)).toBe(
    '   0:00       99/s        2          -        31     15      ·        43     31      ·',
  );
  const last = liveHeader.split('\n').at(-1) ?? '';
  expect(last.length).toBe(liveLine({ atSeconds: 1000, demand: 99, ...twins }, 1000, sizing).length);
});

test('the summary compares both', () => {
  const reactive = { beganAfterSeconds: 62, deficientPodMinutes: 61.25, worstShortage: 17, podHours: 9.101 };
  const predictive = { beganAfterSeconds: -185, deficientPodMinutes: 0, worstShortage: 0, podHours: 10.2 };
  expect(summary({ reactive, predictive })).toBe(
    [
      '                        reactive             predictive',
      'began to scale          1m2s into the ramp   3m5s before the ramp',
      'deficient pod-minutes   61.3                 0.0',
      'most pods missing       17                   0',
      'pod-hours               9.10                 10.20',
    ].join('\n'),
  );
});

test('a twin that did not scale says so', () => {
  const none = { deficientPodMinutes: 0, worstShortage: 0, podHours: 1 };
  expect(summary({ reactive: none, predictive: { ...none, beganAfterSeconds: 0 } })).toContain(
    'began to scale          not at all   as the ramp began',
  );
});

test('what a ramp costs is compared with a day', () => {
  const base = { deficientPodMinutes: 0, worstShortage: 0 };
  const scores = { reactive: { ...base, podHours: 6 }, predictive: { ...base, podHours: 11.28 } };
  expect(dailyCost(scores, [700, 500, 900], 35)).toBe(
    'The ramp comes once a day: 5.28 pod-hours are 1.1 % of the 480 of a day.',
  );
});
