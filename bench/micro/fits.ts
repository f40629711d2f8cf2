// SPDX-License-Identifier: Apache-2.0
// How long the main loop is blocked while every target of a process is fitted anew in threads of its own: the history is
// copied and handed over, the answer taken, a minute caught up and a forecast issued, as the controller does it.
//
//   node bench/micro/fits.ts [TARGETS] [DAYS]      default 1000 targets with 14 days of history at 1 min
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { createFitPool } from '../../src/forecast-workers/fit-pool.ts';
import { createTargetForecaster } from '../../src/forecast/engine.ts';
import type { TargetForecaster } from '../../src/forecast/engine.ts';
import { demandSeries, samplesOf } from '../../src/testing/demand.ts';

const [targets = 1000, days = 14] = process.argv.slice(2).map(Number);
const samples = samplesOf(demandSeries({ seed: 1, days, stepSeconds: 60, weekend: 0.6, gaps: 0.01 }));
const last = samples.at(-1)?.timestamp ?? 0;
const pool = createFitPool();

const forecasters: TargetForecaster[] = [];
for (let index = 0; index < targets; index += 1) {
  const historySeconds = days * 86_400;
  const forecaster = createTargetForecaster({ timeZone: 'UTC', historySeconds, quantile: 0.8, leadSeconds: 180 });
  forecaster.observe(samples.map(({ timestamp, value }) => ({ timestamp, value: value * (1 + (index % 7)) })));
  forecasters.push(forecaster);
  await turn();
}

const pieces: number[] = [];

// The first fit stands in a queue like any other; what is measured is the second one, for another lead.
await fitAll(180);
const loop = monitorEventLoopDelay({ resolution: 1 });
loop.enable();
pieces.length = 0;
const { cpu, wall } = { cpu: process.cpuUsage(), wall: performance.now() };
await fitAll(240);
loop.disable();
await pool.stop();

const { user, system } = process.cpuUsage(cpu);
const ms = (nanoseconds: number): string => (nanoseconds / 1e6).toFixed(1);
process.stdout.write(
  `${targets} targets, ${days} d at 1 min: refitted in ${((performance.now() - wall) / 1000).toFixed(0)} s ` +
    `(${((user + system) / 1e6).toFixed(0)} s of CPU); the main loop was blocked ${ms(loop.percentile(50))} ms (median), ` +
    `${ms(loop.percentile(99))} ms (99 %), ${ms(loop.max)} ms (most); a piece of its work took at most ` +
    `${Math.max(...pieces).toFixed(1)} ms of CPU; ` +
    `process ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB\n`,
);

/** Each look at a target has a turn of its own, as in the controller. */
async function fitAll(leadSeconds: number): Promise<void> {
  const fits: Promise<void>[] = [];
  for (const forecaster of forecasters) {
    forecaster.setOptions({ leadSeconds });
    fits.push(fit(forecaster));
    await turn();
  }
  await Promise.all(fits);
}

async function fit(forecaster: TargetForecaster): Promise<void> {
  const due = onMain(() => forecaster.takeFit(last));
  if (due === undefined) throw new Error('no fit is due');
  const answer = await pool.fit(() => onMain(due.input), { isUrgent: false });
  const issued = onMain(() => {
    due.settle(answer, last);
    return forecaster.issue(last);
  });
  if (issued.kind !== 'issued') throw new Error('nothing was issued');
}

/** Work of the main loop, with the CPU time that it took: on a machine that others keep busy, waiting is not ours. */
function onMain<T>(work: () => T): T {
  const before = process.threadCpuUsage();
  const result = work();
  const { user, system } = process.threadCpuUsage(before);
  pieces.push((user + system) / 1000);
  return result;
}
