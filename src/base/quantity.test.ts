// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { formatMilli, parseQuantity } from './quantity.ts';

test.each([
  ['50', 50],
  ['500m', 0.5],
  ['1.5k', 1500],
  ['2Gi', 2 * 2 ** 30],
  ['1e3', 1000],
  ['1E3', 1000],
  ['2E', 2e18],
  ['.5', 0.5],
  ['-3', -3],
])('parses %s as Kubernetes does', (text, value) => {
  expect(parseQuantity(text, 'spec.x')).toBeCloseTo(value, 9);
});

test.each(['', 'abc', '1.2.3', '5 m', '1kk', 'NaN', 'Infinity', '1e9999'])('refuses %j and says where', (text) => {
  expect(() => parseQuantity(text, 'spec.capacityPerReplica')).toThrow(
    /^spec\.capacityPerReplica: got .*, want a Kubernetes quantity/,
  );
});

test(
  'any text is parsed to a finite number or refused',
  () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(outcome(() => parseQuantity(text, 'f'))).toMatch(/^(finite$|f: got )/);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);

test('a number survives formatting within one milli, and is never rounded down', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (value) => {
      const back = parseQuantity(formatMilli(value), 'f');
      expect(back).toBeGreaterThanOrEqual(value - 1e-6);
      expect(back - value).toBeLessThanOrEqual(0.001 + 1e-6);
    }),
  );
});

test.each([
  Number.NaN,
  -1,
  Number.POSITIVE_INFINITY,
  1e300,
])('unknown never becomes a number: %s is refused', (value) => {
  expect(() => formatMilli(value)).toThrow('metric value: got');
});

/** `finite`, or the message of the refusal. */
function outcome(parse: () => number): string {
  try {
    return Number.isFinite(parse()) ? 'finite' : 'not finite';
  } catch (error) {
    return (error as Error).message;
  }
}
