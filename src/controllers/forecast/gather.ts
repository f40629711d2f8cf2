// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { SignalName } from '../../api/v1alpha1/forecast-signals.ts';
import type { Clock } from '../../base/clock.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { LabelSelector } from '../../capacity/label-selector.ts';
import type { PodStart } from '../../capacity/lead.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { linkSignal } from '../../kube/deadline.ts';
import { resourcePath } from '../../kube/paths.ts';
import type { ObjectStore } from '../../kube/store.ts';
import { isTimeZone } from '../../series/calendar.ts';
import type { PrometheusServers } from '../../sources/metrics/prometheus-servers.ts';
import { sourceName } from './demand-source.ts';
import { openPrometheus } from './open-source.ts';
import type { OpenedSource } from './open-source.ts';
import type { UsageRegistry } from './resource-source.ts';
import { readDemand, refusedDemand } from './read-demand.ts';
import type { DemandRead, HistoryPlan } from './read-demand.ts';
import { readSignals } from './read-signals.ts';
import type { SignalRead } from './read-signals.ts';
import type { TargetReading } from './snapshot.ts';

/** Whom to ask. */
export interface GatherContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly forecasts: ObjectStore<DemandForecast>;
  readonly hpas: ObjectStore<HorizontalPodAutoscaler & KubeObject>;
  /** Where demand may be read. */
  readonly servers: PrometheusServers;
  readonly usage: UsageRegistry;
  /** For everything that is read from the source for one forecast, its retries included; 40 s when left out. */
  readonly sourceTimeoutMs?: number;
  /** Told of what could not be read and has no condition. */
  readonly onProblem?: (problem: {
    readonly namespace: string;
    readonly name: string;
    readonly error: unknown;
  }) => void;
}

/** What was read for one forecast. */
export interface Gathered extends DemandRead {
  readonly forecasts: readonly DemandForecast[];
  readonly hpas: readonly HorizontalPodAutoscaler[];
  readonly target: TargetReading;
  /** Undefined when they were not asked for, or could not be read. */
  readonly pods: readonly PodStart[] | undefined;
  /** Ready pods of the target; undefined when it could not be read. */
  readonly readyReplicas: number | undefined;
  /** Pods that the target is to have; undefined when it could not be read. */
  readonly wantedReplicas: number | undefined;
  readonly signals: readonly SignalRead[];
}

/** What is known already. */
export interface KnownSoFar {
  readonly plan: HistoryPlan;
  /** When the newest sample of a signal is from, by its query. */
  readonly signalTime: (name: SignalName, query: string) => number | undefined;
  readonly signal: AbortSignal;
}

const plurals = { Deployment: 'deployments', StatefulSet: 'statefulsets' } as const;
/** Pods of one list; a part of a larger workload is a fair sample. */
const maxPods = 500;

/**
 * Reads everything that a decision needs. What cannot be read is part of the answer.
 * @throws only what no condition has a word for
 */
export async function gather(context: GatherContext, forecast: DemandForecast, known: KnownSoFar): Promise<Gathered> {
  const { signal } = known;
  const { namespace } = forecast.metadata;
  const reading = readTarget(context, forecast, signal);
  const [workload, read] = await Promise.all([
    reading,
    readDemandInTime(context, forecast, { known, target: async () => await reading }),
  ]);
  const { selector: _selector, ...target } = workload;
  return {
    ...read,
    ...target,
    forecasts: context.forecasts.list(namespace),
    hpas: context.hpas.list(namespace),
  };
}

type TargetRead = Pick<Gathered, 'target' | 'pods' | 'readyReplicas' | 'wantedReplicas'> & {
  readonly selector: LabelSelector | undefined;
};

async function readDemandInTime(
  context: GatherContext,
  forecast: DemandForecast,
  { known, target }: { readonly known: KnownSoFar; readonly target: () => Promise<TargetRead> },
): Promise<DemandRead & Pick<Gathered, 'signals'>> {
  const { plan, signal } = known;
  const { clock, sourceTimeoutMs = 40_000 } = context;
  const { spec } = forecast;
  const opened = await open(context, forecast, { signal, target });
  if (opened.kind === 'refused') return { ...refusedDemand(opened.reason, opened.message), signals: [] };
  const { source, query, signals } = opened;
  // Without a time zone nothing is learnt from it.
  const window = isTimeZone(spec.timeZone) ? spec.history.window : spec.staleAfter;
  const windowSeconds = parseDurationSeconds(window, 'spec.history.window');
  const link = linkSignal(signal);
  const timer = new AbortController();
  const expire = (): void => link.abort(new HeadstartError('Timeout', `not read within ${sourceTimeoutMs / 1000} s`));
  // It rejects when the reading was done in time.
  clock.sleep(sourceTimeoutMs, timer.signal).then(expire, () => undefined);
  try {
    const now = clock.nowMs() / 1000;
    const from = sourceName(spec);
    const at = { now, signal: link.signal };
    const [read, signalReads] = await Promise.all([
      readDemand(source, { query, from, windowSeconds, plan }, at),
      readSignals(source, signals, { ...at, known: known.signalTime }),
    ]);
    return { ...read, signals: signalReads };
  } finally {
    timer.abort();
    link.unlink();
  }
}

