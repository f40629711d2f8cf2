// SPDX-License-Identifier: Apache-2.0
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import { createAnomalyDetector } from '../forecast/anomaly/detector.ts';
import type { AnomalyScore } from '../forecast/anomaly/detector.ts';
import { detectorNames } from '../forecast/anomaly/rarity.ts';
import type { DetectorName } from '../forecast/anomaly/rarity.ts';
import { parseSeriesRows } from '../series/csv.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import type { Sample } from '../series/time-series.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { createPrometheusSource } from '../sources/metrics/prometheus.ts';
import { detectHelp, parseDetectCommand } from './detect-options.ts';
import type { DetectCommand } from './detect-options.ts';
import { createProgress, nameOfInput, readInput, writeOut } from './series-input.ts';
import type { SeriesIo } from './series-input.ts';

/** Rows between two looks at the progress. */
const progressRows = 1000;

/** So many scores are explained, by so many detectors each. */
const mostExplained = 5;
const mostReasons = 3;

/** What the command needs besides its streams. */
export interface DetectPorts {
  readonly clock: Clock;
  createMetricSource(url: string): MetricSource;
}

const machine: DetectPorts = {
  clock: systemClock,
  createMetricSource: (url) => createPrometheusSource({ url, clock: systemClock, random: Math.random }),
};

interface Scored extends AnomalyScore {
  readonly timestamp: number;
}

/**
 * `headstart detect`.
 * @returns the exit code: 0 scores were written, 1 reading or writing failed or there is no sample, 2 a wrong argument or row
 */
export async function runDetect(argv: readonly string[], io: SeriesIo, ports: DetectPorts = machine): Promise<number> {
  try {
    const command = parseDetectCommand(argv);
    if (command === 'help') {
      io.stdout.write(detectHelp);
      return 0;
    }
    const rows = score(await readRows(command, io, ports), command, io);
    await writeOut(command.out, io, command.output === 'csv' ? renderCsv(rows) : renderJson(rows));
    if (command.explain && command.output === 'csv') io.stderr.write(explain(rows));
    return 0;
  } catch (error) {
    io.stderr.write(`headstart detect: ${errorMessage(error)}\n`);
    return errorCode(error) === 'InvalidInput' ? 2 : 1;
  }
}

async function readRows(command: DetectCommand, io: SeriesIo, ports: DetectPorts): Promise<readonly Sample[]> {
  const { input, stepSeconds } = command;
  if (input.kind === 'csv') {
    const name = nameOfInput(input.file);
    const rows = parseSeriesRows(await readInput(input.file, io), name);
    if (rows.length === 0) throw new HeadstartError('NoData', `${name}: got no samples, want at least 1`);
    return rows;
  }
  const toSeconds = Math.floor(ports.clock.nowMs() / 1000 / stepSeconds) * stepSeconds;
  const fromSeconds = toSeconds - command.historySeconds;
  const { query, url } = input;
  const samples = await ports.createMetricSource(url).range({ query, fromSeconds, toSeconds, stepSeconds });
  if (samples.length > 0) return samples;
  throw new HeadstartError('NoData', `--query: ${url} has no samples since ${formatRfc3339(fromSeconds)}`);
}

/** In the order of time, whatever the order of the rows: no score may know of a later sample. */
function score(rows: readonly Sample[], { timeZone }: DetectCommand, io: SeriesIo): Scored[] {
  const detector = createAnomalyDetector({ timeZone });
  const progress = createProgress(io, 'detect', rows.length);
  const order = rows.map((sample, row) => ({ sample, row })).sort((a, b) => a.sample.timestamp - b.sample.timestamp);
  const scored: (Scored & { readonly row: number })[] = [];
  for (const { sample, row } of order) {
    scored.push({ timestamp: sample.timestamp, row, ...detector.observe(sample) });
    if (scored.length % progressRows === 0) progress.report(scored.length);
  }
  progress.end();
  return scored.sort((a, b) => a.row - b.row);
}

function renderCsv(rows: readonly Scored[]): string {
  return `timestamp,score\n${rows.map((row) => `${row.timestamp},${short(row.score)}\n`).join('')}`;
}

function renderJson(rows: readonly Scored[]): string {
  const lines = rows.map((row) => {
    const rarities = Object.fromEntries(Object.entries(row.rarities).map(([name, rarity]) => [name, short(rarity)]));
    return JSON.stringify({
      timestamp: row.timestamp,
      score: short(row.score),
      surprise: short(row.surprise),
      rarities,
    });
  });
  return `[\n${lines.join(',\n')}\n]\n`;
}

/** The highest scores in the order of time, and the detectors that found them rarest. */
function explain(rows: readonly Scored[]): string {
  const highest = rows
    .toSorted((a, b) => b.score - a.score)
    .slice(0, mostExplained)
    .sort((a, b) => a.timestamp - b.timestamp);
  return highest
    .map(({ timestamp, score: value, rarities }) => {
      const reasons = Object.keys(detectorNames) as DetectorName[];
      reasons.sort((a, b) => rarities[b] - rarities[a]);
      const lines = reasons.slice(0, mostReasons).map((name) => {
        const once = Math.round(10 ** rarities[name]);
        return `  ${name} (${detectorNames[name]}): ${once > 1 ? `once in ${once} rows` : 'nothing unusual'}\n`;
      });
      return `${formatRfc3339(timestamp)} score ${short(value)}\n${lines.join('')}`;
    })
    .join('');
}

function short(value: number): number {
  return Number(value.toPrecision(6));
}
