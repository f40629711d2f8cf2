// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';
import { openDatabase } from './database.ts';
import type { DatabaseOptions } from './database.ts';
import { decodeState, encodeState } from './encode-state.ts';

/** After a write that failed (a full disk), so long nothing is written. */
const pauseSeconds = 600;

/** Which state. */
export interface StateKey {
  /** Whose: the uid of an object. */
  readonly uid: string;
  /** Its name, for messages. */
  readonly name: string;
  /** What it was learnt for: a state for anything else is of no use. */
  readonly spec: string;
}

/** What is kept of one. */
export interface KeptState {
  readonly state: unknown;
  /** Epoch seconds. */
  readonly savedAt: number;
}

/**
 * Plain data that outlives the process, one state for each uid, in SQLite; best effort: nothing throws. A file that
 * cannot be read is discarded and begun anew; without a file nothing is kept.
 */
export interface StateStore {
  load(key: StateKey): KeptState | undefined;
  save(key: StateKey, kept: KeptState): boolean;
  forget(uid: string): void;
  /** Forgets all but these. */
  retain(uids: readonly string[]): void;
  close(): void;
}

/** Opens the store, or begins a new one; when neither can be done, says so, and keeps nothing. */
export function openStateStore(options: DatabaseOptions): StateStore {
  const database = openDatabase(options);
  let pausedUntil = Number.NEGATIVE_INFINITY;
  const forget = (uid: string): void => {
    database.attempt('forgetting a state', (open) => open.prepare('DELETE FROM states WHERE uid = ?').run(uid));
  };
  return {
    load: ({ uid, name, spec }) => {
      const query = 'SELECT spec, saved_at, state FROM states WHERE uid = ?';
      const row = database.attempt(`reading the state of ${name}`, (open) => open.prepare(query).get(uid));
      if (row === undefined) return undefined;
      try {
        return readRow(row, spec);
      } catch (cause) {
        const error = new HeadstartError('InvalidInput', `the state that was kept of ${name} is discarded`, { cause });
        options.onProblem({ outcome: 'discarded', error });
        forget(uid);
        return undefined;
      }
    },
    save: ({ uid, name, spec }, { state, savedAt }) => {
      if (savedAt < pausedUntil || !database.isOpen()) return false;
      const written = database.attempt(`keeping the state of ${name}`, (open) =>
        open
          .prepare('INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?)')
          .run(uid, spec, options.version, savedAt, encodeState(state)),
      );
      if (written === undefined) pausedUntil = savedAt + pauseSeconds;
      return written !== undefined;
    },
    forget,
    retain: (uids) => {
      const query = 'DELETE FROM states WHERE uid NOT IN (SELECT value FROM json_each(?))';
      database.attempt('forgetting states', (open) => open.prepare(query).run(JSON.stringify(uids)));
    },
    close: () => database.close(),
  };
}

/** @throws HeadstartError InvalidInput for a state that is not whole, or of another spec */
function readRow(row: Readonly<Record<string, unknown>>, spec: string): KeptState {
  if (row['spec'] !== spec) throw new HeadstartError('InvalidInput', 'it was learnt for another spec');
  const bytes = row['state'];
  if (!(bytes instanceof Uint8Array)) throw new HeadstartError('InvalidInput', 'it is not made of bytes');
  return { state: decodeState(bytes), savedAt: Number(row['saved_at']) };
}
