// SPDX-License-Identifier: Apache-2.0
import type { ExitReason } from '../src/api/clone-labels.ts';
import { cloneLabels } from '../src/api/clone-labels.ts';
import type { ClonePool, ClonePoolSpec } from '../src/api/v1alpha1/clone-pool.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { pass } from './stage.ts';

/** A pod as a story sees it. Times are epoch seconds. */
export interface SeenPod {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAt: number;
  /** False from the moment it is deleted on. */
  readonly isReady: boolean;
  readonly isDeleted: boolean;
}

/** All pods of the namespace at one time. */
export interface Sight {
  readonly time: number;
  readonly pods: readonly SeenPod[];
}

/** What pods there were, second by second. */
export interface PodLog {
  readonly sights: readonly Sight[];
  /** Now, of what was made from an app: clones, or the others. */
  clonesOf(pool: string): Promise<readonly SeenPod[]>;
  stop(): Promise<void>;
}

/** Looks at the pods of namespace default every second, until it is stopped. */
export function followPods(controlPlane: ControlPlane): PodLog {
  const sights: Sight[] = [];
  const ended = new AbortController();
  const follow = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const startMs = Date.now();
      // An apiserver that is busy is asked again; a gap shows in the times.
      await seePods(controlPlane).then(
        (pods) => sights.push({ time: startMs / 1000, pods }),
        () => undefined,
      );
      await pass(Math.max(0, 1 - (Date.now() - startMs) / 1000));
    }
  };
  const following = follow();
  return {
    sights,
    clonesOf: async (pool) => (await seePods(controlPlane)).filter((pod) => isCloneOf(pod, pool)),
    stop: async () => {
      ended.abort();
      await following;
    },
  };
}

/** Is it marked as a clone of the pool? */
export function isCloneOf({ labels }: SeenPod, pool: string): boolean {
  return labels[cloneLabels.pool] === pool;
}

/** Is it a pod of the Deployment `app` itself? */
export function isBaseOf({ labels }: SeenPod, app: string): boolean {
  return labels['app'] === app && labels[cloneLabels.clone] === undefined;
}

interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
  };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function seePods(controlPlane: ControlPlane): Promise<SeenPod[]> {
  const { items } = JSON.parse(await controlPlane.kubectlOk(['get', 'pods', '-o', 'json'])) as {
    items: readonly PodObject[];
  };
  return items.map(({ metadata, status }) => {
    const isDeleted = metadata.deletionTimestamp !== undefined;
    const isTrue = status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True');
    return {
      name: metadata.name,
      uid: metadata.uid,
      labels: metadata.labels ?? {},
      annotations: metadata.annotations ?? {},
      createdAt: Date.parse(metadata.creationTimestamp) / 1000,
      isReady: isTrue === true && !isDeleted,
      isDeleted,
    };
  });
}

/** A Deployment that can be cloned: its pods request 100m of CPU, and are Ready after a second. */
export function cloneTarget(name: string, replicas: number): Record<string, unknown> {
  const labels = { app: name };
  const container = {
    name: 'app',
    image: 'registry.k8s.io/pause:3.10',
    resources: { requests: { cpu: '100m', memory: '64Mi' } },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default', labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } },
    },
  };
}

/** The Service of an app. */
export function serviceOf(name: string): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  };
}

type PoolFields = { readonly [Key in keyof ClonePoolSpec]?: Partial<ClonePoolSpec[Key]> };

/** A ClonePool of the Deployment of its name. */
export function clonePool(name: string, spec: PoolFields): Record<string, unknown> {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: { name, namespace: 'default' },
    spec: { targetRef: { name }, ...spec },
  };
}

/** The ClonePool as it is now. */
export async function readPool(controlPlane: ControlPlane, name: string): Promise<ClonePool> {
  return JSON.parse(await controlPlane.kubectlOk(['get', 'clonepool', name, '-o', 'json'])) as ClonePool;
}

/** `MetricsMissing: 2 of 4 clones …`: reason and message of a condition. */
export function conditionOf({ status }: ClonePool, type: string): string {
  const found = status?.conditions?.find((condition) => condition.type === type);
  return `${found?.reason}: ${found?.message}`;
}

/** How many clones ended, by the pool's status. */
export function exitsOf({ status }: ClonePool): Partial<Record<ExitReason, number>> {
  return status?.exits ?? {};
}

/** What Events say about an object: `<reason>: <note>`. */
export async function eventsAbout(
  controlPlane: ControlPlane,
  kind: 'ClonePool' | 'Pod',
  name: string,
): Promise<string[]> {
  const { items } = JSON.parse(await controlPlane.kubectlOk(['get', 'events.events.k8s.io', '-o', 'json'])) as {
    items: readonly {
      readonly regarding: { readonly kind: string; readonly name: string };
      readonly reason: string;
      readonly note?: string;
    }[];
  };
  return items
    .filter(({ regarding }) => regarding.kind === kind && regarding.name === name)
    .map(({ reason, note }) => `${reason}: ${note ?? ''}`);
}
