// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

test('between two pieces of work the event loop goes round, and each gets its own result', async () => {
  const inTurn = createTurns();
  const log: string[] = [];
  const round = (left: number): void => {
    log.push('round');
    if (left > 0) setImmediate(round, left - 1);
  };
  setImmediate(round, 6);
  const work = [1, 2, 3].map((number) =>
    inTurn(() => {
      log.push(`work ${number}`);
      if (number === 2) throw new Error('failed');
      return number;
    }),
  );
  const results = await Promise.allSettled(work);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  const before = log.filter((_, index) => log[index + 1]?.startsWith('work'));
  expect(before).toEqual(['round', 'round', 'round']);
  expect(log.filter((line) => line.startsWith('work'))).toEqual(['work 1', 'work 2', 'work 3']);
});
