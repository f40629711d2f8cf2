// SPDX-License-Identifier: Apache-2.0
import { errorMessage, HeadstartError } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import type { ResourceRef } from '../kube/paths.ts';
import type { Reading } from './finding.ts';

/** What was read, or why it was not. @throws what is no HeadstartError */
export async function reading<T>(read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    return { failure: { code: error.code, message: errorMessage(error) } };
  }
}

/** Undefined where there is none. @throws HeadstartError of the request */
export async function getOptional<T>(client: KubeClient, ref: ResourceRef): Promise<T | undefined> {
  try {
    return await client.request<T>({ path: resourcePath(ref) });
  } catch (error) {
    if (error instanceof HeadstartError && error.code === 'NotFound') return undefined;
    throw error;
  }
}

/** Undefined where the kind is not there. @throws HeadstartError of the request */
export async function listOptional<T>(client: KubeClient, ref: ResourceRef): Promise<readonly T[] | undefined> {
  const list = await getOptional<{ readonly items?: readonly T[] }>(client, ref);
  return list === undefined ? undefined : (list.items ?? []);
}
