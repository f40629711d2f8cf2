// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations } from '../../api/clone-labels.ts';
import type { ExitReason } from '../../api/clone-labels.ts';
import { errorCode } from '../../base/errors.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';

const mergePatch = 'application/merge-patch+json';

/**
 * Writes down that a clone is ending, and tells what keeps nodes for the sake of pods that this one needs none any
 * more. The uid in the patch is a precondition: it cannot be changed, so a pod of the same name is refused (HTTP 422).
 * @throws HeadstartError as KubeClient.request
 */
export async function markRetiring(
  client: KubeClient,
  clone: CloneView,
  reason: ExitReason,
  signal: AbortSignal,
): Promise<KubeObject> {
  const annotations = {
    [cloneAnnotations.state]: 'Retiring',
    [cloneAnnotations.exitReason]: reason,
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true',
    'karpenter.sh/do-not-disrupt': null,
  };
  return await patch(client, clone, annotations, signal);
}

/**
 * Takes the protection of OpenKruise's PodUnavailableBudget off, which refuses DELETE as well
 * (openkruise/kruise: pkg/control/pubcontrol/pub_control_utils.go).
 * @throws HeadstartError as KubeClient.request
 */
export async function unprotect(client: KubeClient, clone: CloneView, signal: AbortSignal): Promise<void> {
  await patch(client, clone, { 'pub.kruise.io/no-protect': 'true' }, signal);
}

async function patch(
  client: KubeClient,
  clone: CloneView,
  annotations: Readonly<Record<string, string | null>>,
  signal: AbortSignal,
): Promise<KubeObject> {
  return await client.request<KubeObject>({
    method: 'PATCH',
    path: podPath(clone),
    body: { metadata: { uid: clone.uid, annotations } },
    contentType: mergePatch,
    retry: false,
    signal,
  });
}

/**
 * Evicts a clone: a delete that PodDisruptionBudgets are asked about. Its own grace period holds.
 * @throws HeadstartError Throttled when a budget is used up; Unavailable when there are two; as KubeClient.request
 */
export async function evict(client: KubeClient, clone: CloneView, signal: AbortSignal): Promise<void> {
  const { namespace, name, uid } = clone;
  await client.request({
    method: 'POST',
    path: podPath(clone, 'eviction'),
    body: {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { namespace, name },
      deleteOptions: { preconditions: { uid } },
    },
    // A budget that is used up is not free again within a call.
    retry: false,
    signal,
  });
}

/**
 * Deletes a clone. One that has not been scheduled is deleted only as it was seen: it may be on a node by now, and
 * then budgets are asked.
 * @throws HeadstartError as KubeClient.request
 */
export async function deletePod(client: KubeClient, clone: CloneView, signal: AbortSignal): Promise<void> {
  const { uid, resourceVersion, state } = clone;
  const preconditions = state === 'Pending' ? { uid, resourceVersion } : { uid };
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
  await client.request({ method: 'DELETE', path: podPath(clone), body, retry: false, signal });
}

/**
 * The pod as it is now; undefined when it is gone, or when another one has its name.
 * @throws HeadstartError as KubeClient.request
 */
export async function reread(
  client: KubeClient,
  clone: CloneView,
  signal: AbortSignal,
): Promise<KubeObject | undefined> {
  try {
    const pod = await client.request<KubeObject>({ path: podPath(clone), signal });
    return pod.metadata.uid === clone.uid ? pod : undefined;
  } catch (error) {
    if (errorCode(error) === 'NotFound') return undefined;
    throw error;
  }
}

function podPath({ namespace, name }: CloneView, subresource?: string): string {
  return resourcePath({
    apiVersion: 'v1',
    plural: 'pods',
    namespace,
    name,
    ...(subresource === undefined ? {} : { subresource }),
  });
}
