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
import { pinball } from '../../src/forecast/accuracy.ts';
import { forecastOrigins } from '../../src/forecast/batch.ts';
import type { BatchForecast } from '../../src/forecast/batch.ts';
import type { Model } from '../../src/forecast/model.ts';
import { models } from '../../src/forecast/registry.ts';
import { parseSeriesCsv } from '../../src/series/csv.ts';
import { resample, samplingStep } from '../../src/series/resample.ts';
import { at } from '../../src/series/time-series.ts';
import type { Sample, TimeSeries } from '../../src/series/time-series.ts';
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

/** Sums over all origins of one series, by horizon. */
interface Score {
  readonly size: number[];
  readonly errors: Record<string, number[]>;
  readonly covered: number[][];
  readonly count: number[];
  readonly loss: number[];
  readonly referenceLoss: number[];
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
  const score = createScore();
  for (const [origin, forecast] of ours) addOrigin(score, grid, { origin, forecast, reference: reference.get(origin) });
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

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let hash = Math.imul(state ^ (state >>> 15), 1 | state);
    hash = (hash + Math.imul(hash ^ (hash >>> 7), 61 | hash)) ^ hash;
    return ((hash ^ (hash >>> 14)) >>> 0) / 2 ** 32;
  };
}

function run(samples: readonly Sample[], origins: readonly number[], stepSeconds: number, entrants: readonly Model[]) {
  const made = new Map<number, BatchForecast>();
  const options = { stepSeconds, horizonSeconds: 3600, levels, timeZone: 'UTC', models: entrants };
  for (const result of forecastOrigins(samples, origins, options)) {
    if ('quantiles' in result) made.set(result.origin, result);
  }
  return made;
}

function createScore(): Score {
  const zeros = (): number[] => horizons.map(() => 0);
  return {
    size: zeros(),
    errors: {},
    covered: horizons.map(() => levels.map(() => 0)),
    count: zeros(),
    loss: zeros(),
    referenceLoss: zeros(),
  };
}

interface Origin {
  readonly origin: number;
  readonly forecast: BatchForecast;
  readonly reference: BatchForecast | undefined;
}

function addOrigin(score: Score, grid: TimeSeries, { origin, forecast, reference }: Origin): void {
  const { stepSeconds, startSeconds, values } = grid;
  const index = Math.round((origin - startSeconds) / stepSeconds);
  const steps = Math.round(3600 / stepSeconds);
  const points: Record<string, Float64Array> = {
    headstart: forecast.quantiles[0] ?? new Float64Array(),
    last15: new Float64Array(steps).fill(meanOfLastQuarterHour(grid, index)),
    last: new Float64Array(steps).fill(at(values, index - 1)),
    yesterday: yesterdayTimesLevel(grid, index, steps),
  };
  for (const [slot, horizon] of horizons.entries()) {
    for (let row = 0; row < Math.floor(horizon / stepSeconds); row += 1) {
      const actual = at(values, index + row);
      const all = Object.values(points).reduce((sum, point) => sum + at(point, row), actual);
      if (Number.isNaN(all)) continue;
      add(score.size, slot, Math.abs(actual));
      add(score.count, slot, 1);
      for (const [name, point] of Object.entries(points)) {
        score.errors[name] ??= horizons.map(() => 0);
        add(score.errors[name], slot, Math.abs(actual - at(point, row)));
      }
      addQuantiles(score, slot, { actual, row, forecast, reference });
    }
  }
}

function addQuantiles(
  score: Score,
  slot: number,
  at_: { actual: number; row: number; forecast: BatchForecast; reference: BatchForecast | undefined },
): void {
  const { actual, row, forecast, reference } = at_;
  for (const [index, quantile] of forecast.quantiles.entries()) {
    if (actual <= at(quantile, row)) add(score.covered[slot] ?? [], index, 1);
  }
  const index = levels.indexOf(0.95);
  const [ours, theirs] = [forecast.quantiles[index], reference?.quantiles[index]];
  if (ours === undefined || theirs === undefined) return;
  add(score.loss, slot, pinball(actual, at(ours, row), 0.95));
  add(score.referenceLoss, slot, pinball(actual, at(theirs, row), 0.95));
}

function add(list: number[], index: number, value: number): void {
  list[index] = (list[index] ?? 0) + value;
}

function wapeOf({ errors, size }: Score, name: string, slot: number): number {
  return (errors[name]?.[slot] ?? Number.NaN) / (size[slot] ?? Number.NaN);
}

function coverageOf({ covered, count }: Score, level: number, slot: number): number {
  return (covered[slot]?.[level] ?? Number.NaN) / (count[slot] ?? Number.NaN);
}

function skillOf({ loss, referenceLoss }: Score, slot: number): number {
  return 1 - (loss[slot] ?? Number.NaN) / (referenceLoss[slot] ?? Number.NaN);
}

function show(values: readonly number[]): string {
  return values.map((value) => (Number.isNaN(value) ? '    -' : value.toFixed(3).padStart(6))).join(' /');
}

function format({ series, score, seconds, model }: Row): string {
  const wape = names.map((name) => show(horizons.map((_, slot) => wapeOf(score, name, slot))));
  const cover = show(levels.map((_, level) => coverageOf(score, level, 1)));
  const skill = show(horizons.map((_, slot) => skillOf(score, slot)));
  return `${series.padEnd(58)} ${wape.join(' |')} | ${cover} | ${skill} | ${seconds.toFixed(1)} s ${model}`;
}

function summary(all: readonly Row[]): string {
  const middle = (value: (row: Row) => number): number => median(all.map(value));
  const lines = [
    '',
    `${all.length} series. WAPE 15 / 60 min of ${names.join(' | ')} | coverage at 60 min of ${levels.join(' / ')} | pinball skill at 0.95, 15 / 60 min`,
    `median WAPE: ${names.map((name) => `${name} ${show(horizons.map((_, slot) => middle((row) => wapeOf(row.score, name, slot))))}`).join(', ')}`,
    `median coverage at 60 min: ${show(levels.map((_, level) => middle((row) => coverageOf(row.score, level, 1))))}`,
    `within 2 points of nominal: ${show(levels.map((nominal, level) => share(all, (row) => Math.abs(coverageOf(row.score, level, 1) - nominal) <= 0.02)))}`,
    `median pinball skill at 0.95: ${show(horizons.map((_, slot) => middle((row) => skillOf(row.score, slot))))}`,
    `better than the mean of the last 15 min, at 60 min: ${show([share(all, (row) => wapeOf(row.score, 'headstart', 1) < wapeOf(row.score, 'last15', 1))])}`,
    '',
  ];
  return lines.join('\n');
}

function share(all: readonly Row[], holds: (row: Row) => boolean): number {
  return all.filter(holds).length / all.length;
}

function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? (high ?? Number.NaN) : ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}
