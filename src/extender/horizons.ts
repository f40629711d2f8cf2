// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { heldNode, nodeHorizons } from '../capacity/clones/placement.ts';
import type { PodObject } from '../capacity/clones/read-clone.ts';
import type { CloneView } from '../capacity/clones/view.ts';
import { identityOf } from '../kube/client.ts';
import type { KubeObject } from '../kube/client.ts';
import type { Change } from '../kube/store.ts';

/** What is kept of a pod that is no clone. */
export interface PlacedPod extends KubeObject {
  /** The node that it keeps from being given back; none of a DaemonSet's. */
  readonly heldNode: string | undefined;
}

/** The collection of the pods that hold nodes, as the query of a reflector over all pods. */
export const placedPods = {
  labelSelector: 'headstart.dev/clone!=true',
  fieldSelector: 'spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed',
} as const;

/** Until when nodes are needed, kept up to date. */
export interface Horizons {
  /** `horizons` of the extender. */
  current(): ReadonlyMap<string, number> | undefined;
  /** `onChange` of the reflector over {@link placedPods}. */
  onPlaced(change: Change<PlacedPod>): void;
}

/** What horizons are made of. */
export interface HorizonsOptions {
  /** All clones; undefined before they are known. */
  readonly clones: () => readonly CloneView[] | undefined;
  /** Has the reflector over {@link placedPods} got its first list? */
  readonly hasPlaced: () => boolean;
  readonly clock: Clock;
}

/** So that a burst of questions costs one look at the clones in ten. */
const freshMs = 100;

/** `parse` of the reflector over {@link placedPods}: of each pod three strings are kept. */
export function readPlaced(pod: KubeObject): PlacedPod {
  return {
    metadata: identityOf(pod),
    heldNode: heldNode(pod as PodObject),
  };
}

/** Counts the other pods of each node as they come and go, and looks at the clones when asked. */
export function createHorizons({ clones, hasPlaced, clock }: HorizonsOptions): Horizons {
  const counts = new Map<string, number>();
  let cached: { readonly atMs: number; readonly horizons: ReadonlyMap<string, number> } | undefined;
  const count = (node: string | undefined, change: 1 | -1): void => {
    if (node === undefined) return;
    const next = (counts.get(node) ?? 0) + change;
    if (next <= 0) counts.delete(node);
    else counts.set(node, next);
  };
  return {
    current: () => {
      const nowMs = clock.nowMs();
      // A clock that was set back makes nothing fresh.
      if (cached !== undefined && Math.abs(nowMs - cached.atMs) < freshMs) return cached.horizons;
      const all = hasPlaced() ? clones() : undefined;
      if (all === undefined) return undefined;
      cached = { atMs: nowMs, horizons: nodeHorizons(all, counts, nowMs / 1000) };
      return cached.horizons;
    },
    onPlaced: (change) => {
      if (change.type === 'modified') count(change.old.heldNode, -1);
      count(change.object.heldNode, change.type === 'deleted' ? -1 : 1);
    },
  };
}
