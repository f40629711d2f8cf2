// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { bearerToken, parseRequestHeaderConfig, userFromHeaders } from './request-header.ts';

/** What kube-apiserver writes. */
const data = {
  'client-ca-file': 'CLUSTER CA',
  'requestheader-client-ca-file': 'FRONT PROXY CA',
  'requestheader-allowed-names': '["front-proxy-client"]',
  'requestheader-username-headers': '["X-Remote-User"]',
  'requestheader-uid-headers': '["X-Remote-Uid"]',
  'requestheader-group-headers': '["X-Remote-Group"]',
  'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
};
const config = parseRequestHeaderConfig(data);

describe('the configuration', () => {
  test('is read from the ConfigMap', () => {
    expect(config).toEqual({
      clientCaPem: 'FRONT PROXY CA',
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['x-remote-user'],
      uidHeaders: ['x-remote-uid'],
      groupHeaders: ['x-remote-group'],
      extraHeaderPrefixes: ['x-remote-extra-'],
    });
  });
  test('is empty where the ConfigMap is', () => {
    expect(parseRequestHeaderConfig({}).clientCaPem).toBe('');
    expect(parseRequestHeaderConfig({ 'requestheader-allowed-names': '' }).allowedNames).toEqual([]);
  });
  test.each([
    ['front-proxy-client', 'not JSON'],
    ['{"a":1}', 'got "{\\"a\\":1}", want a JSON array of strings'],
    ['[1]', 'got "[1]", want a JSON array of strings'],
  ])('refuses %s', (text, message) => {
    expect(() => parseRequestHeaderConfig({ 'requestheader-allowed-names': text })).toThrow(
      `ConfigMap kube-system/extension-apiserver-authentication, requestheader-allowed-names: ${message}`,
    );
  });
});

test('a ConfigMap of any content is read or refused by its key', () => {
  const json = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.json({ maxDepth: 1 }),
    fc.array(fc.string({ maxLength: 4 }), { maxLength: 2 }).map((names) => JSON.stringify(names)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(data)), json, (key, text) => {
      const outcome = attempt(() => parseRequestHeaderConfig({ ...data, [key]: text }).clientCaPem);
      if (/^$|^FRONT PROXY CA$/.test(outcome) || outcome === text) return;
      if (!outcome.startsWith(`ConfigMap kube-system/extension-apiserver-authentication, ${key}: `)) {
        throw new Error(outcome);
      }
    }),
    { numRuns: 5000 },
  );
});

function attempt(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    return error.message;
  }
}

describe('the user', () => {
  test('has every group of its own header, commas and all', () => {
    const headers = ['Host', 'x', 'X-Remote-User', 'jane', 'X-Remote-Group', 'a,b', 'x-remote-group', 'c'];
    expect(userFromHeaders([...headers, 'X-Remote-Group', ''], config)).toEqual({
      name: 'jane',
      groups: ['a,b', 'c'],
      extra: {},
    });
  });
  test('has the uid and the extra values, whose keys are percent-encoded', () => {
    const headers = ['X-Remote-User', 'jane', 'X-Remote-Uid', '7', 'X-Remote-Extra-Example.org%2Frole', 'a'];
    const more = ['x-remote-extra-example.org%2frole', 'b', 'X-Remote-Extra-50%', 'c', 'X-Remote-Extra-', 'd'];
    expect(userFromHeaders([...headers, ...more], config)).toEqual({
      name: 'jane',
      uid: '7',
      groups: [],
      extra: { 'example.org/role': ['a', 'b'], '50%': ['c'], '': ['d'] },
    });
  });
  test('has a name in UTF-8, though Node reads headers as Latin-1', () => {
    const bytes = Buffer.from('jürgen').toString('latin1');
    expect(userFromHeaders(['X-Remote-User', bytes], config)?.name).toBe('jürgen');
  });
  test('is nobody without a name', () => {
    expect(userFromHeaders(['X-Remote-Group', 'system:masters'], config)).toBeUndefined();
    expect(userFromHeaders(['X-Remote-User', ''], config)).toBeUndefined();
    expect(userFromHeaders([], config)).toBeUndefined();
  });
  test('is the first that is named, in the order of the configured headers', () => {
    const two = { ...config, usernameHeaders: ['x-a', 'x-b'], groupHeaders: ['x-g', 'x-h'] };
    expect(userFromHeaders(['X-B', 'b', 'X-A', 'a', 'X-H', '2', 'X-G', '1'], two)).toEqual({
      name: 'a',
      groups: ['1', '2'],
      extra: {},
    });
  });
  test('is the one that is named, among any headers, and has whatever extra keys there are', () => {
    // Short ones, so that 10⁵ cases take a second.
    const text = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('%', '%2F', '__proto__', 'é', '\0', '\r\n'));
    const name = fc.oneof(
      text,
      text.map((suffix) => `X-Remote-Extra-${suffix}`),
      fc.constantFrom('X-Remote-Group', 'x-remote-uid'),
    );
    const headers = fc.array(fc.tuple(name, text), { maxLength: 4 });
    fc.assert(
      fc.property(headers, (pairs) => {
        const raw = pairs.flat();
        if (userFromHeaders(raw, config) !== undefined) throw new Error('nobody was named');
        const user = userFromHeaders(['X-Remote-User', 'jane', ...raw, 'odd'], config);
        const groups = pairs.filter(([header, value]) => header === 'X-Remote-Group' && value !== '').length;
        if (user?.name !== 'jane' || user.groups.length !== groups) throw new Error(JSON.stringify(user));
        if (Object.getPrototypeOf(user.extra) !== Object.prototype) throw new Error('the prototype was set');
      }),
      { numRuns: 100_000 },
    );
  });
});

test('a bearer token is what stands after the scheme, whatever else a header holds', () => {
  const text = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('Bearer', 'bearer ', ' Bearer  ', 'Basic', '\t'));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 3 }), (parts) => {
      const header = parts.join(' ');
      const token = bearerToken(header);
      const [, expected] = /^\s*bearer ([^ ]+)/i.exec(header.trimEnd()) ?? [];
      if (token !== expected) throw new Error(`${JSON.stringify(header)}: ${token}, want ${expected}`);
    }),
    { numRuns: 100_000 },
  );
});
