// SPDX-License-Identifier: Apache-2.0
import { createSecureContext } from 'node:tls';
import { HeadstartError } from '../../base/errors.ts';
import { covers, originOf, parseServerUrl } from './server-url.ts';

/** The type that a Secret must have: no Secret that was made for something else can be used. */
export const secretType = 'headstart.dev/prometheus';

/** What a request may carry to prove who it comes from, and whom it trusts. */
export interface Credentials {
  /** The value of the header Authorization. */
  readonly authorization?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** What must not be seen in any message. */
  readonly secrets: readonly string[];
}

/** What is read of a Secret. */
export interface SecretObject {
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
}

const keys = ['url', 'token', 'username', 'password', 'ca.crt', 'tls.crt', 'tls.key'] as const;
type Key = (typeof keys)[number];
type Values = Partial<Record<Key, string>>;
const maxLength = 64 * 1024;

/**
 * The credentials in a Secret for requests to `url`.
 * @throws HeadstartError InvalidInput saying what is wrong, without any of its values
 */
export function readSecret(secret: SecretObject, url: string): Credentials {
  if (secret.type !== secretType) {
    const given = secret.type === undefined || secret.type === '' ? 'none' : secret.type;
    throw invalid(`its type is ${given}, want ${secretType}`);
  }
  const values = decode(secret.data ?? {});
  mustName(values.url, url);
  const authorization = readAuthorization(values);
  const tls = readTls(values);
  if (authorization === undefined && Object.keys(tls).length === 0) {
    throw invalid('want token, or username and password, or tls.crt and tls.key, or ca.crt');
  }
  return {
    ...(authorization === undefined ? {} : { authorization }),
    ...tls,
    secrets: secretsOf(values, authorization),
  };
}

/** Who knows these can act as their owner. */
function secretsOf({ token, password, 'tls.key': key }: Values, authorization: string | undefined): string[] {
  const encoded = authorization?.split(' ')[1];
  return [token, password, key, encoded].filter((value) => value !== undefined).map((value) => value.trim());
}

function decode(data: Readonly<Record<string, string>>): Values {
  const values: Values = {};
  for (const key of keys) {
    const text = data[key];
    if (text === undefined) continue;
    if (text.length > maxLength) throw invalid(`${key} is longer than 64 KiB`);
    values[key] = Buffer.from(text, 'base64').toString('utf8');
  }
  return values;
}

/** Several URLs are separated by blanks or new lines. */
function mustName(list: string | undefined, url: string): void {
  const named = (list ?? '').split(/\s+/).filter((entry) => entry !== '');
  if (named.length === 0) throw invalid('it has no key url, which names where it may be sent');
  const isNamed = named.map((entry) => parseServerUrl(entry, 'url')).some((allowed) => covers(allowed, url));
  if (!isNamed) throw invalid(`its url does not name ${originOf(url)}`);
}

function readAuthorization({ token, username, password }: Values): string | undefined {
  if (token !== undefined && (username !== undefined || password !== undefined)) {
    throw invalid('it has both token and username or password, want one of them');
  }
  if (token !== undefined) return bearer(token);
  if ((username === undefined) !== (password === undefined)) {
    throw invalid('it has one of username and password, want both');
  }
  return username === undefined || password === undefined ? undefined : basic(username, password);
}

/**
 * The header for a bearer token (RFC 6750).
 * @throws HeadstartError InvalidInput when it cannot stand in a header
 */
export function bearer(token: string): string {
  const trimmed = token.trim();
  if (!/^[\u0021-\u007e]+$/.test(trimmed))
    throw invalid('the token is empty, or has letters that a header cannot have');
  return `Bearer ${trimmed}`;
}

/**
 * The header for a user name and a password (RFC 7617); a new line at the end of a file does not count.
 * @throws HeadstartError InvalidInput for a user name with a colon
 */
export function basic(username: string, password: string): string {
  const [user, word] = [username.replace(/\r?\n$/, ''), password.replace(/\r?\n$/, '')];
  if (user === '' || user.includes(':')) throw invalid('the username is empty, or has a colon');
  return `Basic ${Buffer.from(`${user}:${word}`).toString('base64')}`;
}

function readTls({ 'ca.crt': ca, 'tls.crt': cert, 'tls.key': key }: Values): Pick<Credentials, 'ca' | 'cert' | 'key'> {
  if ((cert === undefined) !== (key === undefined)) throw invalid('it has one of tls.crt and tls.key, want both');
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  checkTls(tls);
  return tls;
}

/**
 * Tries certificates and key out.
 * @throws HeadstartError InvalidInput when they are not PEM, or do not belong together
 */
export function checkTls(tls: Pick<Credentials, 'ca' | 'cert' | 'key'>): void {
  try {
    // OpenSSL takes any text for an empty list of authorities.
    if (tls.ca !== undefined && !tls.ca.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no certificate');
    createSecureContext(tls);
  } catch {
    // What OpenSSL says may quote from the file.
    throw invalid('its certificates and key cannot be used: want PEM, and a key that belongs to the certificate');
  }
}

function invalid(message: string): HeadstartError {
  return new HeadstartError('InvalidInput', message);
}
