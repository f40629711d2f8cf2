// SPDX-License-Identifier: Apache-2.0
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Takes pieces of work that each take long, one in a turn of the event loop: in between, timers fire and answers come
 * in, so that many fits in a row do not cost the Lease.
 */
export function createTurns(): <T>(work: () => T) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return async (work) => {
    const turn = last.then(async () => {
      await nextTurn();
      return work();
    });
    last = turn.catch(() => undefined);
    return await turn;
  };
}
