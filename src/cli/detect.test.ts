// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { demandSeries, samplesOf } from '../testing/demand.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { parseDetectCommand } from './detect-options.ts';
import { runDetect } from './detect.ts';

const samples = samplesOf(demandSeries({ seed: 5, days: 3, stepSeconds: 600 }));
const rows = samples.map(({ timestamp, value }, index) => `${timestamp},${index === 400 ? 900 : value}`);
const series = `timestamp,value\n${rows.join('\n')}\n`;

async function run(
  argv: readonly string[],
  input = series,
  isTTY = false,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const io = {
    stdin: (async function* () {
      yield input;
    })(),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text), isTTY },
  };
  return { code: await runDetect(argv, io), ...written };
}

function scoresOf(csv: string): number[] {
  return csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]));
}

describe('headstart detect', () => {
  test('writes timestamp,score with a row for each row, and finds the anomaly', async () => {
    const { code, stdout, stderr } = await run(['--input', '-']);
    expect([code, stderr]).toEqual([0, '']);
    const scores = scoresOf(stdout);
    expect(stdout.split('\n')[0]).toBe('timestamp,score');
    expect(scores).toHaveLength(samples.length);
    expect(scores[400]).toBeGreaterThan(0.5);
  });

  test('gives rows that are out of order, twice there or empty their own row, in their order', async () => {
    const input = 'timestamp,value\n120,1\n60,2\n60,3\n180,\n';
    const { code, stdout } = await run(['--input', '-'], input);
    expect([code, stdout]).toEqual([0, 'timestamp,score\n120,0\n60,0\n60,0\n180,0\n']);
  });

  test('scores a row by what is older, wherever it stands in the file', async () => {
    const turned = `timestamp,value\n${rows.toReversed().join('\n')}\n`;
    const [forwards, backwards] = [await run(['--input', '-']), await run(['--input', '-'], turned)];
    expect(scoresOf(backwards.stdout).toReversed()).toEqual(scoresOf(forwards.stdout));
  });

  test('reads and writes files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'headstart-detect-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const [input, out] = [join(folder, 'series.csv'), join(folder, 'scores.csv')];
    await writeFile(input, series);
    expect(await run(['--input', input, '--out', out])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await readFile(out, 'utf8')).toBe((await run(['--input', '-'])).stdout);
  });

  test('says in JSON what each detector saw', async () => {
    const { stdout } = await run(['--input', '-', '--output', 'json', '--explain']);
    const found: unknown[] = JSON.parse(stdout);
    expect(found[400]).toMatchObject({ timestamp: samples[400]?.timestamp, rarities: { level: expect.any(Number) } });
  });

  test('explains the highest scores on standard error', async () => {
    const { stderr } = await run(['--input', '-', '--explain']);
    expect(stderr).toMatch(/score 0\.\d+\n {2}[\w-]+ \(.+\): once in \d+ rows/);
  });

  test('shows progress on a terminal only', async () => {
    const long = samplesOf(demandSeries({ seed: 5, days: 8, stepSeconds: 600 }));
    const input = `timestamp,value\n${long.map(({ timestamp, value }) => `${timestamp},${value}`).join('\n')}\n`;
    expect((await run(['--input', '-'], input, true)).stderr).toContain('detect 1000 of 1152');
  });

  test('prints its help', async () => {
    const { code, stdout } = await run(['--help']);
    expect([code, stdout.includes('headstart detect --input FILE|-')]).toEqual([0, true]);
  });

  const refused: Record<string, [readonly string[], string, number, string]> = {
    'no input': [[], series, 2, '--input, --prometheus: got "neither"'],
    'an unknown flag': [['--inptu', 'x'], series, 2, "Unknown option '--inptu'"],
    'a zone that is not one': [['--input', '-', '--time-zone', 'Mars'], series, 2, '--time-zone: got "Mars"'],
    'a bad row': [['--input', '-'], 'timestamp,value\n1,x\n', 2, 'stdin row 2, value: got "x"'],
    'a series without rows': [['--input', '-'], 'timestamp,value\n', 1, 'stdin: got no samples'],
    'a file that is not there': [['--input', '/nowhere.csv'], series, 1, '--input: reading failed'],
    'a file that cannot be written': [['--input', '-', '--out', '/no/where.csv'], series, 1, '--out: writing failed'],
  };
  test.each(Object.entries(refused))('refuses %s', async (_, [argv, input, code, message]) => {
    const outcome = await run(argv, input);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(`headstart detect: ${message}`);
  });

  test('says what the answer of Prometheus lacks', async () => {
    const stderr: string[] = [];
    const io = {
      stdin: (async function* () {})(),
      stdout: { write: () => true },
      stderr: { write: (text: string) => stderr.push(text) },
    };
    const clock = { nowMs: () => 1_767_571_200_000, after: () => () => undefined };
    const createMetricSource = () => ({ range: async () => [], instant: async () => undefined });
    const ports = { clock, createMetricSource } as unknown as Parameters<typeof runDetect>[2];
    expect(await runDetect(['--prometheus', 'http://p', '--query', 'up', '--history', '1d'], io, ports)).toBe(1);
    expect(stderr.join('')).toContain('http://p has no samples since 2026-01-04T00:00:00Z');
  });
});

test(
  'parseDetectCommand gives a command or one message that names a flag, for any flags',
  () => {
    const word = fc.oneof(
      fc.constantFrom(
        '--input',
        '--prometheus',
        '--query',
        '--history',
        '--step',
        '--output',
        '--explain',
        '-',
        'json',
        '5m',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
        expect(outcomeOf(argv)).toMatch(/^(fine|HeadstartError: [\s\S]+)$/);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);

function outcomeOf(argv: readonly string[]): string {
  try {
    parseDetectCommand(argv);
    return 'fine';
  } catch (error) {
    return String(error);
  }
}
