// SPDX-License-Identifier: Apache-2.0
import { cpus, totalmem } from 'node:os';
import type { Burst } from '../../src/testing/clone-burst.ts';

/** What takes no control plane to measure; milliseconds. */
export interface Micro {
  /** CPU time of grouping 100,000 clones and asking each whether it is to end. */
  readonly scan: number;
  /** CPU time of the sweeper's whole turn over them. */
  readonly tick: number;
  readonly reviewP50: number;
  readonly reviewP99: number;
  /** In the extender alone. */
  readonly scoreP50: number;
  readonly scoreP99: number;
  /** Until the whole answer is there, over TLS. */
  readonly answerP99: number;
}

/** All of a run. */
export interface Results {
  readonly bursts: readonly Burst[];
  readonly micro: Micro;
  readonly clones: number;
  readonly lifeSeconds: number;
  readonly maxPerMinute: number;
  readonly nodes: number;
}

/** The page, as Markdown. */
export function render(results: Results): string {
  return [head(), crowd(results), micros(results), aims(results), notes(results)].join('\n');
}

function head(): string {
  const [cpu] = cpus();
  return `# Benchmarks of clones

Written by \`npm run bench:clones\`; do not edit. Linux, ${cpus().length} cores (${cpu?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}.
kube-apiserver 1.36.3, etcd, kube-scheduler, kwok, which plays the kubelets, and all of Headstart share the machine. How much
placement saves is in [benchmarks-placement.md](benchmarks-placement.md).
`;
}

function crowd({ bursts, clones, lifeSeconds, maxPerMinute, nodes }: Results): string {
  const row = (what: string, of: (burst: Burst) => number, digits = 1): string =>
    `| ${what} | ${spread(bursts.map(of), digits)} |`;
  return `## ${clones} clones that expire in one second

One ClonePool, a window of ${lifeSeconds} s, maxPerMinute ${maxPerMinute}, at most 50 writes a second (the default), ${nodes} nodes. Medians of
${bursts.length} rounds, smallest and largest in parentheses, by the apiserver's audit log and Headstart's own metrics.

| | |
| --- | --- |
${[
  row('from the window’s start until the last one is made, s', ({ createdSeconds }) => createdSeconds),
  row('until all are Ready, s', ({ readySeconds }) => readySeconds),
  row('from the deadline until the last one is evicted, s', ({ retiredSeconds }) => retiredSeconds),
  row('requests about the pool and its pods, for each clone', ({ ownRequests }) => ownRequests / clones, 2),
  row('all requests of both replicas, for each clone', (burst) => perClone(burst, clones), 2),
].join('\n')}

All requests are those of the whole time, for Leases, watches and the time as well: ${verbs(bursts)} in the last round.
`;
}

function perClone({ requests }: Burst, clones: number): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0) / clones;
}

function verbs(bursts: readonly Burst[]): string {
  const all = Object.entries(bursts.at(-1)?.requests ?? {}).filter(([, count]) => count > 0);
  return all.map(([verb, count]) => `${verb} ${count}`).join(', ');
}

function micros({ micro }: Results): string {
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  return `## Parts

| | |
| --- | --- |
| 100,000 clones of 200 pools: CPU of the sweeper's scan, median | ${ms(micro.scan)} |
| of its whole turn, with what it decides for each pool, median | ${ms(micro.tick)} |
| the webhook, 50 reviews a second over TLS, p50 | ${ms(micro.reviewP50)} |
| p99 | ${ms(micro.reviewP99)} |
| the scheduler extender, 5,000 nodes and 10,000 clones, p50 | ${ms(micro.scoreP50)} |
| p99 | ${ms(micro.scoreP99)} |
| p99 with TLS and 150 KiB of names on the way | ${ms(micro.answerP99)} |
`;
}

function aims({ bursts, micro, clones }: Results): string {
  const line = (what: string, of: number, limit: number, unit: string): string =>
    `| ${what} | ${of.toFixed(unit === 'ms' ? 2 : 1)} ${unit} | ${of <= limit ? 'yes' : 'no'} |`;
  return `## Aims

| aim | measured | met |
| --- | --- | --- |
${[
  line(`${clones} clones made in at most 30 s`, median(bursts.map(({ createdSeconds }) => createdSeconds)), 30, 's'),
  line('and ended in at most 60 s', median(bursts.map(({ retiredSeconds }) => retiredSeconds)), 60, 's'),
  line('at most 6 requests for each', median(bursts.map((burst) => perClone(burst, clones))), 6, 'requests'),
  line('a scan of 100,000 clones in at most 10 ms', micro.scan, 10, 'ms'),
  line('and the whole turn', micro.tick, 10, 'ms'),
  line('p99 of the webhook at most 10 ms', micro.reviewP99, 10, 'ms'),
  line('p99 of the extender for 5,000 nodes below 10 ms', micro.scoreP99, 10, 'ms'),
].join('\n')}
`;
}

function notes({ clones, maxPerMinute }: Results): string {
  return `## How to read it

- A clone costs three requests: it is made, it is marked as Retiring, and it is evicted. The rest is for the pool: \`spec.replicas\`
  is lowered once for all that end in a second, and its status is written every few seconds while things change.
- At maxPerMinute ${maxPerMinute}, ${clones} clones cannot be gone before ${Math.ceil((clones / maxPerMinute) * 60)} s are over: what is more is the sweeper's own.
- Reviews and scores are timed from when they were due. The webhook is not asked about the clones that Headstart makes itself.
`;
}

function spread(values: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
