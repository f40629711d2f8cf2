// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRfc3339, parseTimestamp } from './rfc3339.ts';

describe('parseTimestamp', () => {
  const accepted: Record<string, [string, number]> = {
    'epoch seconds': ['1767225600', 1_767_225_600],
    zero: ['0', 0],
    'before 1970': ['-60', -60],
    UTC: ['2026-01-01T00:00:00Z', 1_767_225_600],
    'lower case letters': ['2026-01-01t00:00:00z', 1_767_225_600],
    'a blank instead of T': ['2026-01-01 00:00:00Z', 1_767_225_600],
    'east of Greenwich': ['2026-01-01T02:00:00+02:00', 1_767_225_600],
    'west of Greenwich': ['2025-12-31T18:30:00-05:30', 1_767_225_600],
    'a fraction of a second': ['2026-01-01T00:00:00.250Z', 1_767_225_600.25],
    'the leap day of a leap year': ['2024-02-29T00:00:00Z', 1_709_164_800],
  };
  test.each(Object.entries(accepted))('accepts %s', (_, [text, seconds]) => {
    expect(parseTimestamp(text, 'row 2')).toBe(seconds);
  });

  const refused: Record<string, string> = {
    nothing: '',
    'a word': 'yesterday',
    'fractional epoch seconds': '1767225600.5',
    'a time without a zone': '2026-01-01T00:00:00',
    'a date alone': '2026-01-01',
    'the 29th of February in another year': '2026-02-29T00:00:00Z',
    'a 13th month': '2026-13-01T00:00:00Z',
    'the 25th hour': '2026-01-01T25:00:00Z',
  };
  test.each(Object.entries(refused))('refuses %s, saying where, what and what is allowed', (_, text) => {
    expect(() => parseTimestamp(text, '--origin')).toThrow(
      `--origin: got ${JSON.stringify(text)}, want whole epoch seconds such as 1767225600, or RFC 3339`,
    );
  });

  test('suspects milliseconds', () => {
    expect(() => parseTimestamp('1767225600000', 'row 2')).toThrow('looks like milliseconds');
  });

  test('reads back what formatRfc3339 writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), (seconds) => {
        expect(parseTimestamp(formatRfc3339(seconds), 'x')).toBe(seconds);
      }),
    );
  });

  test('agrees with the runtime on any date', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), noInvalidDate: true, max: new Date('9999-12-31T23:59:59Z') }), (date) => {
        expect(parseTimestamp(date.toISOString(), 'x')).toBeCloseTo(date.getTime() / 1000, 3);
      }),
    );
  });
});
