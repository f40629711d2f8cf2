// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { HeadstartError } from '../base/errors.ts';
import { parseSeriesCsv } from '../series/csv.ts';
import type { ParsedSeries } from '../series/csv.ts';

/** The streams of a process. */
export interface SeriesIo {
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

/**
 * The series in a file, `-` for stdin; on stderr, what had to be put right.
 * @throws HeadstartError NotFound, or InvalidInput that names the row
 */
export async function readSeries(file: string, io: SeriesIo, command: string): Promise<ParsedSeries> {
  const name = nameOfInput(file);
  const parsed = parseSeriesCsv(await readInput(file, io), name);
  reportRepairs(parsed, name, (text) => io.stderr.write(`${command}: ${text}\n`));
  return parsed;
}

/**
 * The text of a file, `-` for stdin.
 * @throws HeadstartError NotFound
 */
export function readInput(file: string, io: Pick<SeriesIo, 'stdin'>): Promise<string> {
  return file === '-' ? readAll(io.stdin) : readText(file, '--input');
}

/** What messages call the file. */
export function nameOfInput(file: string): string {
  return file === '-' ? 'stdin' : file;
}

/** @throws HeadstartError NotFound, naming the flag */
export async function readText(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new HeadstartError('NotFound', `${flag}: reading failed`, { cause: error });
  }
}

/**
 * Writes to the file of `--out`, `-` for stdout.
 * @throws HeadstartError Unavailable
 */
export async function writeOut(out: string, io: Pick<SeriesIo, 'stdout'>, text: string): Promise<void> {
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

async function readAll(stream: AsyncIterable<string | Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function reportRepairs(
  { missing, duplicates, unsorted }: ParsedSeries,
  name: string,
  report: (text: string) => void,
): void {
  const repairs = [
    [missing, 'without a value taken as missing'],
    [duplicates, 'replaced by a later row with the same timestamp'],
    [unsorted, 'out of order, sorted'],
  ] as const;
  for (const [count, what] of repairs) {
    if (count > 0) report(`${name}: ${count} ${count === 1 ? 'row' : 'rows'} ${what}`);
  }
}

/** A line that counts. */
export interface Progress {
  report(done: number): void;
  end(): void;
}

/** Progress of `total` pieces of work, on a terminal only. */
export function createProgress({ stderr }: Pick<SeriesIo, 'stderr'>, word: string, total: number): Progress {
  if (stderr.isTTY !== true || total < 2) return { report: () => undefined, end: () => undefined };
  return {
    report: (done) => {
      stderr.write(`\r${word} ${done} of ${total}`);
    },
    end: () => {
      stderr.write('\r\u001B[K');
    },
  };
}
