// SPDX-License-Identifier: Apache-2.0
import { cpus, totalmem } from 'node:os';
import type { Writes } from './writes.ts';

/** What was measured of one server, one entry a round. */
export interface Measured {
  readonly startMs: number[];
  readonly startFullMs: number[];
  readonly residentEmpty: number[];
  readonly residentFull: number[];
  readonly residentLoaded: number[];
  readonly perSecond: number[];
  readonly perCpuSecond: number[];
  readonly directP50: number[];
  readonly directP99: number[];
  readonly throughPerSecond: number[];
  readonly throughP50: number[];
  readonly throughP99: number[];
  failures: number;
}

/** All of a run. */
export interface Results {
  readonly headstart: Measured;
  readonly reference: Measured;
  readonly writes: Writes;
  readonly forecasts: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly pacePerSecond: number;
}

type List = Exclude<keyof Measured, 'failures'>;

/** Its part of the page of all benchmarks, as Markdown. */
export function render(results: Results): string {
  return [head(results), table(results), writesSection(results), aims(results), notes].join('\n');
}

function head({ forecasts, rounds, seconds, connections, pacePerSecond }: Results): string {
  const [cpu] = cpus();
  return `Written by \`npm run bench\`; do not edit. Linux, ${cpus().length} cores (${cpu?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}.
kube-apiserver 1.36.3, etcd, both servers and the load generator share the machine, which is why throughput is also given
for each second of CPU time that the server itself has used.

## Serving ${forecasts} DemandForecasts

Beside the test adapter of sigs.k8s.io/custom-metrics-apiserver v1.36.0 (Go), in turns in the same run. Medians of ${rounds} rounds
of ${seconds} s, smallest and largest in parentheses. Requests are those of the HPA controller (its Accept header, user and groups,
with the front proxy's certificate) over ${connections} HTTP/1.1 connections that are kept alive; latencies are at ${pacePerSecond} requests a second.
`;
}

function table({ headstart, reference, forecasts }: Results): string {
  const row = (what: string, list: List, digits = 0): string =>
    `| ${what} | ${spread(headstart[list], digits)} | ${spread(reference[list], digits)} |`;
  return `| | Headstart | Go test adapter |
| --- | --- | --- |
${[
  row('requests a second, direct over TLS', 'perSecond'),
  row('requests for a second of its CPU time', 'perCpuSecond'),
  row('p50 direct, ms', 'directP50', 2),
  row('p99 direct, ms', 'directP99', 2),
  row('requests a second, through the aggregator', 'throughPerSecond'),
  row('p50 through the aggregator, ms', 'throughP50', 2),
  row('p99 through the aggregator, ms', 'throughP99', 2),
  row('start to ready, nothing to serve, ms', 'startMs'),
  row(`start to ready, ${forecasts} DemandForecasts, ms`, 'startFullMs'),
  row('resident memory, nothing to serve, MiB', 'residentEmpty'),
  row(`resident memory, ${forecasts} DemandForecasts, MiB`, 'residentFull'),
  row('resident memory after the load, MiB', 'residentLoaded'),
  `| failed requests | ${headstart.failures} | ${reference.failures} |`,
].join('\n')}
`;
}

function writesSection({ writes, forecasts }: Results): string {
  const total = Object.values(writes.perMinute).reduce((sum, each) => sum + each, 0);
  const verbs = Object.entries(writes.perMinute).map(([verb, each]) => `${verb} ${each.toFixed(0)}`);
  return `## Forecasting ${forecasts} DemandForecasts

One forecaster process, a loop of 60 s, a day of history at one point a minute from a Prometheus of the bench's own.

| | |
| --- | --- |
| start until all have a forecast | ${writes.firstSeconds.toFixed(0)} s |
| writes to the apiserver in a minute | ${total.toFixed(0)} (${verbs.join(', ')}) |
| largest status patch | ${writes.patchBytes} bytes |
| CPU | ${(writes.cpuShare * 100).toFixed(0)} % of a core |
| resident memory | ${writes.residentMiB.toFixed(0)} MiB |
| limit of its Deployment | ${writes.limitMiB.toFixed(0)} MiB |

It runs with the flags of its Deployment, and takes ${percent(1 - headroom(writes))} of its memory limit.${headroom(writes) < 0 ? tooMany : ''}
Longer histories take more: see [Sizing](operations.md#sizing).
`;
}

const tooMany = ' For so many DemandForecasts the limit must be raised.';

/** The share of the forecaster's memory limit that is free; negative above it. */
function headroom({ residentMiB, limitMiB }: Writes): number {
  return 1 - residentMiB / limitMiB;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function aims({ headstart, reference, writes }: Results): string {
  const perCore = median(headstart.perCpuSecond) / median(reference.perCpuSecond);
  const [ours, theirs] = [median(headstart.throughP99), median(reference.throughP99)];
  const memory = Math.max(median(headstart.residentFull), median(headstart.residentLoaded));
  const line = (aim: string, value: string, met: boolean): string => `| ${aim} | ${value} | ${met ? 'yes' : 'no'} |`;
  return `## Aims

| aim | measured | met |
| --- | --- | --- |
${[
  line(
    'p99 through the aggregator no worse than the Go adapter’s',
    `${ours.toFixed(2)} to ${theirs.toFixed(2)} ms`,
    ours <= theirs,
  ),
  line('throughput per core over TLS at least 0.8 of it', perCore.toFixed(2), perCore >= 0.8),
  line('resident memory below 150 MiB', `${memory.toFixed(0)} MiB`, memory < 150),
  line('the forecaster leaves 30 % of its memory limit free', percent(headroom(writes)), headroom(writes) >= 0.3),
  line('a status patch of at most 2 KiB', `${writes.patchBytes} bytes`, writes.patchBytes <= 2048),
].join('\n')}
`;
}

const notes = `## How to read it

- Both get the same requests and give the same answers: before and after the rounds, 50 requests go to either, and the bench
  fails unless name, labels, value, timestamp and window are equal. Headstart computes each answer from the status in its
  cache. The Go adapter's own external metrics are three that are built in, so here its library and server answer from
  memory instead (hack/reference-adapter), from a file that has every answer of the run made beforehand and is indexed by
  namespace, metric and label. That is to the Go adapter's advantage, and so is its start-up: it reads a file, Headstart
  the apiserver.
- The library asks kube-apiserver about each label selector on its own and remembers an allow for 10 s. Going round 1,000
  selectors at the rate of the latencies, most of its requests therefore wait for a SubjectAccessReview; Headstart asks
  about the metric, whatever the selector. That is to Headstart's advantage, and more so the busier kube-apiserver is. An
  HPA controller, which asks every 15 s, meets the same.
- The Go adapter answers in protobuf, Headstart in JSON, as each does for the HPA controller. They are compared in JSON, where
  a quantity may be \`12\` in one and \`12000m\` in the other.
- Headstart runs as its Deployment and image say: \`--max-semi-space-size=4\`, \`MALLOC_ARENA_MAX=2\`, and a filled compile
  cache. Of its resident memory about 55 MiB are pages of the Node binary, which the processes of a node share.
- Garbage is collected in both, and the p99 of a round depends on a few requests. Where the ranges overlap, take it for no
  difference.
`;

function spread(values: readonly number[], digits: number): string {
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
