// SPDX-License-Identifier: Apache-2.0
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import { decodeState, encodeState } from './encode-state.ts';
import { openStateStore } from './state-store.ts';
import type { StateStore } from './state-store.ts';

let folder = '';
const problems: string[] = [];
const opened: StateStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headstart-states-'));
});

afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(folder, { recursive: true });
  problems.length = 0;
});

const file = (): string => join(folder, 'forecasts.sqlite');

function open(options: Partial<Parameters<typeof openStateStore>[0]> = {}): StateStore {
  const onProblem: Parameters<typeof openStateStore>[0]['onProblem'] = ({ outcome, error }) =>
    void problems.push(`${outcome}: ${errorMessage(error)}`);
  const store = openStateStore({ folder, version: '1', onProblem, ...options });
  opened.push(store);
  return store;
}

const key = { uid: 'a-uid', name: 'shop/web', spec: 'a spec' };
const kept = {
  state: { values: Float64Array.of(1, Number.NaN, -0), name: 'x', more: [{ n: 1 }] },
  savedAt: 1_800_000_000,
};

/** Writes one state as another process would, and lets `spoil` at the file. */
function spoilt(spoil: (database: DatabaseSync) => void): void {
  const store = open();
  store.save(key, kept);
  store.close();
  const database = new DatabaseSync(file());
  spoil(database);
  database.close();
}

describe('a state', () => {
  test('is there for the next process', () => {
    const store = open();
    expect(store.save(key, kept)).toBe(true);
    store.close();
    expect(open().load(key)).toEqual(kept);
    expect(problems).toEqual([]);
  });

  test('takes the place of the one before', () => {
    const store = open();
    store.save(key, kept);
    store.save(key, { ...kept, state: 'next' });
    expect(store.load(key)?.state).toBe('next');
  });

  test('that was never kept, or was forgotten, is not there', () => {
    const store = open();
    for (const uid of ['a', 'b', 'c']) store.save({ ...key, uid }, kept);
    store.forget('a');
    store.retain(['c', 'd']);
    expect(['a', 'b', 'c', 'd'].filter((uid) => store.load({ ...key, uid }) !== undefined)).toEqual(['c']);
  });

  test('of another spec is discarded, and says so', () => {
    const store = open();
    store.save(key, kept);
    expect(store.load({ ...key, spec: 'another' })).toBeUndefined();
    expect(store.load(key)).toBeUndefined();
    expect(problems).toEqual([
      'discarded: the state that was kept of shop/web is discarded: it was learnt for another spec',
    ]);
  });

  test('of another version is discarded at the start, and says so', () => {
    const store = open();
    store.save(key, kept);
    store.close();
    expect(open({ version: '2' }).load(key)).toBeUndefined();
    expect(problems).toEqual(['discarded: 1 states that were kept are discarded: they are of another version than 2']);
  });

  test.each<[string, string, string]>([
    ['is cut off', 'UPDATE states SET state = substr(state, 1, 30)', 'not those that were written'],
    ['is empty', "UPDATE states SET state = x''", 'not those that were written'],
    ['has other bytes', "UPDATE states SET state = x'00112233445566778899'", 'not those that were written'],
  ])('that %s is discarded, and says so', (_, change, why) => {
    spoilt((database) => database.exec(change));
    const store = open();
    expect(store.load(key)).toBeUndefined();
    expect(problems).toEqual([expect.stringContaining(why)]);
    expect(store.save(key, kept)).toBe(true);
    expect(store.load(key)).toEqual(kept);
  });
});

