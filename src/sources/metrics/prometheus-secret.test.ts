// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { createAuthority } from '../../testing/certificates.ts';
import { readSecret, secretType } from './prometheus-secret.ts';
import type { SecretObject } from './prometheus-secret.ts';

const url = 'https://metrics.example.org/tenant';
const pem = { ca: '', cert: '', key: '', otherKey: '' };

beforeAll(async () => {
  const authority = await createAuthority('ca');
  const client = await authority.issue({ commonName: 'tenant', usage: 'client' });
  const other = await authority.issue({ commonName: 'other', usage: 'client' });
  Object.assign(pem, { ca: authority.certPem, cert: client.certPem, key: client.keyPem, otherKey: other.keyPem });
});

function secret(values: Record<string, string>, type: string = secretType): SecretObject {
  const data = Object.entries({ url, ...values }).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return { type, data: Object.fromEntries(data) as Record<string, string> };
}

test('a token, which may end with a new line', () => {
  const { authorization, secrets } = readSecret(secret({ token: 's3cret-token\n' }), url);
  expect(authorization).toBe('Bearer s3cret-token');
  expect(secrets).toContain('s3cret-token');
});

test('a user name and a password', () => {
  const { authorization, secrets } = readSecret(secret({ username: 'tenant', password: 'pass:wörd' }), url);
  const encoded = Buffer.from('tenant:pass:wörd').toString('base64');
  expect(authorization).toBe(`Basic ${encoded}`);
  expect(secrets).toEqual(expect.arrayContaining(['pass:wörd', encoded]));
});

test('a client certificate and an authority', () => {
  const { authorization, ca, cert, key } = readSecret(
    secret({ 'ca.crt': pem.ca, 'tls.crt': pem.cert, 'tls.key': pem.key }),
    url,
  );
  expect({ authorization, ca, cert, key }).toEqual({ ca: pem.ca, cert: pem.cert, key: pem.key });
});

test.each<[string, () => SecretObject, string]>([
  ['another type', () => secret({ token: 's3cret' }, 'Opaque'), 'its type is Opaque, want headstart.dev/prometheus'],
  ['no type', () => ({ data: {} }), 'its type is none'],
  ['no url', () => secret({ token: 's3cret', url: ' ' }), 'no key url'],
  ['another url', () => secret({ token: 's3cret', url: 'https://metrics.example.org/other' }), 'does not name'],
  ['a longer path', () => secret({ token: 's3cret', url: `${url}/deeper` }), 'does not name'],
  ['the start of a name', () => secret({ token: 's3cret', url: 'https://metrics.example' }), 'does not name'],
  ['a url that is none', () => secret({ token: 's3cret', url: 'metrics' }), 'url: got'],
  ['a url with a password', () => secret({ url: 'https://u:s3cret@metrics.example.org' }), 'credentials do not belong'],
  ['nothing to prove with', () => secret({}), 'want token'],
  ['two proofs', () => secret({ token: 's3cret', username: 'a', password: 's3cret' }), 'both token and username'],
  ['half a proof', () => secret({ password: 's3cret' }), 'one of username and password'],
  ['a token with a new line inside', () => secret({ token: 's3cret\nX-Other: 1' }), 'a header cannot have'],
  ['an empty token', () => secret({ token: '\n' }), 'empty'],
  ['a user with a colon', () => secret({ username: 'a:b', password: 's3cret' }), 'colon'],
  ['a certificate without key', () => secret({ 'tls.crt': pem.cert }), 'one of tls.crt and tls.key'],
  ['a key of another', () => secret({ 'tls.crt': pem.cert, 'tls.key': pem.otherKey }), 'belongs to the certificate'],
  ['junk for a key', () => secret({ 'tls.crt': pem.cert, 'tls.key': 's3cret' }), 'want PEM'],
  ['junk for an authority', () => secret({ 'ca.crt': 's3cret' }), 'want PEM'],
  ['too much', () => secret({ token: 's3cret'.repeat(20_000) }), 'longer than 64 KiB'],
])('%s is refused, and no value is repeated', (_what, given, words) => {
  const read = (): unknown => readSecret(given(), url);
  expect(read).toThrow(words);
  expect(read).not.toThrow('s3cret');
});

test.each([
  ['the very URL', url],
  ['its origin', 'https://metrics.example.org'],
  ['a list', `http://other https://elsewhere/\n${url}/`],
])('a url that is %s will do', (_what, named) => {
  expect(readSecret(secret({ token: 'x', url: named }), url).authorization).toBe('Bearer x');
});

test('any data is read or refused', () => {
  const value = fc.oneof(fc.string({ maxLength: 12 }), fc.base64String({ maxLength: 12 }), fc.constant('aHR0cHM6Ly9h'));
  const key = fc.constantFrom('url', 'token', 'username', 'password', 'ca.crt', 'tls.crt', 'tls.key', 'other');
  const data = fc.dictionary(key, value, { maxKeys: 5 });
  const outcome = (object: SecretObject): string => {
    try {
      readSecret(object, 'https://a/b');
      return 'read';
    } catch (error) {
      return error instanceof HeadstartError ? 'refused' : `thrown: ${String(error)}`;
    }
  };
  fc.assert(
    fc.property(data, fc.constantFrom(secretType, secretType, 'Opaque', ''), (given, type) => {
      expect(outcome({ type, data: given })).toMatch(/^(read|refused)$/);
    }),
    { numRuns: 100_000 },
  );
}, 60_000);
