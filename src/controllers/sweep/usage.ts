// SPDX-License-Identifier: Apache-2.0
import { goDurationSeconds } from '../../base/duration.ts';
import { errorCode, errorMessage, HeadstartError } from '../../base/errors.ts';
import { parseQuantity } from '../../base/quantity.ts';
import type { ContainerUsage, MeasuredResource } from '../../capacity/clones/utilization.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import type { Sample } from '../../series/time-series.ts';
import type { PrometheusServers } from '../../sources/metrics/prometheus-servers.ts';
import { enforceLabel } from '../../sources/metrics/promql.ts';
import { cloneSelector } from '../clone/clone-object.ts';

/** Usage of the containers of one pod, for each resource. */
export type PodUsage = Readonly<Record<MeasuredResource, ContainerUsage>>;

/** Measures clones. */
export interface UsageReader {
  /**
   * What metrics.k8s.io says of the clones of a namespace, by the pods' names. What cannot be read of it is missing.
   * @throws HeadstartError as KubeClient.request; Unavailable when nobody serves metrics.k8s.io
   */
  readPods(namespace: string, signal: AbortSignal): Promise<ReadonlyMap<string, PodUsage>>;
  /**
   * Percent by the label `pod`.
   * @throws HeadstartError NotFound for a server that is not configured; InvalidInput for a query that the server does
   * not allow; as LabelledSource.latestByLabel
   */
  readQuery(query: PodQuery, now: number, signal: AbortSignal): Promise<ReadonlyMap<string, Sample>>;
}

/** Which Prometheus server is asked what, for the pods of which namespace. */
export interface PodQuery {
  readonly namespace: string;
  readonly serverRef: string;
  readonly query: string;
}

interface PodMetrics extends KubeObject {
  readonly timestamp?: string;
  readonly window?: string;
  readonly containers?: readonly { readonly name?: string; readonly usage?: Readonly<Record<string, string>> }[] | null;
}

/** A reader over metrics.k8s.io and the configured Prometheus servers. */
export function createUsageReader({
  client,
  servers,
}: {
  readonly client: KubeClient;
  readonly servers: Pick<PrometheusServers, 'named' | 'names'>;
}): UsageReader {
  return {
    readPods: async (namespace, signal) => {
      const path = resourcePath({ apiVersion: 'metrics.k8s.io/v1beta1', plural: 'pods', namespace });
      const query = { labelSelector: cloneSelector };
      const list = await client.request<{ items?: readonly PodMetrics[] | null }>({ path, query, signal }).catch(hint);
      return new Map((list.items ?? []).map((item) => [item.metadata.name, readUsage(item)]));
    },
    readQuery: async ({ namespace, serverRef, query }, now, signal) => {
      const server = servers.named(serverRef);
      if (server === undefined) {
        const given = `spec.utilizationExit.serverRef: got ${JSON.stringify(serverRef)}`;
        throw new HeadstartError('NotFound', `${given}, want one of ${servers.names.join(', ')}`);
      }
      const label = server.enforceNamespaceLabel;
      const allowed = label === undefined ? query : enforceLabel(query, { label, value: namespace });
      return await server.source.latestByLabel({ query: allowed, label: 'pod', atSeconds: now, signal });
    },
  };
}

function hint(error: unknown): never {
  if (errorCode(error) !== 'NotFound') throw error;
  throw new HeadstartError('Unavailable', 'metrics.k8s.io is not served; is metrics-server installed?');
}

function readUsage({ timestamp, window, containers }: PodMetrics): PodUsage {
  const of = (resource: MeasuredResource): ContainerUsage => ({
    timestamp: Date.parse(timestamp ?? '') / 1000,
    windowSeconds: goDurationSeconds(window ?? ''),
    byContainer: new Map((containers ?? []).flatMap(({ name, usage }) => readContainer(name, usage?.[resource]))),
  });
  return { cpu: of('cpu'), memory: of('memory') };
}

/** Nothing for a container whose usage cannot be read: then the whole pod is unknown. */
function readContainer(name: string | undefined, text: string | undefined): [string, number][] {
  try {
    return name === undefined || text === undefined ? [] : [[name, parseQuantity(text, 'usage')]];
  } catch {
    return [];
  }
}

/** The reason of the condition MetricsAvailable that a failure means. */
export function failureOf(error: unknown, isQuery: boolean) {
  const message = errorMessage(error);
  const code = errorCode(error);
  if (!isQuery) return { reason: 'MetricsUnavailable', message } as const;
  if (code === 'NotFound') return { reason: 'UnknownServer', message } as const;
  const isFault = code === 'QueryFailed' || code === 'InvalidInput';
  return { reason: isFault ? 'QueryFailed' : 'MetricsUnavailable', message } as const;
}
