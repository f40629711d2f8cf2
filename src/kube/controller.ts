// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { errorCode, HeadstartError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { linkSignal } from './deadline.ts';
import type { WorkQueue } from './workqueue.ts';

/** When to look at the key again without an event; undefined or left out: only on events. */
export type ReconcileResult = { readonly requeueAfterMs?: number } | undefined;

/** One finished reconcile, for logs and metrics. */
export interface ReconcileObservation {
  readonly controller: string;
  readonly key: string;
  readonly outcome: 'Success' | ErrorCode;
  readonly seconds: number;
  /** Only when it failed. */
  readonly error?: unknown;
}

/** What a controller does with the keys of its queue. */
export interface ControllerOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  /**
   * Brings the world of a key to what is wanted, whatever happened (level-based). An error means to try again after
   * the key's own backoff; it must heed the signal.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>;
  /** How many keys at once. */
  readonly workers: number;
  readonly clock: Clock;
  /** For one reconcile; 60 s when left out. */
  readonly timeoutMs?: number;
  readonly onResult?: (observation: ReconcileObservation) => void;
}

/** What a reconcile that was told to stop may still use to end in good order. */
const graceMs = 5_000;

/**
 * Works on the queue until the signal aborts, ends when each worker has, and shuts the queue down; never rejects. No key is worked on twice
 * at a time, with one exception: a reconcile that ignores its signal past timeout and grace is abandoned, as a key
 * that is never looked at again would be worse.
 */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  await Promise.all(Array.from({ length: options.workers }, async () => await runWorker(options, signal)));
  // Its delays would keep the process alive.
  options.queue.shutDown();
}

async function runWorker(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { queue } = options;
  for (let key = await queue.take(signal); key !== undefined; key = await queue.take(signal)) {
    await work(options, key, signal);
    queue.done(key);
  }
}

async function work(options: ControllerOptions, key: string, signal: AbortSignal): Promise<void> {
  const { name, queue, onResult = () => undefined } = options;
  const startMs = performance.now();
  const observe = (outcome: 'Success' | ErrorCode, failed: { readonly error?: unknown }): void =>
    onResult({ controller: name, key, outcome, seconds: (performance.now() - startMs) / 1000, ...failed });
  try {
    const result = await reconcileInTime(options, key, signal);
    queue.forget(key);
    if (result?.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs);
    observe('Success', {});
  } catch (error) {
    // What was interrupted by the end of the process has not failed.
    if (signal.aborted) return;
    queue.addRateLimited(key);
    observe(errorCode(error), { error });
  }
}

async function reconcileInTime(options: ControllerOptions, key: string, signal: AbortSignal): Promise<ReconcileResult> {
  const { name, clock, timeoutMs = 60_000, reconcile } = options;
  const link = linkSignal(signal);
  const timer = linkSignal(signal);
  const finished = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  const guard = async (): Promise<void> => {
    await clock.sleep(timeoutMs, timer.signal).catch(() => undefined);
    if (finished.signal.aborted) return;
    const error = new HeadstartError('Timeout', `reconciling ${key} (${name}): not done within ${timeoutMs / 1000} s`);
    link.abort(error);
    await clock.sleep(graceMs, finished.signal);
    abandoned.reject(error);
  };
  // It rejects only when the work ended within the grace.
  guard().catch(() => undefined);
  try {
    return await Promise.race([reconcile(key, link.signal), abandoned.promise]);
  } catch (error) {
    throw link.signal.aborted ? link.signal.reason : error;
  } finally {
    finished.abort();
    timer.abort(undefined);
    timer.unlink();
    link.unlink();
  }
}
