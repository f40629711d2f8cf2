// SPDX-License-Identifier: Apache-2.0
import type { Reason } from '../../api/reasons.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import type { MetricSource } from '../../sources/metrics/metric-source.ts';
import { perPodAverage } from '../../sources/metrics/per-pod-shape.ts';
import { demandQuery } from '../../sources/metrics/presets.ts';
import { readSecret } from '../../sources/metrics/prometheus-secret.ts';
import type { Credentials, SecretObject } from '../../sources/metrics/prometheus-secret.ts';
import type { PrometheusServer, PrometheusServers } from '../../sources/metrics/prometheus-servers.ts';
import { signalQueries } from '../../sources/metrics/signal-presets.ts';
import { enforceLabel } from '../../sources/metrics/promql.ts';
import type { SignalQuery } from './read-signals.ts';

/** Whom to ask for demand, and what; or why nobody is asked. */
export type OpenedSource =
  | {
      readonly kind: 'open';
      readonly source: MetricSource;
      readonly query: string;
      /** Asked of the same server in the same way. */
      readonly signals: readonly SignalQuery[];
    }
  | { readonly kind: 'refused'; readonly reason: Reason<'Observed'>; readonly message: string };

type PrometheusSpec = NonNullable<DemandForecast['spec']['source']['prometheus']>;
type Refused = Extract<OpenedSource, { kind: 'refused' }>;

/**
 * Finds the server that a DemandForecast may read from, the query that it may ask, and the credentials of its own
 * namespace. Until all three are allowed nothing is sent to any server.
 * @throws nothing that is a HeadstartError
 */
export async function openPrometheus(
  { client, servers }: { readonly client: KubeClient; readonly servers: PrometheusServers },
  forecast: DemandForecast,
  { spec, signal }: { readonly spec: PrometheusSpec; readonly signal: AbortSignal },
): Promise<OpenedSource> {
  const server = findServer(servers, spec);
  if ('kind' in server) return server;
  const query = allowedQuery(forecast, spec, server);
  if (typeof query !== 'string') return query;
  const signals = allowedSignals(forecast, server);
  if (spec.secretRef === undefined) return { kind: 'open', source: server.source, query, signals };
  const { namespace } = forecast.metadata;
  const { name } = spec.secretRef;
  const credentials = await readCredentials(client, { namespace, name, url: server.url, signal });
  if ('kind' in credentials) return credentials;
  return { kind: 'open', source: server.sourceFor(`${namespace}/${name}`, credentials), query, signals };
}

function findServer(servers: PrometheusServers, { url, serverRef }: PrometheusSpec): PrometheusServer | Refused {
  if (url === undefined) {
    const names = servers.names.join(', ');
    const message = `source.prometheus.serverRef: got ${JSON.stringify(serverRef)}, want one of ${names}`;
    return servers.named(serverRef) ?? refused('UnknownServer', message);
  }
  const message =
    'source.prometheus.url: it is not on the allow-list of the configuration (allowedUrls); nothing is sent';
  try {
    return servers.at(url) ?? refused('URLNotAllowed', message);
  } catch (error) {
    return refused('URLNotAllowed', errorMessage(error));
  }
}

function allowedQuery(
  { metadata: { namespace }, spec: { scaleTargetRef } }: DemandForecast,
  spec: PrometheusSpec,
  { enforceNamespaceLabel: label }: PrometheusServer,
): string | Refused {
  const { kind, name } = scaleTargetRef;
  const query = demandQuery(spec, { namespace, kind, name });
  if (query === undefined) return refused('QueryFailed', 'source.prometheus: got neither query nor preset, want one');
  const average = perPodAverage(query);
  if (average !== undefined) {
    const message = `the query is an average per pod (${average}), which falls when pods are added; want the total, such as sum(…)`;
    return refused('PerPodAverage', message);
  }
  if (label === undefined) return query;
  try {
    return enforceLabel(query, { label, value: namespace });
  } catch (error) {
    return refused('QueryNotAllowed', errorMessage(error));
  }
}

/** Signals are held to their namespace as demand is; averages per pod are welcome here. */
function allowedSignals(
  { metadata: { namespace }, spec: { signals = {}, scaleTargetRef } }: DemandForecast,
  { enforceNamespaceLabel: label }: PrometheusServer,
): SignalQuery[] {
  const { kind, name: target } = scaleTargetRef;
  return signalQueries(signals, { namespace, kind, name: target }).map(({ name, query }) => {
    if (query === undefined) return { name, query: '', refusal: 'got neither query nor preset, want one' };
    if (label === undefined) return { name, query };
    try {
      return { name, query: enforceLabel(query, { label, value: namespace }) };
    } catch (error) {
      return { name, query, refusal: errorMessage(error) };
    }
  });
}

async function readCredentials(
  client: KubeClient,
  { namespace, name, url, signal }: { namespace: string; name: string; url: string; signal: AbortSignal },
): Promise<Credentials | Refused> {
  const path = resourcePath({ apiVersion: 'v1', plural: 'secrets', namespace, name });
  let secret: SecretObject;
  try {
    secret = await client.request<SecretObject>({ path, signal });
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    const hint =
      error.code === 'Forbidden' ? '; a Role in its namespace must allow it (docs/reference/sources.md)' : '';
    const reason = error.code === 'NotFound' ? 'SecretNotFound' : 'SecretUnreadable';
    return refused(reason, `Secret ${name}: ${errorMessage(error)}${hint}`);
  }
  try {
    return readSecret(secret, url);
  } catch (error) {
    return refused('SecretInvalid', `Secret ${name}: ${errorMessage(error)}`);
  }
}

function refused(reason: Reason<'Observed'>, message: string): Refused {
  return { kind: 'refused', reason, message };
}
