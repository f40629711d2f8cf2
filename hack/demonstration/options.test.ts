// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadstartError } from '../../src/base/errors.ts';
import { parseOptions } from './options.ts';

test.each([
  ['nothing', '', { seed: 1, minutes: 16, keep: false }],
  ['a seed and minutes', '--seed 7 --minutes=30', { seed: 7, minutes: 30, keep: false }],
  ['an output', '--output json run.json --keep', { seed: 1, minutes: 16, keep: true, outputFile: 'run.json' }],
  ['an output, file first', 'run.json --output json', { seed: 1, minutes: 16, keep: false, outputFile: 'run.json' }],
  ['a trace', '--trace a.csv', { seed: 1, minutes: 20, keep: false, trace: { file: 'a.csv' } }],
  [
    'a trace from a time',
    '--trace a.csv --from 1998-07-01T12:00:00Z',
    { seed: 1, minutes: 20, keep: false, trace: { file: 'a.csv', fromSeconds: 899_294_400 } },
  ],
])('takes %s', (_, line, options) => {
  expect(parseOptions(line.split(' ').filter(Boolean))).toEqual(options);
});

test.each([
  ['--minutes 4', '--minutes: got "4", want a whole number from 5 to 240'],
  ['--minutes soon', '--minutes: got "soon", want a whole number from 5 to 240'],
  ['--seed -1', "'--seed' argument is ambiguous"],
  ['--from 1998-07-01T12:00:00Z', '--from: got "1998-07-01T12:00:00Z", want it together with --trace'],
  ['--trace a.csv --from yesterday', '--from: got "yesterday", want whole epoch seconds'],
  ['--output csv run.csv', '--output: got "csv", want json FILE'],
  ['--output json', '--output json: got "", want a file name after it'],
  ['--output json a b', 'arguments: got "b", want only options'],
  ['start', 'arguments: got "start", want only options'],
  ['--speed 2', "Unknown option '--speed'"],
])('refuses %s', (line, message) => {
  expect(() => parseOptions(line.split(' '))).toThrow(message);
});

/** `options`, `help` or what was thrown. */
function outcome(argv: readonly string[]): unknown {
  try {
    return parseOptions(argv);
  } catch (error) {
    return error;
  }
}

test('gives options, help or a refusal, whatever the arguments', () => {
  const word = fc.oneof(fc.constantFrom('--seed', '--minutes', '--trace', '--from', '--output', '--help'), fc.string());
  fc.assert(
    fc.property(fc.array(word), (argv) => {
      const given = outcome(argv);
      expect(given === 'help' || given instanceof HeadstartError || Object.hasOwn(Object(given), 'seed')).toBe(true);
    }),
  );
});
