// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { errorMessage } from '../base/errors.ts';
import type { FitInput } from '../forecast/fit.ts';
import type { ForecasterState } from '../forecast/forecaster.ts';
import type { CannotFit } from '../forecast/model.ts';
import type { FitFailure } from '../forecast/refit.ts';
import { buffersOf } from './buffers.ts';

/** A fit takes a fraction of a second; one that takes so long is stuck. */
const defaultTimeoutMs = 60_000;

/** More threads than this cost more memory than they are worth: a thousand fits take one of them minutes. */
const mostThreads = 4;

/** What a thread may take: a fit needs a tenth of it. Beyond, the thread ends, and not the process. */
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 24 };

/** One thread stays, so that code is compiled; the others end after this time without work. */
const idleTimeoutMs = 60_000;

/** How a pool is made; the default is for a process of its own. */
interface FitPoolOptions {
  readonly threads?: number;
  readonly timeoutMs?: number;
  /** The code of the threads: a module that exports `fit`. */
  readonly worker?: URL;
  /** Told of a thread that ends without being asked. */
  readonly onProblem?: (error: unknown) => void;
}

/** Fits in threads of their own, as many at a time as there are threads; the others wait. */
export interface FitPool {
  /**
   * Makes a fit; never rejects. `input` is asked for when a thread is free, so that what waits takes no memory; its
   * arrays are transferred. Urgent fits go first.
   */
  fit(
    input: () => FitInput,
    urgency: { readonly isUrgent: boolean },
  ): Promise<ForecasterState | CannotFit | FitFailure>;
  /** Ends every thread; what waits or runs comes to a failure. Later fits start new threads. */
  stop(): Promise<void>;
}

/** One core is left for the main loop. */
function threadsFor(cores: number): number {
  return Math.max(1, Math.min(mostThreads, cores - 1));
}

/** A pool that starts its threads with the first fit. */
export function createFitPool(options: FitPoolOptions = {}): FitPool {
  const { threads = threadsFor(availableParallelism()), timeoutMs = defaultTimeoutMs } = options;
  const turns = createTurns(threads);
  let pool: Piscina | undefined;
  const run = async (input: () => FitInput): Promise<ForecasterState | CannotFit> => {
    const given = input();
    pool ??= createPool(options, threads);
    const signal = AbortSignal.timeout(timeoutMs);
    return (await pool.run(given, { transferList: buffersOf(given), signal })) as ForecasterState | CannotFit;
  };
  return {
    fit: async (input, { isUrgent }) => {
      if (!(await turns.begin(isUrgent))) return { kind: 'failed', message: 'the fit was not begun: threads end' };
      try {
        return await run(input);
      } catch (error) {
        return { kind: 'failed', message: reasonOf(error, timeoutMs) };
      } finally {
        turns.end();
      }
    },
    stop: async () => {
      turns.dismiss();
      const stopped = pool;
      pool = undefined;
      await stopped?.destroy();
    },
  };
}

interface Turns {
  /** Waits for one of the turns; false when it was dismissed instead. */
  begin(isUrgent: boolean): Promise<boolean>;
  end(): void;
  /** Sends away all that wait. */
  dismiss(): void;
}

function createTurns(most: number): Turns {
  const urgent: ((isBegun: boolean) => void)[] = [];
  const other: ((isBegun: boolean) => void)[] = [];
  let taken = 0;
  return {
    begin: async (isUrgent) => {
      if (taken >= most) {
        return await new Promise<boolean>((resolve) => void (isUrgent ? urgent : other).push(resolve));
      }
      taken += 1;
      return true;
    },
    end: () => {
      const next = urgent.shift() ?? other.shift();
      // A turn is handed on, so that nobody gets in between.
      if (next === undefined) taken -= 1;
      else next(true);
    },
    dismiss: () => {
      for (const resolve of [...urgent.splice(0), ...other.splice(0)]) resolve(false);
    },
  };
}

function createPool({ worker, onProblem }: FitPoolOptions, threads: number): Piscina {
  const pool = new Piscina({
    filename: (worker ?? new URL('./worker.ts', import.meta.url)).href,
    name: 'fit',
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: idleTimeoutMs,
    resourceLimits,
  });
  pool.on('error', (error) => onProblem?.(error));
  return pool;
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const isTimeout = error instanceof Error && error.name === 'AbortError';
  return isTimeout ? `the fit took longer than ${timeoutMs / 1000} s` : `the fit failed: ${errorMessage(error)}`;
}
