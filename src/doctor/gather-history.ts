// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../base/clock.ts';
import { parseDurationSeconds } from '../base/duration.ts';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import type { KubeClient } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { demandQuery } from '../sources/metrics/presets.ts';
import { hpaOf } from './checks/tolerance.ts';
import { inParallel } from './concurrency.ts';
import { summarizeHistory } from './history-summary.ts';
import { keyOf } from './snapshot.ts';
import type { HistoryReading, Hpa } from './snapshot.ts';

/** Whom to ask. */
export interface HistoryContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly headstartNamespace: string;
  readonly servers: ReadonlyMap<string, string> | undefined;
  /** A file of the forecaster that configures its servers, with what proves who it is; it is not ours to read. */
  readonly configFile: string | undefined;
  readonly parseServers: (text: string, where: string) => ReadonlyMap<string, string>;
  readonly createSource: (url: string) => MetricSource;
  readonly onProgress: (what: string, done?: number, total?: number) => void;
}

interface Server {
  readonly url: string;
  readonly source: MetricSource;
}

/** Which servers there are, and whether they were named on the command line. */
type Servers =
  | { readonly kind: 'known'; readonly isNamed: boolean; readonly byName: ReadonlyMap<string, Server> }
  | Extract<HistoryReading, { kind: 'no-configuration' | 'bad-configuration' }>;

const configMap = 'headstart-forecaster';
const variable = 'HEADSTART_PROMETHEUS_SERVERS';
const stepSeconds = 60;
/** Finely enough to see a new value every minute, and every few seconds. */
const recentStepSeconds = 5;
const recentSeconds = 900;
/** As the forecaster assumes where nothing was measured (capacity/lead.ts). */
const usualLeadSeconds = 180;

/** What Prometheus has for each forecast, by its key. What cannot be read is part of the answer. */
export async function gatherHistories(
  context: HistoryContext,
  forecasts: readonly DemandForecast[],
  hpas: readonly Hpa[],
): Promise<ReadonlyMap<string, HistoryReading>> {
  if (forecasts.length === 0) return new Map();
  const servers = await findServers(context);
  let done = 0;
  const entries = await inParallel(forecasts, async (forecast) => {
    const history = await readHistory(context, servers, { forecast, hpa: hpaOf(forecast, hpas) });
    context.onProgress('reading histories', (done += 1), forecasts.length);
    return [keyOf(forecast), history] as const;
  });
  return new Map(entries);
}

async function findServers(context: HistoryContext): Promise<Servers> {
  const { client, headstartNamespace: namespace, servers, configFile, parseServers, createSource } = context;
  const open = (urls: ReadonlyMap<string, string>, isNamed: boolean): Servers => ({
    kind: 'known',
    isNamed,
    byName: new Map([...urls].map(([name, url]) => [name, { url, source: createSource(url) }])),
  });
  if (servers !== undefined) return open(servers, true);
  if (configFile !== undefined) {
    const message = `servers are configured in ${configFile} of the forecaster, which is not read`;
    return { kind: 'no-configuration', failure: { code: 'NotFound', message } };
  }
  try {
    const path = resourcePath({ apiVersion: 'v1', plural: 'configmaps', namespace, name: configMap });
    const { data } = await client.request<{ readonly data?: Readonly<Record<string, string>> }>({ path });
    const text = data?.[variable];
    if (text === undefined) {
      const message = `ConfigMap ${namespace}/${configMap} has no ${variable}`;
      return { kind: 'no-configuration', failure: { code: 'NotFound', message } };
    }
    return open(parseServers(text, `ConfigMap ${namespace}/${configMap}: ${variable}`), false);
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    const message = errorMessage(error);
    return error.code === 'InvalidInput'
      ? { kind: 'bad-configuration', message }
      : { kind: 'no-configuration', failure: { code: error.code, message } };
  }
}

interface Subject {
  readonly forecast: DemandForecast;
  readonly hpa: Hpa | undefined;
}

async function readHistory(context: HistoryContext, servers: Servers, subject: Subject): Promise<HistoryReading> {
  const { forecast } = subject;
  const { prometheus } = forecast.spec.source;
  if (prometheus === undefined) return { kind: 'other-source' };
  if (prometheus.url !== undefined || prometheus.secretRef !== undefined) return { kind: 'own-access' };
  if (servers.kind !== 'known') return servers;
  const { serverRef } = prometheus;
  const server = servers.byName.get(serverRef);
  if (server === undefined) return { kind: 'unknown-server', server: serverRef, names: [...servers.byName.keys()] };
  try {
    const { kind, name } = forecast.spec.scaleTargetRef;
    const query = demandQuery(prometheus, { namespace: forecast.metadata.namespace, kind, name }) ?? '';
    const summary = await read(context.clock, server.source, { ...subject, query });
    return { kind: 'read', server: serverRef, summary };
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    const failure = { code: error.code, message: errorMessage(error) };
    return { kind: 'failed', server: serverRef, url: server.url, isNamed: servers.isNamed, failure };
  }
}

async function read(
  clock: Clock,
  source: MetricSource,
  { forecast, hpa, query }: Subject & { readonly query: string },
) {
  const now = clock.nowMs() / 1000;
  const toSeconds = Math.floor(now / stepSeconds) * stepSeconds;
  const windowSeconds = parseDurationSeconds(forecast.spec.history.window, 'spec.history.window');
  const fromSeconds = toSeconds - windowSeconds;
  const recentTo = Math.floor(now);
  // One after the other: of a server that does not answer one question is enough.
  const recent = await source.range({
    query,
    fromSeconds: recentTo - recentSeconds,
    toSeconds: recentTo,
    stepSeconds: recentStepSeconds,
  });
  const samples = await source.range({ query, fromSeconds, toSeconds, stepSeconds });
  const leadSeconds = leadOf(forecast);
  return summarizeHistory({
    fromSeconds,
    toSeconds,
    stepSeconds,
    samples,
    recent,
    leadSeconds,
    floor: floorOf(forecast, hpa),
  });
}

function leadOf({ spec, status }: DemandForecast): number {
  if (spec.lead !== 'auto') return parseDurationSeconds(spec.lead, 'spec.lead');
  return status?.lead === undefined ? usualLeadSeconds : parseDurationSeconds(status.lead.p90, 'status.lead.p90');
}

/** What the least number of replicas is made for. */
function floorOf({ spec, status }: DemandForecast, hpa: Hpa | undefined): number {
  const target = status?.hpa?.targetAverageValue ?? String(spec.capacityPerReplica);
  return parseQuantity(target, 'status.hpa.targetAverageValue') * (hpa?.spec.minReplicas ?? 1);
}
