// SPDX-License-Identifier: Apache-2.0
import { apiGroup } from '../../api/labels.ts';
import { cloneAnnotations, cloneLabels, defaultTtlSeconds, ttlBounds } from '../../api/clone-labels.ts';
import { HeadstartError } from '../../base/errors.ts';
import { parseQuantity } from '../../base/quantity.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import type { CloneState, CloneView } from './view.ts';

interface ResourceRequests {
  readonly requests?: Readonly<Record<string, string | number>>;
}

interface ContainerObject {
  readonly name?: string;
  readonly restartPolicy?: string;
  readonly resources?: ResourceRequests;
}

/** What is read of a pod. */
export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly apiVersion: string;
      readonly kind: string;
      readonly uid: string;
      readonly controller?: boolean;
    }[];
  };
  readonly spec?: {
    readonly nodeName?: string;
    readonly resources?: ResourceRequests;
    readonly containers?: readonly ContainerObject[];
    readonly initContainers?: readonly ContainerObject[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

/** 9999-12-31T23:59:59Z; only for a pod that does not say when it was made, which no apiserver gives. */
const latestSeconds = 253_402_300_799;
const deadlinePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;
const ttlPattern = /^[1-9]\d{0,18}$/;

/**
 * A pod with the label of clones, as decisions see it. Never throws: a deadline or a time to live that cannot be read
 * counts as the default time to live since creation – never as for ever, and never as over.
 */
export function readClone(pod: PodObject): CloneView {
  const { namespace = '', name, uid = '', resourceVersion = '', labels = {}, annotations = {} } = pod.metadata;
  const createdAt = parseTime(pod.metadata.creationTimestamp) ?? parseTime(pod.status?.startTime);
  const node = nodeOf(pod);
  const readiness = readReadiness(pod);
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    pool: labels[cloneLabels.pool],
    owner: readOwner(pod),
    createdAt: createdAt ?? latestSeconds,
    effectiveDeadline: effectiveDeadline(annotations, createdAt),
    windowId: annotations[cloneAnnotations.window],
    revision: labels[cloneLabels.revision],
    node,
    state: stateOf(pod, { node, isReady: readiness.isReady }),
    ...readiness,
    requests: { cpu: totalRequest(pod, 'cpu'), memory: totalRequest(pod, 'memory') },
    exitBelow: annotations[cloneAnnotations.exitBelow],
    exitReason: annotations[cloneAnnotations.exitReason],
  };
}

/**
 * Epoch seconds of a deadline: RFC 3339 in UTC with the letter Z, as `2026-10-01T12:30:00Z`; a fraction is kept.
 * Undefined for anything else, and for other zones, which say UTC to one reader and local time to another.
 */
export function parseDeadline(text: string): number | undefined {
  return deadlinePattern.test(text) ? parseTime(text) : undefined;
}

/** Seconds of a time to live, within what is allowed; undefined for what is no whole number from 1 on. */
export function parseTtlSeconds(text: string): number | undefined {
  if (!ttlPattern.test(text)) return undefined;
  return Math.min(ttlBounds.max, Math.max(ttlBounds.min, Number(text)));
}

/** min(deadline, creation + time to live), each the default one where it cannot be read. */
function effectiveDeadline(annotations: Readonly<Record<string, string>>, createdAt: number | undefined): number {
  const deadlineText = annotations[cloneAnnotations.deadline];
  const ttlText = annotations[cloneAnnotations.ttlSeconds];
  const deadline = deadlineText === undefined ? undefined : parseDeadline(deadlineText);
  if (createdAt === undefined) return deadline ?? latestSeconds;
  const ttl = (ttlText === undefined ? undefined : parseTtlSeconds(ttlText)) ?? defaultTtlSeconds;
  const isUnreadable = deadlineText !== undefined && deadline === undefined;
  const end = isUnreadable ? createdAt + defaultTtlSeconds : (deadline ?? Number.POSITIVE_INFINITY);
  return Math.min(end, createdAt + ttl);
}

function readOwner({ metadata }: PodObject): CloneView['owner'] {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return undefined;
  const isPool = owner.kind === 'ClonePool' && owner.apiVersion.startsWith(`${apiGroup}/`);
  return { uid: owner.uid, isPool };
}

function readReadiness({ status }: PodObject): Pick<CloneView, 'isReady' | 'readyAt'> {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const isReady = ready?.status === 'True';
  return { isReady, readyAt: isReady ? parseTime(ready.lastTransitionTime) : undefined };
}

function nodeOf({ spec }: PodObject): string | undefined {
  return spec?.nodeName === '' ? undefined : spec?.nodeName;
}

function stateOf({ metadata, status }: PodObject, { node, isReady }: Pick<CloneView, 'node' | 'isReady'>): CloneState {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (['Failed', 'Succeeded'].includes(status?.phase ?? '')) return 'Ended';
  if (metadata.annotations?.[cloneAnnotations.state] === 'Retiring') return 'Retiring';
  if (isReady) return 'Serving';
  return node === undefined ? 'Pending' : 'Starting';
}

/** Of the pod where it has one (KEP-2837), else of its containers and sidecars, which usage counts too. */
function totalRequest({ spec = {} }: PodObject, resource: 'cpu' | 'memory'): number | undefined {
  const own = readQuantity(spec.resources?.requests?.[resource]);
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const total = own ?? sumRequests([...(spec.containers ?? []), ...sidecars], resource);
  // Nothing can be in percent of nothing.
  return total === 0 ? undefined : total;
}

function sumRequests(containers: readonly ContainerObject[], resource: 'cpu' | 'memory'): number | undefined {
  let sum = 0;
  for (const { resources } of containers) {
    const request = readQuantity(resources?.requests?.[resource]);
    if (request === undefined) return undefined;
    sum += request;
  }
  return sum;
}

function readQuantity(given: string | number | undefined): number | undefined {
  if (given === undefined) return undefined;
  const value = orUndefined(() => parseQuantity(String(given), 'requests'));
  return value === undefined || value < 0 ? undefined : value;
}

function parseTime(text: string | undefined): number | undefined {
  // Whole epoch seconds are no time of the apiserver.
  if (text === undefined || !text.includes('T')) return undefined;
  return orUndefined(() => parseTimestamp(text, 'time'));
}

function orUndefined(read: () => number): number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof HeadstartError) return undefined;
    throw error;
  }
}
