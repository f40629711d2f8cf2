// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { clonePool, demandForecast } from '../../testing/builders.ts';
import { planWindows } from './plan-windows.ts';

const now = 1_790_000_000;
const pool = clonePool({ spec: { maxReplicas: 20 } });
const hpa: HorizontalPodAutoscaler = {
  metadata: { name: 'web' },
  spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 4 },
};
const target = {
  kind: 'found' as const,
  value: {
    metadata: { name: 'web' },
    spec: { replicas: 2, selector: {}, template: { spec: {} } },
    status: { readyReplicas: 2 },
  },
};
/** 100 for 20 minutes, 600 for 5 minutes, then 100. */
const values = Array.from({ length: 60 }, (_, minute) => (minute >= 20 && minute < 25 ? '600' : '100'));

function forecast(changes: Partial<NonNullable<DemandForecastStatus['forecast']>> = {}) {
  const issued = formatRfc3339(now);
  const curve = {
    issuedAt: issued,
    startTime: issued,
    stepSeconds: 60,
    quantile: '0.7',
    atLead: '0',
    values,
    ...changes,
  };
  const lead = { p50: '1m', p90: '1m', samples: 9, source: 'Measured' as const };
  return demandForecast({ status: { forecast: curve, lead } });
}

describe('planning from what the cluster says', () => {
  test('a burst that the base cannot reach gets a window, one lead before it', () => {
    const plan = planWindows({ pool, forecast: forecast(), target, hpas: [hpa] }, [], now);
    expect(plan?.windows).toHaveLength(1);
    const [window] = plan?.windows ?? [];
    // 600 less what 2 pods carry that last, 50 each, by clones of 50.
    expect(window).toMatchObject({ startTime: now + 1200 - 60, replicas: 10 });
    expect(window?.endTime).toBeGreaterThan(now + 1500);
  });

  test.each<[string, Parameters<typeof forecast>[0]]>([
    ['too old', { issuedAt: formatRfc3339(now - 901) }],
    ['of a value that cannot be read', { values: ['much'] }],
    ['of a time that cannot be read', { startTime: 'soon' }],
  ])('without a forecast that may be used, %s, windows stand', (_, changes) => {
    const standing = [{ id: 'w-1', startTime: now - 60, endTime: now + 600, replicas: 3 }];
    const plan = planWindows({ pool, forecast: forecast(changes), target, hpas: [] }, standing, now);
    expect(plan?.windows).toEqual(standing);
  });

  test('without a DemandForecast or a target there is no plan', () => {
    expect(planWindows({ pool, forecast: undefined, target, hpas: [] }, [], now)).toBeUndefined();
    const missing = { kind: 'missing' as const };
    expect(planWindows({ pool, forecast: forecast(), target: missing, hpas: [] }, [], now)).toBeUndefined();
  });
});
