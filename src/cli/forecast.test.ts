// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { Sample } from '../series/time-series.ts';
import type { MetricSource, RangeRequest } from '../sources/metrics/metric-source.ts';
import { demandSeries, monday, samplesOf } from '../testing/demand.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { parseForecastCommand } from './forecast-options.ts';
import { runForecast } from './forecast.ts';
import type { ForecastPorts } from './forecast.ts';

const day = 86_400;
const samples = samplesOf(demandSeries({ seed: 41, days: 4, stepSeconds: 900 }));
const end = monday + 4 * day;
const csv = (rows: readonly Sample[]): string =>
  `timestamp,value\n${rows.map(({ timestamp, value }) => `${timestamp},${value}`).join('\n')}\n`;

let folder = '';
let input = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headstart-forecast-'));
  input = join(folder, 'series.csv');
  await writeFile(input, csv(samples));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface World {
  readonly stdin?: string;
  readonly isTTY?: boolean;
  readonly source?: MetricSource;
}

/** A Prometheus without data. */
const silent: MetricSource = { range: () => Promise.resolve([]), latest: () => Promise.resolve(undefined) };

async function run(
  argv: readonly string[],
  { stdin = '', isTTY = false, source = silent }: World = {},
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const ports: ForecastPorts = {
    clock: { nowMs: () => (end + 7) * 1000, sleep: () => Promise.reject(new Error('not expected')) },
    createMetricSource: () => source,
  };
  const io = { stdin: chunks(stdin), stdout: stream('stdout'), stderr: stream('stderr') };
  return { code: await runForecast(argv, io, ports), ...written };
}

/** Cut in the middle of anything. */
async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 1001) yield await Promise.resolve(bytes.subarray(at, at + 1001));
}

function table(text: string): number[][] {
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
}

describe('headstart forecast', () => {
  test('forecasts from the end of the series for a day, in rows of the file contract', async () => {
    const { code, stdout, stderr } = await run(['--input', input]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')[0]).toBe('origin,timestamp,q50,q80,q95,q99');
    const rows = table(stdout);
    expect(rows).toHaveLength(96);
    expect(rows[0]?.slice(0, 2)).toEqual([end, end]);
    expect(rows.at(-1)?.[1]).toBe(end + day - 900);
    for (const [, , ...quantiles] of rows) expect(quantiles).toEqual(quantiles.toSorted((a, b) => a - b));
  });

  test('takes many origins, both ends included, and writes a file', async () => {
    const out = join(folder, 'forecasts.csv');
    const origins = '2026-01-07T00:00:00Z/2026-01-07T06:00:00Z/3h';
    const argv = ['--input', input, '--origins', origins, '--horizon', '30m', '--quantiles', '0.995,.5', '--out', out];
    expect(await run(argv)).toEqual({ code: 0, stdout: '', stderr: '' });
    const text = await readFile(out, 'utf8');
    expect(text.split('\n')[0]).toBe('origin,timestamp,q50,q99.5');
    expect(table(text).map(([origin, at]) => [(origin ?? 0) - monday - 2 * day, (at ?? 0) - (origin ?? 0)])).toEqual([
      [0, 0],
      [0, 900],
      [10_800, 0],
      [10_800, 900],
      [21_600, 0],
      [21_600, 900],
    ]);
  });

  test('reads stdin, and uses only rows before the origin', async () => {
    const argv = ['--input', '-', '--origin', String(end - day), '--horizon', '1h'];
    const whole = await run(argv, { stdin: csv(samples) });
    const cut = await run(argv, { stdin: csv(samples.filter(({ timestamp }) => timestamp < end - day)) });
    expect(whole.code).toBe(0);
    expect(cut).toEqual(whole);
  });

  test('gives the model and the losses as JSON', async () => {
    const { stdout } = await run([
      '--input',
      input,
      '--output',
      'json',
      '--horizon',
      '1h',
      '--model',
      'seasonal-naive',
    ]);
    expect(JSON.parse(stdout)).toEqual([
      {
        origin: end,
        stepSeconds: 900,
        model: 'seasonal-naive',
        candidates: [{ name: 'seasonal-naive', loss: expect.any(Number) }],
        quantiles: {
          q50: expect.arrayContaining([expect.any(Number)]),
          q80: expect.any(Array),
          q95: expect.any(Array),
          q99: expect.any(Array),
        },
      },
    ]);
  });

  test('says on stderr what it put right', async () => {
    const rows = csv(samples).trim().split('\n');
    const dirty = [...rows.slice(0, 5), `${monday},`, ...rows.slice(5), rows[9] ?? ''].join('\n');
    const { code, stderr } = await run(['--input', '-', '--horizon', '15m'], { stdin: dirty });
    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      'headstart forecast: stdin: 1 row without a value taken as missing',
      'headstart forecast: stdin: 1 row replaced by a later row with the same timestamp',
      'headstart forecast: stdin: 2 rows out of order, sorted',
      '',
    ]);
  });

  test('shows progress on a terminal only', async () => {
    const argv = ['--input', input, '--origins', `${end - 3600}/${end}/1h`, '--horizon', '15m'];
    expect((await run(argv, { isTTY: true })).stderr).toContain('\rforecast 2 of 2');
    expect((await run(argv)).stderr).toBe('');
  });

  test('names origins without a forecast, and fails when there is none at all', async () => {
    const some = await run(['--input', input, '--origins', `${monday}/${end}/4d`, '--horizon', '15m']);
    expect(some.code).toBe(0);
    expect(some.stderr).toMatch(/^headstart forecast: origin 2026-01-05T00:00:00Z: no forecast, have .*, need .*\n$/);
    const none = await run(['--input', input, '--origin', String(monday)]);
    expect(none).toMatchObject({ code: 1, stdout: '' });
  });

  test('explains itself', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--origins FROM/TO/EVERY');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  });
});

