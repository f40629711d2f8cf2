// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../../src/base/errors.ts';
import { run } from '../../src/testing/process.ts';
import { startProgress } from '../../src/testing/progress.ts';

/** Where the programs of a Kubernetes control plane are, by name. */
export interface ControlPlaneBinaries {
  readonly etcd: string;
  readonly apiserver: string;
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly kwok: string;
  readonly kubectl: string;
}

type Log = (line: string) => void;

/** Quick ones first, so that something is seen to happen. */
const packages: Readonly<Record<keyof ControlPlaneBinaries, string>> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  apiserver: 'k8s.io/kubernetes/cmd/kube-apiserver',
  controllerManager: 'k8s.io/kubernetes/cmd/kube-controller-manager',
  scheduler: 'k8s.io/kubernetes/cmd/kube-scheduler',
  kwok: 'sigs.k8s.io/kwok/cmd/kwok',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
};
const module = import.meta.dirname;

/**
 * The programs of the control plane, built from the Go module beside this file where the cache does not have them yet
 * (about six minutes on two cores at first, some seconds with a warm Go build cache). The cache is
 * `$HEADSTART_CACHE`, else `$XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`. Runs that overlap wait for each other.
 * @throws Error when Go is missing or a build fails, with what the compiler said
 */
export async function ensureControlPlaneBinaries(log: Log): Promise<ControlPlaneBinaries> {
  const goMod = await readFile(join(module, 'go.mod'), 'utf8');
  const goSum = await readFile(join(module, 'go.sum'), 'utf8');
  const ldflags = linkerFlags(goMod);
  const key = createHash('sha256').update(goMod).update(goSum).update(ldflags).digest('hex').slice(0, 12);
  const dir = join(cacheDir(), `${key}-${process.platform}-${process.arch}`);
  const paths = binaryPaths(dir);
  if (missing(paths).length === 0) return paths;
  await requireGo();
  await mkdir(dir, { recursive: true });
  await withLock(join(dir, 'lock'), log, async () => {
    await removePartials(dir);
    const todo = missing(paths);
    for (const [index, name] of todo.entries()) {
      await build(packages[name], paths[name], { ldflags, log, position: `${index + 1} of ${todo.length}` });
    }
  });
  return paths;
}

function cacheDir(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return process.env['HEADSTART_CACHE'] || join(base, 'headstart');
}

function binaryPaths(dir: string): ControlPlaneBinaries {
  return {
    etcd: join(dir, 'etcd'),
    apiserver: join(dir, 'kube-apiserver'),
    controllerManager: join(dir, 'kube-controller-manager'),
    scheduler: join(dir, 'kube-scheduler'),
    kwok: join(dir, 'kwok'),
    kubectl: join(dir, 'kubectl'),
  };
}

function missing(paths: ControlPlaneBinaries): (keyof ControlPlaneBinaries)[] {
  return (Object.keys(packages) as (keyof ControlPlaneBinaries)[]).filter((name) => !existsSync(paths[name]));
}

/** Without them Kubernetes says that it is v0.0.0, and some of its version checks fail. */
function linkerFlags(goMod: string): string {
  const version = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(goMod);
  if (version === null) throw new Error(`${join(module, 'go.mod')}: no line "k8s.io/kubernetes vX.Y.Z"`);
  const variable = 'k8s.io/component-base/version';
  return [
    '-s -w',
    `-X ${variable}.gitVersion=${version[1]}`,
    `-X ${variable}.gitMajor=${version[2]}`,
    `-X ${variable}.gitMinor=${version[3]}`,
  ].join(' ');
}

async function requireGo(): Promise<void> {
  const go = await run('go', ['version']).catch(() => undefined);
  if (go?.code !== 0) {
    throw new Error(
      'Go is not on the PATH. Building the Kubernetes control plane needs Go 1.26 (https://go.dev/dl); ' +
        'with Docker and kind installed, or KUBECONFIG set, it is not needed.',
    );
  }
}

/** What builds that were killed left behind. */
async function removePartials(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.endsWith('.partial')) await rm(join(dir, name), { force: true });
  }
}

interface BuildOptions {
  readonly ldflags: string;
  readonly log: Log;
  readonly position: string;
}

async function build(importPath: string, target: string, options: BuildOptions): Promise<void> {
  const partial = `${target}.${process.pid}.partial`;
  const progress = startProgress(`building ${importPath} (${options.position})`, options.log);
  try {
    const args = ['build', '-trimpath', '-ldflags', options.ldflags, '-o', partial, importPath];
    const result = await run('go', args, { cwd: module });
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

if (import.meta.main) {
  const log = (line: string): boolean => process.stderr.write(`${line}\n`);
  try {
    const binaries = await ensureControlPlaneBinaries(log);
    for (const path of Object.values(binaries)) process.stdout.write(`${path}\n`);
  } catch (error) {
    log(errorMessage(error));
    process.exitCode = 1;
  }
}
