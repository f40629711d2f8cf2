// SPDX-License-Identifier: Apache-2.0
import { HeadstartError, invalidInput } from '../base/errors.ts';
import { meetsRequirement } from '../capacity/label-selector.ts';

/** One condition of a label selector; `In` and `NotIn` stand for `=`, `==` and `!=` too. */
export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'GreaterThan' | 'LessThan';
  /** Without repetitions; empty for `Exists` and `DoesNotExist`, one integer for the comparisons. */
  readonly values: readonly string[];
}

interface Token {
  /** Empty at the end of the selector. */
  readonly text: string;
  readonly isWord: boolean;
  /** Position of its first character, from 1. */
  readonly at: number;
}

const tokenPattern = /[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^ \t\r\n=!(),<>]+)|$)/y;
const namePattern = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const subdomainPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const maxNameLength = 63;
const maxPrefixLength = 253;

const operators: Readonly<Record<string, Requirement['operator']>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  '>': 'GreaterThan',
  '<': 'LessThan',
};
const operatorNames = 'one of =, ==, !=, in, notin, > and <';

/**
 * The conditions of a label selector, in the full grammar of apimachinery (pkg/labels/selector.go): all of them must
 * hold. An empty selector has none.
 * @throws HeadstartError InvalidInput, naming the position, what stands there and what may
 */
export function parseSelector(selector: string): readonly Requirement[] {
  const tokens = new Tokens(tokenize(selector));
  const requirements: Requirement[] = [];
  if (tokens.peek().text === '') return requirements;
  for (;;) {
    requirements.push(parseRequirement(tokens));
    const separator = tokens.take();
    if (separator.text === '') return requirements;
    if (separator.text !== ',') throw refuse(separator, '"," or the end of the selector');
  }
}

/** True when the labels meet every condition. `notin` and `!=` also hold where the label is absent. */
export function matchesLabels(requirements: readonly Requirement[], labels: Readonly<Record<string, string>>): boolean {
  return requirements.every((requirement) => {
    const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
    return meets(requirement, value);
  });
}

function meets({ operator, values }: Requirement, value: string | undefined): boolean {
  return operator === 'GreaterThan' || operator === 'LessThan'
    ? compares(operator, value, values[0])
    : meetsRequirement(operator, values, value);
}

function compares(operator: 'GreaterThan' | 'LessThan', value: string | undefined, limit: string | undefined): boolean {
  const left = parseInt64(value);
  const right = parseInt64(limit);
  if (left === undefined || right === undefined) return false;
  return operator === 'GreaterThan' ? left > right : left < right;
}

/** What Go's strconv.ParseInt(text, 10, 64) takes; undefined for anything else. */
function parseInt64(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function tokenize(selector: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  for (let match = tokenPattern.exec(selector); match !== null; match = tokenPattern.exec(selector)) {
    const text = match[1] ?? match[2] ?? '';
    tokens.push({ text, isWord: match[2] !== undefined, at: tokenPattern.lastIndex - text.length + 1 });
    if (text === '') break;
  }
  return tokens;
}

class Tokens {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token {
    return this.#tokens[this.#next] ?? { text: '', isWord: false, at: 0 };
  }

  take(): Token {
    const token = this.peek();
    this.#next += 1;
    return token;
  }

  /** Takes the next token when it is this symbol. */
  takeIf(symbol: string): boolean {
    if (this.peek().text !== symbol || this.peek().isWord) return false;
    this.#next += 1;
    return true;
  }

  /** True before a comma and at the end, where a requirement is complete. */
  atBoundary(): boolean {
    return this.peek().text === '' || this.peek().text === ',';
  }
}

function parseRequirement(tokens: Tokens): Requirement {
  const negated = tokens.takeIf('!');
  const key = tokens.take();
  if (!key.isWord) throw refuse(key, negated ? 'a label key' : 'a label key or "!"');
  checkKey(key);
  if (negated) return { key: key.text, operator: 'DoesNotExist', values: [] };
  if (tokens.atBoundary()) return { key: key.text, operator: 'Exists', values: [] };
  const sign = tokens.take();
  const operator = Object.hasOwn(operators, sign.text) ? operators[sign.text] : undefined;
  if (operator === undefined) throw refuse(sign, operatorNames);
  const values = sign.isWord ? parseSet(tokens) : [parseValue(tokens)];
  if (operator === 'GreaterThan' || operator === 'LessThan') checkInteger(values[0], sign);
  return { key: key.text, operator, values: [...new Set(values.map(({ text }) => text))] };
}

/** The values in parentheses; each may be empty, so `()` is the set of the empty value. */
function parseSet(tokens: Tokens): Token[] {
  const open = tokens.take();
  if (open.text !== '(') throw refuse(open, '"("');
  const values: Token[] = [];
  for (;;) {
    const value = tokens.peek();
    values.push(value.isWord ? checkValue(tokens.take()) : { text: '', isWord: false, at: value.at });
    const separator = tokens.take();
    if (separator.text === ')') return values;
    if (separator.text !== ',') throw refuse(separator, value.isWord ? '"," or ")"' : 'a value, "," or ")"');
  }
}

function parseValue(tokens: Tokens): Token {
  if (tokens.atBoundary()) return { text: '', isWord: false, at: tokens.peek().at };
  const value = tokens.take();
  if (!value.isWord) throw refuse(value, 'a value, "," or the end of the selector');
  return checkValue(value);
}

function checkKey(key: Token): void {
  const parts = key.text.split('/');
  const name = parts.at(-1) ?? '';
  const prefix = parts.length > 1 ? parts[0] : undefined;
  const isName = name.length <= maxNameLength && namePattern.test(name);
  const isPrefix = prefix === undefined || (prefix.length <= maxPrefixLength && subdomainPattern.test(prefix));
  if (parts.length > 2 || !isName || !isPrefix) {
    throw refuse(
      key,
      `a label key: up to ${maxNameLength} of A-Z, a-z, 0-9, "-", "_" and ".", beginning and ending with a letter or digit, after an optional DNS subdomain and "/"`,
    );
  }
}

function checkValue(value: Token): Token {
  if (value.text.length <= maxNameLength && namePattern.test(value.text)) return value;
  throw refuse(
    value,
    `a label value: up to ${maxNameLength} of A-Z, a-z, 0-9, "-", "_" and ".", beginning and ending with a letter or digit`,
  );
}

function checkInteger(value: Token | undefined, sign: Token): void {
  if (value === undefined || parseInt64(value.text) === undefined) {
    throw refuse(value ?? sign, `an integer of 64 bits after "${sign.text}"`);
  }
}

function refuse(token: Token, allowed: string): HeadstartError {
  if (token.text === '') {
    return new HeadstartError('InvalidInput', `labelSelector: ends at character ${token.at}, want ${allowed}`);
  }
  return invalidInput(`labelSelector, character ${token.at}`, token.text, allowed);
}
