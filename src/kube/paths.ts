// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';
import type { KubeRequest } from './client.ts';

/** Names a resource, a collection of it or one of its parts. */
export interface ResourceRef {
  /** `v1`, `apps/v1`. */
  readonly apiVersion: string;
  /** The resource, in the plural: `deployments`. */
  readonly plural: string;
  /** Left out for what has no namespace, or for all namespaces. */
  readonly namespace?: string | undefined;
  /** Left out for the collection. */
  readonly name?: string | undefined;
  /** `status`, `scale`. */
  readonly subresource?: string;
}

/**
 * The path of a resource under the apiserver: `/apis/apps/v1/namespaces/shop/deployments/web/scale`.
 * @throws HeadstartError InvalidInput for an empty name and for one that would lead elsewhere
 */
export function resourcePath(ref: ResourceRef): string {
  const root = ref.apiVersion.includes('/') ? ['apis', ...ref.apiVersion.split('/')] : ['api', ref.apiVersion];
  const namespace = ref.namespace === undefined ? [] : ['namespaces', ref.namespace];
  const rest = [ref.plural, ref.name, ref.subresource].filter((part) => part !== undefined);
  return `/${[...root, ...namespace, ...rest].map(encodeSegment).join('/')}`;
}

/** A name may come from a user's object; `..` would be resolved away by the URL parser. */
function encodeSegment(segment: string): string {
  if (['', '.', '..'].includes(segment)) throw invalidInput('name', segment, 'a name of a Kubernetes object');
  return encodeURIComponent(segment);
}

/** What a request does, for people and for metrics. */
export interface RequestDescription {
  /** Begins an error message: `reading /api/v1/pods`. */
  readonly what: string;
  readonly verb: string;
  readonly resource: string;
}

const gerunds: Readonly<Record<string, string>> = {
  get: 'reading',
  list: 'listing',
  watch: 'watching',
  create: 'creating',
  update: 'updating',
  patch: 'patching',
  apply: 'applying',
  delete: 'deleting',
};

/** The verb as RBAC and audit logs call it (server-side apply apart), and the resource without its names. */
export function describeRequest(request: KubeRequest): RequestDescription {
  const { resource, isCollection } = splitPath(request.path);
  const verb = verbOf(request, isCollection);
  return { what: `${gerunds[verb] ?? verb} ${request.path}`, verb, resource };
}

function splitPath(path: string): { readonly resource: string; readonly isCollection: boolean } {
  const [, root, ...segments] = path.split('/');
  const own = root === 'api' ? segments.slice(1) : root === 'apis' ? segments.slice(2) : [];
  const isNamespaced = own[0] === 'namespaces' && own.length > 2 && !['status', 'finalize'].includes(own[2] ?? '');
  const [plural, name, subresource] = isNamespaced ? own.slice(2) : own;
  if (plural === undefined) return { resource: 'other', isCollection: false };
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  return { resource, isCollection: name === undefined };
}

function verbOf(request: KubeRequest, isCollection: boolean): string {
  switch (request.method ?? 'GET') {
    case 'GET':
      if (request.query?.['watch'] === 'true') return 'watch';
      return isCollection ? 'list' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return request.contentType === 'application/apply-patch+yaml' ? 'apply' : 'patch';
    case 'DELETE':
      return 'delete';
  }
}
