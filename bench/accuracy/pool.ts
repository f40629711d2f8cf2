// SPDX-License-Identifier: Apache-2.0
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { errorMessage } from '../../src/base/errors.ts';
import type { Settings, Task, TaskResult } from './protocol.ts';
import { runTask } from './tasks.ts';

/** What a child is sent and sends. */
export interface Job {
  readonly task: Task;
  readonly settings: Settings;
}

export interface Answer {
  readonly result?: TaskResult;
  readonly error?: string;
}

type Settled = (task: Task, answer: Answer) => void;

/** Runs tasks, with `jobs` above 1 in so many child processes. */
export async function runTasks(
  tasks: readonly Task[],
  { settings, jobs }: { settings: Settings; jobs: number },
  settled: Settled,
): Promise<void> {
  if (jobs > 1) {
    await runInChildren(tasks, { settings, jobs }, settled);
    return;
  }
  for (const task of tasks) settled(task, await attempt({ task, settings }));
}

/** A task that fails takes no other with it. */
export async function attempt({ task, settings }: Job): Promise<Answer> {
  try {
    const result = await runTask(task, settings);
    return result === undefined ? {} : { result };
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

async function runInChildren(
  tasks: readonly Task[],
  { settings, jobs }: { settings: Settings; jobs: number },
  settled: Settled,
): Promise<void> {
  const waiting = [...tasks];
  const work = async (): Promise<void> => {
    const child = fork(new URL('child.ts', import.meta.url));
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      settled(task, await ask(child, { task, settings }));
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: Math.min(jobs, tasks.length) }, work));
}

async function ask(child: ChildProcess, job: Job): Promise<Answer> {
  const ended = new AbortController();
  const answer = once(child, 'message', { signal: ended.signal });
  const exit = once(child, 'exit', { signal: ended.signal });
  child.send(job);
  try {
    const [message]: Answer[] = await Promise.race([answer, exit.then(() => [{ error: 'the process ended' }])]);
    return message ?? {};
  } finally {
    ended.abort();
    await Promise.allSettled([answer, exit]);
  }
}
