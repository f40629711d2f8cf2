// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import type { ModelName } from '../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../base/duration.ts';
import { errorMessage, HeadstartError, invalidInput } from '../base/errors.ts';
import { modelNames } from '../forecast/registry.ts';
import { isTimeZone } from '../series/calendar.ts';
import { parseTimestamp } from '../series/rfc3339.ts';

export const forecastHelp = `headstart forecast: forecasts a series, from one moment or from many.

Usage:
  headstart forecast --input FILE|- [--origin TIME | --origins FROM/TO/EVERY] [flags]
  headstart forecast --prometheus URL --query QUERY [--origin TIME | --origins FROM/TO/EVERY] [flags]

Input:
  --input FILE|-          CSV with the header timestamp,value; - reads stdin. One row per sample that exists, in any
                          order; an empty value or NaN is a missing sample; of equal timestamps the last row counts
  --prometheus URL        read the series from Prometheus instead
  --query QUERY           PromQL that gives one series
  --history DURATION      history before the first origin that is used (default with --prometheus 14d, else as much as
                          the models can use)

Forecast:
  --origin TIME           forecast from TIME on (default: just after the last row; with --prometheus: now)
  --origins FROM/TO/EVERY forecast from FROM, FROM + EVERY, ... up to and including TO
  --horizon DURATION      how far ahead (default 24h)
  --step DURATION         between the rows of a forecast (default: as in the input; with --prometheus 1m)
  --quantiles LIST        of demand at each step, between 0 and 1 (default 0.5,0.8,0.95,0.99)
  --time-zone ZONE        IANA zone in which days and weeks are counted (default UTC)
  --model NAME            ${wrapped(modelNames)}
                          (default: the one with the smallest loss on the past)

Output:
  --out FILE|-            default -, standard output
  --output csv|json       csv: origin,timestamp,q50,q80,... (default); json: also the model and the losses

Times are whole epoch seconds or RFC 3339, durations like 90s, 5m, 24h, 14d. A forecast made at an origin uses only
rows with a timestamp before it, and gives the rows origin, origin + step, ... before origin + horizon.
Exit codes: 0 forecasts were made; 1 none could be made, or reading or writing failed; 2 a wrong argument or row.
`;

/** Where the series comes from. */
export type SeriesInput =
  | { readonly kind: 'csv'; readonly file: string }
  | { readonly kind: 'prometheus'; readonly url: string; readonly query: string };

/** What `headstart forecast` is asked for. */
export interface ForecastCommand {
  readonly input: SeriesInput;
  /** undefined: just after the last row, or now. */
  readonly origins?: readonly number[];
  readonly horizonSeconds: number;
  readonly stepSeconds?: number;
  readonly historySeconds?: number;
  readonly levels: readonly number[];
  readonly timeZone: string;
  readonly model?: ModelName;
  readonly out: string;
  readonly output: 'csv' | 'json';
}

const flags = {
  help: { type: 'boolean', short: 'h' },
  input: { type: 'string' },
  prometheus: { type: 'string' },
  query: { type: 'string' },
  history: { type: 'string' },
  origin: { type: 'string' },
  origins: { type: 'string' },
  horizon: { type: 'string', default: '24h' },
  step: { type: 'string' },
  quantiles: { type: 'string', default: '0.5,0.8,0.95,0.99' },
  'time-zone': { type: 'string', default: 'UTC' },
  model: { type: 'string' },
  out: { type: 'string', default: '-' },
  output: { type: 'string', default: 'csv' },
  regressors: { type: 'string' },
  events: { type: 'string' },
} as const;

/** Names on lines that a terminal shows whole, below each other. */
function wrapped(names: readonly string[]): string {
  const lines = [''];
  for (const name of names) {
    const line = lines.at(-1) ?? '';
    if (line.length + name.length > 80) lines.push(name);
    else lines[lines.length - 1] = line === '' ? name : `${line}, ${name}`;
  }
  return lines.join(`,\n${' '.repeat(26)}`);
}

/** More origins than this are most likely a typing error in EVERY. */
const mostOrigins = 100_000;

type Values = ReturnType<typeof readFlags>;

/**
 * The command, or `help`.
 * @throws HeadstartError InvalidInput that names the flag
 */
