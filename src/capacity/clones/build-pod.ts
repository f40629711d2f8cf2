// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations, cloneLabels } from '../../api/clone-labels.ts';
import { formatExitBelow } from '../../api/exit-below.ts';
import type { ClonePool, ClonePoolSpec } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplateSpec } from '../../api/v1alpha1/clone-template.ts';
import { fnv1a } from '../../base/hash.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { expiryBucket, preferSameExpiry } from './affinity.ts';
import { ownKeys, revisionOf } from './target.ts';
import type { TargetDeployment, TemplateContainer, TemplatePodSpec } from './target.ts';

/** The burst that a clone is made for. */
export interface BuildWindow {
  readonly id: string;
  /** The end of the window, which is when its clones end; epoch seconds. */
  readonly deadline: number;
}

/** What a clone is made from, and what for. */
export interface BuildInput {
  readonly pool: ClonePool;
  readonly target: TargetDeployment;
  readonly template?: CloneTemplateSpec | undefined;
  /** Left out in mode Scale, where a clone lives for `lifetime.maxSeconds`. */
  readonly window?: BuildWindow | undefined;
  /** From 0: which of the window's clones. */
  readonly index: number;
  /** From 1: higher when an earlier clone of that index is still there. */
  readonly generation: number;
  readonly now: number;
  /** Of `splitLabels`, or none with `serving: Hidden`. */
  readonly labels: Readonly<Record<string, string>>;
  /** In place of the pool's, when the scheduler it names does not work. */
  readonly placement?: ClonePoolSpec['placement']['strategy'];
  /** A PriorityClass with preemptionPolicy Never, for clones of targets that have none. */
  readonly priorityClassName?: string | undefined;
}

/** A pod to create. */
export interface PodManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly object[];
  };
  readonly spec: TemplatePodSpec;
}

/** A pod's name is the value of a label, and its host name. */
const maxNameLength = 63;
const hashLength = 6;
const defaultGraceSeconds = 30;
/** So much later than the sweeper would have ended it, the kubelet does: when all of Headstart is gone. */
const backstopSeconds = 300;
const scheduler = 'headstart-scheduler';

/**
 * The pod of a clone, from the target's pod template and never from a live pod, which has much that is its own. The
 * controlling owner is in it from the first write on, so that no ReplicaSet adopts it.
 */
