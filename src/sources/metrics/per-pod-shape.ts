// SPDX-License-Identifier: Apache-2.0
import type { SyntaxNode } from '@lezer/common';
import { childrenOf, parseQuery, unquote } from './promql.ts';

/** What an expression is, as far as its shape tells. */
type Shape =
  /** An average over pods: it falls when pods are added. */
  | 'average'
  /** A number of pods. */
  | 'count'
  | 'scalar'
  | 'other';

/** Labels that tell pods apart (Prometheus's own, cAdvisor's old and new, scrape targets). */
const podLabels: ReadonlySet<string> = new Set(['pod', 'pod_name', 'instance', 'pod_ip', 'kubernetes_pod_name']);
/** Series whose sum is a number of pods (kube-state-metrics; `up` of the scrape targets). */
const podCounts = /^(?:up|kube_pod_.+|kube_\w+_replicas\w*)$/;

/**
 * The part of the query that makes it an average per pod, for a message; undefined for honest totals, for whatever
 * cannot be told from its shape, and for queries that do not parse (Prometheus says that better).
 */
export function perPodAverage(query: string): string | undefined {
  const { expression, text } = parseQuery(query);
  if (expression === undefined) return undefined;
  let culprit: SyntaxNode | undefined;
  const blame = (node: SyntaxNode): Shape => {
    culprit ??= node;
    return 'average';
  };
  if (shapeOf(expression, { text, blame }) !== 'average' || culprit === undefined) return undefined;
  const part = text.slice(culprit.from, culprit.to).replaceAll(/\s+/g, ' ');
  return part.length > 80 ? `${part.slice(0, 79)}…` : part;
}

interface Reading {
  readonly text: string;
  /** Remembers the first node that is to blame. */
  readonly blame: (node: SyntaxNode) => Shape;
}

/** What keeps the shape of what is inside. */
const wrappers: ReadonlySet<string> = new Set([
  'ParenExpr',
  'UnaryExpr',
  'OffsetExpr',
  'SubqueryExpr',
  'MatrixSelector',
  'StepInvariantExpr',
  'AnchoredExpr',
  'SmoothedExpr',
]);

function shapeOf(node: SyntaxNode, reading: Reading): Shape {
  if (wrappers.has(node.name)) return shapeOfFirst(operands(node), reading);
  switch (node.name) {
    case 'NumberDurationLiteral':
    case 'StringLiteral':
      return 'scalar';
    case 'AggregateExpr':
      return shapeOfAggregate(node, reading);
    case 'BinaryExpr':
      return shapeOfBinary(node, reading);
    case 'FunctionCall':
      return shapeOfFirst(operands(node.getChild('FunctionCallBody')), reading);
    default:
      return 'other';
  }
}

/** Functions and modifiers keep the shape of the first operand that is no number. */
function shapeOfFirst(nodes: readonly SyntaxNode[], reading: Reading): Shape {
  for (const node of nodes) {
    const shape = shapeOf(node, reading);
    if (shape !== 'scalar') return shape;
  }
  return 'scalar';
}

function shapeOfAggregate(node: SyntaxNode, reading: Reading): Shape {
  const operator = node.getChild('AggregateOp')?.firstChild?.name;
  const argument = operands(node.getChild('FunctionCallBody')).at(-1);
  if (operator === undefined || argument === undefined) return 'other';
  // Each pod on its own, whatever is made of them later.
  if (keepsPods(node, reading.text)) return 'other';
  switch (operator) {
    case 'Count':
      return 'count';
    case 'Avg':
      return isWithoutPods(argument, reading) ? 'other' : reading.blame(node);
    case 'Sum':
      return isPodCount(argument, reading) ? 'count' : shapeOf(argument, reading);
    default:
      return shapeOf(argument, reading);
  }
}