describe('what is known ahead', () => {
  const origin = ['--origin', String(end - day), '--horizon', '1h'];

  test('is read, and named in the explanation', async () => {
    const [regressors, events] = [join(folder, 'regressors.csv'), join(folder, 'events.csv')];
    await writeFile(regressors, `timestamp,price\n${monday},3\n${end},4\n`);
    await writeFile(events, `start,end,type,magnitude\n${end - day},${end},sale,2\n${end},${end},match,1\n`);
    const known = ['--regressors', regressors, '--events', events, '--holidays', 'DE,2026-01-08'];
    const { code, stdout, stderr } = await run(['--input', input, ...origin, ...known, '--explain']);
    expect(code).toBe(0);
    expect(table(stdout)).toHaveLength(4);
    expect(stderr).toContain('known ahead      price, sale, match');
    expect(stderr).toMatch(/holidays {9}\d+ days/);
  });

  test('names the file, the row and the cell that cannot be read', async () => {
    const events = join(folder, 'bad-events.csv');
    await writeFile(events, 'start,end,type\n0,60,\n');
    const { code, stderr } = await run(['--input', input, '--events', events]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^headstart forecast: .*bad-events.csv row 2, type: got "", want a word/);
  });

  test('a file that is not there', async () => {
    const { code, stderr } = await run(['--input', input, '--regressors', join(folder, 'none.csv')]);
    expect(code).toBe(1);
    expect(stderr).toContain('--regressors: reading failed: ENOENT');
  });
});

