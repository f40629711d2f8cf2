// SPDX-License-Identifier: Apache-2.0
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import { forecastOrigins } from '../forecast/batch.ts';
import type { BatchForecast, BatchOptions, BatchRefusal } from '../forecast/batch.ts';
import { defaultModelNames, models } from '../forecast/registry.ts';
import { samplingStep } from '../series/resample.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { at } from '../series/time-series.ts';
import type { Sample } from '../series/time-series.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { createPrometheusSource } from '../sources/metrics/prometheus.ts';
import { explain, renderExplanation } from './explain.ts';
import type { Explanation } from './explain.ts';
import { forecastHelp, parseForecastCommand } from './forecast-options.ts';
import type { ForecastCommand } from './forecast-options.ts';
import { readKnownAhead } from './known-ahead.ts';
import type { KnownAheadOptions } from './known-ahead.ts';
import { createProgress, nameOfInput, readSeries, writeOut } from './series-input.ts';
import type { SeriesIo } from './series-input.ts';

const prometheusStepSeconds = 60;
const prometheusHistorySeconds = 14 * 86_400;

/** So many refused origins are named one by one. */
const mostNamed = 5;

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
  io: SeriesIo,
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

async function forecast(command: ForecastCommand, io: SeriesIo, ports: ForecastPorts): Promise<number> {
  const task =
    command.input.kind === 'csv' ? await readTask(command.input.file, command, io) : await queryTask(command, ports);
  const known = await readKnownAhead(command.known, spanOf(command, task));
  const results: (BatchForecast | BatchRefusal)[] = [];
  const progress = createProgress(io, 'forecast', task.origins.length);
  for (const result of forecastOrigins(task.samples, task.origins, batchOptions(command, task, known))) {
    results.push(result);
    progress.report(results.length);
  }
  progress.end();
  results.sort((a, b) => a.origin - b.origin);
  const made = results.filter((result) => 'quantiles' in result);
  reportRefusals(results, io);
  const last = made.at(-1);
  if (last === undefined) return 1;
  const explanation = command.explain ? explain(task.samples, last, setupOf(task, known)) : undefined;
  await writeOut(command.out, io, render(command, task, { made, explanation }));
  if (explanation !== undefined && command.output !== 'json') {
    (command.out === '-' ? io.stderr : io.stdout).write(renderExplanation(explanation));
  }
  return 0;
}

function batchOptions(command: ForecastCommand, { stepSeconds }: Task, known: KnownAheadOptions): BatchOptions {
  const { model, horizonSeconds, levels, timeZone, historySeconds } = command;
  return {
    stepSeconds,
    horizonSeconds,
    levels,
    timeZone,
    models: (model === undefined ? defaultModelNames(horizonSeconds) : [model]).map((name) => models[name]),
    ...known,
    ...(historySeconds === undefined ? {} : { historySeconds }),
  };
}

function spanOf({ horizonSeconds }: ForecastCommand, { samples, origins }: Task) {
  const fromSeconds = samples[0]?.timestamp ?? 0;
  return { fromSeconds, toSeconds: (origins.at(-1) ?? fromSeconds) + horizonSeconds };
}

function setupOf({ stepSeconds }: Task, { regressors, holidays }: KnownAheadOptions) {
  return { stepSeconds, regressors: regressors.map(({ name }) => name), holidays: holidays?.size ?? 0 };
}

async function readTask(file: string, command: ForecastCommand, io: SeriesIo): Promise<Task> {
  const { samples } = await readSeries(file, io, 'headstart forecast');
  const last = samples.at(-1);
  const stepSeconds = command.stepSeconds ?? Math.round(samplingStep(samples) ?? 0);
  if (last === undefined || stepSeconds === 0) {
    throw new HeadstartError('NoData', `${nameOfInput(file)}: got ${samples.length} samples, want at least 2`);
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

interface Made {
  readonly made: readonly BatchForecast[];
  readonly explanation: Explanation | undefined;
}

function render({ output, levels }: ForecastCommand, { stepSeconds }: Task, { made, explanation }: Made): string {
  if (output === 'csv') return renderCsv(levels, stepSeconds, made);
  return renderJson(levels, stepSeconds, { made, explanation });
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

function renderJson(levels: readonly number[], stepSeconds: number, { made, explanation }: Made): string {
  const forecasts = made.map((forecast) => ({
    origin: forecast.origin,
    stepSeconds,
    model: forecast.model,
    candidates: forecast.candidates,
    quantiles: Object.fromEntries(
      levels.map((level, index) => [columnName(level), Array.from(forecast.quantiles[index] ?? [], short)]),
    ),
    ...(explanation?.origin === forecast.origin ? { explanation } : {}),
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

function reportRefusals(results: readonly (BatchForecast | BatchRefusal)[], io: SeriesIo): void {
  const refused = results.filter((result) => 'refusal' in result);
  for (const { origin, refusal } of refused.slice(0, mostNamed)) {
    const { have, need } = refusal;
    io.stderr.write(`headstart forecast: origin ${formatRfc3339(origin)}: no forecast, have ${have}, need ${need}\n`);
  }
  if (refused.length > mostNamed) {
    io.stderr.write(`headstart forecast: ${refused.length - mostNamed} more origins without a forecast\n`);
  }
}