async function open(
  context: GatherContext,
  forecast: DemandForecast,
  { signal, target }: { readonly signal: AbortSignal; readonly target: () => Promise<TargetRead> },
): Promise<OpenedSource> {
  const { prometheus, resource } = forecast.spec.source;
  if (prometheus !== undefined) return await openPrometheus(context, forecast, { spec: prometheus, signal });
  // The pods to measure are those of the target.
  const { selector } = await target();
  if (selector === undefined || resource === undefined) {
    return {
      kind: 'refused',
      reason: 'NoData',
      message: 'the pods to measure are not known: the target cannot be read',
    };
  }
  const source = context.usage.open({ forecast, resource: resource.name }, formatSelector(selector));
  return { kind: 'open', source, query: resource.name, signals: [] };
}

interface Workload {
  readonly spec?: { readonly selector?: LabelSelector; readonly replicas?: number };
  /** Without the field no pod is ready. */
  readonly status?: { readonly readyReplicas?: number };
}

const unread = { pods: undefined, readyReplicas: undefined, wantedReplicas: undefined, selector: undefined };

async function readTarget(context: GatherContext, forecast: DemandForecast, signal: AbortSignal): Promise<TargetRead> {
  const { scaleTargetRef, lead } = forecast.spec;
  const { apiVersion, kind, name } = scaleTargetRef;
  const { namespace } = forecast.metadata;
  try {
    const path = resourcePath({ apiVersion, plural: plurals[kind], namespace, name });
    const workload = await context.client.request<Workload>({ path, signal });
    const target: TargetReading = { kind: 'found' };
    const selector = workload.spec?.selector;
    const replicas = {
      readyReplicas: workload.status?.readyReplicas ?? 0,
      wantedReplicas: workload.spec?.replicas ?? 1,
    };
    if (lead !== 'auto' || selector === undefined) return { target, pods: undefined, ...replicas, selector };
    return { target, pods: await readPods(context, forecast, { selector, signal }), ...replicas, selector };
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    if (error.code === 'NotFound') return { target: { kind: 'missing' }, ...unread };
    return { target: { kind: 'unreadable', message: errorMessage(error) }, ...unread };
  }
}

interface Pod extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly { readonly restartCount?: number }[];
  };
}

/** Undefined when they cannot be read: what is known of earlier pods has to do. */
async function readPods(
  { client, onProblem = () => undefined }: GatherContext,
  { metadata: { namespace, name } }: DemandForecast,
  { selector, signal }: { readonly selector: LabelSelector; readonly signal: AbortSignal },
): Promise<PodStart[] | undefined> {
  const path = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace });
  const query = { labelSelector: formatSelector(selector), limit: String(maxPods) };
  try {
    const { items } = await client.request<{ readonly items?: readonly Pod[] }>({ path, query, signal });
    return (items ?? []).flatMap(startOf);
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    onProblem({ namespace, name, error });
    return undefined;
  }
}

function startOf({ metadata, status }: Pod): PodStart[] {
  const createdSeconds = Date.parse(metadata.creationTimestamp ?? '') / 1000;
  if (metadata.uid === undefined || Number.isNaN(createdSeconds)) return [];
  const ready = status?.conditions?.find((condition) => condition.type === 'Ready' && condition.status === 'True');
  const readySeconds = Date.parse(ready?.lastTransitionTime ?? '') / 1000;
  const restarts = (status?.containerStatuses ?? []).reduce((sum, { restartCount = 0 }) => sum + restartCount, 0);
  return [
    {
      uid: metadata.uid,
      createdSeconds,
      readySeconds: Number.isNaN(readySeconds) ? undefined : readySeconds,
      restarts,
    },
  ];
}

/** As the apiserver reads it (apimachinery/pkg/labels/selector.go). */
function formatSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    switch (operator) {
      case 'In':
        return `${key} in (${values.join(',')})`;
      case 'NotIn':
        return `${key} notin (${values.join(',')})`;
      case 'Exists':
        return key;
      case 'DoesNotExist':
        return `!${key}`;
    }
  });
  return [...labels, ...expressions].join(',');
}
