// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawRecording } from './picture.ts';
import { ticks } from './plot.ts';
import { scoreBoth } from './recording.ts';
import type { Recording } from './recording.ts';
import type { Observation } from './score.ts';

const sizing = { capacityPerPod: 50, minReplicas: 2, maxReplicas: 100 };

function recording(observations: Observation[]): Recording {
  return {
    load: 'generated, seed 1 & <more>',
    controlPlane: 'built',
    startedAt: '2026-01-01T00:00:00Z',
    sizing,
    targetPerPod: 35,
    scores: scoreBoth(observations, sizing),
    observations,
  };
}

const observations = fc.array(
  fc.record(
    {
      demand: fc.double({ min: 0, max: 1e5, noNaN: true }),
      forecast: fc.record({
        leadSeconds: fc.integer({ min: 15, max: 1800 }),
        atLead: fc.double({ min: 0, max: 1e5, noNaN: true }),
        published: fc.double({ min: 0, max: 1e5, noNaN: true }),
      }),
      reactive: fc.record({ desired: fc.nat(100), ready: fc.nat(100) }),
      predictive: fc.record({ desired: fc.nat(100), ready: fc.nat(100) }),
    },
    { requiredKeys: ['demand', 'reactive', 'predictive'] },
  ),
);

test('every recording gives a picture that is well formed and has only numbers in its paths', () => {
  fc.assert(
    fc.property(observations, (states) => {
      const svg = drawRecording(recording(states.map((state, index) => ({ ...state, atSeconds: 1e9 + 2 * index }))));
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      for (const [, path] of svg.matchAll(/ d="([^"]*)"/g)) expect(path).toMatch(/^[MLHVZhv\d .-]*$/);
      const opened = svg.match(/<(?:svg|title|desc|style|text)\b/g)?.length;
      expect(svg.match(/<\/(?:svg|title|desc|style|text)>/g)?.length).toBe(opened);
    }),
  );
});

test('says what it shows to those who cannot see it', () => {
  const svg = drawRecording(
    recording([
      { atSeconds: 0, demand: 1000, reactive: { desired: 10, ready: 10 }, predictive: { desired: 30, ready: 30 } },
      { atSeconds: 60, demand: 1000, reactive: { desired: 10, ready: 10 }, predictive: { desired: 30, ready: 30 } },
    ]),
  );
  expect(svg).toContain('load: generated, seed 1 &amp; &lt;more&gt;.');
  expect(svg).toContain(
    'Without predicted_demand 10.0 pod-minutes were missing at 0.17 pod-hours, with it 0.0 at 0.50.',
  );
});

test.each([
  [1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [18, 9, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]],
  [2100, 5, [0, 500, 1000, 1500, 2000]],
  [63, 5, [0, 20, 40, 60]],
])('ticks up to %d', (most, count, expected) => {
  expect(ticks(most, count)).toEqual(expected);
});
