// SPDX-License-Identifier: Apache-2.0
import { HeadstartError, invalidInput } from '../base/errors.ts';
import type { UserInfo } from './user-info.ts';

/** Who may speak for users, and in which headers (keys `requestheader-*` of extension-apiserver-authentication). */
export interface RequestHeaderConfig {
  /** The authority of the front proxies, PEM; empty when nobody may speak for users. */
  readonly clientCaPem: string;
  /** Common names of front proxies; empty means any that the authority signed. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

/**
 * Reads the data of the ConfigMap kube-system/extension-apiserver-authentication. Keys that are not there are empty;
 * header names are in lower case afterwards.
 * @throws HeadstartError InvalidInput, naming the key
 */
export function parseRequestHeaderConfig(data: Readonly<Record<string, string>>): RequestHeaderConfig {
  const headers = (key: string): string[] => parseList(data, key).map((name) => name.trim().toLowerCase());
  return {
    clientCaPem: data['requestheader-client-ca-file'] ?? '',
    allowedNames: parseList(data, 'requestheader-allowed-names'),
    usernameHeaders: headers('requestheader-username-headers'),
    uidHeaders: headers('requestheader-uid-headers'),
    groupHeaders: headers('requestheader-group-headers'),
    extraHeaderPrefixes: headers('requestheader-extra-headers-prefix'),
  };
}

/**
 * The user that a front proxy names in its headers, or undefined when it names none. Works on rawHeaders, name and
 * value in turn, because repeated headers hold several groups and a group may contain a comma. Follows apiserver
 * pkg/authentication/request/headerrequest.
 */
export function userFromHeaders(rawHeaders: readonly string[], config: RequestHeaderConfig): UserInfo | undefined {
  const headers = collect(rawHeaders);
  const first = (names: readonly string[]): string | undefined =>
    names.map((name) => headers.get(name)?.[0] ?? '').find((value) => value !== '');
  const name = first(config.usernameHeaders);
  if (name === undefined) return undefined;
  const uid = first(config.uidHeaders);
  const groups = config.groupHeaders.flatMap((header) => headers.get(header) ?? []).filter((group) => group !== '');
  return { name, ...(uid === undefined ? {} : { uid }), groups, extra: readExtra(headers, config.extraHeaderPrefixes) };
}

/** The token of `Authorization: Bearer <token>`, as apiserver splits it. */
export function bearerToken(header: string | undefined): string | undefined {
  const [scheme = '', token = ''] = (header ?? '').trim().split(' ');
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

function readExtra(
  headers: ReadonlyMap<string, readonly string[]>,
  prefixes: readonly string[],
): Record<string, readonly string[]> {
  const extra = new Map<string, string[]>();
  for (const prefix of prefixes) {
    for (const [name, values] of headers) {
      if (!name.startsWith(prefix)) continue;
      const key = unescape(name.slice(prefix.length));
      extra.set(key, [...(extra.get(key) ?? []), ...values]);
    }
  }
  return Object.fromEntries(extra);
}

/** A key that is not percent-encoded as it should be is taken as it stands, as in apiserver. */
function unescape(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function collect(rawHeaders: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    // Node reads the bytes of a header as Latin-1; names of users are UTF-8.
    const value = Buffer.from(rawHeaders[index + 1] ?? '', 'latin1').toString('utf8');
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

function parseList(data: Readonly<Record<string, string>>, key: string): string[] {
  const text = data[key] ?? '';
  if (text === '') return [];
  const list = parseJson(text, key);
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
    throw invalidInput(where(key), text, 'a JSON array of strings');
  }
  return list;
}

function parseJson(text: string, key: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HeadstartError('InvalidInput', `${where(key)}: not JSON`, { cause });
  }
}

function where(key: string): string {
  return `ConfigMap kube-system/extension-apiserver-authentication, ${key}`;
}
