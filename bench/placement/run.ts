// SPDX-License-Identifier: Apache-2.0
// What the placement of clones saves: the same bursts under several policies, by real kube-schedulers, on nodes that kwok
// plays. The policies of a seed run side by side, each on nodes of its own, so that they share what else the machine does.
//
//   npm run bench:placement -- [--seeds 5] [--first 1] [--out docs/benchmarks-placement.md]
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { policies } from './policies.ts';
import { render } from './report.ts';
import type { Results } from './report.ts';
import { replay } from './replay.ts';
import type { Outcome } from './replay.ts';
import { createStage } from './stage.ts';
import { planTrace } from './trace.ts';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/benchmarks-placement.md' },
  },
});
const seeds = positive('seeds');
const first = positive('first');
/** With lifetimes of up to three minutes, and half a minute for the rest, a seed takes five. */
const shape = { arrivalSeconds: 90, meanGapSeconds: 3, medianSize: 6 } as const;

function positive(name: 'seeds' | 'first'): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: got "${flags[name]}", want an integer above 0`);
  return value;
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

const stage = await createStage(log);
const runs: Map<string, Outcome>[] = [];
let clones = 0;
try {
  for (let seed = first; seed < first + seeds; seed += 1) {
    const trace = planTrace({ seed, ...shape });
    clones += trace.length;
    log(`seed ${seed}: ${trace.length} clones`);
    const outcomes = await Promise.all(
      policies.map(async (policy) => [policy.name, await replay(stage, policy, trace, seed)] as const),
    );
    runs.push(new Map(outcomes));
    for (const [name, { nodeSeconds, strandedSeconds, neededNodeSeconds, waits, neverPlaced, mostNodes }] of outcomes) {
      const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
      log(
        `  ${name}: ${nodeSeconds.toFixed(0)} node seconds, stranded ${strandedSeconds.toFixed(0)}, needed ` +
          `${neededNodeSeconds.toFixed(0)}, most nodes ${mostNodes}, wait ${mean.toFixed(2)} s, never placed ${neverPlaced}`,
      );
    }
    log(`  the extender has answered ${stage.answersMs.length} questions`);
  }
  if (stage.answersMs.length === 0) throw new Error('the extender was not asked: its policy was not measured');
  const results: Results = { runs, shape, clones, answersMs: stage.answersMs };
  await writeFile(flags.out, render(results));
  log(`wrote ${flags.out}`);
} finally {
  await stage.stop();
}
