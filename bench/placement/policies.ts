// SPDX-License-Identifier: Apache-2.0
import { cloneLabels } from '../../src/api/clone-labels.ts';

/** How clones are placed. */
export interface Policy {
  readonly name: string;
  /** Its row in the table. */
  readonly title: string;
  readonly schedulerName: string;
  /** What clones carry, by the bucket of their deadline. */
  readonly affinity?: (bucket: number) => unknown;
}

/** The one that everything is compared with. */
export const baseline = 'packed';

export const policies: readonly Policy[] = [
  { name: 'spread', title: 'kube-scheduler as it comes (strategy None)', schedulerName: 'as-it-comes' },
  {
    name: 'affinity',
    title: 'as it comes, clones that prefer their like (strategy Affinity)',
    schedulerName: 'as-it-comes',
    affinity: (bucket) => ({
      podAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          preferred(100, { key: cloneLabels.expiryBucket, values: [String(bucket), String(bucket + 1)] }),
          preferred(20, { key: cloneLabels.clone, values: ['true'] }),
        ],
      },
    }),
  },
  { name: baseline, title: 'MostAllocated, not knowing of deadlines', schedulerName: 'most-allocated' },
  {
    name: 'expiry',
    title: 'MostAllocated and the extender (strategy Scheduler)',
    schedulerName: 'headstart-scheduler',
  },
];

function preferred(weight: number, { key, values }: { readonly key: string; readonly values: readonly string[] }) {
  const labelSelector = { matchExpressions: [{ key, operator: 'In', values }] };
  return { weight, podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector } };
}
