// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What to start. Standard output and error go to `<folder of the group>/<name>.log`. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** A process that was started here. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Resolves when the process is gone, with how it ended: `exit code 1`, `signal SIGKILL`. */
  readonly exited: Promise<string>;
  isRunning(): boolean;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after `graceMs` (3 s by default); resolves when the process is gone. */
  stop(graceMs?: number): Promise<void>;
}

/** Several servers and one temporary folder that end together, also when this process is killed. */
export interface ProcessGroup {
  readonly dir: string;
  /** @throws Error when the command cannot be started */
  start(spec: ProcessSpec): Promise<RunningProcess>;
  /** Stops what still runs, last started first, and removes the folder. May be called more than once. */
  stop(): Promise<void>;
}

/** What a finished command gave. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code; -1 when a signal ended the command. */
  readonly code: number;
}

/**
 * Reads `+ pid` and `- pid` lines; when its input ends, because the process that wrote them is gone, it kills the
 * pids that are left and removes the folder. A shell, because no exit hook runs after SIGKILL.
 */
const watchdogScript = `
pids=
while read -r op pid; do
  rest=
  for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
  pids=$rest
  [ "$op" = + ] && pids="$pids $pid"
done
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
rm -rf "$1"
`;

/** A new group; its folder's name starts with `headstart-<name>-`. */
export async function createProcessGroup(name: string): Promise<ProcessGroup> {
  const dir = await mkdtemp(join(tmpdir(), `headstart-${name}-`));
  const watchdog = spawn('sh', ['-c', watchdogScript, 'watchdog', dir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.stdin.on('error', () => undefined);
  watchdog.unref();
  const running: RunningProcess[] = [];
  return {
    dir,
    start: async (spec) => {
      const started = await startProcess(spec, join(dir, `${spec.name}.log`));
      running.push(started);
      watchdog.stdin.write(`+ ${started.pid}\n`);
      void started.exited.then(() => watchdog.stdin.write(`- ${started.pid}\n`));
      return started;
    },
    stop: async () => {
      for (const item of running.splice(0).toReversed()) await item.stop();
      watchdog.stdin.end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function startProcess(spec: ProcessSpec, logPath: string): Promise<RunningProcess> {
  const log = openSync(logPath, 'a');
  // A session of its own: Ctrl-C reaches this process alone, which then stops its servers in order.
  const child = spawn(spec.command, spec.args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...spec.env },
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
  });
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code === null ? `signal ${signal}` : `exit code ${code}`));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(new Error(`${spec.name}: cannot start ${spec.command}`, { cause })));
  });
  return runningProcess(spec.name, child, logPath, exited);
}

function runningProcess(name: string, child: ChildProcess, logPath: string, exited: Promise<string>): RunningProcess {
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    name,
    pid: child.pid ?? -1,
    logPath,
    exited,
    isRunning,
    kill: (signal) => {
      if (isRunning()) child.kill(signal);
    },
    stop: async (graceMs = 3000) => {
      if (!isRunning()) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** What `waitUntil` waits for. */
export interface WaitOptions {
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  /** Fails at once, with the end of the log, when this process is gone. */
  readonly process?: RunningProcess;
}

/**
 * Calls `probe` until it gives a value other than `undefined` and `false`.
 * @throws Error naming `what`, after the timeout or when the process is gone; its cause is the probe's last error
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, undefined | false>> {
  const endMs = Date.now() + options.timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      cause = error;
    }
    if (options.process !== undefined && !options.process.isRunning()) throw await ended(what, options.process);
    if (Date.now() >= endMs) throw new Error(`${what}: not within ${options.timeoutMs / 1000} s`, { cause });
    await delay(options.intervalMs ?? 100);
  }
}

async function ended(what: string, gone: RunningProcess): Promise<Error> {
  const log = await readFile(gone.logPath, 'utf8');
  const tail = log.trimEnd().split('\n').slice(-15).join('\n');
  return new Error(`${what}: ${gone.name} ended (${await gone.exited}):\n${tail}`);
}

/** How to run a command. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/**
 * Runs a command to its end.
 * @throws Error only when it cannot be started; a failing command gives its code
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const child = spawn(command, args, {
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A command that ends without reading its input is no failure.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return await new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`cannot start ${command}`, { cause })));
    child.once('close', (code) => resolve({ stdout, stderr, code: code ?? -1 }));
  });
}
