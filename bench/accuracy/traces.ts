// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSeriesCsv } from '../../src/series/csv.ts';
import { resample, samplingStep } from '../../src/series/resample.ts';
import { at } from '../../src/series/time-series.ts';
import type { Sample, TimeSeries } from '../../src/series/time-series.ts';

export const hourSeconds = 3600;
export const daySeconds = 86_400;

/** A series of the folder, as it is and on its own grid. */
export interface Trace {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly grid: TimeSeries;
}

/** The made-up series of the Numenta benchmark say nothing about demand. */
const madeUp = /artificial/;

/** What stands beside a series, and is none itself. */
const companions = /\.(labels|regressors|events|visible)\.csv$/;

/** How long and how coarse a series of the folder is. */
export interface Extent {
  readonly stepSeconds: number;
  readonly spanSeconds: number;
}

/** By path of the series, from the folder's MANIFEST.tsv; a series that it does not name is read to find out. */
export function readExtents(folder: string): ReadonlyMap<string, Extent> {
  const file = join(folder, 'MANIFEST.tsv');
  if (!existsSync(file)) return new Map();
  const [head = '', ...lines] = readFileSync(file, 'utf8').split('\n');
  const columns = head.split('\t');
  const [path, step, span] = ['file', 'resolution_s', 'span_days'].map((name) => columns.indexOf(name));
  return new Map(
    lines.map((line) => {
      const cells = line.split('\t');
      const number = (column = -1): number => Number(cells[column] ?? Number.NaN);
      const extent = { stepSeconds: number(step), spanSeconds: daySeconds * number(span) };
      return [(cells[path ?? -1] ?? '').replace(/\.csv$/, ''), extent];
    }),
  );
}

/** Paths of the series in the folder, without the ending. */
export function listTraces(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.csv') && !companions.test(path) && !madeUp.test(path))
    .map((path) => path.replace(/\.csv$/, ''))
    .sort();
}

/** Reads a series; its grid has the step that its samples have, of whole minutes where it is a minute or more. */
export function readTrace(folder: string, name: string): Trace {
  const { samples } = parseSeriesCsv(readFileSync(join(folder, `${name}.csv`), 'utf8'), name);
  const stepSeconds = Math.max(60, Math.round(samplingStep(samples) ?? 0));
  return { name, samples, grid: gridOf(samples, stepSeconds) };
}

/** The series on the grid of `stepSeconds` that midnight (UTC) lies on. */
export function gridOf(samples: readonly Sample[], stepSeconds: number): TimeSeries {
  const startSeconds = Math.floor((samples[0]?.timestamp ?? 0) / stepSeconds) * stepSeconds;
  return resample(samples, { startSeconds, endSeconds: (samples.at(-1)?.timestamp ?? 0) + 1, stepSeconds });
}

/** The points that are there. */
export function toSamples({ startSeconds, stepSeconds, values }: TimeSeries): Sample[] {
  return Array.from(values, (value, index) => ({ timestamp: startSeconds + index * stepSeconds, value })).filter(
    ({ value }) => !Number.isNaN(value),
  );
}

export function extentOf({ values, stepSeconds }: TimeSeries): Extent {
  return { stepSeconds, spanSeconds: values.length * stepSeconds };
}

/** Long enough, and not too coarse. */
export function isEnough(extent: Extent, needs: Extent): boolean {
  return extent.stepSeconds <= needs.stepSeconds && extent.spanSeconds >= needs.spanSeconds;
}

export function indexOf({ startSeconds, stepSeconds }: TimeSeries, time: number): number {
  return Math.round((time - startSeconds) / stepSeconds);
}

export function timeOf({ startSeconds, stepSeconds }: TimeSeries, index: number): number {
  return startSeconds + index * stepSeconds;
}

export function valueAt(grid: TimeSeries, time: number): number {
  return at(grid.values, indexOf(grid, time));
}
