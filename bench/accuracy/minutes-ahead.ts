// SPDX-License-Identifier: Apache-2.0
// Minutes ahead, on real series: WAPE of the median over the next 15 and 60 minutes, coverage of the quantiles and
// pinball skill, beside simple references.
//
//   node bench/accuracy/minutes-ahead.ts [--traces DIR] [--origins 400] [SERIES…]
//
// DIR (or HEADSTART_TRACES) is a folder of folders of CSV files with the header timestamp,value; SERIES are parts of
// their paths. Each series is forecast from random origins (seed 7) in its last quarter, at its own step.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { coverage, mase, pinball, wape } from '../../src/forecast/accuracy.ts';
import { forecastOrigins } from '../../src/forecast/batch.ts';
import type { BatchForecast } from '../../src/forecast/batch.ts';
import type { Model } from '../../src/forecast/model.ts';
import { models } from '../../src/forecast/registry.ts';
import { parseSeriesCsv } from '../../src/series/csv.ts';
import { resample, samplingStep } from '../../src/series/resample.ts';
import { at } from '../../src/series/time-series.ts';
import type { Sample, TimeSeries } from '../../src/series/time-series.ts';
import { seeded } from '../../src/testing/demand.ts';
import { meanOfLastQuarterHour, yesterdayTimesLevel } from './references.ts';

const levels = [0.5, 0.8, 0.95, 0.99];
const horizons = [900, 3600];
const names = ['headstart', 'last15', 'last', 'yesterday'];
const shortestDays = 4;

const { values: flags, positionals } = parseArgs({
  options: { traces: { type: 'string' }, origins: { type: 'string', default: '400' } },
  allowPositionals: true,
});
const folder = flags.traces ?? process.env['HEADSTART_TRACES'];
if (folder === undefined) throw new Error('--traces: got nothing, want a folder of traces (or HEADSTART_TRACES)');

/** Everything that was forecast of one series up to one horizon, one entry for each origin and step. */
interface Pairs {
  readonly actual: number[];
  readonly points: Readonly<Record<string, number[]>>;
  readonly quantiles: readonly number[][];
  /** The 0.95 quantile of the seasonal naive model. */
  readonly reference: number[];
}

/** What is printed of one series, by horizon where not said otherwise. */
interface Score {
  readonly wape: Readonly<Record<string, readonly number[]>>;
  /** By level, at the longest horizon. */
  readonly coverage: readonly number[];
  readonly skill: readonly number[];
  /** At the longest horizon, against the day before. */
  readonly mase: number;
}

interface Row {
  readonly series: string;
  readonly score: Score;
  readonly seconds: number;
  readonly model: string;
}

const rows = listSeries(folder)
  .filter((path) => positionals.length === 0 || positionals.some((part) => path.includes(part)))
  .flatMap((path) => {
    const row = evaluate(join(folder, path), path, Number(flags.origins));
    if (row !== undefined) process.stdout.write(`${format(row)}\n`);
    return row === undefined ? [] : [row];
  });
process.stdout.write(summary(rows));

function listSeries(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.csv') && !/\.(labels|regressors|events|visible)\.csv$/.test(path))
    .sort();
}

function evaluate(file: string, series: string, wanted: number): Row | undefined {
  const { samples } = parseSeriesCsv(readFileSync(file, 'utf8'), series);
  const stepSeconds = Math.max(60, Math.round(samplingStep(samples) ?? 0));
  const grid = toGrid(samples, stepSeconds);
  const days = (grid.values.length * stepSeconds) / 86_400;
  if (stepSeconds > 3600 || days < shortestDays) return undefined;
  const origins = randomOrigins(grid, wanted);
  const started = performance.now();
  const ours = run(samples, origins, stepSeconds, Object.values(models));
  const seconds = (performance.now() - started) / 1000;
  const reference = run(samples, origins, stepSeconds, [models['seasonal-naive']]);
  const pairs = horizons.map((horizon) => collect(grid, ours, { reference, horizon }));
  const known = grid.values.subarray(0, indexOf(grid, origins[0] ?? grid.startSeconds));
  const score = toScore(pairs, { history: known, seasonSteps: Math.round(86_400 / stepSeconds) });
  return { series, score, seconds, model: [...ours.values()].at(-1)?.model ?? 'none' };
}

function toGrid(samples: readonly Sample[], stepSeconds: number): TimeSeries {
  const startSeconds = samples[0]?.timestamp ?? 0;
  return resample(samples, { startSeconds, endSeconds: (samples.at(-1)?.timestamp ?? 0) + stepSeconds, stepSeconds });
}

/** Distinct points of the last quarter that leave room for the longest horizon. */
function randomOrigins({ values, startSeconds, stepSeconds }: TimeSeries, wanted: number): number[] {
  const from = Math.floor(values.length * 0.75);
  const room = values.length - from - 3600 / stepSeconds;
  const random = seeded(7);
  const chosen = new Set<number>();
  for (let tries = 0; tries < wanted; tries += 1) chosen.add(from + Math.floor(random() * room));
  return [...chosen].sort((a, b) => a - b).map((index) => startSeconds + index * stepSeconds);
}

function run(samples: readonly Sample[], origins: readonly number[], stepSeconds: number, entrants: readonly Model[]) {
  const made = new Map<number, BatchForecast>();
  const options = { stepSeconds, horizonSeconds: 3600, levels, timeZone: 'UTC', models: entrants };
  for (const result of forecastOrigins(samples, origins, options)) {
    if ('quantiles' in result) made.set(result.origin, result);
  }
  return made;
}

