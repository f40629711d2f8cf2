// SPDX-License-Identifier: Apache-2.0

/** Exponential backoff: the wait doubles from `baseMs` up to `maxMs`. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1); injected so that tests repeat. */
  readonly random: () => number;
}

/**
 * The wait before try number `failures` + 1, in ms, with equal jitter (half fixed, half random), so that many
 * clients that failed together do not come back together.
 */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(failures, 40));
  return ceiling / 2 + (ceiling / 2) * options.random();
}
