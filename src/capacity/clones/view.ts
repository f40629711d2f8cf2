// SPDX-License-Identifier: Apache-2.0

/** How far a clone has come, by what its pod says. */
export type CloneState = 'Pending' | 'Starting' | 'Serving' | 'Retiring' | 'Terminating' | 'Ended';

/**
 * What is kept of a pod that carries the label of clones: little, as there may be 100,000. Times are epoch seconds of
 * the apiserver's clock.
 */
export interface CloneView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Label headstart.dev/pool; undefined for a pod that somebody else marked as a clone. */
  readonly pool: string | undefined;
  /** Uid of the controlling owner, and whether that is a ClonePool. */
  readonly owner: { readonly uid: string; readonly isPool: boolean } | undefined;
  readonly createdAt: number;
  /** min(deadline, creation + time to live); a pod without a time to live that can be read has the default one. */
  readonly effectiveDeadline: number;
  readonly windowId: string | undefined;
  readonly revision: string | undefined;
  readonly node: string | undefined;
  readonly state: CloneState;
  readonly isReady: boolean;
  /** When it became Ready last; undefined while it is not. */
  readonly readyAt: number | undefined;
  /** Total requests of what counts for it, by resource: cores and bytes; undefined where a container has none. */
  readonly requests: { readonly cpu: number | undefined; readonly memory: number | undefined };
  /** Annotation headstart.dev/exit-below, as it stands there. */
  readonly exitBelow: string | undefined;
  /** Annotation headstart.dev/exit-reason, once it has been chosen to end. */
  readonly exitReason?: string | undefined;
}
