// SPDX-License-Identifier: Apache-2.0
// What clones cost: a crowd that comes and expires in one second on a real control plane, and how long scans, reviews and
// scores take.
//
//   npm run bench:clones -- [--clones 500] [--rounds 3] [--out docs/benchmarks-clones.md]
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runBurst } from '../../src/testing/clone-burst.ts';
import type { Burst } from '../../src/testing/clone-burst.ts';
import { startControlPlane } from '../../src/testing/control-plane.ts';
import { installHeadstart } from '../../src/testing/installation.ts';
import { run } from '../../src/testing/process.ts';
import { render } from './report.ts';
import type { Micro } from './report.ts';

const { values: flags } = parseArgs({
  options: {
    clones: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string', default: 'docs/benchmarks-clones.md' },
  },
});
const clones = positive('clones');
const rounds = positive('rounds');
/** Long enough for all of them to be made, and Ready, before they expire. */
const lifeSeconds = 90;
const maxPerMinute = 600;
const nodes = 10;

function positive(name: 'clones' | 'rounds'): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: got "${flags[name]}", want an integer above 0`);
  return value;
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

async function measureBursts(): Promise<Burst[]> {
  const controlPlane = await startControlPlane({ nodes, audit: true, log });
  try {
    const headstart = await installHeadstart(controlPlane, { prometheusUrl: 'http://127.0.0.1:9', log });
    try {
      const bursts: Burst[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const burst = await runBurst(controlPlane, headstart, {
          name: `crowd-${round}`,
          clones,
          lifeSeconds,
          maxPerMinute,
        });
        const { createdSeconds, retiredSeconds } = burst;
        log(`round ${round}: made in ${createdSeconds.toFixed(1)} s, ended in ${retiredSeconds.toFixed(1)} s`);
        bursts.push(burst);
      }
      return bursts;
    } finally {
      await headstart.stop();
    }
  } finally {
    await controlPlane.stop();
  }
}

/** The numbers in the first line of a micro-benchmark's output that matches. */
async function micro(file: string, args: readonly string[], line: RegExp): Promise<number[]> {
  log(`${file} ${args.join(' ')}`);
  const path = `${import.meta.dirname}/../micro/${file}`;
  const { stdout, stderr, code } = await run(process.execPath, [path, ...args]);
  const match = line.exec(stdout);
  if (code !== 0 || match === null) throw new Error(`${file}: code ${code}\n${stdout}\n${stderr}`);
  return match.slice(1).map(Number);
}

async function measureMicro(): Promise<Micro> {
  const [scan = Number.NaN] = await micro('sweeper-scan.ts', ['100000'], / 0 due: median ([\d.]+) ms/);
  const [tick = Number.NaN] = await micro('sweeper-tick.ts', ['100000'], /median ([\d.]+) ms/);
  const review = /^50 a second: .* p50 ([\d.]+) ms, p99 ([\d.]+) ms/m;
  const [reviewP50 = Number.NaN, reviewP99 = Number.NaN] = await micro('webhook.ts', ['1000'], review);
  const score = /in the extender +p50 ([\d.]+) ms, p99 ([\d.]+) ms/;
  const [scoreP50 = Number.NaN, scoreP99 = Number.NaN] = await micro('extender.ts', ['5000'], score);
  const answer = /answer is there +p50 [\d.]+ ms, p99 ([\d.]+) ms/;
  const [answerP99 = Number.NaN] = await micro('extender.ts', ['5000'], answer);
  return { scan, tick, reviewP50, reviewP99, scoreP50, scoreP99, answerP99 };
}

const bursts = await measureBursts();
const results = await measureMicro();
await writeFile(flags.out, render({ bursts, micro: results, clones, lifeSeconds, maxPerMinute, nodes }));
log(`wrote ${flags.out}`);
