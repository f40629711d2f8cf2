// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { matchesLabels, parseSelector } from './selector.ts';
import type { Requirement } from './selector.ts';

interface Corpus {
  readonly labels: readonly Readonly<Record<string, string>>[];
  readonly selectors: readonly { selector: string; valid: boolean; matches?: readonly number[] }[];
}

const corpus = JSON.parse(await readFile(new URL('golden/selectors.json', import.meta.url), 'utf8')) as Corpus;

describe('apimachinery', () => {
  test('agrees on what is a selector and which labels it matches', () => {
    expect(corpus.selectors.length).toBeGreaterThan(900);
    for (const { selector, valid, matches } of corpus.selectors) {
      expect({ selector, ...read(selector) }).toEqual({
        selector,
        valid,
        matches: valid ? (matches ?? []) : undefined,
      });
    }
  });
});

function read(selector: string): { valid: boolean; matches: readonly number[] | undefined } {
  try {
    const requirements = parseSelector(selector);
    return {
      valid: true,
      matches: corpus.labels.flatMap((labels, index) => (matchesLabels(requirements, labels) ? [index] : [])),
    };
  } catch (error) {
    if (!(error instanceof HeadstartError) || error.code !== 'InvalidInput') throw error;
    return { valid: false, matches: undefined };
  }
}

describe('a parsed selector', () => {
  test.each<[string, Requirement[]]>([
    ['', []],
    [' \t', []],
    ['forecast=web', [{ key: 'forecast', operator: 'In', values: ['web'] }]],
    ['forecast == web', [{ key: 'forecast', operator: 'In', values: ['web'] }]],
    ['forecast!=web', [{ key: 'forecast', operator: 'NotIn', values: ['web'] }]],
    ['forecast in (web, api,web)', [{ key: 'forecast', operator: 'In', values: ['web', 'api'] }]],
    ['forecast notin ()', [{ key: 'forecast', operator: 'NotIn', values: [''] }]],
    ['forecast=', [{ key: 'forecast', operator: 'In', values: [''] }]],
    ['in in (in,notin)', [{ key: 'in', operator: 'In', values: ['in', 'notin'] }]],
    [
      'a.b/c,!d , e>7',
      [
        { key: 'a.b/c', operator: 'Exists', values: [] },
        { key: 'd', operator: 'DoesNotExist', values: [] },
        { key: 'e', operator: 'GreaterThan', values: ['7'] },
      ],
    ],
  ])('%j', (selector, requirements) => {
    expect(parseSelector(selector)).toEqual(requirements);
  });
});

describe('a refusal says where, what and what is allowed', () => {
  test.each([
    ['forecast=web||x', 'labelSelector, character 10: got "web||x", want a label value: up to 63'],
    ['forecast=web api', 'labelSelector, character 14: got "api", want "," or the end of the selector'],
    ['forecast in (web', 'labelSelector: ends at character 17, want "," or ")"'],
    ['forecast in web', 'labelSelector, character 13: got "web", want "("'],
    ['forecast in', 'labelSelector: ends at character 12, want "("'],
    ['forecast in ((', 'labelSelector, character 14: got "(", want a value, "," or ")"'],
    ['forecast = !web', 'labelSelector, character 12: got "!", want a value, "," or the end of the selector'],
    ['forecast!', 'labelSelector, character 9: got "!", want one of =, ==, !=, in, notin, > and <'],
    ['forecast=web,', 'labelSelector: ends at character 14, want a label key or "!"'],
    ['=web', 'labelSelector, character 1: got "=", want a label key or "!"'],
    ['!', 'labelSelector: ends at character 2, want a label key'],
    ['!forecast=web', 'labelSelector, character 10: got "=", want "," or the end of the selector'],
    ['-a=b', 'labelSelector, character 1: got "-a", want a label key: up to 63'],
    ['a/b/c', 'labelSelector, character 1: got "a/b/c", want a label key: up to 63'],
    ['a>b', 'labelSelector, character 3: got "b", want an integer of 64 bits after ">"'],
    ['a>', 'labelSelector: ends at character 3, want an integer of 64 bits after ">"'],
    ['a>9223372036854775808', 'labelSelector, character 3: got "9223372036854775808", want an integer of 64 bits'],
    ['toString constructor', 'labelSelector, character 10: got "constructor", want one of =, ==, !='],
  ])('%j', (selector, message) => {
    expect(() => parseSelector(selector)).toThrow(message);
  });
});