describe('--explain', () => {
  test('says what the series is like and how the models did, on stdout beside a file', async () => {
    const out = join(folder, 'explained.csv');
    const { code, stdout, stderr } = await run(['--input', input, '--horizon', '1h', '--explain', '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^At 2026-01-09T00:00:00Z\n {2}model {12}\S+, \d+ % less loss than the last value\n/);
    expect(stdout).toContain('  series           384 points, every 15m over 4d\n  gaps             none\n');
    expect(stdout).toMatch(/seasons {10}24h strength 0\.9\d; 7d not measured, needs 14d/);
    expect(stdout).toContain('change points    none');
    expect((await readFile(out, 'utf8')).split('\n')[0]).toBe('origin,timestamp,q50,q80,q95,q99');
  });

  test('is part of the last forecast in JSON', async () => {
    const argv = ['--input', input, '--origins', `${end - 3600}/${end}/1h`, '--horizon', '15m', '--output', 'json'];
    const { stdout, stderr } = await run([...argv, '--explain']);
    expect(stderr).toBe('');
    const forecasts: readonly { readonly explanation?: unknown }[] = JSON.parse(stdout);
    expect(forecasts.map(({ explanation }) => explanation)).toEqual([
      undefined,
      expect.objectContaining({ origin: end, points: 384, gaps: 0, changePoints: [], regressors: [], holidays: 0 }),
    ]);
  });

  test('says that nothing foretells a series without a pattern', async () => {
    const noise = samplesOf(demandSeries({ seed: 42, days: 4, stepSeconds: 900, wave: 0 }));
    const { stderr } = await run(['--input', '-', '--model', 'naive', '--horizon', '15m', '--explain'], {
      stdin: csv(noise),
    });
    expect(stderr).toContain('model            naive, which is no better than the last value');
  });
});

describe('from Prometheus', () => {
  function source(answer: (request: RangeRequest) => Promise<Sample[]>): MetricSource {
    return { range: answer, latest: () => Promise.resolve(undefined) };
  }

  test('asks for the history before now, and forecasts from now', async () => {
    const requests: RangeRequest[] = [];
    const answer = (request: RangeRequest): Promise<Sample[]> => {
      requests.push(request);
      return Promise.resolve(samples);
    };
    const argv = ['--prometheus', 'http://localhost:9090', '--query', 'sum(rate(x[2m]))', '--history', '3d'];
    const { code, stdout } = await run([...argv, '--step', '15m', '--horizon', '30m'], { source: source(answer) });
    expect(code).toBe(0);
    expect(requests).toEqual([
      { query: 'sum(rate(x[2m]))', fromSeconds: end - 3 * day, toSeconds: end, stepSeconds: 900 },
    ]);
    expect(table(stdout).map(([origin]) => origin)).toEqual([end, end]);
  });

  test('says that there is no data', async () => {
    const argv = ['--prometheus', 'http://localhost:9090', '--query', 'x'];
    expect(await run(argv, { source: source(() => Promise.resolve([])) })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'headstart forecast: --query: http://localhost:9090 has no samples before 2026-01-09T00:00:00Z\n',
    });
  });

  test('passes on what went wrong', async () => {
    const failure = source(() => Promise.reject(new HeadstartError('QueryFailed', 'parse error at char 3')));
    const outcome = await run(['--prometheus', 'http://localhost:9090', '--query', 'x('], { source: failure });
    expect(outcome).toEqual({ code: 1, stdout: '', stderr: 'headstart forecast: parse error at char 3\n' });
  });
});

describe('what is refused', () => {
  const good = ['--input', 'series.csv'];
  const cases: Record<string, [readonly string[], string]> = {
    'no input': [[], '--input, --prometheus: got "neither", want one of them'],
    'two inputs': [[...good, '--prometheus', 'http://x'], '--input, --prometheus: got "both", want one of them'],
    'a query for a file': [[...good, '--query', 'x'], '--query: got "x", want nothing with --input'],
    'Prometheus without a query': [['--prometheus', 'http://x'], '--query: got "nothing", want PromQL'],
    'an unknown flag': [[...good, '--inputs', 'x'], "Unknown option '--inputs'"],
    'a word too many': [[...good, 'now'], "Unexpected argument 'now'"],
    'two kinds of origins': [[...good, '--origin', '0', '--origins', '0/1/1s'], '--origin, --origins: got "both"'],
    'an origin that is no time': [[...good, '--origin', 'noon'], '--origin: got "noon", want whole epoch seconds'],
    'an origin within a second': [[...good, '--origin', '2026-01-01T00:00:00.5Z'], 'want whole seconds'],
    'origins without EVERY': [[...good, '--origins', '0/60'], '--origins: got "0/60", want FROM/TO/EVERY'],
    'origins that run backwards': [
      [...good, '--origins', '60/0/1m'],
      '--origins TO: got "0", want a time not before FROM',
    ],
    'EVERY without a unit': [[...good, '--origins', '0/60/5'], '--origins EVERY: got "5", want a duration'],
    'EVERY of nothing': [
      [...good, '--origins', '0/60/0s'],
      '--origins EVERY: got "0s", want whole seconds, at least 1s',
    ],
    'too many origins': [[...good, '--origins', '0/1000000/1s'], 'want at most 100000 origins, this gives 1000001'],
    'a horizon of nothing': [[...good, '--horizon', '0s'], '--horizon: got "0s", want whole seconds, at least 1s'],
    'a step in milliseconds': [[...good, '--step', '1500ms'], '--step: got "1500ms", want whole seconds, at least 1s'],
    'a quantile of 1': [[...good, '--quantiles', '0.5,1'], '--quantiles: got "1", want numbers between 0 and 1'],
    'a quantile that is a word': [[...good, '--quantiles', 'high'], '--quantiles: got "high"'],
    'an unknown time zone': [[...good, '--time-zone', 'Mars/X'], '--time-zone: got "Mars/X", want an IANA time zone'],
    'an unknown model': [
      [...good, '--model', 'oracle'],
      '--model: got "oracle", want one of naive, drift, seasonal-naive',
    ],
    'an unknown output': [[...good, '--output', 'xml'], '--output: got "xml", want csv or json'],
    'regressors from stdin': [[...good, '--regressors', '-'], '--regressors: got "-", want a CSV file'],
    'holidays of a planet': [[...good, '--holidays', 'Mars'], '--holidays: got "Mars", want country codes'],
  };
  test.each(Object.entries(cases))('%s', async (_, [argv, message]) => {
    const { code, stdout, stderr } = await run(argv);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a row that cannot be read is named', async () => {
    const { code, stderr } = await run(['--input', '-'], { stdin: 'timestamp,value\n0,1\nnoon,2\n' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^headstart forecast: stdin row 3, timestamp: got "noon", want/);
  });

  test('a file that is not there', async () => {
    const { code, stderr } = await run(['--input', join(folder, 'none.csv')]);
    expect(code).toBe(1);
    expect(stderr).toContain('--input: reading failed: ENOENT');
  });

  test('a file that cannot be written', async () => {
    const { code, stderr } = await run(['--input', input, '--horizon', '15m', '--out', join(folder, 'no', 'x.csv')]);
    expect(code).toBe(1);
    expect(stderr).toContain('--out: writing failed: ENOENT');
  });

  test('a series of one sample', async () => {
    const { code, stderr } = await run(['--input', '-'], { stdin: 'timestamp,value\n0,1\n' });
    expect([code, stderr]).toEqual([1, 'headstart forecast: stdin: got 1 samples, want at least 2\n']);
  });

  test(
    'any words give a command or one message',
    () => {
      const flag = fc.constantFrom(
        '--input',
        '--origins',
        '--origin',
        '--step',
        '--quantiles',
        '--time-zone',
        '--model',
        '--holidays',
        '--events',
      );
      const word = fc.oneof(flag, fc.string(), fc.constantFrom('0/60/1m', '0.5', 'UTC', '-', '5m'));
      fc.assert(
        fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
          expect(outcome(argv)).toMatch(/^(help|command|InvalidInput)$/);
        }),
        fromOutside,
      );
    },
    fromOutsideMs,
  );
});

function outcome(argv: readonly string[]): string {
  try {
    return parseForecastCommand(argv) === 'help' ? 'help' : 'command';
  } catch (error) {
    return error instanceof HeadstartError ? error.code : String(error);
  }
}
