// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { covers, originOf, parseServerUrl } from './server-url.ts';

test.each([
  ['http://prometheus:9090', 'http://prometheus:9090'],
  ['HTTP://Prometheus:80/', 'http://prometheus'],
  ['https://metrics.example.org:443/a/b//', 'https://metrics.example.org/a/b'],
  ['https://metrics.example.org/a/../b', 'https://metrics.example.org/b'],
  ['https://metrics.example.org/a/%2e%2e/b', 'https://metrics.example.org/b'],
  ['http://[::1]:9090', 'http://[::1]:9090'],
])('%s is read as %s', (given, url) => {
  expect(parseServerUrl(given, 'url')).toBe(url);
});

test.each([
  ['ftp://p', 'http:// or https://'],
  ['prometheus:9090', 'http:// or https://'],
  ['', 'http:// or https://'],
  ['http://user:s3cret@p', 'credentials'],
  ['http://p?x=s3cret', 'query or fragment'],
  ['http://p#s3cret', 'query or fragment'],
  ['http://p/a%2f..%2fs3cret', '%'],
])('%s is refused, and not repeated', (given, words) => {
  const read = (): string => parseServerUrl(given, 'spec.url');
  expect(read).toThrow(words);
  expect(read).toThrow('spec.url');
  expect(read).not.toThrow('s3cret');
});

describe('what an allowed URL covers', () => {
  test.each([
    ['http://p:9090', 'http://p:9090', true],
    ['http://p:9090', 'http://p:9090/any/path', true],
    ['http://p/tenant', 'http://p/tenant/blue', true],
    ['http://p/tenant', 'http://p/tenant', true],
    ['http://p/tenant', 'http://p/tenants', false],
    ['http://p/tenant', 'http://p', false],
    ['http://p/tenant', 'http://p/tenant/../admin', false],
    ['http://p', 'http://p.evil.example', false],
    ['http://p', 'http://p:9090', false],
    ['http://p', 'https://p', false],
    ['http://p:9', 'http://p:90', false],
    ['http://p', 'http://p@evil.example', false],
    ['http://p/a', String.raw`http://p/a\..\b`, false],
  ])('%s covers %s: %s', (allowed, url, isCovered) => {
    let parsed: string | undefined;
    try {
      parsed = parseServerUrl(url, 'url');
    } catch {
      parsed = undefined;
    }
    expect(parsed !== undefined && covers(parseServerUrl(allowed, 'url'), parsed)).toBe(isCovered);
  });
});

function outcome(given: string): string {
  try {
    const url = parseServerUrl(given, 'url');
    if (parseServerUrl(url, 'url') !== url) return `read differently the second time: ${url}`;
    return covers('http://p/a', url) && originOf(url) !== 'http://p' ? `covered: ${url}` : 'read';
  } catch (error) {
    return error instanceof HeadstartError ? 'refused' : `thrown: ${String(error)}`;
  }
}

test('any text is a URL or a refusal; a URL that is covered has the same origin', () => {
  const part = fc.constantFrom(
    'http://',
    'https://',
    'p',
    '@',
    ':',
    '/',
    '..',
    '.',
    '%2f',
    '\\',
    '?',
    '#',
    '9090',
    'a',
    '\t',
  );
  const text = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.array(part, { maxLength: 10 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      expect(outcome(given)).toMatch(/^(refused|read)$/);
    }),
    { numRuns: 100_000 },
  );
});
