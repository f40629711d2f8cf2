// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';

/** Why a step ended early: Ctrl-C or SIGTERM. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/** How long the end waits for a step that was interrupted half-way, to undo it. */
const patienceMs = 20_000;

/** Everything that the demo started, so that it can be ended in order, whatever happened. */
export interface Lifetime {
  readonly signal: AbortSignal;
  /**
   * Runs a step. When it is done, `undo` is kept for the end; when it is interrupted, too, as soon as the step is done.
   * @throws Interrupted as soon as the signal aborts, else what the step throws
   */
  step<T>(start: () => Promise<T>, undo?: (result: T) => Promise<void>): Promise<T>;
  /** @throws Interrupted when the signal aborts first */
  sleep(ms: number): Promise<void>;
  /** Undoes all steps, last first. One that fails is told to `log`, and the others are undone all the same. */
  end(log: (line: string) => void): Promise<void>;
}

/** A lifetime that ends early when `signal` aborts. */
export function createLifetime(signal: AbortSignal): Lifetime {
  const undos: (() => Promise<void>)[] = [];
  return {
    signal,
    step: async (start, undo) => {
      if (signal.aborted) throw new Interrupted();
      const running = start();
      if (undo === undefined) return await unlessAborted(running, signal);
      // A step that fails has nothing to undo; who awaits `running` gets the error.
      const kept = running.then(
        (result) => async () => await undo(result),
        () => undefined,
      );
      undos.push(async () => {
        const undoStep = await Promise.race([kept, delay(patienceMs, undefined, { ref: false })]);
        await undoStep?.();
      });
      return await unlessAborted(running, signal);
    },
    sleep: async (ms) => {
      try {
        await delay(ms, undefined, { signal });
      } catch (error) {
        throw signal.aborted ? new Interrupted() : error;
      }
    },
    end: async (log) => {
      if (undos.length > 0) log('cleaning up …');
      for (const undo of undos.splice(0).toReversed()) {
        await undo().catch((error: unknown) => log(`clean-up: ${String(error)}`));
      }
    },
  };
}

async function unlessAborted<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new Interrupted());
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([running, aborted]);
  } catch (error) {
    // Ctrl-C reaches the commands that a step runs, too: their failure is the interruption.
    throw signal.aborted ? new Interrupted() : error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
