// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { limitWrites } from './write-limit.ts';

function setUp(perSecond: number, burst: number) {
  const clock = createFakeClock(0);
  const sentMs: number[] = [];
  const fake = createFakeKubeClient(() => void sentMs.push(clock.nowMs()));
  const client = limitWrites(fake, { perSecond, burst, clock, monotonicMs: clock.nowMs });
  const write = async (signal?: AbortSignal): Promise<void> =>
    await client.request({ method: 'POST', path: '/api/v1/pods', ...(signal === undefined ? {} : { signal }) });
  return { clock, sentMs, fake, client, write };
}

test('a burst goes at once, the rest one after the other; a pause gives the burst back', async () => {
  const { clock, sentMs, write } = setUp(10, 3);
  const first = Array.from({ length: 5 }, async () => await write());
  await clock.advance(1000);
  await Promise.all(first);
  expect(sentMs).toEqual([0, 0, 0, 100, 200]);
  const second = Array.from({ length: 4 }, async () => await write());
  await clock.advance(1000);
  await Promise.all(second);
  expect(sentMs.slice(5)).toEqual([1000, 1000, 1000, 1100]);
});

test('what is read waits for nobody', async () => {
  const { client, fake, write } = setUp(1, 1);
  await write();
  void write().catch(() => undefined);
  await client.request({ path: '/api/v1/pods' });
  await client.request({ method: 'GET', path: '/api/v1/pods' });
  await settle();
  expect(fake.requests).toHaveLength(3);
});

test('whoever waits leaves when told to, and nothing is sent', async () => {
  const { clock, fake, write } = setUp(1, 1);
  const controller = new AbortController();
  await write();
  const waiting = write(controller.signal);
  controller.abort(new Error('the end'));
  await expect(waiting).rejects.toThrow('the end');
  await clock.advance(5000);
  expect(fake.requests).toHaveLength(1);
});

test('in no window are there more than the burst and what the rate allows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 10 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 30 }),
      async (perSecond, burst, pausesMs) => {
        const { clock, sentMs, write } = setUp(perSecond, burst);
        const all: Promise<void>[] = [];
        for (const pauseMs of pausesMs) {
          all.push(write());
          await clock.advance(pauseMs);
        }
        await clock.advance(60_000);
        await Promise.all(all);
        for (const [from, startMs] of sentMs.entries()) {
          for (const [to, endMs] of sentMs.entries()) {
            if (to < from) continue;
            const allowed = burst + ((endMs - startMs) / 1000) * perSecond;
            expect(to - from + 1).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
      },
    ),
    { numRuns: 30 },
  );
});
