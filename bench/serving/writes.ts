// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { parseQuantity } from '../../src/base/quantity.ts';
import { waitUntil } from '../../src/testing/process.ts';
import { startFakePrometheus } from './fake-prometheus.ts';
import { cpuSeconds, residentMiB } from './load.ts';
import { readForecasts } from './stage.ts';
import type { Stage } from './stage.ts';

/** What the forecaster costs the apiserver and this machine. */
export interface Writes {
  /** From the start of the process until each DemandForecast has its forecast, in seconds. */
  readonly firstSeconds: number;
  /** Requests a minute that change something, by verb. */
  readonly perMinute: Readonly<Record<string, number>>;
  /** The largest body of a status patch, in bytes. */
  readonly patchBytes: number;
  /** Of one core. */
  readonly cpuShare: number;
  readonly residentMiB: number;
  /** What its Deployment allows. */
  readonly limitMiB: number;
}

const writing = ['create', 'update', 'patch', 'apply', 'delete'];
const minutes = 3;

/** Runs the forecaster until every DemandForecast has a status, and counts what it then writes. */
export async function measureWrites(stage: Stage, count: number, log: (line: string) => void): Promise<Writes> {
  const prometheus = await startFakePrometheus();
  const name = 'headstart-forecaster';
  const env = { ...stage.env, HEADSTART_PROMETHEUS_SERVERS: `default=${prometheus.url}` };
  const startMs = performance.now();
  const process = await stage.roles.start(stage.group, name, env);
  const done = async (): Promise<boolean> => {
    const ready = (await readForecasts(stage)).filter(({ status }) => status?.forecast !== undefined).length;
    log(`  ${ready} of ${count} forecasts`);
    return ready === count;
  };
  await waitUntil('every DemandForecast has a forecast', done, { timeoutMs: 900_000, intervalMs: 5000, process });
  const firstSeconds = (performance.now() - startMs) / 1000;
  // The first minute has the conditions in it.
  await delay(60_000);
  const port = stage.roles.operationsPorts[name];
  const [before, cpuBefore] = [await countWrites(port), cpuSeconds(process.pid)];
  log(`  counting for ${minutes} min`);
  await delay(minutes * 60_000);
  const [after, cpuAfter] = [await countWrites(port), cpuSeconds(process.pid)];
  const result: Writes = {
    firstSeconds,
    perMinute: Object.fromEntries(
      writing.map((verb) => [verb, ((after.get(verb) ?? 0) - (before.get(verb) ?? 0)) / minutes]),
    ),
    patchBytes: await largestPatch(stage),
    cpuShare: (cpuAfter - cpuBefore) / (minutes * 60),
    residentMiB: residentMiB(process.pid),
    limitMiB: await memoryLimitMiB(),
  };
  await process.stop();
  prometheus.stop();
  return result;
}

interface Deployment {
  readonly kind?: string;
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly resources: { readonly limits: { memory: string } } }[];
      };
    };
  };
}

/** The memory limit of the forecaster in manifests/base. */
async function memoryLimitMiB(): Promise<number> {
  const text = await readFile(new URL('../../manifests/base/forecaster.yaml', import.meta.url), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Deployment);
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  const limit = deployment?.spec?.template.spec.containers[0]?.resources.limits.memory ?? '';
  return parseQuantity(limit, 'resources.limits.memory') / 2 ** 20;
}

/** Requests to the apiserver so far, by verb, from the forecaster's own metrics. */
async function countWrites(port: number): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('headstart_kube_request_duration_seconds_count{')) continue;
    const verb = /verb="([^"]*)"/.exec(line)?.[1] ?? '';
    counts.set(verb, (counts.get(verb) ?? 0) + Number(line.split(' ').at(-1)));
  }
  return counts;
}

/** As the minute's patch has it: the observation and the forecast, with what identifies the object. */
async function largestPatch(stage: Stage): Promise<number> {
  const sizes = (await readForecasts(stage)).map(({ apiVersion, kind, metadata, status }) => {
    const { name, namespace } = metadata;
    const { observed, forecast } = status ?? {};
    return JSON.stringify({ apiVersion, kind, metadata: { name, namespace }, status: { observed, forecast } }).length;
  });
  return Math.max(...sizes);
}
