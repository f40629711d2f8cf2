// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import { condition } from '../../testing/builders.ts';
import { mustWriteSlow, splitStatus } from './status-parts.ts';
import type { SlowStatus } from './status-parts.ts';

const now = 1_800_000_000;
const standing: SlowStatus = {
  hpa: { name: 'web', targetAverageValue: '35', utilization: '0.7' },
  lead: { p50: '1m', p90: '2m', samples: 12, source: 'Measured' },
  accuracy: { coverage: '0.71', pinballSkill: '0.3', bias: '-1.5', scores: 600 },
  model: { name: 'drift', since: '2026-08-31T00:00:00Z', candidates: [{ name: 'drift', loss: '1.2' }] },
  history: { have: '6h1m', need: '2h' },
  conditions: [{ ...condition('Calibrated', 'True', 'CoverageWithinBounds'), message: '71 % of 600 maxima' }],
};

test.each<[string, Partial<SlowStatus>, boolean]>([
  ['nothing', {}, false],
  [
    'a number in a message',
    { conditions: [{ ...condition('Calibrated', 'True', 'CoverageWithinBounds'), message: '71.5 % of 601 maxima' }] },
    false,
  ],
  ['scores', { accuracy: { coverage: '0.712', pinballSkill: '0.31', bias: '1e-7', scores: 601 } }, false],
  [
    'a loss',
    { model: { name: 'drift', since: '2026-08-31T00:00:00Z', candidates: [{ name: 'drift', loss: '9' }] } },
    false,
  ],
  ['the length of the history', { history: { have: '6h59m', need: '2h' } }, false],
  ['pods that were measured', { lead: { p50: '1m', p90: '2m', samples: 13, source: 'Measured' } }, false],
  ['the lead', { lead: { p50: '1m', p90: '3m', samples: 12, source: 'Measured' } }, true],
  [
    'a word in a message',
    { conditions: [{ ...condition('Calibrated', 'True', 'CoverageWithinBounds'), message: 'x' }] },
    true,
  ],
  ['a status', { conditions: [condition('Calibrated', 'False', 'CoverageOutOfBounds')] }, true],
  ['the target of the HPA', { hpa: { name: 'web', targetAverageValue: '36', utilization: '0.7' } }, true],
  ['the model', { model: { name: 'naive', since: '2026-08-31T00:00:00Z', candidates: [] } }, true],
])('of %s that is new, whether it is written at once', (_what, change, isWritten) => {
  const slow = { ...standing, ...change };
  expect(mustWriteSlow({ slow, standing }, now - 599, now)).toBe(isWritten);
  expect(mustWriteSlow({ slow, standing }, now - 600, now)).toBe(Object.keys(change).length > 0);
  expect(mustWriteSlow({ slow, standing }, undefined, now)).toBe(true);
});

test('what was scored for the first time, and what is not there any more, is written at once', () => {
  const { accuracy: _gone, ...rest } = standing;
  expect(mustWriteSlow({ slow: standing, standing: rest }, now, now)).toBe(true);
  expect(mustWriteSlow({ slow: rest, standing }, now, now)).toBe(true);
});

test('the parts have no field in common, and make the whole', () => {
  const status: DemandForecastStatus = {
    observedGeneration: 3,
    observed: { value: '1m', time: '2026-08-31T00:00:00Z' },
    ...standing,
  };
  const { fast, slow } = splitStatus(status);
  expect(fast).toEqual({ observedGeneration: 3, observed: status.observed });
  expect(slow).toEqual(standing);
});
