// SPDX-License-Identifier: Apache-2.0
import { cpus, loadavg } from 'node:os';
import { baseline, policies } from './policies.ts';
import { nodes } from './replay.ts';
import type { Outcome } from './replay.ts';
import { speed } from './stage.ts';
import type { TraceOptions } from './trace.ts';

/** All of a run; one entry of `runs` a seed, by policy. */
export interface Results {
  readonly runs: readonly ReadonlyMap<string, Outcome>[];
  readonly shape: Omit<TraceOptions, 'seed'>;
  readonly countFrom: number;
  readonly answersMs: readonly number[];
}

/** The page, as Markdown. */
export function render(results: Results): string {
  return [head(results), table(results), verdict(results), notes(results)].join('\n');
}

function head({ runs, shape, countFrom }: Results): string {
  return `# Benchmark: placement of clones

Written by \`npm run bench:placement\`; do not edit. Linux, ${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}.

Real kube-schedulers 1.36.3 place real pods on nodes that kwok plays, all on one machine. ${runs.length} seeds of ${shape.arrivalSeconds} s, of which the
first ${countFrom} s, in which the nodes fill, do not count. A burst comes every ${shape.meanGapSeconds} s on average, of ${shape.medianSize} clones in the middle
(log-normal) with 1 core or (a quarter) 2; they end together, after 30, 60, 90, 120 or 180 s. Nodes have ${nodes.nodeCores} cores; one comes
${nodes.provisionSeconds} s after no other takes a clone, and goes after ${nodes.emptySeconds} s without one; ${nodes.maxNodes} at most. There are no other pods. In a seed all
policies see the same bursts at the same time. Time runs about ${speed} times as fast as in life, and with it the steps of the score,
the buckets of deadlines and the schedulers' next tries. The machine's load was ${(loadavg()[2] ?? Number.NaN).toFixed(1)} when this was written: above ${cpus().length}, what
clones wait for is also the machine.
`;
}

function table({ runs }: Results): string {
  const rows = policies.map(({ name, title }) => {
    const outcomes = runs.flatMap((run) => run.get(name) ?? []);
    const per = (value: (outcome: Outcome) => number): string => spread(outcomes.map(value));
    const waits = outcomes.flatMap(({ waits: all }) => all);
    return `| ${[
      title,
      per(({ nodeSeconds }) => nodeSeconds / 3600),
      name === baseline ? '–' : compared(runs, name, ({ nodeSeconds }) => nodeSeconds),
      per(({ strandedSeconds }) => strandedSeconds / 3600),
      name === baseline ? '–' : compared(runs, name, ({ strandedSeconds }) => strandedSeconds),
      per(timeForNeed),
      name === baseline ? '–' : compared(runs, name, timeForNeed),
      mean(outcomes.flatMap(({ spreads }) => spreads)).toFixed(0),
      `${quantile(waits, 0.5).toFixed(1)} / ${quantile(waits, 0.95).toFixed(1)}`,
      outcomes.reduce((sum, { neverPlaced }) => sum + neverPlaced, 0),
    ].join(' | ')} |`;
  });
  return `Means over the seeds, smallest and largest in parentheses. "Beside MostAllocated" is the mean of the differences seed by seed,
with its 95 % confidence interval (Student).

| policy | node-hours | beside MostAllocated | stranded node-hours | beside MostAllocated | node time ÷ needed | beside MostAllocated | spread of deadlines on a node, s | wait for a node, median / p95, s | clones never placed |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function verdict({ runs, answersMs }: Results): string {
  const differences = relative(runs, 'expiry', timeForNeed);
  const { low, high } = interval(differences);
  const what =
    high < 0
      ? 'less node time for the same work than MostAllocated alone'
      : low > 0
        ? 'more node time for the same work than MostAllocated alone'
        : 'no difference to MostAllocated alone that this many seeds can show';
  return `**What the extender adds: ${what}** (${signed(mean(differences))}, 95 % from ${signed(low)} to ${signed(high)}).
It has answered ${answersMs.length} questions, half of them within ${quantile(answersMs, 0.5).toFixed(1)} ms and 99 % within ${quantile(answersMs, 0.99).toFixed(1)} ms, in the process that also plays
everything else.
`;
}

function notes({ runs }: Results): string {
  return `## How to read it

- A node-hour is an hour of a node between its registration and its removal. Stranded is what of it a node is less than half
  requested, or empty and not yet given back. Needed is what the clones request while they run, in nodes: below 1.00 nothing
  is possible. A clone that waits longer for a node runs for a shorter time, so compare node time by what was needed.
- Compare with MostAllocated, not with what kube-scheduler does as it comes: packing needs to know nothing of deadlines.
- Small and short: ${runs.length} seeds of some minutes. The numbers tell which policy is better here, not what a cluster will save; no
  clone ends early, and no node has other pods, which would hide the difference.
- Affinity packs by preference only, against kube-scheduler's own spreading; its result depends on how much clones there are.
- The design of this bench was changed after first results had been seen: with a ramp and a drain of 90 s (seed 2) the
  extender took 4.4 % more node-hours than MostAllocated; most questions then had one node to choose from, so the bench now
  counts the steady state, and node time by what was needed.
`;
}

type Value = (outcome: Outcome) => number;

/** What nodes cost for the same work: a clone that waits longer runs for a shorter time, and needs less. */
function timeForNeed({ nodeSeconds, neededNodeSeconds }: Outcome): number {
  return nodeSeconds / neededNodeSeconds;
}

/** By how much more, seed by seed, as a share. */
function relative(runs: Results['runs'], name: string, value: Value): readonly number[] {
  return runs.flatMap((run) => {
    const [own, other] = [run.get(name), run.get(baseline)];
    return own === undefined || other === undefined ? [] : [value(own) / value(other) - 1];
  });
}

function compared(runs: Results['runs'], name: string, value: Value): string {
  const differences = relative(runs, name, value);
  const { low, high } = interval(differences);
  return `${signed(mean(differences))} (${signed(low)} to ${signed(high)})`;
}

/** Student's t at 97.5 %, by degrees of freedom from 1. */
const student = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26] as const;

function interval(values: readonly number[]): { readonly low: number; readonly high: number } {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  const half = (student[values.length - 2] ?? 1.96) * Math.sqrt(squares / (values.length - 1) / values.length);
  return values.length < 2 ? { low: Number.NaN, high: Number.NaN } : { low: middle - half, high: middle + half };
}

function signed(share: number): string {
  if (Number.isNaN(share)) return 'unknown';
  return `${share > 0 ? '+' : ''}${(share * 100).toFixed(1)} %`.replace('-', '−');
}

function spread(values: readonly number[]): string {
  return `${mean(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