type Forecasts = ReadonlyMap<number, BatchForecast>;

function indexOf({ startSeconds, stepSeconds }: TimeSeries, time: number): number {
  return Math.round((time - startSeconds) / stepSeconds);
}

/** Steps whose outcome or whose simplest forecasts are not known do not count. */
function collect(
  grid: TimeSeries,
  ours: Forecasts,
  { reference, horizon }: { reference: Forecasts; horizon: number },
): Pairs {
  const pairs: Pairs = {
    actual: [],
    points: Object.fromEntries(names.map((name) => [name, []])),
    quantiles: levels.map(() => []),
    reference: [],
  };
  const steps = Math.floor(horizon / grid.stepSeconds);
  for (const [origin, { quantiles }] of ours) {
    const theirs = reference.get(origin)?.quantiles[levels.indexOf(0.95)] ?? new Float64Array();
    addOrigin(pairs, grid, { index: indexOf(grid, origin), steps, quantiles, theirs });
  }
  return pairs;
}

interface Origin {
  readonly index: number;
  readonly steps: number;
  readonly quantiles: readonly Float64Array[];
  readonly theirs: Float64Array;
}

function addOrigin(pairs: Pairs, grid: TimeSeries, { index, steps, quantiles, theirs }: Origin): void {
  const points: Record<string, Float64Array> = {
    headstart: quantiles[0] ?? theirs,
    last15: new Float64Array(steps).fill(meanOfLastQuarterHour(grid, index)),
    last: new Float64Array(steps).fill(at(grid.values, index - 1)),
    yesterday: yesterdayTimesLevel(grid, index, steps),
  };
  for (let row = 0; row < steps; row += 1) {
    const actual = at(grid.values, index + row);
    if (Number.isNaN(Object.values(points).reduce((sum, point) => sum + at(point, row), actual))) continue;
    pairs.actual.push(actual);
    for (const name of names) pairs.points[name]?.push(at(points[name] ?? theirs, row));
    for (const [level, list] of pairs.quantiles.entries()) list.push(at(quantiles[level] ?? theirs, row));
    pairs.reference.push(at(theirs, row));
  }
}

function toScore(pairs: readonly Pairs[], scale: { history: Float64Array; seasonSteps: number }): Score {
  const last = pairs.at(-1);
  const array = (list: readonly number[] | undefined): Float64Array => Float64Array.from(list ?? []);
  const actual = array(last?.actual);
  return {
    wape: Object.fromEntries(
      names.map((name) => [name, pairs.map((at60) => wape(array(at60.actual), array(at60.points[name])))]),
    ),
    coverage: levels.map((_, level) => coverage(actual, array(last?.quantiles[level]))),
    skill: pairs.map(
      (of) => 1 - meanPinball(of.actual, of.quantiles[levels.indexOf(0.95)]) / meanPinball(of.actual, of.reference),
    ),
    mase: mase(actual, array(last?.points['headstart']), scale),
  };
}

function meanPinball(actual: readonly number[], forecast: readonly number[] = []): number {
  const losses = actual.map((value, index) => pinball(value, forecast[index] ?? Number.NaN, 0.95));
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function show(values: readonly number[]): string {
  return values.map((value) => (Number.isNaN(value) ? '    -' : value.toFixed(3).padStart(6))).join(' /');
}

function format({ series, score, seconds, model }: Row): string {
  const errors = names.map((name) => show(score.wape[name] ?? [])).join(' |');
  const rest = [show(score.coverage), show(score.skill), score.mase.toFixed(2), `${seconds.toFixed(1)} s ${model}`];
  return `${series.padEnd(58)} ${errors} |${rest.join(' |')}`;
}

function summary(all: readonly Row[]): string {
  const middle = (value: (score: Score) => number | undefined): number =>
    median(all.map(({ score }) => value(score) ?? Number.NaN));
  const errors = names.map(
    (name) => `${name} ${show(horizons.map((_, slot) => middle((of) => of.wape[name]?.[slot])))}`,
  );
  const near = (of: Score, level: number): boolean =>
    Math.abs((of.coverage[level] ?? 0) - (levels[level] ?? 0)) <= 0.02;
  const better = share(all, ({ wape: of }) => (of['headstart']?.[1] ?? 0) < (of['last15']?.[1] ?? 0));
  return [
    '',
    `${all.length} series. A row: WAPE at 15 / 60 min of ${names.join(' | ')} | coverage at 60 min of ${levels.join(' / ')} |`,
    'pinball skill at 0.95 against seasonal naive, 15 / 60 min | MASE at 60 min against the day before | time, last model',
    `median WAPE: ${errors.join(', ')}`,
    `median coverage at 60 min: ${show(levels.map((_, level) => middle((of) => of.coverage[level])))}`,
    `within 2 points of nominal: ${show(levels.map((_, level) => share(all, (of) => near(of, level))))}`,
    `median pinball skill at 0.95: ${show(horizons.map((_, slot) => middle((of) => of.skill[slot])))}`,
    `median MASE at 60 min: ${middle((of) => of.mase).toFixed(2)}`,
    `better than the mean of the last 15 min, at 60 min: ${show([better])}`,
    '',
  ].join('\n');
}

function share(all: readonly Row[], holds: (score: Score) => boolean): number {
  return all.filter(({ score }) => holds(score)).length / all.length;
}

function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? (high ?? Number.NaN) : ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}
