// SPDX-License-Identifier: Apache-2.0
import { HeadstartError, invalidInput } from '../../base/errors.ts';

/**
 * The base URL of a Prometheus server, without a slash at its end: http(s), no credentials, no query, no fragment, and
 * no percent-encoding in the path (a proxy may decode `%2f`, and a match on the path would mean nothing).
 * @throws HeadstartError InvalidInput, naming `where`; what was given is not repeated, it may hold a password
 */
export function parseServerUrl(text: string, where: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalidInput(where, url?.protocol ?? 'no URL', 'an http:// or https:// URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new HeadstartError('InvalidInput', `${where}: credentials do not belong in the URL of ${url.host}`);
  }
  if (/[?#]/.test(text)) {
    throw new HeadstartError('InvalidInput', `${where}: the URL of ${url.host} has a query or fragment, want none`);
  }
  if (url.pathname.includes('%')) {
    throw new HeadstartError(
      'InvalidInput',
      `${where}: the path of the URL of ${url.host} has a %, want plain letters`,
    );
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/**
 * Whether `url` is what `allowed` names, or lies below it: the same scheme, host and port, and the same path or one that
 * goes on after it with a slash. Both as {@link parseServerUrl} gives them.
 */
export function covers(allowed: string, url: string): boolean {
  return url === allowed || url.startsWith(`${allowed}/`);
}

/** Scheme, host and port, for messages: a path may be nobody else's business. */
export function originOf(url: string): string {
  return new URL(url).origin;
}
