// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations, cloneLabels, defaultTtlSeconds, ttlBounds } from '../api/clone-labels.ts';
import { formatExitBelow } from '../api/exit-below.ts';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import { reviewVersion } from './review.ts';
import type { PodOwner, ReviewedPod, ReviewRequest } from './review.ts';

/** The ClonePools as they are known here; answers from memory. */
export interface PoolReader {
  get(namespace: string, name: string): Pick<ClonePool, 'spec'> | undefined;
  /** False until they have all been read once. */
  hasSynced(): boolean;
}

/** One step of a JSON Patch (RFC 6902); nothing but additions is ever made. */
export interface PatchOperation {
  readonly op: 'add';
  readonly path: string;
  readonly value: string | Readonly<Record<string, never>>;
}

/** What becomes of a request, and why. */
export type ReviewDecision =
  | {
      /** It lacked something; it has it all; it is none of ours. */
      readonly outcome: 'Stamped' | 'Unchanged' | 'Ignored';
      readonly reason: string;
      readonly patch: readonly PatchOperation[];
      /** For whoever sent the request; each shorter than 120 characters. */
      readonly warnings: readonly string[];
      /** The time to live that the clone has then. */
      readonly ttlSeconds?: number;
    }
  | { readonly outcome: 'Denied'; readonly reason: string };

/** `<group>/<kind>` of controllers that make another pod in place of one that ends. */
export const remakers: ReadonlySet<string> = new Set([
  'apps/ReplicaSet',
  'apps/StatefulSet',
  'apps/DaemonSet',
  'batch/Job',
  '/ReplicationController',
]);

/** Of a mirror pod: what a kubelet runs from a file, and nobody ends over the API. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';
/** The apiserver cuts longer ones off (k8s.io/api/admission/v1: AdmissionResponse.Warnings). */
const maxWarningLength = 119;

/**
 * Gives a pod that is marked as a clone the annotations that it lacks, and a time to live that its pool allows. Only
 * values that count from the pod's creation are written, so that the answer to the same pod is always the same, and to
 * a pod that has been here is to change nothing.
 */
export function decideReview(request: ReviewRequest, pools: PoolReader): ReviewDecision {
  const { pod, namespace } = request;
  const ignored = pod === undefined ? 'there is no object' : whyIgnored(request, pod);
  if (pod === undefined || ignored !== undefined) {
    return { outcome: 'Ignored', reason: ignored ?? '', patch: [], warnings: [] };
  }
  const owner = pod.owners.find(isRemaker);
  if (owner !== undefined) {
    return {
      outcome: 'Denied',
      reason: `metadata.labels[${cloneLabels.clone}]: got a pod of ${owner.kind} ${owner.name}, which would make it again whenever it ends; remove the label from the pod template, and use a ClonePool`,
    };
  }
  return stamp(pod, findPool(pod, namespace, pools));
}

/** The AdmissionReview that answers. */
export function renderReview(uid: string, decision: ReviewDecision): object {
  const review = { apiVersion: reviewVersion, kind: 'AdmissionReview' };
  if (decision.outcome === 'Denied') {
    const status = { code: 422, reason: 'Invalid', message: decision.reason };
    return { ...review, response: { uid, allowed: false, status } };
  }
  const { patch, warnings, ttlSeconds } = decision;
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
  return {
    ...review,
    response: {
      uid,
      allowed: true,
      ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: encoded }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(ttlSeconds === undefined ? {} : { auditAnnotations: { ttl: String(ttlSeconds) } }),
    },
  };
}

/** The webhook's configuration asks for none of these; a configuration can be edited. */
function whyIgnored(request: ReviewRequest, pod: ReviewedPod): string | undefined {
  if (request.resource !== '/pods') return 'not a pod';
  if (request.subResource !== '') return `subresource ${request.subResource}`;
  if (request.operation !== 'CREATE') return `operation ${request.operation}`;
  if (pod.labels[cloneLabels.clone] !== 'true') return 'not marked as a clone';
  return pod.annotations?.[mirrorAnnotation] === undefined ? undefined : 'a mirror pod';
}

