// SPDX-License-Identifier: Apache-2.0
import { cloneLabels } from '../../api/clone-labels.ts';

/** `spec.affinity` of a pod, as far as it is read; the rest is passed on as it is. */
interface Affinity {
  readonly podAffinity?: { readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly object[] };
}

const topologyKey = 'kubernetes.io/hostname';

/** The number that clones share which end in the same stretch of time, for the label expiry-bucket. */
export function expiryBucket(deadline: number, bucketSeconds: number): number {
  return Math.floor(deadline / bucketSeconds);
}

/**
 * The affinity of a clone that prefers nodes whose clones end when it does or one bucket later, and then any node with
 * clones, so that nodes become empty together. Only preferences: where it fits is left to the scheduler. Each preferred
 * term is also weighed for every other pod, hence no more than two.
 */
export function preferSameExpiry(given: Affinity | undefined, bucket: number): Affinity {
  const together = [bucket, bucket + 1].map(String);
  const term = (weight: number, labelSelector: object): object => ({
    weight,
    podAffinityTerm: { topologyKey, labelSelector },
  });
  const preferred = [
    term(100, { matchExpressions: [{ key: cloneLabels.expiryBucket, operator: 'In', values: together }] }),
    term(20, { matchLabels: { [cloneLabels.clone]: 'true' } }),
  ];
  const { podAffinity } = given ?? {};
  const standing = podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return {
    ...given,
    podAffinity: { ...podAffinity, preferredDuringSchedulingIgnoredDuringExecution: [...standing, ...preferred] },
  };
}
