// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { fromOutside, fromOutsideMs } from '../../testing/fuzz.ts';
import { createUsageSamples, decodeValues, encodeValues } from './usage-samples.ts';

const start = 1_800_000_000;
const day = 86_400;

function filled(days: number) {
  const samples = createUsageSamples(14 * day);
  for (let time = start; time < start + days * day; time += 60)
    samples.add({ timestamp: time + 7, value: 1 + (time % 7919) / 7919 });
  return samples;
}

test('a sample belongs to its minute, the last one counts, and a gap stays one', () => {
  const samples = createUsageSamples(day);
  samples.add({ timestamp: start + 5, value: 1 });
  samples.add({ timestamp: start + 59, value: 2 });
  samples.add({ timestamp: start + 125, value: 4 });
  expect(samples.range(start, start + 600)).toEqual([
    { timestamp: start, value: 2 },
    { timestamp: start + 120, value: 4 },
  ]);
  expect(samples.snapshots(start + 299)).toBeUndefined();
  expect(samples.snapshots(start + 300)).toEqual({ startTime: start, stepSeconds: 300, values: new Float32Array([3]) });
});

test('two hours by the minute, before that by five minutes; nothing before the window', () => {
  const samples = filled(15);
  const end = start + 15 * day - 60;
  const all = samples.range(start, end);
  expect(all.length).toBeGreaterThanOrEqual(14 * 1440);
  expect(all.length).toBeLessThanOrEqual(14 * 1440 + 10);
  const recent = all.slice(-120).map(({ value }) => value);
  expect(new Set(recent).size).toBe(120);
  const older = all.slice(-125 - 240, -125).map(({ value }) => value);
  expect(new Set(older).size).toBeLessThanOrEqual(50);
});

test('14 days take at most 64 KiB, and come back', () => {
  const snapshots = filled(14).snapshots(start + 14 * day);
  const text = encodeValues(snapshots?.values ?? new Float32Array());
  expect(text.length).toBeGreaterThan(1000);
  expect(text.length).toBeLessThanOrEqual(64 * 1024);
  const restored = createUsageSamples(14 * day);
  restored.restore({ startTime: start, stepSeconds: 300, values: decodeValues(text) });
  const back = restored.range(start, start + 14 * day - 60);
  expect(back).toHaveLength(14 * 1440);
  expect(back[0]?.value).toBeCloseTo(snapshots?.values[0] ?? Number.NaN, 5);
});

test('what is known already is not restored over', () => {
  const samples = createUsageSamples(day);
  samples.add({ timestamp: start, value: 9 });
  samples.restore({ startTime: start - 300, stepSeconds: 300, values: new Float32Array([1, 2]) });
  expect(samples.range(start - 300, start).map(({ value }) => value)).toEqual([1, 1, 1, 1, 1, 9]);
});

test('28 days of noise fit into 64 KiB', () => {
  const values = Float32Array.from({ length: 28 * 288 }, (_, index) => Math.abs(Math.sin(index * 1e6)));
  expect(encodeValues(values).length).toBeLessThanOrEqual(64 * 1024);
});

test('any values come back as they were', () => {
  const value = fc.oneof(fc.float({ min: 0, noDefaultInfinity: true, noNaN: true }), fc.constant(Number.NaN));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 50 }), (values) => {
      expect(decodeValues(encodeValues(Float32Array.from(values)))).toEqual(Float32Array.from(values));
    }),
    { numRuns: 2_000 },
  );
});

test(
  'any text is read or refused, and a text that was changed is refused',
  () => {
    const good = encodeValues(Float32Array.from({ length: 40 }, (_, index) => index * 1.1));
    const changed = fc
      .tuple(fc.nat(good.length - 1), fc.constantFrom('A', 'z', '5', '+'))
      .map(([index, letter]) => good.slice(0, index) + letter + good.slice(index + 1));
    const outcome = (text: string): string => {
      try {
        const values = decodeValues(text);
        return values.length === 40 && encodeValues(values) !== good ? 'changed' : 'read';
      } catch (error) {
        return error instanceof HeadstartError ? 'refused' : `thrown: ${String(error)}`;
      }
    };
    // What is nearly right takes longest.
    const anyText = fc.oneof(
      { arbitrary: fc.string({ maxLength: 20 }), weight: 5 },
      { arbitrary: fc.base64String({ maxLength: 40 }), weight: 4 },
      { arbitrary: changed, weight: 1 },
    );
    fc.assert(
      fc.property(anyText, (text) => {
        expect(outcome(text)).toMatch(/^(read|refused)$/);
      }),
      fromOutside,
    );
    const bomb = encodeValues(new Float32Array(1_000_000));
    expect(() => decodeValues(bomb)).toThrow('at most 28 days');
    expect(() => decodeValues(encodeValues(new Float32Array([-1])))).toThrow('from 0 on');
  },
  fromOutsideMs,
);
