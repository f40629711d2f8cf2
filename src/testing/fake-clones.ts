// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations, cloneLabels } from '../api/clone-labels.ts';
import type { ClonePool, ClonePoolSpec } from '../api/v1alpha1/clone-pool.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject, KubeRequest, WatchEvent } from '../kube/client.ts';

/** What a budget says to an eviction. */
export type Budget = 'Allows' | 'Refuses' | 'Several';

interface FakePod {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    resourceVersion: string;
    readonly creationTimestamp: string;
    deletionTimestamp?: string;
    readonly labels: Record<string, string>;
    annotations: Record<string, string>;
    readonly ownerReferences: unknown[];
  };
  readonly spec: { nodeName?: string; readonly containers: readonly unknown[] };
  readonly status: { phase: string; readonly startTime: string; readonly conditions: readonly unknown[] };
}

/** How a fake clone is. Times are epoch seconds. */
export interface FakeCloneOptions {
  readonly pool?: string | undefined;
  readonly createdAt?: number;
  readonly deadline: number;
  readonly node?: string;
  readonly phase?: string;
  readonly isReady?: boolean;
  readonly revision?: string;
}

type Body = {
  readonly metadata?: {
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly annotations?: Record<string, string | null>;
  };
  readonly spec?: { readonly replicas?: number };
  readonly deleteOptions?: DeleteOptions;
} & DeleteOptions;

interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly gracePeriodSeconds?: number;
}

/**
 * Pods and ClonePools of the namespace `shop` as an apiserver keeps them: versions, uid preconditions, evictions,
 * budgets, pods that terminate for a while. It counts how often each pod was ended.
 */
export class FakeClones implements KubeClient {
  readonly requests: KubeRequest[] = [];
  /** Uids in the order in which their deletion began. */
  readonly ended: string[] = [];
  /** Deletions of what was being deleted already. */
  readonly endedAgain: string[] = [];
  budget: (pod: string) => Budget = () => 'Allows';
  /** Called before each request; what it throws is the answer. */
  before: (request: KubeRequest) => void = () => undefined;
  /** Called when a request has been carried out; what it throws is what the caller sees. */
  after: (request: KubeRequest) => void = () => undefined;
  readonly #pods = new Map<string, FakePod>();
  readonly #pools = new Map<string, ClonePool>();
  #version = 100;

