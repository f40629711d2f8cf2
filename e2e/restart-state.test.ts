// SPDX-License-Identifier: Apache-2.0
import { readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Replica } from '../src/testing/installation.ts';
import { waitUntil } from '../src/testing/process.ts';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const deploymentName = 'headstart-forecaster';
let stage: Stage;
let leader: Replica;

beforeAll(async () => {
  stage = await setStage({ demand: { web: () => 140 + Math.random() }, historySeconds: 86_400 });
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  await stage.reason('web', 'Publishing', 'Forecast');
  // One replica is left, so that the one that is started anew leads.
  const replicas = stage.headstart.replicas(deploymentName);
  const leads = await Promise.all(replicas.map(async (replica) => (await metric(replica, 'headstart_leader')) === 1));
  for (const [index, replica] of replicas.entries()) {
    if (leads[index] === true) leader = replica;
    else await replica.process.stop();
  }
});
afterAll(() => stage?.stop());

/** The sum of the series of a metric that have this label; 0 when there are none. */
async function metric({ operationsPort }: Replica, name: string, label = ''): Promise<number> {
  const text = await fetch(`http://127.0.0.1:${operationsPort}/metrics`).then(
    async (response) => await response.text(),
    () => '',
  );
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function states(replica: Replica, outcome: string): Promise<number> {
  return await metric(replica, 'headstart_forecast_state_total', `outcome="${outcome}"`);
}

async function fits(replica: Replica): Promise<number> {
  return await metric(replica, 'headstart_fit_duration_seconds_count');
}

async function saved(): Promise<void> {
  await waitUntil('what was learnt is kept', async () => (await states(leader, 'saved')) > 0, { timeoutMs: 60_000 });
}

/** The container of the leader is started anew, and publishes. */
async function startAnew(): Promise<void> {
  const issuedAt = Date.now();
  leader = await stage.headstart.startReplica(deploymentName, { index: leader.index });
  const isPublished = async (): Promise<boolean> => {
    const { status } = await stage.forecast('web');
    return Date.parse(status?.forecast?.issuedAt ?? '') > issuedAt;
  };
  await waitUntil('a forecast is published', isPublished, { timeoutMs: 90_000, intervalMs: 500 });
}

test('a forecaster that is killed goes on without a fit when it is started anew', async () => {
  await saved();
  expect(await fits(leader)).toBeGreaterThan(0);
  const { model } = (await stage.forecast('web')).status ?? {};
  leader.process.kill('SIGKILL');
  await leader.process.exited;
  await startAnew();
  expect(await states(leader, 'restored')).toBe(1);
  expect(await states(leader, 'discarded')).toBe(0);
  expect(await fits(leader)).toBe(0);
  expect((await stage.forecast('web')).status?.model?.since).toBe(model?.since);
});

test('so does one that ends in good order, from what it knew at the end', async () => {
  leader.process.kill('SIGTERM');
  expect(await leader.process.exited).toBe('exit code 0');
  await startAnew();
  expect(await states(leader, 'restored')).toBe(1);
  expect(await fits(leader)).toBe(0);
});

test('a file that is broken is discarded with the reason, and models are fitted anew', async () => {
  leader.process.kill('SIGTERM');
  await leader.process.exited;
  const file = join(leader.stateDir, 'forecasts.sqlite');
  await truncate(file, Math.floor((await stat(file)).size / 2));
  await startAnew();
  expect(await states(leader, 'restored')).toBe(0);
  expect(await states(leader, 'discarded')).toBeGreaterThan(0);
  expect(await fits(leader)).toBeGreaterThan(0);
  expect(await readFile(leader.process.logPath, 'utf8')).toMatch(/what was learnt, for the next start: .*discarded/);
});