function shapeOfBinary(node: SyntaxNode, reading: Reading): Shape {
  const [left, right] = operands(node);
  if (left === undefined || right === undefined) return 'other';
  const operator = childrenOf(node).find(({ from }) => from >= left.to)?.name ?? '';
  const silent: Reading = { ...reading, blame: () => 'average' };
  const shapes = { left: shapeOf(left, silent), right: shapeOf(right, silent) };
  if (operator === 'Div' && shapes.left !== 'count' && isCount(right, shapes.right, reading))
    return reading.blame(node);
  const average = averageOf(operator, shapes);
  if (average !== undefined) return shapeOf(average === 'left' ? left : right, reading);
  return arithmetic.has(operator) ? 'other' : shapes.left;
}

function isCount(node: SyntaxNode, shape: Shape, reading: Reading): boolean {
  return shape === 'count' || isPodCount(node, reading);
}

const arithmetic: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div', 'Mod', 'Pow', 'Atan2']);
type Sides = Readonly<Record<'left' | 'right', Shape>>;

/** With a number, or with another average, an average stays one; with anything else nobody can tell. */
const averages: ReadonlyMap<string, keyof Sides> = new Map([
  ['Add average average', 'left'],
  ['Add average scalar', 'left'],
  ['Add scalar average', 'right'],
  ['Sub average average', 'left'],
  ['Sub average scalar', 'left'],
  ['Sub scalar average', 'right'],
  ['Mul average scalar', 'left'],
  ['Mul scalar average', 'right'],
  ['Div average scalar', 'left'],
]);

/** The side that makes the whole an average. */
function averageOf(operator: string, { left, right }: Sides): keyof Sides | undefined {
  if (arithmetic.has(operator)) return averages.get(`${operator} ${left} ${right}`);
  // Comparisons and set operators give what stands on their left.
  return left === 'average' ? 'left' : undefined;
}

/** `by` a label of the pod, or `without` that leaves them all: one series for each pod. */
function keepsPods(aggregate: SyntaxNode, text: string): boolean {
  const modifier = aggregate.getChild('AggregateModifier');
  if (modifier === null) return false;
  const labels = labelsOf(modifier, text);
  if (modifier.getChild('By') !== null) return labels.some((label) => podLabels.has(label));
  return !labels.some((label) => podLabels.has(label));
}

function labelsOf(modifier: SyntaxNode, text: string): string[] {
  const list = modifier.getChild('GroupingLabels');
  return list === null ? [] : childrenOf(list).map(({ from, to }) => unquote(text.slice(from, to)));
}

/** Pods have been summed up already: what is averaged are replicas of Prometheus, or the like. */
function isWithoutPods(argument: SyntaxNode, { text }: Reading): boolean {
  const inner = argument.name === 'ParenExpr' ? operands(argument)[0] : argument;
  if (inner?.name !== 'AggregateExpr') return false;
  return inner.getChild('AggregateOp')?.firstChild?.name === 'Sum' && !keepsPods(inner, text);
}

const kindsOfCount: ReadonlySet<string> = new Set(['ParenExpr', 'OffsetExpr', 'FunctionCall', 'BinaryExpr']);

/** A selector of a series that counts pods, with or without what keeps its meaning around it. */
function isPodCount(node: SyntaxNode, reading: Reading): boolean {
  if (node.name === 'VectorSelector') {
    const name = node.getChild('Identifier');
    return name !== null && podCounts.test(reading.text.slice(name.from, name.to));
  }
  if (node.name === 'AggregateExpr') return isAggregatedPodCount(node, reading);
  if (!kindsOfCount.has(node.name)) return false;
  const [inner] = operands(node.name === 'FunctionCall' ? node.getChild('FunctionCallBody') : node);
  return inner !== undefined && isPodCount(inner, reading);
}

function isAggregatedPodCount(node: SyntaxNode, reading: Reading): boolean {
  const operator = node.getChild('AggregateOp')?.firstChild?.name ?? '';
  if (operator === 'Count') return true;
  const argument = operands(node.getChild('FunctionCallBody')).at(-1);
  return ['Sum', 'Max', 'Min', 'Group'].includes(operator) && argument !== undefined && isPodCount(argument, reading);
}

/** The children that are expressions. */
function operands(node: SyntaxNode | null): SyntaxNode[] {
  return node === null ? [] : childrenOf(node).filter(({ type }) => type.is('Expr'));
}