export function parseForecastCommand(argv: readonly string[]): ForecastCommand | 'help' {
  const values = readFlags(argv);
  if (values.help === true) return 'help';
  refuseUnavailable(values);
  const origins = parseOrigins(values);
  const duration = (flag: 'horizon' | 'step' | 'history'): number | undefined => {
    const text = values[flag];
    return text === undefined ? undefined : wholeDuration(text, `--${flag}`);
  };
  const [step, history] = [duration('step'), duration('history')];
  const model = values.model === undefined ? undefined : parseModel(values.model);
  return {
    input: parseInput(values),
    horizonSeconds: duration('horizon') ?? 0,
    levels: parseQuantiles(values.quantiles),
    timeZone: parseTimeZone(values['time-zone']),
    out: values.out,
    output: parseOutput(values.output),
    ...(origins === undefined ? {} : { origins }),
    ...(step === undefined ? {} : { stepSeconds: step }),
    ...(history === undefined ? {} : { historySeconds: history }),
    ...(model === undefined ? {} : { model }),
  };
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new HeadstartError('InvalidInput', errorMessage(error));
  }
}

function refuseUnavailable(values: Values): void {
  for (const flag of ['regressors', 'events'] as const) {
    const given = values[flag];
    if (given !== undefined) throw invalidInput(`--${flag}`, given, 'nothing: this flag is not available yet');
  }
}

function parseInput({ input, prometheus, query }: Values): SeriesInput {
  if ((input === undefined) === (prometheus === undefined)) {
    const given = input === undefined ? 'neither' : 'both';
    throw invalidInput(
      '--input, --prometheus',
      given,
      'one of them: a CSV file (- for stdin), or the URL of a Prometheus',
    );
  }
  if (input !== undefined) {
    if (query !== undefined) throw invalidInput('--query', query, 'nothing with --input: it goes with --prometheus');
    return { kind: 'csv', file: input };
  }
  if (query === undefined || query.trim() === '') {
    throw invalidInput('--query', query ?? 'nothing', 'PromQL that gives one series, with --prometheus');
  }
  return { kind: 'prometheus', url: prometheus ?? '', query };
}

function parseOrigins({ origin, origins }: Values): readonly number[] | undefined {
  if (origin !== undefined && origins !== undefined) {
    throw invalidInput('--origin, --origins', 'both', 'one of them');
  }
  if (origin !== undefined) return [whole(parseTimestamp(origin, '--origin'), origin, '--origin')];
  if (origins === undefined) return undefined;
  return parseRange(origins);
}

function parseRange(text: string): readonly number[] {
  const parts = text.split('/');
  const [fromText = '', toText = '', everyText = ''] = parts;
  if (parts.length !== 3) {
    throw invalidInput('--origins', text, 'FROM/TO/EVERY, such as 2026-05-01T00:00:00Z/2026-05-08T00:00:00Z/1h');
  }
  const from = whole(parseTimestamp(fromText, '--origins FROM'), fromText, '--origins FROM');
  const to = whole(parseTimestamp(toText, '--origins TO'), toText, '--origins TO');
  const every = wholeDuration(everyText, '--origins EVERY');
  if (to < from) throw invalidInput('--origins TO', toText, `a time not before FROM, ${fromText}`);
  const count = Math.floor((to - from) / every) + 1;
  if (count > mostOrigins) throw invalidInput('--origins', text, `at most ${mostOrigins} origins, this gives ${count}`);
  return Array.from({ length: count }, (_, index) => from + index * every);
}

function wholeDuration(text: string, where: string): number {
  const seconds = parseDurationSeconds(text, where);
  if (!(seconds >= 1 && Number.isInteger(seconds))) throw invalidInput(where, text, 'whole seconds, at least 1s');
  return seconds;
}

function whole(seconds: number, text: string, where: string): number {
  if (!Number.isInteger(seconds)) throw invalidInput(where, text, 'whole seconds');
  return seconds;
}

function parseQuantiles(text: string): number[] {
  const levels = text.split(',').map((part) => {
    const level = /^\s*(?:0?\.\d+)\s*$/.test(part) ? Number(part) : Number.NaN;
    if (!(level > 0 && level < 1))
      throw invalidInput('--quantiles', part.trim(), 'numbers between 0 and 1, such as 0.5,0.95');
    return level;
  });
  return [...new Set(levels)].sort((a, b) => a - b);
}

function parseTimeZone(name: string): string {
  if (!isTimeZone(name)) throw invalidInput('--time-zone', name, 'an IANA time zone such as UTC or Europe/Berlin');
  return name;
}

function parseModel(name: string): ModelName {
  const model = modelNames.find((known) => known === name);
  if (model === undefined) throw invalidInput('--model', name, `one of ${modelNames.join(', ')}`);
  return model;
}

function parseOutput(text: string): 'csv' | 'json' {
  if (text === 'csv' || text === 'json') return text;
  throw invalidInput('--output', text, 'csv or json');
}
