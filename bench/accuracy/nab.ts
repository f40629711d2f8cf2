// SPDX-License-Identifier: Apache-2.0
// The Numenta Anomaly Benchmark, standard profile, with the detector behind `headstart detect`.
//
//   node bench/accuracy/nab.ts [FOLDER] [--calibrate]
//
// FOLDER (default ../shared/traces) has a folder nab, or is one, with GROUP__NAME.csv (timestamp,value) and
// GROUP__NAME.labels.csv (start,end of the anomalies). Printed for each file and in all: the score with the product's own
// threshold and with the best one for all files together, and the score when the threshold for each group of files is
// chosen on the other groups. --calibrate prints what src/forecast/anomaly/rarity.ts holds as knots.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { anomalyScore, createAnomalyDetector } from '../../src/forecast/anomaly/detector.ts';
import { detectorNames, knotRarities } from '../../src/forecast/anomaly/rarity.ts';
import type { DetectorName } from '../../src/forecast/anomaly/rarity.ts';
import { parseSeriesRows } from '../../src/series/csv.ts';
import type { Sample } from '../../src/series/time-series.ts';
import { addNabTotals, bestNabThreshold, nabFile, nabScore, nabTotals } from '../../src/testing/nab.ts';
import type { NabFile, NabResult, NabTotals, NabWindow } from '../../src/testing/nab.ts';

/** A file of the benchmark. */
interface Series {
  readonly name: string;
  readonly group: string;
  readonly samples: readonly Sample[];
  readonly file: NabFile;
}

/** What one file, or a group of them, came to. */
export interface NabRow {
  readonly name: string;
  readonly rows: number;
  /** With the product's threshold. */
  readonly own: NabTotals;
  /** With the best single threshold. */
  readonly best: NabTotals;
  readonly cpuSeconds: number;
}

/** What the files of a folder came to. */
export interface NabReport {
  readonly files: readonly NabRow[];
  readonly groups: readonly NabRow[];
  readonly total: NabRow;
  readonly ownThreshold: number;
  readonly bestThreshold: number;
  /** The threshold of each group chosen on the other groups. */
  readonly crossValidated: NabTotals;
}

/** Published results on the same files, for the page. */
export const nabReferences: Readonly<Record<string, number>> = {
  ARTime: 76.6,
  'CAD OSE': 71.6,
  'Numenta HTM': 69.2,
  'Random Cut Forest': 55.3,
  'Windowed Gaussian': 42.8,
};

/** Scores all files of the benchmark in a folder. */
export function scoreNab(folder: string): NabReport {
  const series = readSeries(folder);
  const runs = series.map((one) => ({ ...one, ...run(one) }));
  const bestThreshold = bestNabThreshold(runs);
  const row = (name: string, of: typeof runs): NabRow => ({
    name,
    rows: of.reduce((total, { scores }) => total + scores.length, 0),
    own: nabTotals(of, anomalyScore),
    best: nabTotals(of, bestThreshold),
    cpuSeconds: of.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0),
  });
  const groups = [...new Set(series.map(({ group }) => group))];
  const inGroup = (name: string): typeof runs => runs.filter(({ group }) => group === name);
  return {
    files: runs.map((one) => row(one.name, [one])),
    groups: groups.map((name) => row(name, inGroup(name))),
    total: row('all', runs),
    ownThreshold: anomalyScore,
    bestThreshold,
    crossValidated: addNabTotals(
      groups.map((name) => nabTotals(inGroup(name), bestNabThreshold(runs.filter(({ group }) => group !== name)))),
    ),
  };
}

function readSeries(folder: string): Series[] {
  const within = join(folder, 'nab');
  const nab = existsSync(within) ? within : folder;
  const names = readdirSync(nab).flatMap((file) => (file.endsWith('.labels.csv') ? [file.slice(0, -11)] : []));
  return names.sort().map((name) => {
    const samples = parseSeriesRows(readFileSync(join(nab, `${name}.csv`), 'utf8'), name);
    const labels = readFileSync(join(nab, `${name}.labels.csv`), 'utf8')
      .trim()
      .split('\n')
      .slice(1);
    const windows = labels.map((line): NabWindow => {
      const [start = Number.NaN, end = Number.NaN] = line.split(',').map(Number);
      return [start, end];
    });
    const timestamps = samples.map(({ timestamp }) => timestamp);
    return { name, group: name.split('__')[0] ?? name, samples, file: nabFile(timestamps, windows) };
  });
}

/** Some files have stamps that go back: they are scored in the order of the file, as the benchmark does. */
function run({ samples, file }: Series): NabResult & { readonly cpuSeconds: number } {
  const before = process.cpuUsage();
  const detector = createAnomalyDetector({ timeZone: 'UTC' });
  const scores = samples.map((sample) => detector.observe(sample).score);
  const { user, system } = process.cpuUsage(before);
  return { file, scores, cpuSeconds: (user + system) / 1e6 };
}

/** For each detector the scores that a share of rows exceeds, past the probationary period. */
function calibrate(folder: string): Record<string, number[]> {
  const names = Object.keys(detectorNames) as DetectorName[];
  const pool = new Map(names.map((name) => [name, new Array<number>()]));
  for (const { samples, file } of readSeries(folder)) {
    const detector = createAnomalyDetector({ timeZone: 'UTC' });
    const measured = samples.map((sample) => detector.measure(sample)).filter((_, row) => file.window[row] !== -2);
    for (const name of names) pool.get(name)?.push(...measured.map((measures) => measures[name]));
  }
  const knots = (values: readonly number[]): number[] => {
    const sorted = Float64Array.from(values).sort();
    return knotRarities.map((rarity) => sorted[Math.round(sorted.length * (1 - 10 ** -rarity))] ?? 0);
  };
  return Object.fromEntries(
    names.map((name) => [name, knots(pool.get(name) ?? []).map((value) => Number(value.toPrecision(3)))]),
  );
}

function print({ files, groups, total, bestThreshold, crossValidated }: NabReport): void {
  const line = ({ name, rows, own, best, cpuSeconds }: NabRow): string =>
    `${name.padEnd(54)} ${show(own).padStart(6)} ${show(best).padStart(6)} ${`${own.found}/${own.windows}`.padStart(6)} ` +
    `${String(own.falseAlarms).padStart(6)} ${String(rows).padStart(7)} ${cpuSeconds.toFixed(2).padStart(7)}`;
  process.stdout.write(`${'file'.padEnd(54)}    own   best  found  false    rows   CPU s\n`);
  for (const row of [...files, ...groups, total]) process.stdout.write(`${line(row)}\n`);
  process.stdout.write(`best threshold ${bestThreshold.toFixed(4)}, own ${anomalyScore}; `);
  process.stdout.write(`threshold chosen on the other groups: ${show(crossValidated)}\n`);
}

/** Files without an anomaly have no score. */
function show(totals: NabTotals): string {
  const score = nabScore(totals);
  return Number.isNaN(score) ? '-' : score.toFixed(1);
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ options: { calibrate: { type: 'boolean' } }, allowPositionals: true });
  const folder = positionals[0] ?? '../shared/traces';
  if (values.calibrate === true) process.stdout.write(`${JSON.stringify(calibrate(folder), undefined, 2)}\n`);
  else print(scoreNab(folder));
}