function isRemaker({ apiVersion, kind, isController }: PodOwner): boolean {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return isController && remakers.has(`${group}/${kind}`);
}

interface FoundPool {
  readonly spec?: ClonePool['spec'];
  readonly warning?: string;
}

function findPool({ labels }: ReviewedPod, namespace: string, pools: PoolReader): FoundPool {
  const name = labels[cloneLabels.pool];
  if (name === undefined) return {};
  const pool = pools.get(namespace, name);
  if (pool !== undefined) return { spec: pool.spec };
  // Never refused: what is not known here may be there.
  const why = pools.hasSynced() ? `there is no ClonePool ${name}` : 'ClonePools are not known yet';
  return { warning: `${cloneLabels.pool}: ${why}` };
}

function stamp(pod: ReviewedPod, { spec, warning }: FoundPool): ReviewDecision {
  const given = pod.annotations ?? {};
  const ttl = decideTtl(given[cloneAnnotations.ttlSeconds], spec);
  if (ttl.refusal !== undefined) return { outcome: 'Denied', reason: ttl.refusal };
  const { seconds } = ttl;
  const exitBelow = given[cloneAnnotations.exitBelow] ?? exitBelowOf(spec);
  const wanted: Readonly<Record<string, string>> = {
    [cloneAnnotations.ttlSeconds]: String(seconds),
    ...(exitBelow === undefined ? {} : { [cloneAnnotations.exitBelow]: exitBelow }),
  };
  const additions = Object.entries(wanted).filter(([key, value]) => given[key] !== value);
  const isComplete = additions.length === 0;
  return {
    outcome: isComplete ? 'Unchanged' : 'Stamped',
    reason: isComplete ? 'nothing is lacking' : additions.map(([key, value]) => `${key}=${value}`).join(' '),
    patch: toPatch(pod, additions),
    warnings: [warning, ttl.warning].filter((line) => line !== undefined).map(shorten),
    ttlSeconds: seconds,
  };
}

function exitBelowOf(spec: ClonePool['spec'] | undefined): string | undefined {
  return spec?.utilizationExit === undefined ? undefined : formatExitBelow(spec.utilizationExit);
}

type Ttl =
  | { readonly refusal: string }
  | { readonly refusal?: undefined; readonly seconds: number; readonly warning?: string };

/** The longest that the pool allows where none is given; else what is given, within what is allowed. */
function decideTtl(given: string | undefined, spec: ClonePool['spec'] | undefined): Ttl {
  const max = clamp(spec?.lifetime.maxSeconds ?? ttlBounds.max, ttlBounds.max);
  if (given === undefined) return { seconds: spec === undefined ? defaultTtlSeconds : max };
  const where = cloneAnnotations.ttlSeconds;
  const allowed = `${ttlBounds.min} to ${max}`;
  if (!/^\d+$/.test(given)) {
    const quoted = JSON.stringify(given.slice(0, 40));
    return { refusal: `metadata.annotations[${where}]: got ${quoted}, want whole seconds, ${allowed}` };
  }
  const seconds = clamp(Number(given), max);
  if (seconds === Number(given)) return { seconds };
  return { seconds, warning: `${where}: ${given.slice(0, 20)} becomes ${seconds}; allowed are ${allowed}` };
}

function clamp(seconds: number, max: number): number {
  return Math.min(Math.max(seconds, ttlBounds.min), max);
}

function toPatch(pod: ReviewedPod, additions: readonly (readonly [string, string])[]): PatchOperation[] {
  if (additions.length === 0) return [];
  const path = '/metadata/annotations';
  const map: PatchOperation[] = pod.annotations === undefined ? [{ op: 'add', path, value: {} }] : [];
  return [...map, ...additions.map(([key, value]) => ({ op: 'add', path: `${path}/${escape(key)}`, value }) as const)];
}

/** As a token of a JSON Pointer (RFC 6901). */
function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function shorten(line: string): string {
  return line.length > maxWarningLength ? `${line.slice(0, maxWarningLength - 1)}…` : line;
}
