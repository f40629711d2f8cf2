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

const base = {
  load: '',
  controlPlane: 'built',
  startedAt: '',
  sizing,
  targetPerPod: 35,
  observations: [
    { atSeconds: 900, demand: 1, reactive: { desired: 1, ready: 1 }, predictive: { desired: 1, ready: 1 } },
  ],
};

test('the summary compares both', () => {
  const reactive = { beganSeconds: 1062, deficientPodMinutes: 61.25, worstShortage: 17, podHours: 9.101 };
  const predictive = { beganSeconds: 815, deficientPodMinutes: 0, worstShortage: 0, podHours: 10.2 };
  expect(summary({ ...base, rampStartSeconds: 1000, scores: { reactive, predictive } })).toBe(
    [
      '                        reactive     predictive',
      'began to scale          1m2s after   3m5s before',
      'deficient pod-minutes   61.3         0.0',
      'most pods missing       17           0',
      'pod-hours               9.10         10.20',
      '',
      'Times count from the start of the ramp, when demand is a quarter above that of the first minute.',
    ].join('\n'),
  );
});

test('the summary says when a twin did not scale, and when no ramp came', () => {
  const none = { deficientPodMinutes: 0, worstShortage: 0, podHours: 1 };
  const text = summary({ ...base, scores: { reactive: none, predictive: { ...none, beganSeconds: 915 } } });
  expect(text).toContain('began to scale          not at all   15s after\n');
  expect(text).toContain('No ramp came: times count from the start.');
});

test('what a ramp costs is compared with a day', () => {
  const none = { deficientPodMinutes: 0, worstShortage: 0 };
  const scores = { reactive: { ...none, podHours: 6 }, predictive: { ...none, podHours: 11.28 } };
  expect(dailyCost(scores, [700, 500, 900], 35)).toBe(
    'The ramp comes once a day: 5.28 pod-hours are 1.1 % of the 480 of a day.',
  );
});
