// SPDX-License-Identifier: Apache-2.0
// Accuracy, on real series: a day ahead, M4 hourly, minutes ahead and quantiles, beside simple references and those of
// packages. Writes docs/benchmarks-accuracy.md.
//
//   npm run bench:accuracy -- [FOLDER] [--only day-ahead,m4,minutes,quantiles,nab] [--series PART]... [--sample N]
//                             [--model NAME,...] [--each] [--origins 400] [--no-packages] [--wasmstan FILE] [--jobs 1]
//                             [--results FILE] [--out FILE|-]
//
// FOLDER (default ../shared/traces) holds folders of CSV files with the header timestamp,value. --sample takes N series of
// each protocol, spread over all. --model lets only these take part; --each also scores each of them alone. --results is a
// file with a line of JSON a series: what it holds is not computed again. Without --out a choice of series or models goes to
// standard output.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writePart } from '../page.ts';
import { runTasks } from './pool.ts';
import { protocolNames } from './protocol.ts';
import type { ProtocolName, Settings, Task, TaskResult } from './protocol.ts';
import { render, renderPart } from './report.ts';
import { listTasks } from './tasks.ts';

const { values: flags, positionals } = parseArgs({
  options: {
    only: { type: 'string', default: protocolNames.join(',') },
    series: { type: 'string', multiple: true, default: [] },
    sample: { type: 'string' },
    model: { type: 'string', default: '' },
    each: { type: 'boolean', default: false },
    origins: { type: 'string', default: '400' },
    packages: { type: 'boolean', default: true },
    wasmstan: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    results: { type: 'string' },
    out: { type: 'string' },
  },
  allowPositionals: true,
  allowNegative: true,
});
const wholePage = 'docs/benchmarks-accuracy.md';
const indexPage = 'docs/benchmarks.md';
const { sample } = flags;
const chosen = [flags.series.join(''), sample ?? '', flags.model, flags.each ? 'each' : ''].join('') !== '';
const out = flags.out ?? (chosen || flags.only !== protocolNames.join(',') ? '-' : wholePage);
const settings: Settings = {
  folder: resolve(positionals[0] ?? '../shared/traces'),
  entrants: { models: flags.model.split(',').filter((name) => name !== ''), each: flags.each },
  origins: positive('origins'),
  packages: flags.packages,
  ...(flags.wasmstan === undefined ? {} : { wasmstan: resolve(flags.wasmstan) }),
};

function positive(name: 'origins' | 'sample' | 'jobs'): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: got "${flags[name]}", want an integer above 0`);
  return value;
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

function protocolsOf(text: string): ProtocolName[] {
  return text.split(',').map((name) => {
    const known = protocolNames.find((candidate) => candidate === name);
    if (known === undefined) throw new Error(`--only: got "${name}", want some of ${protocolNames.join(',')}`);
    return known;
  });
}

/** The options that make a run less than all; files are the reader's own affair. */
function choiceText(): string {
  const own = ['only', 'series', 'sample', 'model', 'origins'] as const;
  const defaults: Readonly<Record<string, string>> = {
    only: protocolNames.join(','),
    origins: '400',
    model: '',
    series: '',
  };
  const named = own.filter((name) => flags[name] !== undefined && String(flags[name]) !== defaults[name]);
  return [...named.map((name) => `--${name} ${String(flags[name])}`), ...(flags.each ? ['--each'] : [])].join(' ');
}

function known(): TaskResult[] {
  const { results } = flags;
  if (results === undefined || !existsSync(results)) return [];
  const lines = readFileSync(results, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line): TaskResult => JSON.parse(line));
}

const tasks = listTasks(settings.folder, {
  protocols: protocolsOf(flags.only),
  patterns: flags.series,
  ...(sample === undefined ? {} : { sample: positive('sample') }),
});
const results = known();
const isDone = (task: Task): boolean =>
  results.some(({ protocol, series }) => protocol === task.protocol && series === task.series);
const open = tasks.filter((task) => !isDone(task));
let settled = 0;
await runTasks(open, { settings, jobs: positive('jobs') }, (task, { result, error }) => {
  settled += 1;
  const outcome = error ?? (result === undefined ? 'too short or too coarse' : `${result.cpuSeconds.toFixed(1)} s`);
  log(`${settled} of ${open.length}: ${task.protocol} ${task.series}: ${outcome}`);
  if (result === undefined) return;
  results.push(result);
  if (flags.results !== undefined) appendFileSync(flags.results, `${JSON.stringify(result)}\n`);
});
const order = (task: Task): number =>
  tasks.findIndex((of) => of.protocol === task.protocol && of.series === task.series);
const run = {
  results: results.sort((a, b) => order(a) - order(b)),
  date: new Date().toISOString().slice(0, 10),
  options: choiceText(),
};
const page = render(run);
if (out === '-') process.stdout.write(page);
else {
  await writeFile(out, page);
  log(`wrote ${out}`);
  if (out === wholePage) await writePart(indexPage, 'accuracy', renderPart(run));
}
