// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../../base/errors.ts';
import type { PodManifest } from '../../capacity/clones/build-pod.ts';
import { readClone } from '../../capacity/clones/read-clone.ts';
import type { PodObject } from '../../capacity/clones/read-clone.ts';
import type { KubeClient } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { isNamespaceGoing } from '../../kube/status.ts';
import type { CreationFailure } from './snapshot.ts';

/** What became of clones that were to be made. */
export interface CreationResult {
  readonly created: number;
  /** Why the rest was not tried. */
  readonly failure: CreationFailure | undefined;
}

/** Requests at a time, once the first ones have succeeded. */
const largestBatch = 32;
const maxMessage = 400;

/**
 * Creates the pods in batches of 1, 2, 4, … (as pkg/controller/replicaset does), and stops after the first batch with a
 * failure: a quota that refuses one refuses the rest. A pod that is there already, of this pool, is a success: the
 * answer to an earlier request was lost, or what is known of it is out of date.
 * @throws what is no HeadstartError, and the signal's reason
 */
export async function createClones(
  client: KubeClient,
  pods: readonly PodManifest[],
  { poolUid, signal }: { readonly poolUid: string; readonly signal: AbortSignal },
): Promise<CreationResult> {
  let created = 0;
  for (let start = 0, size = 1; start < pods.length; start += size, size = Math.min(largestBatch, size * 2)) {
    const batch = pods.slice(start, start + size);
    const results = await Promise.all(batch.map(async (pod) => await create(client, pod, { poolUid, signal })));
    created += results.filter((result) => result === 'created').length;
    const failure = results.find((result) => typeof result === 'object');
    if (failure !== undefined) return { created, failure };
  }
  return { created, failure: undefined };
}

async function create(
  client: KubeClient,
  pod: PodManifest,
  { poolUid, signal }: { readonly poolUid: string; readonly signal: AbortSignal },
): Promise<'created' | 'present' | CreationFailure> {
  const { namespace } = pod.metadata;
  try {
    await client.request({
      method: 'POST',
      path: resourcePath({ apiVersion: 'v1', plural: 'pods', namespace }),
      body: pod,
      signal,
    });
    return 'created';
  } catch (error) {
    if (signal.aborted || !(error instanceof HeadstartError)) throw error;
    return error.code === 'AlreadyExists' ? await judgeTaken(client, pod, { poolUid, signal }) : classify(error);
  }
}

async function judgeTaken(
  client: KubeClient,
  { metadata: { namespace, name } }: PodManifest,
  { poolUid, signal }: { readonly poolUid: string; readonly signal: AbortSignal },
): Promise<'present' | CreationFailure> {
  try {
    const path = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace, name });
    const { owner } = readClone(await client.request<PodObject>({ path, signal }));
    if (owner?.uid === poolUid) return 'present';
    const whose = owner === undefined ? 'nobody' : 'another object';
    return { reason: 'NameTaken', message: `pod ${name} is there and controlled by ${whose}; it is left alone` };
  } catch (error) {
    if (signal.aborted || !(error instanceof HeadstartError)) throw error;
    // It is gone: the next look makes it.
    return error.code === 'NotFound' ? 'present' : classify(error);
  }
}

/** What a refusal means, by its words: the apiserver has one code for all of them. */
function classify(error: HeadstartError): CreationFailure {
  const message = withoutName(error.message);
  if (isNamespaceGoing(error)) return { reason: 'NamespaceTerminating', message };
  switch (error.code) {
    case 'Forbidden':
      return { reason: /exceeded quota|failed quota/.test(message) ? 'QuotaExceeded' : 'Refused', message };
    case 'InvalidInput':
      return { reason: /denied the request/.test(message) ? 'Refused' : 'InvalidPod', message };
    case 'NotFound':
    case 'Conflict':
    case 'Unauthorized':
      return { reason: 'Refused', message };
    default:
      return { reason: 'ServerUnavailable', message };
  }
}

/** The name differs with each clone, and would make each refusal another one. */
function withoutName(message: string): string {
  return message
    .replace(/^creating \S+: /, '')
    .replace(/^pods "[^"]*" is forbidden: /, '')
    .replace(/^Pod "[^"]*" is invalid: /, '')
    .slice(0, maxMessage);
}
