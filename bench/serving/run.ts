// SPDX-License-Identifier: Apache-2.0
// What serving and writing cost, beside the test adapter of the Go library, on a real control plane.
//
//   npm run bench -- [--forecasts 1000] [--rounds 5] [--seconds 5] [--out docs/benchmarks.md]
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startMetricsRole } from '../../src/testing/metrics-server.ts';
import type { MetricsServer } from '../../src/testing/metrics-server.ts';
import { writePart } from '../page.ts';
import { requireEqualAnswers, writeAnswers } from './answers.ts';
import { cpuSeconds, createLoad, residentMiB } from './load.ts';
import { render } from './report.ts';
import type { Measured, Results } from './report.ts';
import { aggregatedTarget, createForecasts, createStage, directTarget, readForecasts, route } from './stage.ts';
import type { Stage } from './stage.ts';
import { measureWrites } from './writes.ts';

const { values: flags } = parseArgs({
  options: {
    forecasts: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    out: { type: 'string', default: 'docs/benchmarks.md' },
  },
});
const forecasts = positive('forecasts');
const rounds = positive('rounds');
const seconds = positive('seconds');
/** As many as the HPA controller has workers, twice, so that a server never waits for the load. */
const connections = 10;
/** Far below what either server can do, and above what an HPA controller asks for (20 a second). */
const pacePerSecond = 100;
/** Of so many metrics the answers of both servers are compared. */
const comparedAnswers = 50;

type Start = () => Promise<MetricsServer>;

function positive(name: 'forecasts' | 'rounds' | 'seconds'): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: got "${flags[name]}", want an integer above 0`);
  return value;
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Time to ready and memory of fresh processes; the last one goes on. */
async function startAgain(
  start: Start,
  times: number,
): Promise<{ server: MetricsServer; startMs: number[]; rss: number[] }> {
  const startMs: number[] = [];
  const rss: number[] = [];
  // The first start fills Node's compile cache, which the image brings filled, and makes the serving certificate.
  await (await start()).process.stop();
  for (;;) {
    const server = await start();
    startMs.push(server.readyMs);
    await delay(3000);
    rss.push(residentMiB(server.process.pid));
    if (startMs.length === times) return { server, startMs, rss };
    await server.process.stop();
  }
}

async function measureRound(stage: Stage, server: MetricsServer, into: Measured): Promise<void> {
  const { pid } = server.process;
  const direct = createLoad(directTarget(stage, server, forecasts), connections);
  const [cpuBefore] = [cpuSeconds(pid)];
  const full = await direct.saturate(seconds);
  const cpu = cpuSeconds(pid) - cpuBefore;
  const paced = await direct.pace(pacePerSecond, seconds);
  await direct.close();
  await route(stage, server);
  const aggregated = createLoad(aggregatedTarget(stage, forecasts), connections);
  // The first requests to a server make connections.
  await aggregated.pace(pacePerSecond, 1);
  const through = await aggregated.pace(pacePerSecond, seconds);
  const throughFull = await aggregated.saturate(seconds);
  await aggregated.close();
  into.failures += full.failures + paced.failures + through.failures + throughFull.failures;
  into.perSecond.push(full.requests / full.seconds);
  into.perCpuSecond.push(full.requests / cpu);
  into.directP50.push(paced.p50);
  into.directP99.push(paced.p99);
  into.throughP50.push(through.p50);
  into.throughP99.push(through.p99);
  into.throughPerSecond.push(throughFull.requests / throughFull.seconds);
  into.residentLoaded.push(residentMiB(pid));
}

function nothingYet(): Measured {
  const lists = { perSecond: [], perCpuSecond: [], directP50: [], directP99: [], throughP50: [], throughP99: [] };
  const starts = { startMs: [], startFullMs: [], residentEmpty: [], residentFull: [], residentLoaded: [] };
  return { ...lists, ...starts, throughPerSecond: [], failures: 0 };
}

/** Before and after the rounds: what they measured was one thing. */
async function compareAnswers(stage: Stage, servers: readonly (readonly [Measured, MetricsServer])[]): Promise<void> {
  log(`comparing answers of both, ${comparedAnswers} requests`);
  const [one, other] = servers.map(([, server]) => directTarget(stage, server, forecasts));
  if (one === undefined || other === undefined) throw new Error('two servers are to be compared');
  await requireEqualAnswers([one, other], comparedAnswers, forecasts);
}

async function measure(stage: Stage): Promise<Results> {
  const headstart = nothingYet();
  const reference = nothingYet();
  const metricsFile = join(stage.group.dir, 'metrics.json');
  await writeAnswers([], metricsFile);
  const starts: [Measured, Start][] = [
    [headstart, async () => await startMetricsRole(stage.cluster, stage.group, stage)],
    [reference, async () => await stage.reference.start(stage.group, metricsFile)],
  ];
  log('start-up, no DemandForecasts');
  for (const [into, start] of starts) {
    const { server, startMs, rss } = await startAgain(start, rounds);
    into.startMs.push(...startMs);
    into.residentEmpty.push(...rss);
    await server.process.stop();
  }
  log(`forecaster, ${forecasts} DemandForecasts`);
  await createForecasts(stage, forecasts);
  const writes = await measureWrites(stage, forecasts, log);
  await writeAnswers(await readForecasts(stage), metricsFile);
  log(`start-up, ${forecasts} DemandForecasts`);
  const servers: [Measured, MetricsServer][] = [];
  for (const [into, start] of starts) {
    const { server, startMs, rss } = await startAgain(start, rounds);
    into.startFullMs.push(...startMs);
    into.residentFull.push(...rss);
    servers.push([into, server]);
  }
  await compareAnswers(stage, servers);
  log('warming up');
  for (const [, server] of servers) {
    const load = createLoad(directTarget(stage, server, forecasts), connections);
    await load.saturate(seconds);
    await load.close();
  }
  for (let round = 0; round < rounds; round += 1) {
    log(`round ${round + 1} of ${rounds}`);
    // In turn, and in turn first, so that what else the machine does meets both.
    for (const [into, server] of round % 2 === 0 ? servers : servers.toReversed()) {
      await measureRound(stage, server, into);
    }
  }
  await compareAnswers(stage, servers);
  return { headstart, reference, writes, forecasts, rounds, seconds, connections, pacePerSecond };
}

const stage = await createStage(log);
try {
  const results = await measure(stage);
  await writePart(flags.out, 'serving', render(results));
  log(`wrote ${flags.out}`);
} finally {
  await stage.stop();
}
