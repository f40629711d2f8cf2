// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, expect, test } from 'vitest';
import { fitTarget } from '../forecast/fit.ts';
import type { FitInput } from '../forecast/fit.ts';
import { demandSeries } from '../testing/demand.ts';
import { createFitPool } from './fit-pool.ts';
import type { FitPool } from './fit-pool.ts';

const pools: FitPool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map(async (pool) => await pool.stop()));
});

function create(options: Parameters<typeof createFitPool>[0] = {}): FitPool {
  const pool = createFitPool({ threads: 1, ...options });
  pools.push(pool);
  return pool;
}

const folder = mkdtempSync(join(tmpdir(), 'headstart-fit-pool-'));

afterAll(() => rmSync(folder, { recursive: true }));

/** A worker whose `fit` has this body. */
function working(name: string, body: string): URL {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, `export async function fit(input) { ${body} }`);
  return pathToFileURL(path);
}

function input(days = 2): FitInput {
  return {
    history: demandSeries({ seed: 4, days, stepSeconds: 300 }),
    timeZone: 'UTC',
    models: ['naive', 'seasonal-profile'],
    target: { windowSteps: 2, lastPosition: 12 },
  };
}

const later = { isUrgent: false };

test('a thread gives to the bit what a fit in place gives, and the history is handed over without a copy', async () => {
  const given = input();
  expect(await create().fit(() => given, later)).toEqual(fitTarget(input()));
  expect(given.history.values).toHaveLength(0);
});

test('a refusal comes back as one', async () => {
  expect(await create().fit(() => input(0.001), later)).toMatchObject({ kind: 'cannot-fit' });
});

test('what throws is a failure that says why, and the next fit goes well', async () => {
  const pool = create();
  const bad = { ...input(), timeZone: 'Mars/Olympus' };
  expect(await pool.fit(() => bad, later)).toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('Mars/Olympus'),
  });
  expect(await pool.fit(input, later)).toMatchObject({ kind: 'forecaster-state' });
});

test('a fit that takes too long is ended and told of, and the next fit gets a thread of its own', async () => {
  const worker = working('endless', "if (input.timeZone === 'UTC') for (;;); return { kind: 'cannot-fit' };");
  const pool = create({ worker, timeoutMs: 300 });
  const [stuck, other] = await Promise.all([
    pool.fit(input, later),
    pool.fit(() => ({ ...input(), timeZone: 'Asia/Tokyo' }), later),
  ]);
  expect(stuck).toEqual({ kind: 'failed', message: 'the fit took longer than 0.3 s' });
  expect(other).toEqual({ kind: 'cannot-fit' });
});

test.each([
  ['exits', 'process.exit(1)'],
  ['runs out of memory', 'const all = []; for (;;) all.push(new Array(10_000).fill({}).map((_, i) => ({ i })));'],
  ['throws behind its back', "setTimeout(() => { throw new Error('oops'); }); await new Promise(() => undefined);"],
])('a thread that %s loses its own fit alone', async (name, body) => {
  const worker = working(name, `if (input.timeZone === 'UTC') { ${body} } return { kind: 'cannot-fit' };`);
  const pool = create({ worker });
  const [died, other] = await Promise.all([
    pool.fit(input, later),
    pool.fit(() => ({ ...input(), timeZone: 'Asia/Tokyo' }), later),
  ]);
  expect(died).toMatchObject({ kind: 'failed', message: expect.stringMatching(/^the fit failed: ./) });
  expect(other).toEqual({ kind: 'cannot-fit' });
});

test('no more fits are made at a time than there are threads, urgent ones first, and input waits with them', async () => {
  const worker = working('slow', "await new Promise((done) => setTimeout(done, 20)); return { kind: 'cannot-fit' };");
  const pool = create({ worker });
  const begun: string[] = [];
  const fit = async (name: string, isUrgent: boolean): Promise<void> => {
    const asked = (): FitInput => {
      begun.push(name);
      return input();
    };
    await pool.fit(asked, { isUrgent });
  };
  const all = Promise.all([fit('first', false), fit('second', false), fit('third', false), fit('urgent', true)]);
  expect(begun.length).toBeLessThanOrEqual(1);
  await all;
  expect(begun).toEqual(['first', 'urgent', 'second', 'third']);
});

test('stopped, it lets go of what runs and what waits; asked again, it starts anew', async () => {
  const worker = working('endless-too', "if (input.timeZone === 'UTC') for (;;); return { kind: 'cannot-fit' };");
  const pool = create({ worker });
  const answers = Promise.all([pool.fit(input, later), pool.fit(input, later)]);
  await new Promise((resolve) => void setTimeout(resolve, 50));
  await pool.stop();
  expect((await answers).map(({ kind }) => kind)).toEqual(['failed', 'failed']);
  expect(await pool.fit(() => ({ ...input(), timeZone: 'Asia/Tokyo' }), later)).toEqual({ kind: 'cannot-fit' });
});
