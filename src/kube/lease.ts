// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient } from './client.ts';
import { linkSignal } from './deadline.ts';
import { LeaseLock } from './lease-lock.ts';

/** What a replica does when it leads. */
interface LeadershipCallbacks {
  /** Ends the election; what is held is given up after the work has ended. */
  readonly signal: AbortSignal;
  /**
   * The leader's work; its signal aborts when leadership is lost. May return while leading goes on. When it fails,
   * leadership is given up and `run` rejects with its error.
   */
  readonly onStartedLeading: (signal: AbortSignal) => Promise<void> | void;
  /** Called when the work has ended after the loss, before the next try. */
  readonly onStoppedLeading?: () => void;
}

/** One replica's part in an election. */
export interface LeaderElector {
  /** Tries to lead, leads, tries again, until the signal aborts; call it once. */
  run(callbacks: LeadershipCallbacks): Promise<void>;
  /** Whether this replica leads, and renewed that recently enough to be sure. */
  isLeader(): boolean;
}

/** What is elected, and how patiently. The defaults are client-go's. */
export interface LeaderElectorOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Lease; one per thing that needs a leader. */
  readonly name: string;
  /** Unique among all that take part. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a record that stands still keeps others away; 15 s. */
  readonly leaseDurationMs?: number;
  /** A leader that could not renew for so long stops, well before others may take over; 10 s. */
  readonly renewDeadlineMs?: number;
  /** Between two tries; 2 s. */
  readonly retryPeriodMs?: number;
  readonly onError?: (error: unknown) => void;
  /** A clock that is never set back; of the machine when left out. */
  readonly monotonicMs?: () => number;
}

/** Followers wait up to so many periods more, so that they do not all write at once (client-go: JitterFactor). */
const jitterFactor = 1.2;

/** Leader election on a Lease. Between the loss here and a takeover elsewhere lie at least 5 s with the defaults. */
export function createLeaderElector(options: LeaderElectorOptions): LeaderElector {
  return new LeaseElector(options);
}

class LeaseElector implements LeaderElector {
  readonly #options: Required<LeaderElectorOptions>;
  readonly #lock: LeaseLock;
  #isLeading = false;
  /** When the last successful renewal was begun. */
  #renewedAtMs = 0;

  constructor(options: LeaderElectorOptions) {
    const monotonicMs = options.monotonicMs ?? (() => performance.now());
    const defaults = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
    this.#options = { ...defaults, onError: () => undefined, ...options, monotonicMs };
    this.#lock = new LeaseLock({ ...this.#options, nowMs: () => options.clock.nowMs() });
  }

  isLeader(): boolean {
    return this.#isLeading && this.#leftMs() > 0;
  }

  async run(callbacks: LeadershipCallbacks): Promise<void> {
    while (await this.#acquire(callbacks.signal)) await this.#lead(callbacks);
  }

  /** @returns false when the signal aborted first */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random, retryPeriodMs } = this.#options;
    while (!signal.aborted) {
      if (await this.#tryOnce(signal)) return true;
      await clock.sleep(retryPeriodMs * (1 + jitterFactor * random()), signal).catch(() => undefined);
    }
    return false;
  }

  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const { monotonicMs, renewDeadlineMs, onError } = this.#options;
    const startMs = monotonicMs();
    try {
      if (!(await this.#lock.acquireOrRenew({ timeoutMs: renewDeadlineMs / 2, signal }))) return false;
      this.#renewedAtMs = startMs;
      return true;
    } catch (error) {
      if (!signal.aborted) onError(error);
      return false;
    }
  }

  async #lead({ signal, onStartedLeading, onStoppedLeading }: LeadershipCallbacks): Promise<void> {
    const term = linkSignal(signal);
    const upkeep = new AbortController();
    this.#isLeading = true;
    const lost = this.#untilLost(upkeep.signal);
    const work = (async () => await onStartedLeading(term.signal))();
    const end = await Promise.race([
      lost.then((reason) => ({ kind: 'lost', reason }) as const),
      rejection(work).then((reason) => ({ kind: 'failed', reason }) as const),
      abortion(term.signal).then((reason) => ({ kind: 'stopping', reason }) as const),
    ]);
    term.abort(end.reason);
    // A leader that stops goes on renewing until its work has ended: nobody may take over in between.
    const isLost = (await Promise.race([lost, settlement(work)])) !== undefined;
    upkeep.abort();
    this.#isLeading = false;
    await settlement(work);
    term.unlink();
    onStoppedLeading?.();
    if (!isLost) await this.#lock.release().catch(this.#options.onError);
    if (end.kind === 'lost') this.#options.onError(end.reason);
    if (end.kind === 'failed') throw end.reason;
  }

  /** Renews until that fails for too long; gives the reason, or undefined when the signal aborts. */
  async #untilLost(signal: AbortSignal): Promise<HeadstartError | undefined> {
    const { namespace, name, renewDeadlineMs } = this.#options;
    await Promise.race([this.#renew(signal), this.#untilDeadline(signal)]);
    if (signal.aborted) return undefined;
    const holder = this.#lock.holder();
    const isHeldHere = holder === this.#options.identity;
    const why = isHeldHere ? `not renewed for ${renewDeadlineMs / 1000} s` : `taken by ${holder || 'another replica'}`;
    return new HeadstartError('Conflict', `leading by lease ${namespace}/${name}: ${why}`);
  }

  /** Ends when another has the lock, or the signal aborts. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, retryPeriodMs, identity } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(retryPeriodMs, signal).catch(() => undefined);
      const isRenewed = await this.#tryOnce(signal);
      if (!isRenewed && this.#lock.holder() !== identity) return;
    }
  }

  /** Ends at the renewal deadline, even while a request hangs, or when the signal aborts. */
  async #untilDeadline(signal: AbortSignal): Promise<void> {
    for (let leftMs = this.#leftMs(); leftMs > 0 && !signal.aborted; leftMs = this.#leftMs()) {
      await this.#options.clock.sleep(leftMs, signal).catch(() => undefined);
    }
  }

  #leftMs(): number {
    return this.#renewedAtMs + this.#options.renewDeadlineMs - this.#options.monotonicMs();
  }
}

/** Resolves with the error when the promise rejects, else never. */
async function rejection(promise: Promise<void>): Promise<unknown> {
  return await new Promise((resolve) => {
    promise.catch(resolve);
  });
}

async function settlement(promise: Promise<void>): Promise<undefined> {
  await promise.catch(() => undefined);
  return undefined;
}

async function abortion(signal: AbortSignal): Promise<unknown> {
  return await new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}
