// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { ConditionType } from '../src/api/reasons.ts';
import type { DemandForecast } from '../src/api/v1alpha1/demand-forecast.ts';
import { startControlPlane } from '../src/testing/control-plane.ts';
import type { ControlPlane, ControlPlaneOptions } from '../src/testing/control-plane.ts';
import { installHeadstart } from '../src/testing/installation.ts';
import type { Installation, InstallationOptions } from '../src/testing/installation.ts';
import type { CommandResult } from '../src/testing/process.ts';
import { waitUntil } from '../src/testing/process.ts';
import { startPrometheus } from '../src/testing/prometheus.ts';
import type { Prometheus } from '../src/testing/prometheus.ts';

/**
 * Between two samples, scraped or not. Where the spacing changes within the window of a rate, Prometheus extrapolates
 * from a part of it and falls short.
 */
const scrapeSeconds = 5;
const examples = fileURLToPath(new URL('../manifests/examples/', import.meta.url));

/** Demand of an app in requests per second at an epoch second. */
type Demand = (seconds: number) => number;

interface StageOptions {
  /** What each app gets; the exporter counts it up as `http_requests_total{app}`. */
  readonly demand: Readonly<Record<string, Demand>>;
  /** How much of it lies in Prometheus already. */
  readonly historySeconds: number;
  readonly controlPlane?: ControlPlaneOptions;
  /** Headstart's loop; 5s when left out, so that stories are short. */
  readonly syncPeriod?: string;
  /** Before Headstart is installed. */
  readonly prepare?: (controlPlane: ControlPlane) => Promise<void>;
  readonly installation?: Pick<InstallationOptions, 'manifests' | 'until' | 'env'>;
  /** The text of --prometheus-config, from the URL of Prometheus; none when left out. */
  readonly prometheusConfig?: (url: string) => string;
}

/** A control plane, Prometheus with history, and Headstart as its manifests install it. */
export interface Stage {
  readonly controlPlane: ControlPlane;
  readonly prometheus: Prometheus;
  readonly headstart: Installation;
  /** Changes what an app gets from now on. */
  setDemand(app: string, demand: Demand): void;
  /** What the exporter says of a pod from now on, as `pod_network_percent{pod}`. */
  setNetwork(pod: string, percent: number): void;
  /** Applies manifests/examples/<name>, each object changed by `edit` first. */
  applyExample(name: string, edit?: (object: ExampleObject) => void): Promise<void>;
  apply(object: unknown): Promise<CommandResult>;
  forecast(name: string, namespace?: string): Promise<DemandForecast>;
  /** Waits for a condition's reason; gives its message. */
  reason(name: string, type: ConditionType, reason: string, timeoutMs?: number): Promise<string>;
  /** The metric as the HPA reads it, through the aggregator. */
  metric(metric: string, forecast: string, args?: readonly string[]): Promise<CommandResult & { value: number }>;
  hpa(name: string): Promise<HpaView>;
  stop(): Promise<void>;
}

/** What stories change in examples. */
export interface ExampleObject {
  readonly kind: string;
  readonly metadata: { name: string; namespace?: string };
  readonly spec: Record<string, unknown>;
}

/** What stories ask of an HPA. */
interface HpaView {
  readonly current: number;
  readonly desired: number;
  /** Status of the condition ScalingActive. */
  readonly scalingActive: string;
}

