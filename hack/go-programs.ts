// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../src/testing/process.ts';
import { startProgress } from '../src/testing/progress.ts';

type Log = (line: string) => void;

/** Programs of one Go module. */
export interface GoPrograms<N extends string> {
  /** The folder with go.mod and go.sum. */
  readonly module: string;
  /** What the module builds, for messages: `the Kubernetes control plane`. */
  readonly what: string;
  /** What helps where Go is missing, beside installing it; empty when nothing does. */
  readonly otherwise: string;
  /** Flags of the linker, from the text of go.mod. */
  readonly ldflags: (goMod: string) => string;
  /** Import path and file name of each, in the order in which they are built. */
  readonly programs: Readonly<Record<N, { readonly importPath: string; readonly file: string }>>;
}

/**
 * The paths of the programs, built from the Go module where the cache does not have them yet. The cache is
 * `$HEADSTART_CACHE`, else `$XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`; runs that overlap wait for each other.
 * @throws Error when Go is missing or a build fails, with what the compiler said
 */
export async function ensureGoPrograms<N extends string>(
  wanted: GoPrograms<N>,
  log: Log,
): Promise<Readonly<Record<N, string>>> {
  const { module, programs } = wanted;
  const goMod = await readFile(join(module, 'go.mod'), 'utf8');
  const ldflags = wanted.ldflags(goMod);
  const dir = join(cacheDir(), `${await cacheKey(module, ldflags)}-${process.platform}-${process.arch}`);
  const names = Object.keys(programs) as N[];
  const paths = Object.fromEntries(names.map((name) => [name, join(dir, programs[name].file)])) as Record<N, string>;
  const missing = (): N[] => names.filter((name) => !existsSync(paths[name]));
  if (missing().length === 0) return paths;
  await requireGo(wanted);
  await mkdir(dir, { recursive: true });
  await withLock(join(dir, 'lock'), log, async () => {
    await removePartials(dir);
    const todo = missing();
    for (const [index, name] of todo.entries()) {
      const position = `${index + 1} of ${todo.length}`;
      await build(programs[name].importPath, paths[name], { module, ldflags, log, position });
    }
  });
  return paths;
}

function cacheDir(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return process.env['HEADSTART_CACHE'] || join(base, 'headstart');
}

/** Of everything that the programs are built from. */
async function cacheKey(module: string, ldflags: string): Promise<string> {
  const hash = createHash('sha256');
  const sources = (await readdir(module)).filter((name) => name.endsWith('.go')).toSorted();
  for (const name of ['go.mod', 'go.sum', ...sources]) hash.update(await readFile(join(module, name), 'utf8'));
  return hash.update(ldflags).digest('hex').slice(0, 12);
}

async function requireGo({ what, otherwise }: Pick<GoPrograms<string>, 'what' | 'otherwise'>): Promise<void> {
  const go = await run('go', ['version']).catch(() => undefined);
  if (go?.code === 0) return;
  const hint = otherwise === '' ? '' : `; ${otherwise}`;
  throw new Error(`Go is not on the PATH. Building ${what} needs Go 1.26 (https://go.dev/dl)${hint}.`);
}

/** What builds that were killed left behind. */
async function removePartials(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.endsWith('.partial')) await rm(join(dir, name), { force: true });
  }
}

interface BuildOptions {
  readonly module: string;
  readonly ldflags: string;
  readonly log: Log;
  readonly position: string;
}

async function build(importPath: string, target: string, options: BuildOptions): Promise<void> {
  const partial = `${target}.${process.pid}.partial`;
  const progress = startProgress(`building ${importPath} (${options.position})`, options.log);
  try {
    const args = ['build', '-trimpath', '-ldflags', options.ldflags, '-o', partial, importPath];
    const result = await run('go', args, { cwd: options.module });
    if (result.code !== 0) throw new Error(`go build ${importPath} failed:\n${result.stderr.trimEnd().slice(-4000)}`);
    await rename(partial, target);
  } finally {
    progress.end();
    await rm(partial, { force: true });
  }
}

/**
 * Runs `work` while holding a lock file, whose time is renewed; a lock that is not is of a run that was killed, and is
 * taken over. Should two do so at once, both build, and the renames make that harmless.
 */
async function withLock(path: string, log: Log, work: () => Promise<void>): Promise<void> {
  let told = false;
  while (!(await tryLock(path))) {
    if (!told) log(`waiting for another build (${path})`);
    told = true;
    const info = await stat(path).catch(() => undefined);
    if (info !== undefined && Date.now() - info.mtimeMs > 20_000) await rm(path, { force: true });
    await delay(1000);
  }
  const renewal = setInterval(() => utimesSync(path, new Date(), new Date()), 5000);
  try {
    await work();
  } finally {
    clearInterval(renewal);
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
