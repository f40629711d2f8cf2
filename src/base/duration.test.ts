// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { formatDuration, parseDurationSeconds } from './duration.ts';

test.each([
  ['90s', 90],
  ['5m', 300],
  ['1h30m', 5400],
  ['14d', 1_209_600],
  ['1w', 604_800],
  ['500ms', 0.5],
])('parses %s', (text, seconds) => {
  expect(parseDurationSeconds(text, 'lead')).toBe(seconds);
});

test.each(['', '5', 's', '5 m', '-5m', '5y', '1.5h', '5mm'])('refuses %j and says what is allowed', (text) => {
  expect(() => parseDurationSeconds(text, 'spec.lead')).toThrow(
    `spec.lead: got ${JSON.stringify(text)}, want a duration`,
  );
});

test(
  'any text gives finite seconds or a refusal',
  () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^([0-9]{1,400}(ms|[smhdw])){1,3}$/)), (text) => {
        expect(outcome(() => parseDurationSeconds(text, 'f'))).toMatch(/^(finite$|f: got )/);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);

test.each([
  [45, '45s'],
  [190, '3m10s'],
  [180, '3m'],
  [31 * 3600, '31h'],
  [14 * 86_400, '14d'],
  [86_400 * 2 + 7200, '2d2h'],
])('formats %d s as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('a formatted duration parses back to about the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (seconds) => {
      const back = parseDurationSeconds(formatDuration(seconds), 'f');
      expect(Math.abs(back - seconds)).toBeLessThanOrEqual(Math.max(0, seconds * 0.02));
    }),
  );
});

/** `finite`, or the message of the refusal. */
function outcome(parse: () => number): string {
  try {
    return Number.isFinite(parse()) ? 'finite' : 'not finite';
  } catch (error) {
    return (error as Error).message;
  }
}
