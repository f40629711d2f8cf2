// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errorMessage } from '../base/errors.ts';
import { openStateStore } from './state-store.ts';

const uids = ['a', 'b', 'c', 'd'];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headstart-killed-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A process that writes one state after the other, each full of one number, until it is killed. */
const writer = `
  import { openStateStore } from ${JSON.stringify(new URL('./state-store.ts', import.meta.url).href)};
  const onProblem = ({ error }) => console.error(error);
  const store = openStateStore({ folder: process.argv[1], version: '1', onProblem });
  for (let round = 0; ; round += 1) {
    for (const uid of ${JSON.stringify(uids)}) {
      store.save({ uid, name: uid, spec: 's' }, { state: new Float64Array(60_000).fill(round), savedAt: round });
    }
    if (round === 2) process.stdout.write('ready');
  }`;

test.each([
  0, 3, 11, 29, 53,
])('a process that is killed while it writes leaves whole states (after %i ms)', async (ms) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', writer, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  await delay(ms);
  child.kill('SIGKILL');
  expect((await ended)[1]).toBe('SIGKILL');
  const problems: string[] = [];
  const onProblem = ({ error }: { readonly error: unknown }): void => void problems.push(errorMessage(error));
  const store = openStateStore({ folder, version: '1', onProblem });
  const kept = uids.map((uid) => store.load({ uid, name: uid, spec: 's' }));
  store.close();
  expect(problems).toEqual([]);
  for (const one of kept) {
    const state = one?.state as Float64Array;
    expect(state).toHaveLength(60_000);
    expect(new Set(state)).toEqual(new Set([one?.savedAt]));
  }
  // The last round and, where it was not whole, the one before.
  const rounds = kept.map((one) => one?.savedAt ?? 0);
  expect(Math.max(...rounds) - Math.min(...rounds)).toBeLessThanOrEqual(1);
  expect(Math.min(...rounds)).toBeGreaterThanOrEqual(2);
});