const keys = fc.constantFrom(
  'forecast',
  'x',
  'in',
  'notin',
  'example.com/role',
  'a.b_c-d',
  '__proto__x1',
  'constructor',
);
const key = keys.filter((text) => !text.startsWith('_'));
const value = fc.constantFrom('', 'web', 'api', 'in', 'notin', '1', '2', '30', 'a.b_c-d');
const space = fc.constantFrom('', ' ', '\t', '  ', '\r\n');
const requirement = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In' as const, 'NotIn' as const),
    values: fc.uniqueArray(value, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const), values: fc.constant([]) }),
  fc.record({
    key,
    operator: fc.constantFrom('GreaterThan' as const, 'LessThan' as const),
    values: fc.tuple(fc.nat().map(String)),
  }),
);

/** One of the ways to write a requirement; `gap` stands wherever white space may. */
function write({ key: name, operator, values }: Requirement, gap: string): string {
  const set = `${gap}(${gap}${values.join(`${gap},${gap}`)}${gap})`;
  switch (operator) {
    case 'In':
      return values.length === 1 && gap !== ' ' ? `${name}${gap}=${gap}${values[0]}` : `${name} in${set}`;
    case 'NotIn':
      return values.length === 1 && gap !== ' ' ? `${name}${gap}!=${gap}${values[0]}` : `${name} notin${set}`;
    case 'Exists':
      return name;
    case 'DoesNotExist':
      return `!${gap}${name}`;
    case 'GreaterThan':
      return `${name}${gap}>${gap}${values[0]}`;
    case 'LessThan':
      return `${name}${gap}<${gap}${values[0]}`;
  }
}

/** What a requirement means, said another way than in the code under test. */
function holds({ key: name, operator, values }: Requirement, labels: ReadonlyMap<string, string>): boolean {
  const has = labels.has(name);
  const member = has && new Set(values).has(labels.get(name) ?? '?');
  const order = /^\d+$/.test(labels.get(name) ?? '') ? Math.sign(Number(labels.get(name)) - Number(values[0])) : 0;
  return {
    In: member,
    NotIn: !member,
    Exists: has,
    DoesNotExist: !has,
    GreaterThan: order > 0,
    LessThan: order < 0,
  }[operator];
}

describe('properties, in 10⁵ cases each', () => {
  // Thrown, not expected: an expect for each case would take most of the time.
  const runs = { numRuns: 100_000 };

  test('what is written is what is read, whatever the white space', () => {
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 3 }), space, (requirements, gap) => {
        const text = requirements.map((item) => write(item, gap)).join(`${gap},${gap}`);
        const parsed = JSON.stringify(parseSelector(`${gap}${text}${gap}`).map(canonical));
        if (parsed !== JSON.stringify(requirements.map(canonical))) throw new Error(`${text}: ${parsed}`);
      }),
      runs,
    );
  });

  test('labels match when each requirement holds by the reference model', () => {
    const labels = fc.array(fc.tuple(key, value), { maxLength: 3 }).map((entries) => new Map(entries));
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 2 }), labels, (requirements, map) => {
        const expected = requirements.every((item) => holds(item, map));
        if (matchesLabels(requirements, Object.fromEntries(map)) !== expected) throw new Error(`want ${expected}`);
      }),
      runs,
    );
  });

  test('any text is read or refused with a position, never anything else', () => {
    const tokens = fc.array(
      fc.constantFrom('=', '!', '(', ')', ',', '<', '>', ' ', 'in', 'notin', 'a', '9', '/', 'é', '\0'),
      { maxLength: 12 },
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      tokens.map((parts) => parts.join('')),
    );
    const allowed = /^$|^labelSelector(, character \d+: got |: ends at character \d+, want )/;
    fc.assert(
      fc.property(text, (selector) => {
        const said = refusal(selector);
        if (!allowed.test(said)) throw new Error(said);
      }),
      runs,
    );
  });
});

function canonical({ key: name, operator, values }: Requirement): readonly unknown[] {
  return [name, operator, values];
}

function refusal(selector: string): string {
  try {
    parseSelector(selector);
    return '';
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    return error.message;
  }
}