export function buildClone(input: BuildInput): PodManifest {
  const { pool, target, template } = input;
  const { name, namespace, uid } = pool.metadata;
  const deadline = deadlineOf(input);
  const bucket = expiryBucket(deadline.effective, pool.spec.placement.bucketSeconds);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: cloneName(pool.metadata, { windowId: input.window?.id, index: input.index, generation: input.generation }),
      namespace,
      labels: {
        ...input.labels,
        [cloneLabels.clone]: 'true',
        [cloneLabels.pool]: name,
        [cloneLabels.revision]: revisionOf(target, template),
        [cloneLabels.expiryBucket]: String(bucket),
      },
      annotations: annotationsOf(input, deadline),
      ownerReferences: [
        { apiVersion: pool.apiVersion, kind: pool.kind, name, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: specOf(input, bucket),
  };
}

/**
 * `<pool>-<hash of pool and window>-<index>[-g<generation>]`: the same for the same clone, so that a create that is
 * repeated finds the name taken instead of making a second one. A pool of the same name made anew has other names.
 */
export function cloneName(
  pool: { readonly name: string; readonly uid: string },
  slot: { readonly windowId: string | undefined; readonly index: number; readonly generation: number },
): string {
  const hash = fnv1a(`${pool.uid}/${pool.name}/${slot.windowId ?? ''}`) % 36 ** hashLength;
  const generation = slot.generation > 1 ? `-g${slot.generation}` : '';
  const end = `-${hash.toString(36).padStart(hashLength, '0')}-${slot.index}${generation}`;
  return pool.name.slice(0, maxNameLength - end.length).replace(/[-.]+$/, '') + end;
}

interface Deadline {
  /** Undefined where only the time to live counts. */
  readonly absolute: number | undefined;
  readonly effective: number;
}

function deadlineOf({ pool, window, now }: BuildInput): Deadline {
  const { maxSeconds } = pool.spec.lifetime;
  const absolute = window?.deadline;
  return { absolute, effective: Math.min(absolute ?? Number.POSITIVE_INFINITY, now + maxSeconds) };
}

function annotationsOf(input: BuildInput, deadline: Deadline): Record<string, string> {
  const { pool, target, template, window, now } = input;
  const { lifetime, utilizationExit } = pool.spec;
  const exitBelow = utilizationExit === undefined ? undefined : formatExitBelow(utilizationExit);
  return {
    ...ownKeys(target.spec.template.metadata?.annotations),
    ...template?.annotations,
    ...(deadline.absolute === undefined ? {} : { [cloneAnnotations.deadline]: formatRfc3339(deadline.absolute) }),
    [cloneAnnotations.ttlSeconds]: String(lifetime.maxSeconds),
    ...(exitBelow === undefined ? {} : { [cloneAnnotations.exitBelow]: exitBelow }),
    ...(window === undefined ? {} : { [cloneAnnotations.window]: window.id }),
    // Karpenter from 1.12 on reads a duration since the pod's start; older ones ignore it.
    'karpenter.sh/do-not-disrupt': `${Math.max(1, Math.ceil((deadline.effective - now) / 60))}m`,
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  };
}

function specOf(input: BuildInput, bucket: number): TemplatePodSpec {
  const { pool, target, template } = input;
  // What one pod has, and a second one cannot have, and what others hold it back with.
  const { nodeName: _node, hostname: _host, schedulingGates: _gates, ...given } = target.spec.template.spec;
  const grace = template?.terminationGracePeriodSeconds ?? given.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  return {
    ...given,
    ...containersOf(given, template),
    ...nodesOf(given, template),
    ...priorityOf(given, input),
    ...placementOf(given, input, bucket),
    terminationGracePeriodSeconds: grace,
    activeDeadlineSeconds: pool.spec.lifetime.maxSeconds + grace + backstopSeconds,
  };
}

function nodesOf(given: TemplatePodSpec, template: CloneTemplateSpec | undefined): Partial<TemplatePodSpec> {
  const tolerations = [...(given.tolerations ?? []), ...(template?.tolerations ?? [])];
  const nodeSelector = { ...given.nodeSelector, ...template?.nodeSelector };
  return {
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
  };
}

/**
 * A pod may not name a preemptionPolicy other than its PriorityClass has (plugin/pkg/admission/priority), so that Never
 * comes with a class of its own, where neither the target nor the CloneTemplate names one.
 */
function priorityOf(given: TemplatePodSpec, { template, priorityClassName }: BuildInput): Partial<TemplatePodSpec> {
  if (template?.priorityClassName !== undefined) return { priorityClassName: template.priorityClassName };
  const hasOwn = given.priorityClassName !== undefined && given.priorityClassName !== '';
  return hasOwn || priorityClassName === undefined ? {} : { priorityClassName };
}

function placementOf(
  given: TemplatePodSpec,
  { pool, placement }: BuildInput,
  bucket: number,
): Partial<TemplatePodSpec> {
  switch (placement ?? pool.spec.placement.strategy) {
    case 'None':
      return {};
    case 'Affinity':
      return { affinity: preferSameExpiry(given.affinity, bucket) };
    case 'Scheduler':
      return { schedulerName: scheduler };
  }
}

function containersOf(given: TemplatePodSpec, template: CloneTemplateSpec | undefined): Partial<TemplatePodSpec> {
  const override = (containers: readonly TemplateContainer[]): TemplateContainer[] =>
    containers.map((container) => overrideContainer(container, template));
  return {
    containers: override(given.containers ?? []),
    ...(given.initContainers === undefined ? {} : { initContainers: override(given.initContainers) }),
  };
}

function overrideContainer(container: TemplateContainer, template: CloneTemplateSpec | undefined): TemplateContainer {
  const own = template?.containers?.find(({ name }) => name === container.name);
  if (own === undefined) return container;
  const { env = [], resources } = own;
  const replaced = new Set(env.map(({ name }) => name));
  const kept = (container.env ?? []).filter(({ name }) => !replaced.has(name));
  return {
    ...container,
    ...(env.length === 0 ? {} : { env: [...kept, ...env] }),
    ...(resources === undefined ? {} : { resources: mergeResources(container.resources, resources) }),
  };
}

function mergeResources(given: TemplateContainer['resources'], own: TemplateContainer['resources']) {
  const requests = { ...given?.requests, ...own?.requests };
  const limits = { ...given?.limits, ...own?.limits };
  return { ...given, requests, limits };
}