/** Sets the stage; everything is taken down again when a part does not come up. */
export async function setStage(options: StageOptions): Promise<Stage> {
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const now = Math.floor(Date.now() / 1000 / scrapeSeconds) * scrapeSeconds;
    const counters = createCounters(options.demand, now);
    const exporter = await startExporter(counters);
    undo.push(exporter.stop);
    const prometheus = await startPrometheus({
      backfill: backfill(options, now, exporter.address),
      scrapeTargets: [{ job: 'exporter', address: exporter.address, intervalSeconds: scrapeSeconds }],
    });
    undo.push(prometheus.stop);
    const controlPlane = await startControlPlane(options.controlPlane);
    undo.push(controlPlane.stop);
    await options.prepare?.(controlPlane);
    const { env, ...installation } = options.installation ?? {};
    const headstart = await installHeadstart(controlPlane, {
      prometheusUrl: prometheus.url,
      syncPeriod: options.syncPeriod ?? '5s',
      env: { ...env, ...(await writeConfig(options.prometheusConfig?.(prometheus.url), undo)) },
      ...installation,
    });
    undo.push(headstart.stop);
    const { set: setDemand, setNetwork } = counters;
    return { controlPlane, prometheus, headstart, setDemand, setNetwork, stop, ...actions(controlPlane) };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The file of --prometheus-config, as the variable that names it. */
async function writeConfig(text: string | undefined, undo: (() => Promise<void>)[]): Promise<Record<string, string>> {
  if (text === undefined) return {};
  const dir = await mkdtemp(join(tmpdir(), 'headstart-stage-'));
  undo.push(async () => await rm(dir, { recursive: true }));
  await writeFile(join(dir, 'config.yaml'), text);
  return { HEADSTART_PROMETHEUS_CONFIG: join(dir, 'config.yaml') };
}

type Actions = Pick<Stage, 'applyExample' | 'apply' | 'forecast' | 'reason' | 'metric' | 'hpa'>;

function actions(controlPlane: ControlPlane): Actions {
  const apply = (object: unknown) => controlPlane.kubectl(['apply', '-f', '-'], JSON.stringify(object));
  const getJson = async (args: readonly string[]): Promise<unknown> =>
    JSON.parse(await controlPlane.kubectlOk(['get', ...args, '-o', 'json']));
  const forecast: Actions['forecast'] = async (name, namespace = 'default') =>
    (await getJson(['demandforecast', name, '-n', namespace])) as DemandForecast;
  return {
    apply,
    forecast,
    applyExample: async (name, edit) => {
      for (const document of parseAllDocuments(await readFile(examples + name, 'utf8'))) {
        const object = document.toJS() as ExampleObject;
        edit?.(object);
        const { code, stderr } = await apply(object);
        if (code !== 0) throw new Error(`applying ${name}: ${stderr}`);
      }
    },
    reason: async (name, type, reason, timeoutMs = 60_000) => {
      let last = '';
      const probe = async (): Promise<string | undefined> => {
        const found = (await forecast(name)).status?.conditions?.find((condition) => condition.type === type);
        last = JSON.stringify(found);
        return found?.reason === reason ? found.message : undefined;
      };
      const what = `${name}: ${type} becomes ${reason}`;
      return await waitUntil(what, probe, { timeoutMs, intervalMs: 500 }).catch((cause: unknown) => {
        throw new Error(`${what}; last seen ${last}`, { cause });
      });
    },
    metric: async (metric, name, args = []) => {
      const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/default/${metric}?labelSelector=forecast%3D${name}`;
      const result = await controlPlane.kubectl(['get', '--raw', path, ...args]);
      return { ...result, value: result.code === 0 ? itemValue(result.stdout) : Number.NaN };
    },
    hpa: async (name) => {
      const { status } = (await getJson(['hpa', name])) as {
        status: {
          currentReplicas?: number;
          desiredReplicas?: number;
          conditions?: { type: string; status: string }[];
        };
      };
      const active = status.conditions?.find(({ type }) => type === 'ScalingActive');
      return {
        current: status.currentReplicas ?? 0,
        desired: status.desiredReplicas ?? 0,
        scalingActive: active?.status ?? 'Unknown',
      };
    },
  };
}

/** Values are served in integer milli. */
function itemValue(text: string): number {
  const { items } = JSON.parse(text) as { items: { value: string }[] };
  return Number(items[0]?.value.replace('m', '')) / (items[0]?.value.endsWith('m') === true ? 1000 : 1);
}

interface Counters {
  set(app: string, demand: Demand): void;
  setNetwork(pod: string, percent: number): void;
  text(): string;
}

/** Counters that go on from the last backfilled value; demand is summed up in steps of a second at most. */
function createCounters(initial: Readonly<Record<string, Demand>>, start: number): Counters {
  const demand = new Map(Object.entries(initial));
  const totals = new Map([...demand.keys()].map((app) => [app, 1e9]));
  const network = new Map<string, number>();
  let position = start;
  const advance = (): void => {
    const now = Date.now() / 1000;
    while (position < now) {
      const next = Math.min(now, position + 1);
      for (const [app, at] of demand) totals.set(app, (totals.get(app) ?? 0) + at(position) * (next - position));
      position = next;
    }
  };
  return {
    set: (app, at) => {
      advance();
      demand.set(app, at);
    },
    setNetwork: (pod, percent) => void network.set(pod, percent),
    text: () => {
      advance();
      // With the time that it is for: on a busy machine a scrape is answered late, and rates would be off.
      const at = Math.round(position * 1000);
      const lines = [...totals].map(([app, total]) => `http_requests_total{app="${app}"} ${total} ${at}`);
      const gauges = [...network].map(([pod, percent]) => `pod_network_percent{pod="${pod}"} ${percent}\n`);
      return `# TYPE http_requests_total counter\n${lines.join('\n')}\n${gauges.join('')}`;
    },
  };
}

/** The history as counters, labelled as Prometheus labels what it scrapes from the exporter. */
function* backfill({ demand, historySeconds }: StageOptions, now: number, instance: string): Generator<string> {
  const step = scrapeSeconds;
  yield '# TYPE http_requests counter\n';
  for (const [app, at] of Object.entries(demand)) {
    const start = now - Math.ceil(historySeconds / step) * step;
    let total = 1e9;
    for (let time = start; time < now; time += step) total -= at(time) * step;
    for (let time = start; time <= now; time += step) {
      yield `http_requests_total{app="${app}",instance="${instance}",job="exporter"} ${total.toFixed(3)} ${time}\n`;
      total += at(time) * step;
    }
  }
}

async function startExporter(counters: Counters): Promise<{ address: string; stop: () => Promise<void> }> {
  const server = createServer((_request, response) => response.end(counters.text()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A Deployment whose pods are ready after `startupSeconds` on simulated nodes. */
export function deployment(name: string, replicas = 2, startupSeconds = 1): Record<string, unknown> {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { 'pod-ready.stage.kwok.x-k8s.io/delay': `${startupSeconds}s` } },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'registry.k8s.io/pause:3.10' }] },
      },
    },
  };
}

/** Lets `seconds` pass. */
export async function pass(seconds: number): Promise<void> {
  await delay(seconds * 1000);
}
