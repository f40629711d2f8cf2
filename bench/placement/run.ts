// SPDX-License-Identifier: Apache-2.0
// What the placement of clones saves: the same bursts under several policies, by real kube-schedulers, on nodes that kwok
// plays. The policies of a seed run side by side, each on nodes of its own, so that they share what else the machine does.
//
//   npm run bench:placement -- [--seeds 5] [--first 1] [--abreast 1] [--out docs/benchmarks-placement.md]
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { policies } from './policies.ts';
import { render } from './report.ts';
import { replay } from './replay.ts';
import type { Outcome } from './replay.ts';
import { createStage } from './stage.ts';
import type { Stage } from './stage.ts';
import { planTrace } from './trace.ts';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '1' },
    abreast: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/benchmarks-placement.md' },
  },
});
const seeds = positive('seeds');
const first = positive('first');
/** Seeds at a time. */
const abreast = positive('abreast');
/** Bursts come until the end; the first minute, in which the nodes fill, does not count. */
const shape = { arrivalSeconds: 240, meanGapSeconds: 4, medianSize: 6 } as const;
const countFrom = 60;

function positive(name: 'seeds' | 'first' | 'abreast'): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: got "${flags[name]}", want an integer above 0`);
  return value;
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

/** All policies of a seed, side by side. */
async function runSeed(stage: Stage, seed: number): Promise<ReadonlyMap<string, Outcome>> {
  const trace = planTrace({ seed, ...shape });
  log(`seed ${seed}: ${trace.length} clones`);
  const input = { trace, seed, countFrom, end: shape.arrivalSeconds };
  const outcomes = await Promise.all(
    policies.map(async (policy) => [policy.name, await replay(stage, policy, input)] as const),
  );
  for (const [name, { nodeSeconds, strandedSeconds, neededNodeSeconds, waits, neverPlaced, mostNodes }] of outcomes) {
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
    log(
      `  ${seed} ${name}: ${nodeSeconds.toFixed(0)} node seconds, stranded ${strandedSeconds.toFixed(0)}, needed ` +
        `${neededNodeSeconds.toFixed(0)}, most nodes ${mostNodes}, wait ${mean.toFixed(2)} s, never placed ${neverPlaced}`,
    );
  }
  log(`  the extender has answered ${stage.answersMs.length} questions`);
  return new Map(outcomes);
}

const stage = await createStage(log);
const runs: ReadonlyMap<string, Outcome>[] = [];
try {
  for (let seed = first; seed < first + seeds; seed += abreast) {
    const batch = Array.from({ length: Math.min(abreast, first + seeds - seed) }, (_, index) => seed + index);
    runs.push(...(await Promise.all(batch.map(async (each) => await runSeed(stage, each)))));
    if (stage.answersMs.length === 0) throw new Error('the extender was not asked: its policy was not measured');
    // After each, so that a run that is cut short has said something.
    await writeFile(flags.out, render({ runs, shape, countFrom, answersMs: stage.answersMs }));
    log(`wrote ${flags.out}`);
  }
} finally {
  await stage.stop();
}
