// SPDX-License-Identifier: Apache-2.0
import type { KubeClient, KubeObject } from './client.ts';
import { resourcePath } from './paths.ts';

/** The object to apply to. */
export interface ApplyTarget {
  readonly apiVersion: string;
  /** The resource, in the plural. */
  readonly plural: string;
  readonly namespace?: string;
  readonly name: string;
}

/** Who applies. */
export interface ApplyOptions {
  /** Owns what is applied, and alone may leave it out later to remove it. */
  readonly fieldManager: string;
  /** Takes fields over from other managers instead of failing with Conflict. */
  readonly force: boolean;
  readonly signal?: AbortSignal;
}

/** The fields to own; apiVersion and the name come from the target. */
export interface ApplyBody {
  readonly kind: string;
  readonly metadata?: {
    /** Refuses, with Conflict, an object of another life, and does not make one that is gone. */
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly unknown[];
  };
  readonly [field: string]: unknown;
}

/**
 * Server-side apply of an object, which is created if it is not there (KEP-555).
 * @throws HeadstartError as KubeClient.request
 */
export async function apply<T extends KubeObject>(
  client: KubeClient,
  target: ApplyTarget,
  body: ApplyBody,
  options: ApplyOptions,
): Promise<T> {
  return await send(client, { ...target, path: resourcePath(target) }, body, options);
}

/**
 * Server-side apply of an object's status, through its status subresource.
 * @throws HeadstartError as KubeClient.request; NotFound when the object is not there
 */
export async function applyStatus<T extends KubeObject>(
  client: KubeClient,
  target: ApplyTarget,
  body: ApplyBody,
  options: ApplyOptions,
): Promise<T> {
  return await send(client, { ...target, path: resourcePath({ ...target, subresource: 'status' }) }, body, options);
}

async function send<T>(
  client: KubeClient,
  { apiVersion, namespace, name, path }: ApplyTarget & { readonly path: string },
  body: ApplyBody,
  { fieldManager, force, signal }: ApplyOptions,
): Promise<T> {
  const metadata = { ...body.metadata, name, ...(namespace === undefined ? {} : { namespace }) };
  return await client.request<T>({
    method: 'PATCH',
    path,
    query: { fieldManager, force: String(force) },
    body: { ...body, apiVersion, metadata },
    contentType: 'application/apply-patch+yaml',
    ...(signal === undefined ? {} : { signal }),
  });
}
