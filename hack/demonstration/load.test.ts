// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generateLoad, rampSeconds } from './load.ts';
import type { Load } from './load.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const starts = fc.integer({ min: 1_600_000_000, max: 2_000_000_000 });
const day = 86_400;

/** Mean of [from, to), every 15 s. */
function mean(load: Load, from: number, to: number): number {
  let sum = 0;
  let count = 0;
  for (let at = from; at < to; at += 15) {
    sum += load.demandAt(at);
    count += 1;
  }
  return sum / count;
}

describe('the load generator', () => {
  test('gives the same demand for the same seed and time, and another one for another seed', () => {
    fc.assert(
      fc.property(seeds, starts, fc.integer({ min: -21 * day, max: 3600 }), (seed, rampStartSeconds, offset) => {
        const at = rampStartSeconds + offset;
        const demand = generateLoad({ seed, rampStartSeconds }).demandAt(at);
        expect(generateLoad({ seed, rampStartSeconds }).demandAt(at)).toBe(demand);
        expect(generateLoad({ seed: seed + 1, rampStartSeconds }).demandAt(at)).not.toBe(demand);
      }),
    );
  });

  test('is finite and positive at any time', () => {
    fc.assert(
      fc.property(seeds, starts, fc.integer({ min: -28 * day, max: 28 * day }), (seed, rampStartSeconds, offset) => {
        const demand = generateLoad({ seed, rampStartSeconds }).demandAt(rampStartSeconds + offset);
        expect(demand).toBeGreaterThan(200);
        expect(demand).toBeLessThan(3000);
      }),
    );
  });

  test('grows to 3–4 times the demand in the four minutes from the start of the ramp, and not before', () => {
    fc.assert(
      fc.property(seeds, starts, (seed, rampStartSeconds) => {
        const load = generateLoad({ seed, rampStartSeconds });
        const before = mean(load, rampStartSeconds - 300, rampStartSeconds);
        const after = mean(load, rampStartSeconds + rampSeconds, rampStartSeconds + rampSeconds + 300);
        expect(after / before).toBeGreaterThan(2.7);
        expect(after / before).toBeLessThan(4.4);
        expect(mean(load, rampStartSeconds - 600, rampStartSeconds - 300) / before).toBeLessThan(1.2);
      }),
    );
  });

  test('has its ramp at about the same time on each of the days before, and never more than 13 min from today’s', () => {
    fc.assert(
      fc.property(seeds, starts, fc.integer({ min: 1, max: 21 }), (seed, rampStartSeconds, daysAgo) => {
        const load = generateLoad({ seed, rampStartSeconds });
        const start = rampStartSeconds - daysAgo * day;
        const before = mean(load, start - 1500, start - 800);
        const after = mean(load, start + 800 + rampSeconds, start + 1740);
        expect(after / before).toBeGreaterThan(2.5);
      }),
    );
  });

  test('does not jump: a minute changes it by less than half of what it is', () => {
    fc.assert(
      fc.property(seeds, starts, fc.integer({ min: -21 * day, max: day }), (seed, rampStartSeconds, offset) => {
        const load = generateLoad({ seed, rampStartSeconds });
        const [one, two] = [load.demandAt(rampStartSeconds + offset), load.demandAt(rampStartSeconds + offset + 15)];
        expect(Math.abs(two - one) / Math.min(one, two)).toBeLessThan(0.3);
      }),
      { numRuns: 1000 },
    );
  });

  test('is quieter at the weekend', () => {
    const monday = Date.UTC(2026, 5, 1, 12) / 1000;
    const load = generateLoad({ seed: 1, rampStartSeconds: monday + 21 * day });
    const weekdays = mean(load, monday, monday + 4 * day);
    const weekend = mean(load, monday + 5 * day, monday + 6.5 * day);
    expect(weekend / weekdays).toBeGreaterThan(0.7);
    expect(weekend / weekdays).toBeLessThan(0.95);
  });
});
