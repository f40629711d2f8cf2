// SPDX-License-Identifier: Apache-2.0
import { clonePools } from '../../api/clone-labels.ts';
import { apiVersion } from '../../api/labels.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import { errorCode, HeadstartError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';

/** Owns what is applied to ClonePools; the clone controller writes by the same name. */
const fieldManager = 'headstart-clones';
const tries = 5;

/**
 * The commit point: lowers `spec.replicas` by as many clones as are about to end, so that nobody makes them again.
 * Whatever of it a process that died had done is seen: where there are more clones than `spec.replicas`, those that are
 * too many end first.
 * @param live how many clones of the pool are alive and not committed, those about to end included
 * @throws HeadstartError as KubeClient.request; Conflict when somebody else keeps writing
 */
export async function commitReplicas(
  client: KubeClient,
  cached: ClonePool,
  { ending, live }: { readonly ending: number; readonly live: () => number },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, uid } = cached.metadata;
  const path = resourcePath({ apiVersion, plural: clonePools, namespace, name });
  let pool: ClonePool | undefined = cached;
  for (let attempt = 0; attempt < tries; attempt += 1) {
    // A pool that is gone, or goes, wants no number of clones.
    if (pool?.metadata.uid !== uid || pool.metadata.deletionTimestamp !== undefined) return;
    const { replicas, mode } = pool.spec;
    const lower = Math.max(0, ending - Math.max(0, live() - replicas));
    // In mode Scale the number is somebody else's, who has clones replaced that end before their time.
    if (mode === 'Scale' || lower === 0 || replicas === 0) return;
    const { resourceVersion } = pool.metadata;
    const body = { metadata: { resourceVersion }, spec: { replicas: Math.max(0, replicas - lower) } };
    const contentType = 'application/merge-patch+json';
    try {
      await client.request({ method: 'PATCH', path, query: { fieldManager }, body, contentType, signal });
      return;
    } catch (error) {
      if (!['Conflict', 'NotFound'].includes(errorCode(error))) throw error;
      pool = await client.request<ClonePool>({ path, signal }).catch(ifFound);
    }
  }
  throw new HeadstartError('Conflict', `lowering spec.replicas of ClonePool ${namespace}/${name}: it keeps changing`);
}

function ifFound(error: unknown): undefined {
  if (errorCode(error) !== 'NotFound') throw error;
  return undefined;
}