describe('a file', () => {
  test.each<[string, () => void]>([
    ['is no database', () => writeFileSync(file(), 'once upon a time '.repeat(10_000))],
    ['is cut off', () => spoilt(() => undefined)],
    ['has another table', () => spoilt((database) => database.exec('DROP TABLE states; CREATE TABLE states (x)'))],
  ])('that %s is begun anew, and says so', (name, spoil) => {
    spoil();
    if (name === 'is cut off') writeFileSync(file(), new Uint8Array(statSync(file()).size).fill(7, 200));
    const store = open();
    expect(store.load(key)).toBeUndefined();
    expect(problems).toEqual([expect.stringMatching(/^discarded: all states that were kept are discarded/)]);
    expect(store.save(key, kept)).toBe(true);
    expect(store.load(key)).toEqual(kept);
  });

  test('whose pages are broken in the middle is begun anew when that is noticed', () => {
    const store = open();
    const numbers = Float64Array.from({ length: 50_000 }, (_, index) => index);
    for (const uid of ['a', 'b', 'c']) store.save({ ...key, uid }, { ...kept, state: numbers });
    store.close();
    const bytes = readFileSync(file());
    writeFileSync(file(), bytes.fill(7, 2 ** 15));
    const next = open();
    expect(next.load({ ...key, uid: 'b' })).toBeUndefined();
    expect(problems.join()).toContain('discarded');
    expect(next.save(key, kept)).toBe(true);
  });

  test('that may not be written to is left alone: it goes on without, and says so', () => {
    chmodSync(folder, 0o500);
    // Root may write everywhere.
    const store = open(process.getuid?.() === 0 ? { folder: '/dev/null/headstart' } : {});
    expect(store.save(key, kept)).toBe(false);
    expect(store.load(key)).toBeUndefined();
    expect(problems).toEqual([expect.stringMatching(/^failed: nothing is kept for the next start: ./)]);
    chmodSync(folder, 0o700);
  });

  test('that another process has open is left alone: it goes on without, and says so', () => {
    open().save(key, kept);
    expect(open().load(key)).toBeUndefined();
    expect(problems).toEqual([expect.stringContaining('database is locked')]);
  });

  test('that is full keeps what it has, says so once, and is not tried for ten minutes', () => {
    const store = open({ mostBytes: 2 ** 20 });
    const state = new Uint8Array(3e5);
    const saved = ['a', 'b', 'c', 'd', 'e', 'f'].map((uid) => store.save({ ...key, uid }, { ...kept, state }));
    expect(saved.filter(Boolean).length).toBeGreaterThan(0);
    expect(saved.at(-1)).toBe(false);
    expect(problems).toEqual([expect.stringContaining('full')]);
    store.forget('a');
    expect(store.save({ ...key, uid: 'b' }, { state: 1, savedAt: kept.savedAt + 600 })).toBe(true);
    expect(store.load({ ...key, uid: 'b' })?.state).toBe(1);
  });

  test('is made with its folder', () => {
    const store = open({ folder: join(folder, 'a') });
    store.save(key, kept);
    expect(existsSync(join(folder, 'a', 'forecasts.sqlite'))).toBe(true);
  });

  test.each([
    ['below /proc', '/proc/headstart'],
    ['in a folder that is not there', '/nowhere/headstart'],
  ])('that is to be %s is not made: it goes on without, and says so', (_, where) => {
    expect(open({ folder: where }).save(key, kept)).toBe(false);
    expect(problems).toEqual([expect.stringMatching(/^failed: nothing is kept for the next start: ENOENT/)]);
  });

  test('keeps what can be, and says what cannot', () => {
    const store = open();
    expect(store.save(key, { ...kept, state: () => 'no data' })).toBe(false);
    expect(problems).toEqual([expect.stringMatching(/^failed: keeping the state of shop\/web: /)]);
    expect(store.save({ ...key, uid: 'b' }, { ...kept, savedAt: kept.savedAt + 600 })).toBe(true);
  });
});

describe('bytes', () => {
  const arrays = fc.oneof(fc.float64Array(), fc.float32Array(), fc.uint16Array(), fc.uint32Array());
  const leaf = fc.oneof(arrays, fc.double(), fc.string(), fc.boolean(), fc.constant(undefined), fc.constant(null));
  const data = fc.object({ maxDepth: 3, values: [leaf], key: fc.string({ minLength: 1 }) });

  test('are read as what was written, in arrays of their own', () => {
    fc.assert(
      fc.property(data, fc.float64Array({ minLength: 1 }), (state, values) => {
        const read = decodeState(encodeState({ state, values })) as { state: unknown; values: Float64Array };
        expect(read).toEqual({ state, values });
        expect(read.values.buffer.byteLength).toBe(values.byteLength);
      }),
    );
  });

  test('of any kind are read or refused', () => {
    const whole = encodeState(kept.state);
    const changed = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
      return whole.map((byte, index) => (index === at ? byte ^ by : byte));
    });
    const cut = fc.nat(whole.length - 1).map((length) => whole.subarray(0, length));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed, cut), (bytes) => {
        expect(() => decodeState(bytes)).toThrow(HeadstartError);
      }),
      { numRuns: 1000 },
    );
  });
});
