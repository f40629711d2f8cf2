// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createLimiter } from './limiter.ts';

test('no more than the limit run at a time, first come, first served', async () => {
  const limiter = createLimiter(2);
  const ends: (() => void)[] = [];
  const started: number[] = [];
  const work = async (index: number): Promise<number> => {
    return await limiter(async () => {
      started.push(index);
      await new Promise<void>((resolve) => ends.push(resolve));
      return index;
    });
  };
  const all = Promise.all([work(0), work(1), work(2), work(3)]);
  await Promise.resolve();
  expect(started).toEqual([0, 1]);
  ends[1]?.();
  await expect.poll(() => started).toEqual([0, 1, 2]);
  ends[0]?.();
  await expect.poll(() => started).toEqual([0, 1, 2, 3]);
  ends[2]?.();
  ends[3]?.();
  expect(await all).toEqual([0, 1, 2, 3]);
});

test('who waits can give up, and who fails leaves its place', async () => {
  const limiter = createLimiter(1);
  let end = (): void => undefined;
  const first = limiter(async () => await new Promise<void>((resolve) => (end = resolve)));
  const controller = new AbortController();
  const second = limiter(async () => 'second', controller.signal);
  controller.abort(new Error('given up'));
  await expect(second).rejects.toThrow('given up');
  end();
  await first;
  await expect(limiter(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await limiter(async () => 'third')).toBe('third');
});
