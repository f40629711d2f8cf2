// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { enforceLabel, parseQuery } from './promql.ts';

const own = { label: 'namespace', value: 'blue' };
const enforce = (query: string): string => enforceLabel(query, own);

describe('the enforced matcher', () => {
  test.each([
    ['up', 'up{namespace="blue"}'],
    ['up{}', 'up{namespace="blue"}'],
    ['{job="a"}', '{namespace="blue",job="a"}'],
    ['{"my.metric", job="a"}', '{namespace="blue","my.metric", job="a"}'],
    ['sum(rate(x{a="}"}[5m]))', 'sum(rate(x{namespace="blue",a="}"}[5m]))'],
    ['sum by (namespace) (x)', 'sum by (namespace) (x{namespace="blue"})'],
    ['SUM(x) BY (pod)', 'SUM(x{namespace="blue"}) BY (pod)'],
    ['x and on(a) y or z', 'x{namespace="blue"} and on(a) y{namespace="blue"} or z{namespace="blue"}'],
    ['x / on(a) group_left(b) y', 'x{namespace="blue"} / on(a) group_left(b) y{namespace="blue"}'],
    ['max_over_time(rate(x[1m])[5m:1m] offset 1d)', 'max_over_time(rate(x{namespace="blue"}[1m])[5m:1m] offset 1d)'],
    ['x @ end()', 'x{namespace="blue"} @ end()'],
    ['sum', 'sum{namespace="blue"}'],
    ['sum(by)', 'sum(by{namespace="blue"})'],
    ['x{namespace="blue"}', 'x{namespace="blue",namespace="blue"}'],
    ['x{namespace=~"blue|green"}', 'x{namespace="blue",namespace=~"blue|green"}'],
    ['x{namespace!="blue"}', 'x{namespace="blue",namespace!="blue"}'],
    ['vector(1) + time()', 'vector(1) + time()'],
    [
      'label_replace(x, "namespace", "green", "", "")',
      'label_replace(x{namespace="blue"}, "namespace", "green", "", "")',
    ],
    ['absent(x{a=`b"`})', 'absent(x{namespace="blue",a=`b"`})'],
  ])('%s becomes %s', (query, enforced) => {
    expect(enforce(query)).toBe(enforced);
  });

  test.each([
    ['x{namespace="green"}', 'asks for namespace="green"'],
    ["sum(x) + sum(y{'namespace'='green'})", 'asks for'],
    ['x{`namespace`="green"}', 'asks for'],
    ['sum(rate(', 'cannot be read'],
    ['', 'cannot be read'],
    ['x{a="b} or y{c="d"}', 'cannot be read'],
    ['x{a="b" or c="d"}', 'cannot be read'],
    ['WITH (a = 1) a', 'cannot be read'],
    ['unknown_function(x)', 'cannot be read'],
    ['x # {', 'comment'],
    ['info(x)', 'info()'],
    ['info(x, {k8s_cluster="a"})', 'info()'],
    [String.raw`x{a="\q"}`, 'two ways'],
    ['x{a="\\\n"}', 'two ways'],
    ['x\u00a0', 'ASCII'],
  ])('%j is refused: %s', (query, why) => {
    expect(() => enforce(query)).toThrow(why);
    expect(() => enforce(query)).toThrow('namespace="blue"');
  });
});

/** Queries out of the grammar's own pieces, well-formed and not. */
const piece = fc.constantFrom(
  'x',
  'sum',
  'rate',
  'by',
  'on',
  'offset',
  'namespace',
  'info',
  '(',
  ')',
  '{',
  '}',
  '[5m]',
  '[5m:1m]',
  ',',
  '=',
  '=~',
  '!=',
  '"green"',
  '"a',
  "'",
  '`',
  '\\',
  '#',
  '\n',
  ' ',
  '+',
  '/',
  'and',
  'or',
  '1',
  '5m',
  '@',
  'end()',
  'ä',
  'avg',
  'count',
);
const soup = fc.array(piece, { maxLength: 16 }).map((parts) => parts.join(''));
const selector = fc.tuple(
  fc.constantFrom('x', 'up', ''),
  fc.array(fc.constantFrom('a="b"', 'c!~`d.*`', '"e"="}"'), { minLength: 1, maxLength: 3 }),
);
const expression = fc.letrec((tie) => ({
  expr: fc.oneof(
    { maxDepth: 4 },
    selector.map(([name, matchers]) => `${name}{${matchers.join(',')}}`),
    fc.constantFrom('x', '1', 'time()'),
    fc.tuple(tie('expr'), fc.constantFrom(' + ', ' / on(a) ', ' or '), tie('expr')).map((parts) => parts.join('')),
    fc
      .tuple(fc.constantFrom('sum', 'avg by (pod) ', 'count'), tie('expr'))
      .map(([name, inner]) => `${name}(${String(inner)})`),
    tie('expr').map((inner) => `max_over_time((${String(inner)})[5m:1m])`),
  ),
})).expr;

/** Whether the query was refused, or each of its selectors has the matcher; else what is wrong. */
function outcome(query: string): string {
  let enforced: string;
  try {
    enforced = enforce(query);
  } catch (error) {
    return error instanceof HeadstartError ? 'refused' : `thrown: ${String(error)}`;
  }
  const cursor = parseQuery(enforced).expression?.cursor();
  if (cursor === undefined) return `does not parse: ${enforced}`;
  do {
    const text = enforced.slice(cursor.from, cursor.to);
    if (cursor.name === 'VectorSelector' && !/^[\w:]*\s*\{namespace="blue"/.test(text)) return `without: ${text}`;
  } while (cursor.next());
  return 'enforced';
}

test.each([
  ['any query', fc.oneof(fc.string({ maxLength: 8 }), soup), 100_000],
  ['any good query', expression.map(String), 5_000],
])(
  '%s comes out with the matcher in each of its selectors, or not at all',
  (_what, queries, numRuns) => {
    fc.assert(
      fc.property(queries, (query) => {
        expect(outcome(query)).toMatch(/^(refused|enforced)$/);
      }),
      { numRuns },
    );
  },
  120_000,
);
