// SPDX-License-Identifier: Apache-2.0
import type { Logger } from 'pino';
import { clonePools } from '../api/clone-labels.ts';
import { apiVersion, demandForecasts } from '../api/labels.ts';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { systemClock } from '../base/clock.ts';
import { errorCode, errorMessage } from '../base/errors.ts';
import type { HorizontalPodAutoscaler } from '../capacity/hpa.ts';
import type { Config } from '../config.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { createLeaderElector } from '../kube/lease.ts';
import type { LeaderElector } from '../kube/lease.ts';
import { resourcePath } from '../kube/paths.ts';
import { createEventRecorder } from '../kube/recorder.ts';
import type { EventRecorder } from '../kube/recorder.ts';
import { createReflector } from '../kube/reflector.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { Change, ObjectStore } from '../kube/store.ts';
import { createMetrics } from '../observability/metrics.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ReadinessCheck } from '../server/probes.ts';
import type { PrometheusSettings } from '../sources/metrics/prometheus-settings.ts';

/** What a process is made from. */
export interface Parts {
  readonly config: Config;
  readonly prometheus: PrometheusSettings;
  readonly logger: Logger;
  readonly version: string;
}

/** A collection that is kept in memory; what several roles need is followed once. */
export interface Followed<T> {
  readonly store: ObjectStore<T>;
  /** Resolves after the first complete list; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** Whether requests are welcome, as far as this goes. */
  readonly check: ReadinessCheck;
  /** Tells of each change in the store, after it. */
  onChange(listener: (change: Change<T>) => void): void;
}

/** A collection to follow. */
interface CollectionRef<T extends KubeObject> {
  readonly apiVersion: string;
  readonly plural: string;
  /** What it is called where that is not all of them: in metrics, probes and logs. */
  readonly name?: string;
  readonly query?: { readonly fieldSelector?: string; readonly labelSelector?: string };
  /** A kind that may not be installed: then there is none, and it is looked for again. */
  readonly isOptional?: boolean;
  /** What is kept of an object; all of it when left out. */
  readonly parse?: (object: KubeObject) => T;
}

/** What the roles of one process share. */
export interface Shared extends Parts {
  readonly client: KubeClient;
  readonly metrics: Metrics;
  readonly forecasts: Followed<DemandForecast & KubeObject>;
  readonly hpas: () => Followed<HorizontalPodAutoscaler & KubeObject>;
  readonly pools: () => Followed<ClonePool & KubeObject>;
  /** Follows a collection that no other role needs; call it before the process runs. */
  readonly follow: <T extends KubeObject>(collection: CollectionRef<T>) => Followed<T>;
  /** All that is followed. */
  readonly following: readonly Pick<Reflector<unknown>, 'run'>[];
}

/** One role: what its readiness waits for, and its work until the signal aborts. */
export interface Role {
  readonly checks: readonly ReadinessCheck[];
  /** @throws when the role cannot go on */
  run(signal: AbortSignal): Promise<void>;
}

export const clock = systemClock;
export const random = Math.random;

/** What the roles share, before any of them is there. */
export function createShared(parts: Parts): Shared {
  const { config, logger, version } = parts;
  const metrics = createMetrics(version);
  const client = createKubeClient({
    kubeconfig: config.kubeconfig,
    inClusterServer: config.inClusterServer,
    userAgent: `headstart-${config.role}/${version}`,
    onRequest: metrics.kubeRequest,
  });
  const following: Pick<Reflector<unknown>, 'run'>[] = [];
  const follow = <T extends KubeObject>(collection: CollectionRef<T>): Followed<T> => {
    const { plural, name = plural, query, parse, isOptional = false } = collection;
    const listeners: ((change: Change<T>) => void)[] = [];
    const reflector = createReflector<T>({
      client,
      path: resourcePath({ apiVersion: collection.apiVersion, plural }),
      clock,
      random,
      isOptional,
      onChange: (change) => {
        for (const listener of listeners) listener(change);
      },
      onError: (error) => warn(logger, `following ${name}`, error),
      ...(query === undefined ? {} : { query }),
      ...(parse === undefined ? {} : { parse }),
    });
    following.push(reflector);
    metrics.followContact(name, () => reflector.store.lastContactMs());
    return {
      store: reflector.store,
      whenSynced: reflector.whenSynced,
      check: { name, isReady: () => reflector.store.hasSynced() },
      onChange: (listener) => void listeners.push(listener),
    };
  };
  return {
    ...parts,
    client,
    metrics,
    follow,
    following,
    forecasts: follow<DemandForecast & KubeObject>({ apiVersion, plural: demandForecasts }),
    hpas: once(() =>
      follow<HorizontalPodAutoscaler & KubeObject>({
        apiVersion: 'autoscaling/v2',
        plural: 'horizontalpodautoscalers',
      }),
    ),
    pools: once(() => follow<ClonePool & KubeObject>({ apiVersion, plural: clonePools, isOptional: true })),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Events in the name of a controller. */
export function createRecorder({ client, config, logger }: Shared, reportingController: string): EventRecorder {
  return createEventRecorder({
    client,
    clock,
    random,
    reportingController,
    reportingInstance: config.identity,
    onError: (error) => warn(logger, 'writing an Event', error),
  });
}

/** One replica at a time does the work: the one that holds the Lease. */
export async function runAsLeader(
  { client, config, logger, metrics }: Shared,
  { lease, signal, work }: { lease: string; signal: AbortSignal; work: (leading: AbortSignal) => Promise<void> },
): Promise<void> {
  const elector: LeaderElector = createLeaderElector({
    client,
    namespace: config.namespace,
    name: lease,
    identity: config.identity,
    clock,
    random,
    onError: (error) => warn(logger, 'electing a leader', error),
  });
  await elector.run({
    signal,
    onStartedLeading: async (leading) => {
      logger.info({ identity: config.identity, lease }, 'leading');
      metrics.leading(lease, true);
      await work(leading);
    },
    onStoppedLeading: () => {
      logger.info({ identity: config.identity, lease }, 'not leading any more');
      metrics.leading(lease, false);
    },
  });
}

/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Says what did not work, with the word for why. */
export function warn(logger: Logger, what: string, error: unknown): void {
  logger.warn({ code: errorCode(error) }, `${what}: ${errorMessage(error)}`);
}
