// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRequestHeaderConfig, userFromHeaders } from './request-header.ts';

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
  test('can have any extra key', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (raw) => {
        userFromHeaders(raw, config);
        expect(userFromHeaders(['X-Remote-User', 'jane', 'X-Remote-Extra-__proto__', 'x', ...raw], config)?.name).toBe(
          'jane',
        );
      }),
    );
  });
});
