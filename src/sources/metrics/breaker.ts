// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../base/clock.ts';
import { HeadstartError } from '../../base/errors.ts';

/** Keeps callers from waiting, one after the other, for a server that does not answer. */
export interface Breaker {
  /** @throws HeadstartError the last failure, while the server is left alone */
  check(): void;
  succeeded(): void;
  failed(error: HeadstartError): void;
}

const failuresToRest = 3;
const restMs = 15_000;

/** A breaker that, after three failures in a row, lets one caller through every 15 s until one succeeds. */
export function createBreaker(clock: Clock): Breaker {
  let failures = 0;
  let restUntilMs = 0;
  let last: HeadstartError | undefined;
  return {
    check: () => {
      if (last === undefined || failures < failuresToRest) return;
      const nowMs = clock.nowMs();
      if (nowMs < restUntilMs) throw new HeadstartError(last.code, last.message, { cause: last.cause });
      restUntilMs = nowMs + restMs;
    },
    succeeded: () => {
      failures = 0;
    },
    failed: (error) => {
      failures += 1;
      last = error;
      restUntilMs = clock.nowMs() + restMs;
    },
  };
}
