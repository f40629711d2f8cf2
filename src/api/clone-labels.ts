// SPDX-License-Identifier: Apache-2.0
import { apiGroup } from './labels.ts';

/** What clones, and the objects about them, are marked with. */
export const cloneLabels = {
  /** `true` on every clone; what the webhook, the policy and the sweeper select by. */
  clone: `${apiGroup}/clone`,
  /** Name of the ClonePool. */
  pool: `${apiGroup}/pool`,
  /** Hash of the pod template that the clone was made from. */
  revision: `${apiGroup}/revision`,
  /** floor(deadline / bucketSeconds): clones that end together have the same. */
  expiryBucket: `${apiGroup}/expiry-bucket`,
} as const;

/** What is written about a clone. */
export const cloneAnnotations = {
  /** RFC 3339, UTC: when the clone is to end, at the latest. */
  deadline: `${apiGroup}/deadline`,
  /** Seconds since creation after which it ends, whatever the deadline says. */
  ttlSeconds: `${apiGroup}/ttl-seconds`,
  /** `cpu=15%/180s`: ends early when below this for so long. */
  exitBelow: `${apiGroup}/exit-below`,
  /** The id of the window that it was made for. */
  window: `${apiGroup}/window`,
  /** `Retiring` once it has been chosen to end; final. */
  state: `${apiGroup}/state`,
  /** Why it ends: an {@link ExitReason}. */
  exitReason: `${apiGroup}/exit-reason`,
  /** On a ClonePool: make clones although an HPA counts them. */
  acceptHpaOverlap: `${apiGroup}/accept-hpa-overlap`,
} as const;

/** Why a clone ends; the word of the annotation, the Event, the metric label and `status.exits`. */
export const exitReasons = ['Expired', 'Idle', 'Surplus', 'Outdated', 'StartFailed', 'Failed'] as const;
export type ExitReason = (typeof exitReasons)[number];

/** What happened to a clone that ended for a reason, for Events and docs/reference/conditions.md. */
export const exitMeanings: Readonly<Record<ExitReason, string>> = {
  Expired: 'the deadline or the time to live was over',
  Idle: 'little was used for as long as utilizationExit says',
  Surplus: 'fewer clones are wanted',
  Outdated: "the target's pod template is another one now",
  StartFailed: 'not Ready within startupBudgetSeconds',
  Failed: 'the pod ended by itself',
};

/** What becomes of the wanted number of a pool in mode Predictive; the word of the Event and of the metric label. */
export const scalings = ['ScaledUp', 'ScaledDown'] as const;
export type Scaling = (typeof scalings)[number];

export const clonePools = 'clonepools';
export const cloneTemplates = 'clonetemplates';

/** Shortest and longest time to live of a clone, seconds; the webhook clamps to it. */
export const ttlBounds = { min: 60, max: 86_400 } as const;
/** Of a clone-labelled pod that nobody gave one. */
export const defaultTtlSeconds = 3600;

/**
 * Labels that Headstart writes itself, or by which another controller would take a clone for its own; those that end with
 * a slash are prefixes.
 */
export const controllerLabels = [
  `${apiGroup}/`,
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/',
  'apps.kubernetes.io/pod-index',
  'batch.kubernetes.io/',
  'controller-uid',
  'job-name',
] as const;