  async request<T>(request: KubeRequest): Promise<T> {
    this.before(request);
    this.requests.push(request);
    const answer = structuredClone(this.#answer(request)) as T;
    this.after(request);
    return answer;
  }

  watch(): AsyncIterable<WatchEvent> {
    throw new HeadstartError('Internal', 'no watches here');
  }

  addPool(name: string, spec: Partial<ClonePoolSpec> = {}): ClonePool {
    const pool: ClonePool = {
      apiVersion: 'headstart.dev/v1alpha1',
      kind: 'ClonePool',
      metadata: {
        namespace: 'shop',
        name,
        uid: `pool-${name}`,
        generation: 1,
        resourceVersion: this.#next(),
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: {
        targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minBurstReplicas: 2,
        maxBurstSeconds: 3600,
        mode: 'Predictive',
        replicas: 0,
        maxReplicas: 1000,
        suspend: false,
        lifetime: { maxSeconds: 86_400, marginSeconds: 60, startupBudgetSeconds: 180 },
        serving: 'ServiceLabels',
        onTargetChange: 'Retire',
        termination: { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 6000 },
        placement: { strategy: 'Affinity', bucketSeconds: 300 },
        ...spec,
      },
    };
    this.#pools.set(name, pool);
    return pool;
  }

  addClone(name: string, options: FakeCloneOptions): void {
    this.#pods.set(name, podOf(name, this.#next(), options));
  }

  /** The pods that terminate go. */
  reap(): void {
    for (const [name, { metadata }] of this.#pods)
      if (metadata.deletionTimestamp !== undefined) this.#pods.delete(name);
  }

  removePod(name: string): void {
    this.#pods.delete(name);
  }

  removePool(name: string): void {
    this.#pools.delete(name);
  }

  schedule(name: string, node: string): void {
    const pod = this.#pods.get(name);
    if (pod === undefined) return;
    pod.spec.nodeName = node;
    pod.status.phase = 'Running';
    pod.metadata.resourceVersion = this.#next();
  }

  setReplicas(name: string, replicas: number): void {
    const pool = this.#pools.get(name);
    if (pool !== undefined) this.#putPool(pool, replicas);
  }

  pods(): KubeObject[] {
    return structuredClone([...this.#pods.values()]);
  }

  pools(): ClonePool[] {
    return structuredClone([...this.#pools.values()]);
  }

  /** `a b 3`: who is there and does not terminate, and spec.replicas of the pool `web`. */
  state(): string {
    const alive = [...this.#pods.values()].filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const names = alive.map(({ metadata }) => metadata.name).toSorted();
    return [...names, this.#pools.get('web')?.spec.replicas ?? 'no pool'].join(' ');
  }

  #answer(request: KubeRequest): unknown {
    const { path, method = 'GET' } = request;
    const [, kind, name = '', subresource] =
      /\/namespaces\/shop\/(pods|clonepools)\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    const body = (request.body ?? {}) as Body;
    if (kind === 'clonepools') return this.#answerPool(name, method, body);
    const pod = this.#pods.get(name);
    if (pod === undefined) throw new HeadstartError('NotFound', `${path}: not found (HTTP 404)`);
    if (subresource === 'eviction') return this.#evict(pod, body.deleteOptions ?? {});
    if (method === 'DELETE') return this.#delete(pod, body);
    return method === 'PATCH' ? this.#patch(pod, body) : pod;
  }

  #answerPool(name: string, method: string, { metadata, spec }: Body): ClonePool {
    const pool = this.#pools.get(name);
    if (pool === undefined) throw new HeadstartError('NotFound', `ClonePool ${name}: not found (HTTP 404)`);
    if (method === 'GET') return pool;
    if (metadata?.resourceVersion !== pool.metadata.resourceVersion) throw conflict('the object has been modified');
    return this.#putPool(pool, spec?.replicas ?? pool.spec.replicas);
  }

  #putPool(pool: ClonePool, replicas: number): ClonePool {
    const metadata = { ...pool.metadata, resourceVersion: this.#next() };
    const next = { ...pool, metadata, spec: { ...pool.spec, replicas } };
    this.#pools.set(pool.metadata.name, next);
    return next;
  }

  #patch(pod: FakePod, { metadata }: Body): FakePod {
    if (metadata?.uid !== undefined && metadata.uid !== pod.metadata.uid) {
      throw new HeadstartError('InvalidInput', 'metadata.uid: field is immutable (HTTP 422)');
    }
    for (const [key, value] of Object.entries(metadata?.annotations ?? {})) {
      if (value === null) delete pod.metadata.annotations[key];
      else pod.metadata.annotations[key] = value;
    }
    pod.metadata.resourceVersion = this.#next();
    return pod;
  }

  #evict(pod: FakePod, options: DeleteOptions): unknown {
    const isCovered = pod.status.phase === 'Running' && pod.metadata.deletionTimestamp === undefined;
    const answer = isCovered ? this.budget(pod.metadata.name) : 'Allows';
    if (answer === 'Refuses') {
      throw new HeadstartError(
        'Throttled',
        "Cannot evict pod as it would violate the pod's disruption budget. (HTTP 429)",
      );
    }
    if (answer === 'Several') {
      const text = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
      throw new HeadstartError('Unavailable', `${text} (HTTP 500)`);
    }
    return this.#delete(pod, options);
  }

  #delete({ metadata }: FakePod, { preconditions, gracePeriodSeconds }: DeleteOptions): unknown {
    if (gracePeriodSeconds !== undefined) throw new HeadstartError('InvalidInput', 'nobody sets a grace period');
    const { uid, resourceVersion } = preconditions ?? {};
    if (uid === undefined) throw new HeadstartError('InvalidInput', 'nobody deletes without a uid');
    if (uid !== metadata.uid) throw conflict('Precondition failed: UID');
    if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion)
      throw conflict('resourceVersion');
    if (metadata.deletionTimestamp !== undefined) {
      this.endedAgain.push(metadata.name);
      return {};
    }
    metadata.deletionTimestamp = time(1);
    metadata.resourceVersion = this.#next();
    this.ended.push(metadata.name);
    return {};
  }

  #next(): string {
    this.#version += 1;
    return String(this.#version);
  }
}

function podOf(name: string, version: string, options: FakeCloneOptions): FakePod {
  const { createdAt = options.deadline - 600, deadline, node = 'n1', revision = 'r1' } = options;
  const pool = 'pool' in options ? options.pool : 'web';
  const created = time(createdAt);
  return {
    metadata: {
      namespace: 'shop',
      name,
      uid: `uid-${name}-${version}`,
      resourceVersion: version,
      creationTimestamp: created,
      labels: { [cloneLabels.clone]: 'true', [cloneLabels.pool]: pool ?? 'gone', [cloneLabels.revision]: revision },
      annotations: {
        [cloneAnnotations.deadline]: time(deadline),
        [cloneAnnotations.ttlSeconds]: '86400',
        'karpenter.sh/do-not-disrupt': '10m',
      },
      ownerReferences: pool === undefined ? [] : [ownerOf(pool)],
    },
    spec: {
      ...(node === '' ? {} : { nodeName: node }),
      containers: [{ name: 'app', resources: { requests: { cpu: '1' } } }],
    },
    status: statusOf(options, created),
  };
}

function statusOf({ node, phase, isReady = true }: FakeCloneOptions, created: string): FakePod['status'] {
  const isPlaced = node !== '';
  const ready = isReady && isPlaced ? 'True' : 'False';
  return {
    phase: phase ?? (isPlaced ? 'Running' : 'Pending'),
    startTime: created,
    conditions: [{ type: 'Ready', status: ready, lastTransitionTime: created }],
  };
}

function ownerOf(pool: string): object {
  return { apiVersion: 'headstart.dev/v1alpha1', kind: 'ClonePool', name: pool, uid: `pool-${pool}`, controller: true };
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

function conflict(message: string): HeadstartError {
  return new HeadstartError('Conflict', `${message} (HTTP 409)`);
}
