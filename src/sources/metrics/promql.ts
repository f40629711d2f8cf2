// SPDX-License-Identifier: Apache-2.0
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { HeadstartError } from '../../base/errors.ts';

/** A query as Prometheus's own grammar reads it. */
export interface ParsedQuery {
  readonly text: string;
  /** The expression; undefined when the query does not parse. */
  readonly expression: SyntaxNode | undefined;
}

/** Reads a query; whatever Prometheus would refuse has no expression, and so have dialects (MetricsQL). */
export function parseQuery(text: string): ParsedQuery {
  const tree = parser.parse(text);
  let isBroken = false;
  tree.iterate({
    enter: (node) => {
      isBroken ||= node.type.isError;
    },
  });
  return { text, expression: isBroken ? undefined : (tree.topNode.firstChild ?? undefined) };
}

/** A string that every implementation of PromQL ends at the same quote (promql/parser/lex.go, lexString). */
const strictString = /^(?:"(?:[^"\\\n]|\\["'\\abfnrtv0-7xuU])*"|'(?:[^'\\\n]|\\["'\\abfnrtv0-7xuU])*'|`[^`]*`)$/;
const strictText = /^[\t\n\r\u0020-\u007e]*$/;

/**
 * The query with `label="value"` added to each of its selectors, so that no series of others can come into it.
 * @param value needs no quoting: the name of a namespace
 * @throws HeadstartError Forbidden when that cannot be made sure of
 */
export function enforceLabel(
  query: string,
  { label, value }: { readonly label: string; readonly value: string },
): string {
  const { expression } = parseQuery(query);
  const refuse = (why: string): HeadstartError =>
    new HeadstartError('Forbidden', `the server allows series with ${label}="${value}" only, and ${why}`);
  if (expression === undefined) throw refuse('the query cannot be read, so that this cannot be made sure of');
  const matcher = `${label}="${value}"`;
  const insertions: { readonly at: number; readonly text: string }[] = [];
  // Blanks in place of strings: what is left must be plain ASCII.
  let outside = query;
  for (const node of nodesOf(expression)) {
    const problem = problemOf(node, { label, value, query });
    if (problem !== undefined) throw refuse(problem);
    if (node.name === 'StringLiteral') outside = blank(outside, node);
    if (node.name === 'VectorSelector') insertions.push(insertionOf(node, matcher));
  }
  if (!strictText.test(outside)) throw refuse('the query has letters outside of strings that are not ASCII');
  return insertions
    .toSorted((a, b) => b.at - a.at)
    .reduce((result, { at, text }) => result.slice(0, at) + text + result.slice(at), query);
}

/** Every node of the tree that the expression is in, comments around it too. */
function* nodesOf(expression: SyntaxNode): Generator<SyntaxNode> {
  const cursor = (expression.parent ?? expression).cursor();
  do yield cursor.node;
  while (cursor.next());
}

function problemOf(
  node: SyntaxNode,
  { label, value, query }: { readonly label: string; readonly value: string; readonly query: string },
): string | undefined {
  const text = query.slice(node.from, node.to);
  switch (node.name) {
    case 'StringLiteral':
      return strictString.test(text) ? undefined : 'the query has a string that can be read in two ways';
    case 'LineComment':
      return 'the query has a comment';
    // It joins labels of series that no selector of the query names.
    case 'Info':
      return 'the query uses info()';
    case 'UnquotedLabelMatcher':
    case 'QuotedLabelMatcher':
      return asksForOthers(node, { label, value, query }) ? `the query asks for ${text.slice(0, 80)}` : undefined;
    default:
      return undefined;
  }
}

function asksForOthers(
  matcher: SyntaxNode,
  { label, value, query }: { readonly label: string; readonly value: string; readonly query: string },
): boolean {
  const [name = '', operator, wanted = ''] = childrenOf(matcher).map(({ from, to }) => query.slice(from, to));
  return unquote(name) === label && operator === '=' && unquote(wanted) !== value;
}

function blank(text: string, { from, to }: SyntaxNode): string {
  return text.slice(0, from) + ' '.repeat(to - from) + text.slice(to);
}

function insertionOf(selector: SyntaxNode, matcher: string): { readonly at: number; readonly text: string } {
  const braces = selector.getChild('LabelMatchers');
  if (braces === null) return { at: selector.to, text: `{${matcher}}` };
  return { at: braces.from + 1, text: braces.firstChild === null ? matcher : `${matcher},` };
}

/** The children of a node, in order. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child);
  return children;
}

/** The name without its quotes; with escapes inside it stays as it is, and then is no name that is looked for. */
export function unquote(text: string): string {
  return /^["'`]/.test(text) ? text.slice(1, -1) : text;
}
