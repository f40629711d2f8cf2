// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimateLead, noLeads, recordPods } from './lead.ts';
import type { LeadRecord, PodStart } from './lead.ts';

const start = 1_800_000_000;

function pod(uid: string, startupSeconds: number | undefined, changes: Partial<PodStart> = {}): PodStart {
  const readySeconds = startupSeconds === undefined ? undefined : start + startupSeconds;
  return { uid, createdSeconds: start, readySeconds, restarts: 0, ...changes };
}

function pods(...startups: readonly number[]): PodStart[] {
  return startups.map((startup, index) => pod(`p${index}`, startup));
}

function startupsOf({ samples }: LeadRecord): number[] {
  return samples.map(({ startupSeconds }) => startupSeconds);
}

describe('which starts count', () => {
  test('a pod that is Ready counts, one that is not yet does not', () => {
    expect(startupsOf(recordPods(noLeads, [pod('a', 70), pod('b', undefined)]))).toEqual([70]);
  });

  test('a pod counts once, by its first readiness, however often its probe fails later', () => {
    const once = recordPods(noLeads, [pod('a', 70)]);
    const unready = recordPods(once, [pod('a', undefined)]);
    expect(startupsOf(recordPods(unready, [pod('a', 900)]))).toEqual([70]);
  });

  test('a pod that became Ready after a restart does not count, then or later', () => {
    const record = recordPods(noLeads, [pod('a', 300, { restarts: 1 })]);
    expect(startupsOf(recordPods(record, [pod('a', 400, { restarts: 1 })]))).toEqual([]);
  });

  test('a pod that is found Ready long after its creation does not count: it was unready in between', () => {
    expect(startupsOf(recordPods(noLeads, pods(1800, 1801, 90_000)))).toEqual([1800]);
  });

  test('clocks that differ give 0, not less', () => {
    expect(startupsOf(recordPods(noLeads, pods(-2)))).toEqual([0]);
  });

  test('the last 200 are kept, in the order in which pods became ready', () => {
    const later = pods(...Array.from({ length: 150 }, (_, index) => 400 + index));
    const earlier = Array.from({ length: 150 }, (_, index) => pod(`q${index}`, 100 + index));
    const { samples } = recordPods(recordPods(noLeads, later), earlier);
    expect(samples).toHaveLength(200);
    expect(samples[0]?.startupSeconds).toBe(200);
    expect(samples.at(-1)?.startupSeconds).toBe(549);
  });

  test('a pod whose sample was dropped is still known while it runs', () => {
    const many = pods(...Array.from({ length: 250 }, (_, index) => 100 + index));
    const record = recordPods(noLeads, many);
    expect(recordPods(record, many)).toEqual(record);
  });
});

describe('the lead to plan with', () => {
  test.each<[string, number[], number | undefined, object]>([
    [
      '3 minutes until 5 pods have been measured',
      [10, 20, 30, 40],
      undefined,
      { p50Seconds: 180, p90Seconds: 180, samples: 4, source: 'Default' },
    ],
    [
      'p90 of the starts, and 45 s for the look of the HPA and the scrape',
      [60, 70, 80, 90, 100],
      undefined,
      { p50Seconds: 125, p90Seconds: 145, samples: 5, source: 'Measured' },
    ],
    [
      'one slow pod in ten is not planned with',
      [50, 50, 50, 50, 50, 50, 50, 50, 50, 900],
      undefined,
      { p90Seconds: 95 },
    ],
    ['never below a minute', [1, 1, 1, 1, 1], undefined, { p50Seconds: 60, p90Seconds: 60 }],
    ['never above half an hour', [1790, 1790, 1790, 1790, 1790], undefined, { p90Seconds: 1800 }],
    [
      'what the spec names, whatever was measured',
      [60, 70, 80, 90, 100],
      45,
      { p50Seconds: 45, p90Seconds: 45, samples: 5, source: 'Spec' },
    ],
  ])('%s', (_rule, startups, spec, lead) => {
    expect(estimateLead(recordPods(noLeads, pods(...startups)), spec)).toMatchObject(lead);
  });

  test('whatever the pods say, it is a number within its bounds, p50 at most p90', () => {
    const anyPod = fc.record({
      uid: fc.string(),
      createdSeconds: fc.integer({ min: -1e6, max: 1e6 }),
      readySeconds: fc.option(fc.integer({ min: -1e6, max: 1e6 }), { nil: undefined }),
      restarts: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(fc.array(anyPod, { maxLength: 40 }), { maxLength: 8 }), (rounds) => {
        const lead = estimateLead(rounds.reduce(recordPods, noLeads), undefined);
        expect(lead.p50Seconds).toBeGreaterThanOrEqual(60);
        expect(lead.p90Seconds).toBeGreaterThanOrEqual(lead.p50Seconds);
        expect(lead.p90Seconds).toBeLessThanOrEqual(1800);
      }),
    );
  });
});
