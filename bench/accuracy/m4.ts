// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import { dailyDifference } from './day-ahead.ts';
import { runEntrants } from './headstart.ts';
import { packageReferences } from './packages.ts';
import { resultOf } from './protocol.ts';
import type { Settings, Task, TaskResult } from './protocol.ts';
import { dayReferences } from './references.ts';
import { createTally } from './tally.ts';
import { hourSeconds, toSamples } from './traces.ts';

const horizonSteps = 48;

/** Monday 2018-01-01T00:00:00Z: the competition's files do not say when series begin. */
const startSeconds = 1_514_764_800;

/** Names of the series, none where the folder has no M4. */
export function listM4(folder: string): string[] {
  return [...rowsOf(folder, 'train').keys()];
}

/** The official split of the M4 competition's hourly series: 48 hours after the training part. */
export function evaluateM4(task: Task, settings: Settings): TaskResult {
  const train = rowsOf(settings.folder, 'train').get(task.series) ?? [];
  const test = rowsOf(settings.folder, 'test').get(task.series) ?? [];
  const grid: TimeSeries = { startSeconds, stepSeconds: hourSeconds, values: Float64Array.from(train) };
  const origin = startSeconds + train.length * hourSeconds;
  const request = { origins: [origin], stepSeconds: hourSeconds, horizonSeconds: horizonSteps * hourSeconds };
  const runs = runEntrants(toSamples(grid), request, settings.entrants);
  const references = { ...dayReferences, ...(settings.packages ? packageReferences() : {}) };
  const paths = [
    ...Object.entries(runs).map(([name, { forecasts }]) => [name, forecasts.get(origin)?.quantiles[0]] as const),
    ...Object.entries(references).map(([name, of]) => [name, of(grid, train.length, horizonSteps)] as const),
  ];
  const scale = dailyDifference(grid.values);
  const [mase, smape] = [createTally('MASE'), createTally('sMAPE')];
  for (const [row, actual] of test.entries()) {
    const points = paths.map(([name, path]) => [name, at(path ?? new Float64Array(), row)] as const);
    mase.add(0, scale, Object.fromEntries(points.map(([name, point]) => [name, Math.abs(actual - point)])));
    smape.add(0, 1, Object.fromEntries(points.map(([name, point]) => [name, symmetric(actual, point)])));
  }
  return resultOf(task, runs, [mase.metric(), smape.metric()]);
}

/** Percent, 0 to 200. */
function symmetric(actual: number, forecast: number): number {
  const size = Math.abs(actual) + Math.abs(forecast);
  return size === 0 ? 0 : (200 * Math.abs(actual - forecast)) / size;
}

const known = new Map<string, Map<string, number[]>>();

function rowsOf(folder: string, part: 'train' | 'test'): Map<string, number[]> {
  const file = join(folder, 'm4_hourly', `${part}.visible.csv`);
  const rows = known.get(file) ?? (existsSync(file) ? readRows(file) : new Map<string, number[]>());
  known.set(file, rows);
  return rows;
}

/** Lines of a name and its values, without a header. */
function readRows(file: string): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name = '', ...cells] = line.replaceAll('"', '').trim().split(',');
    const values = cells.filter((cell) => cell !== '').map(Number);
    if (values.length > 0) rows.set(name, values);
  }
  return rows;
}
