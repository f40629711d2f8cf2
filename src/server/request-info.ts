// SPDX-License-Identifier: Apache-2.0

/** What a request wants, in the words of authorization. */
export type RequestAttributes =
  | {
      readonly kind: 'resource';
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      readonly subresource?: string | undefined;
      /** Absent at the cluster scope. */
      readonly namespace?: string | undefined;
      readonly name?: string | undefined;
    }
  | { readonly kind: 'nonResource'; readonly verb: string; readonly path: string };

const verbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};
const namespaceSubresources = ['status', 'finalize'];

/**
 * The attributes of a request to a group of `/apis`, as NewRequestInfo of apiserver (pkg/endpoints/request) finds
 * them: a GET on a collection is `list`, with `watch` set it is `watch`; a path of at most three segments is a
 * nonResource.
 */
export function requestAttributes(method: string, url: string): RequestAttributes {
  const [rawPath, query] = splitOnce(url, '?');
  const path = decode(rawPath);
  const [prefix, group = '', version = '', ...rest] = trimSlashes(path).split('/');
  if (prefix !== 'apis' || rest.length === 0) {
    return { kind: 'nonResource', verb: method.toLowerCase(), path };
  }
  const special = rest[0] === 'watch' || rest[0] === 'proxy' ? rest[0] : undefined;
  const parts = special === undefined ? rest : rest.slice(1);
  const resource = splitResource(parts);
  return { kind: 'resource', verb: special ?? verbOf(method, resource.name, query), group, version, ...resource };
}

/** True when a query asks for a watch, as the conversion of a query into ListOptions decides it. */
export function asksToWatch(query: string): boolean {
  const value = new URLSearchParams(query).get('watch');
  return value !== null && !['false', '0'].includes(value.toLowerCase());
}

interface ResourcePath {
  readonly namespace: string | undefined;
  readonly resource: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

function splitResource(parts: readonly string[]): ResourcePath {
  const namespace = parts[0] === 'namespaces' ? parts[1] : undefined;
  const isInside = namespace !== undefined && parts[2] !== undefined && !namespaceSubresources.includes(parts[2]);
  const [resource = '', name, subresource] = isInside ? parts.slice(2) : parts;
  return { namespace, resource, name, subresource };
}

function verbOf(method: string, name: string | undefined, query: string): string {
  const verb = verbs[method] ?? '';
  if (name !== undefined && name !== '') return verb;
  if (verb === 'get') return asksToWatch(query) ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function trimSlashes(path: string): string {
  let start = 0;
  let end = path.length;
  while (start < end && path[start] === '/') start += 1;
  while (end > start && path[end - 1] === '/') end -= 1;
  return path.slice(start, end);
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
