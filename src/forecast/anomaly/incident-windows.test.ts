// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { incidentWindows } from './incident-windows.ts';
import type { IncidentEvidence } from './incident-windows.ts';

const stepSeconds = 60;

/** An hour of calm with the given evidence at the given minutes. */
function hour(at: Readonly<Record<number, Omit<IncidentEvidence, 'timestamp'>>>): IncidentEvidence[] {
  const calm = { surprise: 0.1, demandRatio: 1, errorRate: 0.001, readyPods: 4, wantedPods: 4 };
  return Array.from({ length: 60 }, (_, minute) => ({ timestamp: minute * 60, ...calm, ...at[minute] }));
}

const cases: Record<string, [Parameters<typeof hour>[0], ReturnType<typeof incidentWindows>]> = {
  'nothing in calm times': [{}, []],
  'demand that fell while requests fail': [
    { 20: { demandRatio: 0.5, errorRate: 0.3 } },
    [{ start: 1080, end: 1380, reasons: ['errors'] }],
  ],
  'demand that fell while pods are not ready, joined with errors soon after': [
    { 20: { demandRatio: 0.5, readyPods: 1 }, 30: { surprise: 0.8, demandRatio: 0.9, errorRate: 0.2 } },
    [{ start: 1080, end: 1980, reasons: ['pods-not-ready', 'errors'] }],
  ],
  'two incidents far apart': [
    { 5: { demandRatio: 0.2, errorRate: 0.3 }, 50: { demandRatio: 0.2, errorRate: 0.3 } },
    [
      { start: 180, end: 480, reasons: ['errors'] },
      { start: 2880, end: 3180, reasons: ['errors'] },
    ],
  ],
  'demand that is all but gone and unusual': [
    { 20: { surprise: 0.7, demandRatio: 0.02 } },
    [{ start: 1080, end: 1380, reasons: ['demand-vanished'] }],
  ],
  'no burst, though it makes errors': [{ 20: { surprise: 0.9, demandRatio: 3, errorRate: 0.4, readyPods: 1 } }, []],
  'no quiet hour without errors': [{ 20: { surprise: 0.9, demandRatio: 0.4 } }, []],
  'no errors while demand is as it should be': [{ 20: { errorRate: 0.4 } }, []],
  'nothing where nothing is known': [
    { 20: { surprise: Number.NaN, demandRatio: Number.NaN, errorRate: Number.NaN, readyPods: Number.NaN } },
    [],
  ],
};

describe('incidentWindows', () => {
  test.each(Object.entries(cases))('%s', (_, [evidence, windows]) => {
    expect(incidentWindows(hour(evidence), { stepSeconds })).toEqual(windows);
  });

  test('has the margin that is asked for', () => {
    const evidence = hour({ 20: { demandRatio: 0.5, errorRate: 0.3 } });
    const windows = incidentWindows(evidence, { stepSeconds, marginSteps: 0 });
    expect(windows).toEqual([{ start: 1200, end: 1260, reasons: ['errors'] }]);
  });
});
