// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExitBelow } from './exit-below.ts';

test('reads resource, percent and seconds', () => {
  expect(parseExitBelow('cpu=15%/180s')).toEqual({ resource: 'cpu', belowPercent: 15, sustainedSeconds: 180 });
  expect(parseExitBelow('memory=90%/3600s')).toEqual({ resource: 'memory', belowPercent: 90, sustainedSeconds: 3600 });
});

test.each([
  '',
  'cpu',
  'disk=15%/180s',
  'cpu=0%/180s',
  'cpu=91%/180s',
  'cpu=15%/59s',
  'cpu=15%/3601s',
  'cpu=1.5%/180s',
  'cpu=15/180',
  ' cpu=15%/180s',
  'cpu=15%/180s\n',
])('%j is no rule', (text) => {
  expect(parseExitBelow(text)).toBeUndefined();
});

test('any text gives a rule within the bounds, or none', () => {
  const near = fc.stringMatching(/^(cpu|memory)=[0-9]{1,3}%\/[0-9]{1,5}s$/);
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 20 }), near), (text) => {
      const rule = parseExitBelow(text);
      return (
        rule === undefined ||
        (rule.belowPercent >= 1 &&
          rule.belowPercent <= 90 &&
          rule.sustainedSeconds >= 60 &&
          rule.sustainedSeconds <= 3600)
      );
    }),
    { numRuns: 100_000 },
  );
});
