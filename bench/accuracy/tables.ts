// SPDX-License-Identifier: Apache-2.0
import type { TaskResult } from './protocol.ts';
import { bootstrap, bootstrapSeries, ours, valueOf } from './tally.ts';
import type { Interval, Metric, Summary } from './tally.ts';

/** A metric of one series. */
export interface SeriesMetric {
  readonly result: TaskResult;
  readonly metric: Metric;
}

/** What is known of a method from elsewhere: not measured by this run. */
export type Published = Readonly<Record<string, string>>;

export function metricsNamed(results: readonly TaskResult[], name: string): SeriesMetric[] {
  return results.flatMap((result) => {
    const metric = result.metrics.find((candidate) => candidate.name === name);
    return metric === undefined || metric.denominators.length === 0 ? [] : [{ result, metric }];
  });
}

/** Methods of the metrics, ours first. */
export function methodsOf(rows: readonly SeriesMetric[]): string[] {
  return [...new Set([ours, ...rows.flatMap(({ metric }) => Object.keys(metric.numerators))])];
}

interface Comparison {
  readonly summary: Summary;
  /** Median, mean. */
  readonly summaryName: string;
  /** Series are drawn, not days. */
  readonly bySeries?: boolean;
  readonly published?: Published;
  readonly digits?: number;
}

/** Ours and the references over all series, with intervals, and how many series we win. */
export function comparisonTable(rows: readonly SeriesMetric[], comparison: Comparison): string {
  const { summary, summaryName, published = {}, digits = 3, bySeries = false } = comparison;
  const metrics = rows.map(({ metric }) => metric);
  const methods = methodsOf(rows);
  const intervals = bySeries ? bootstrapSeries(metrics, methods, summary) : bootstrap(metrics, methods, { summary });
  const show = (value: number): string => fixed(value, digits);
  const span = (interval: Interval | undefined): string =>
    interval === undefined ? '' : `${show(interval.low)} to ${show(interval.high)}`;
  const lines = methods.map((method) => {
    const value = summary(metrics.map((metric) => valueOf(metric, method)));
    const of = intervals[method];
    const [difference, wins] =
      method === ours
        ? ['', '']
        : [span(of?.difference), percent(shareOf(metrics, (metric) => betterThan(metric, method)))];
    return [
      method === ours ? `**${method}**` : method,
      show(value),
      span(of?.value),
      difference,
      wins,
      published[method] ?? '',
    ];
  });
  const elsewhere = Object.entries(published)
    .filter(([method]) => !methods.includes(method))
    .map(([method, value]) => [method, 'not run', '', '', '', value]);
  const head = ['', summaryName, '95 %', 'headstart − it, 95 %', 'headstart better on', 'known from elsewhere'];
  return table(head, [...lines, ...elsewhere]);
}

/** A row for each series, the worst for us first; the best of a row is bold. */
export function seriesTable(rows: readonly SeriesMetric[], { digits = 3 }: { digits?: number } = {}): string {
  const methods = methodsOf(rows);
  const sorted = rows
    .map((row) => ({ row, values: methods.map((method) => valueOf(row.metric, method)) }))
    .map((entry) => ({ ...entry, ratio: ratioOf(entry.values) }))
    .sort((a, b) => b.ratio - a.ratio);
  const lines = sorted.map(({ row: { result }, values, ratio }) => {
    const best = Math.min(...values.filter((value) => !Number.isNaN(value)));
    const cells = values.map((value) => (value === best ? `**${fixed(value, digits)}**` : fixed(value, digits)));
    return [result.series, ...cells, fixed(ratio, 2), originsOf(result), chosenOf(result), fixed(result.cpuSeconds, 1)];
  });
  const head = ['series', ...methods, 'ours / best other', 'origins', 'models used', 'CPU s'];
  return details(`Each of the ${rows.length} series, losses first`, table(head, lines));
}

function ratioOf([own = Number.NaN, ...others]: readonly number[]): number {
  return own / Math.min(...others.filter((value) => !Number.isNaN(value)));
}

export function originsOf({ origins, refused }: TaskResult): string {
  return refused === 0 ? `${origins}` : `${origins} (${refused} refused)`;
}

/** `level-corrected 7, drift 1`. */
export function chosenOf({ chosen }: TaskResult): string {
  return Object.entries(chosen)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

function betterThan(metric: Metric, method: string): boolean {
  return valueOf(metric, ours) < valueOf(metric, method);
}

export function shareOf<T>(all: readonly T[], holds: (item: T) => boolean): number {
  return all.filter(holds).length / all.length;
}

export function details(summary: string, body: string): string {
  return `<details><summary>${summary}</summary>\n\n${body}\n</details>\n`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}

export function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

export function percent(share: number, digits = 0): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '–';
}
