// SPDX-License-Identifier: Apache-2.0
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';

/**
 * Keys that have work, each at most once, in the order in which they came; a key that is being worked on is held back
 * until that is done (client-go: util/workqueue).
 */
export interface WorkQueue {
  /** Says that a key has work. Added while it is worked on, it comes again afterwards. */
  add(key: string): void;
  /** Adds a key after `delayMs`; of several pending delays of a key the shortest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds a key after its own backoff, which doubles with each call until `forget`. */
  addRateLimited(key: string): void;
  /** Ends the backoff of a key. */
  forget(key: string): void;
  /** How often `addRateLimited` was called since `forget`. */
  failures(key: string): number;
  /** The next key, when there is one; undefined when the signal aborts or the queue is shut down. */
  take(signal: AbortSignal): Promise<string | undefined>;
  /** Ends the work on a key that `take` gave. */
  done(key: string): void;
  /** How many keys could be taken now. */
  depth(): number;
  /** Takes nothing more in and drops what is delayed; what is ready can still be taken. */
  shutDown(): void;
}

/** How a queue delays. */
export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Of the backoff; 500 ms when left out. */
  readonly baseMs?: number;
  /** Of the backoff; 60 s when left out. */
  readonly maxMs?: number;
}

/** setTimeout takes no longer wait: it would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** An empty queue. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new DelayingQueue(options);
}

class DelayingQueue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #ready = new Set<string>();
  readonly #processing = new Set<string>();
  /** Added while being processed. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #delayed = new Map<string, { readonly atMs: number }>();
  readonly #waiters = new Set<() => void>();
  readonly #end = new AbortController();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#end.signal.aborted) return;
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#ready.add(key);
    this.#wakeOne();
  }

  addAfter(key: string, delayMs: number): void {
    if (!(delayMs > 0)) return this.add(key);
    const { clock } = this.#options;
    const atMs = clock.nowMs() + delayMs;
    const pending = this.#delayed.get(key);
    if (this.#end.signal.aborted || (pending !== undefined && pending.atMs <= atMs)) return;
    const entry = { atMs };
    this.#delayed.set(key, entry);
    const ripen = (): void => {
      // A shorter delay may have taken its place.
      if (this.#delayed.get(key) !== entry) return;
      this.#delayed.delete(key);
      this.add(key);
    };
    clock.sleep(Math.min(delayMs, longestTimerMs), this.#end.signal).then(ripen, () => undefined);
  }

  addRateLimited(key: string): void {
    const { random, baseMs = 500, maxMs = 60_000 } = this.#options;
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    this.addAfter(key, backoffMs(failures, { baseMs, maxMs, random }));
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  async take(signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted) {
      const [key] = this.#ready;
      if (key !== undefined) {
        this.#ready.delete(key);
        this.#processing.add(key);
        return key;
      }
      if (this.#end.signal.aborted) return undefined;
      await this.#somethingToDo(signal);
    }
    // The wake-up that this one does not use belongs to another.
    if (this.#ready.size > 0) this.#wakeOne();
    return undefined;
  }

  done(key: string): void {
    if (!this.#processing.delete(key)) return;
    if (this.#again.delete(key)) this.add(key);
  }

  depth(): number {
    return this.#ready.size;
  }

  shutDown(): void {
    this.#end.abort(new Error('the work queue is shut down'));
    this.#delayed.clear();
    for (const wake of this.#waiters) wake();
  }

  #wakeOne(): void {
    const [wake] = this.#waiters;
    if (wake === undefined) return;
    this.#waiters.delete(wake);
    wake();
  }

  async #somethingToDo(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiters.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    this.#waiters.delete(wake);
    signal.removeEventListener('abort', wake);
  }
}
