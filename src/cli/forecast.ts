// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import { forecastOrigins } from '../forecast/batch.ts';
import type { BatchForecast, BatchRefusal } from '../forecast/batch.ts';
import { defaultModelNames, models } from '../forecast/registry.ts';
import { parseSeriesCsv } from '../series/csv.ts';
import type { ParsedSeries } from '../series/csv.ts';
import { samplingStep } from '../series/resample.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { at } from '../series/time-series.ts';
import type { Sample } from '../series/time-series.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { createPrometheusSource } from '../sources/metrics/prometheus.ts';
import { forecastHelp, parseForecastCommand } from './forecast-options.ts';
import type { ForecastCommand } from './forecast-options.ts';

const prometheusStepSeconds = 60;
const prometheusHistorySeconds = 14 * 86_400;

/** So many refused origins are named one by one. */
const mostNamed = 5;

/** The streams of a process. */
export interface ForecastIo {
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

/** What the command needs besides its streams. */
export interface ForecastPorts {
  readonly clock: Clock;
  createMetricSource(url: string): MetricSource;
}

const machine: ForecastPorts = {
  clock: systemClock,
  createMetricSource: (url) => createPrometheusSource({ url, clock: systemClock, random: Math.random }),
};

/**
 * `headstart forecast`.
 * @returns the exit code: 0 forecasts were made, 1 none could be made or reading or writing failed, 2 a wrong argument or row
 */
export async function runForecast(
  argv: readonly string[],
  io: ForecastIo,
  ports: ForecastPorts = machine,
): Promise<number> {
  try {
    const command = parseForecastCommand(argv);
    if (command === 'help') {
      io.stdout.write(forecastHelp);
      return 0;
    }
    return await forecast(command, io, ports);
  } catch (error) {
    io.stderr.write(`headstart forecast: ${errorMessage(error)}\n`);
    return errorCode(error) === 'InvalidInput' ? 2 : 1;
  }
}

/** The series and the moments to forecast from. */
interface Task {
  readonly samples: readonly Sample[];
  readonly origins: readonly number[];
  readonly stepSeconds: number;
}

async function forecast(command: ForecastCommand, io: ForecastIo, ports: ForecastPorts): Promise<number> {
  const task = command.input.kind === 'csv' ? await readTask(command, io) : await queryTask(command, ports);
  const { model } = command;
  const results: (BatchForecast | BatchRefusal)[] = [];
  const progress = createProgress(io, task.origins.length);
  const batch = forecastOrigins(task.samples, task.origins, {
    stepSeconds: task.stepSeconds,
    horizonSeconds: command.horizonSeconds,
    levels: command.levels,
    timeZone: command.timeZone,
    models: (model === undefined ? defaultModelNames : [model]).map((name) => models[name]),
    ...(command.historySeconds === undefined ? {} : { historySeconds: command.historySeconds }),
  });
  for (const result of batch) {
    results.push(result);
    progress.report(results.length);
  }
  progress.end();
  results.sort((a, b) => a.origin - b.origin);
  const made = results.filter((result) => 'quantiles' in result);
  reportRefusals(results, io);
  if (made.length === 0) return 1;
  await writeOut(command, io, render(command, task, made));
  return 0;
}

async function readTask(command: ForecastCommand, io: ForecastIo): Promise<Task> {
  const file = command.input.kind === 'csv' ? command.input.file : '-';
  const name = file === '-' ? 'stdin' : file;
  const parsed = parseSeriesCsv(file === '-' ? await readAll(io.stdin) : await readText(file), name);
  reportRepairs(parsed, name, io);
  const { samples } = parsed;
  const last = samples.at(-1);
  const stepSeconds = command.stepSeconds ?? Math.round(samplingStep(samples) ?? 0);
  if (last === undefined || stepSeconds === 0) {
    throw new HeadstartError('NoData', `${name}: got ${samples.length} samples, want at least 2`);
  }
  return { samples, origins: command.origins ?? [Math.floor(last.timestamp) + stepSeconds], stepSeconds };
}

async function queryTask(command: ForecastCommand, ports: ForecastPorts): Promise<Task> {
  if (command.input.kind !== 'prometheus') throw new HeadstartError('Internal', 'no query');
  const { url, query } = command.input;
  const stepSeconds = command.stepSeconds ?? prometheusStepSeconds;
  const now = Math.floor(ports.clock.nowMs() / 1000 / stepSeconds) * stepSeconds;
  const origins = command.origins ?? [now];
  const [first = now, last = now] = [origins[0], origins.at(-1)];
  const samples = await ports.createMetricSource(url).range({
    query,
    fromSeconds: first - (command.historySeconds ?? prometheusHistorySeconds),
    toSeconds: last,
    stepSeconds,
  });
  if (samples.length === 0)
    throw new HeadstartError('NoData', `--query: ${url} has no samples before ${formatRfc3339(first)}`);
  return { samples, origins, stepSeconds };
}

function render({ output, levels }: ForecastCommand, { stepSeconds }: Task, made: readonly BatchForecast[]): string {
  return output === 'csv' ? renderCsv(levels, stepSeconds, made) : renderJson(levels, stepSeconds, made);
}

function renderCsv(levels: readonly number[], stepSeconds: number, made: readonly BatchForecast[]): string {
  const lines = [['origin', 'timestamp', ...levels.map(columnName)].join(',')];
  for (const { origin, quantiles } of made) {
    const rows = quantiles[0]?.length ?? 0;
    for (let row = 0; row < rows; row += 1) {
      const cells = quantiles.map((values) => short(at(values, row)));
      lines.push([origin, origin + row * stepSeconds, ...cells].join(','));
    }
  }
  return `${lines.join('\n')}\n`;
}

function renderJson(levels: readonly number[], stepSeconds: number, made: readonly BatchForecast[]): string {
  const forecasts = made.map(({ origin, model, candidates, quantiles }) => ({
    origin,
    stepSeconds,
    model,
    candidates,
    quantiles: Object.fromEntries(
      levels.map((level, index) => [columnName(level), Array.from(quantiles[index] ?? [], short)]),
    ),
  }));
  return `${JSON.stringify(forecasts, undefined, 2)}\n`;
}

/** `q50`, `q99.5`. */
function columnName(level: number): string {
  return `q${Number((level * 100).toPrecision(10))}`;
}

/** Nine digits: more than any demand is known to. */
function short(value: number): number {
  return Number(value.toPrecision(9));
}

async function writeOut({ out }: ForecastCommand, io: ForecastIo, text: string): Promise<void> {
  if (out === '-') {
    io.stdout.write(text);
    return;
  }
  try {
    await writeFile(out, text);
  } catch (error) {
    throw new HeadstartError('Unavailable', '--out: writing failed', { cause: error });
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new HeadstartError('NotFound', '--input: reading failed', { cause: error });
  }
}

async function readAll(stream: AsyncIterable<string | Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function reportRepairs({ missing, duplicates, unsorted }: ParsedSeries, name: string, io: ForecastIo): void {
  const repairs = [
    [missing, 'without a value taken as missing'],
    [duplicates, 'replaced by a later row with the same timestamp'],
    [unsorted, 'out of order, sorted'],
  ] as const;
  for (const [count, what] of repairs) {
    if (count > 0) io.stderr.write(`headstart forecast: ${name}: ${count} ${count === 1 ? 'row' : 'rows'} ${what}\n`);
  }
}

function reportRefusals(results: readonly (BatchForecast | BatchRefusal)[], io: ForecastIo): void {
  const refused = results.filter((result) => 'refusal' in result);
  for (const { origin, refusal } of refused.slice(0, mostNamed)) {
    const { have, need } = refusal;
    io.stderr.write(`headstart forecast: origin ${formatRfc3339(origin)}: no forecast, have ${have}, need ${need}\n`);
  }
  if (refused.length > mostNamed) {
    io.stderr.write(`headstart forecast: ${refused.length - mostNamed} more origins without a forecast\n`);
  }
}

interface Progress {
  report(done: number): void;
  end(): void;
}

/** A line that counts, on a terminal only. */
function createProgress({ stderr }: ForecastIo, total: number): Progress {
  if (stderr.isTTY !== true || total < 2) return { report: () => undefined, end: () => undefined };
  return {
    report: (done) => {
      stderr.write(`\rforecast ${done} of ${total}`);
    },
    end: () => {
      stderr.write('\r\u001B[K');
    },
  };
}
