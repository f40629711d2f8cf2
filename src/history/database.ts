// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HeadstartError } from '../base/errors.ts';

/** States are kept in this file of the folder, and in more beside it while it is open. */
const fileName = 'forecasts.sqlite';
const besides = ['', '-wal', '-shm', '-journal'];

/** The file grows no further than this; what does not fit is not kept. */
const mostBytes = 2 ** 30;
const pageBytes = 2 ** 14;

/** What is discarded, or could not be read or kept, and why; nothing of it stops anything. */
export interface StoreProblem {
  readonly outcome: 'discarded' | 'failed';
  readonly error: HeadstartError;
}

/** Where states are kept, and who is told. */
export interface DatabaseOptions {
  /** It is made if it is not there; what it lies in is not. */
  readonly folder: string;
  /** States of other versions are discarded. */
  readonly version: string;
  readonly onProblem: (problem: StoreProblem) => void;
  /** Default 1 GiB. */
  readonly mostBytes?: number;
}

/** A database that is left out, or begun anew, when it does not work. */
export interface Database {
  /** The result of the work; undefined, and `onProblem` told, when it failed or there is no database. */
  attempt<T>(what: string, work: (open: DatabaseSync) => T): T | undefined;
  isOpen(): boolean;
  close(): void;
}

/** Opens the file, or begins a new one; when neither can be done, says so. */
export function openDatabase(options: DatabaseOptions): Database {
  let database = openOrBegin(options);
  return {
    attempt: (what, work) => {
      if (database === undefined) return undefined;
      try {
        return work(database);
      } catch (error) {
        if (isBroken(error)) {
          // A file that is broken somewhere is broken.
          database.close();
          database = beginAnew(options, error);
        } else options.onProblem(failed(what, error));
        return undefined;
      }
    },
    isOpen: () => database !== undefined,
    close: () => {
      database?.close();
      database = undefined;
    },
  };
}

function openOrBegin(options: DatabaseOptions): DatabaseSync | undefined {
  try {
    return open(options);
  } catch (error) {
    if (isBroken(error)) return beginAnew(options, error);
    options.onProblem(failed('nothing is kept for the next start', error));
    return undefined;
  }
}

function beginAnew(options: DatabaseOptions, broken: unknown): DatabaseSync | undefined {
  const discarded = new HeadstartError('Unavailable', 'all states that were kept are discarded', { cause: broken });
  options.onProblem({ outcome: 'discarded', error: discarded });
  try {
    for (const end of besides) rmSync(join(options.folder, fileName + end), { force: true });
    return open(options);
  } catch (error) {
    options.onProblem(failed('nothing is kept for the next start', error));
    return undefined;
  }
}

function open({ folder, version, onProblem, mostBytes: limit = mostBytes }: DatabaseOptions): DatabaseSync {
  // Not recursive: below /proc that never ends (Node.js 24).
  if (!existsSync(folder)) mkdirSync(folder);
  const database = new DatabaseSync(join(folder, fileName));
  try {
    // What the operating system has is safe from the end of the process. A machine that fails may break the file,
    // which is noticed; waiting for the disk would block the process.
    database.exec(`
      PRAGMA page_size = ${pageBytes};
      PRAGMA auto_vacuum = INCREMENTAL;
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = OFF;
      PRAGMA wal_autocheckpoint = 256;
      PRAGMA journal_size_limit = ${16 * 2 ** 20};
      PRAGMA max_page_count = ${Math.floor(limit / pageBytes)};
      CREATE TABLE IF NOT EXISTS states (
        uid TEXT PRIMARY KEY, spec TEXT NOT NULL, version TEXT NOT NULL, saved_at REAL NOT NULL, state BLOB NOT NULL
      ) STRICT`);
    const { changes } = database.prepare('DELETE FROM states WHERE version <> ?').run(version);
    if (changes > 0) {
      const message = `${changes} states that were kept are discarded: they are of another version than ${version}`;
      onProblem({ outcome: 'discarded', error: new HeadstartError('InvalidInput', message) });
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, and a table that is not ours. */
function isBroken(error: unknown): boolean {
  const { errcode } = error as { errcode?: unknown };
  return errcode === 11 || errcode === 26 || errcode === 1 || (typeof errcode === 'number' && (errcode & 0xff) === 11);
}

function failed(what: string, cause: unknown): StoreProblem {
  return { outcome: 'failed', error: new HeadstartError('Unavailable', what, { cause }) };
}
