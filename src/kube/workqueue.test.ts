// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createWorkQueue } from './workqueue.ts';

const never = new AbortController().signal;

function create() {
  const clock = createFakeClock();
  const queue = createWorkQueue({ clock, random: () => 0, baseMs: 1000, maxMs: 60_000 });
  /** All that can be taken now, done at once. */
  const drain = async () => {
    const keys: (string | undefined)[] = [];
    while (queue.depth() > 0) keys.push(await queue.take(never));
    for (const key of keys) queue.done(key ?? '');
    return keys;
  };
  return { clock, queue, drain };
}

test('keys come in the order in which they were added, each once', async () => {
  const { queue, drain } = create();
  for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
  expect(await drain()).toEqual(['b', 'a', 'c']);
});

test('a key that is added while it is worked on comes again when that is done, not before', async () => {
  const { queue, drain } = create();
  queue.add('a');
  expect(await queue.take(never)).toBe('a');
  queue.add('a');
  queue.add('a');
  expect(queue.depth()).toBe(0);
  queue.done('a');
  expect(await drain()).toEqual(['a']);
  expect(queue.depth()).toBe(0);
});

test('a waiting worker is woken by one key; the others sleep on', async () => {
  const { queue } = create();
  const taken: (string | undefined)[] = [];
  const workers = [1, 2].map(async () => taken.push(await queue.take(never)));
  await settle();
  queue.add('a');
  await settle();
  expect(taken).toEqual(['a']);
  queue.add('b');
  await Promise.all(workers);
  expect(taken).toEqual(['a', 'b']);
});

test('a worker that gives up while a key arrives does not swallow it', async () => {
  const { queue } = create();
  const controller = new AbortController();
  const given = queue.take(controller.signal);
  const kept = queue.take(never);
  await settle();
  queue.add('a');
  controller.abort();
  expect([await given, await kept].filter((key) => key === 'a').length).toBe(1);
  await expect(queue.take(controller.signal)).resolves.toBeUndefined();
});

test('of several delays of a key the shortest counts', async () => {
  const { clock, queue, drain } = create();
  queue.addAfter('a', 5000);
  queue.addAfter('a', 2000);
  queue.addAfter('a', 9000);
  await clock.advance(1999);
  expect(queue.depth()).toBe(0);
  await clock.advance(1);
  expect(await drain()).toEqual(['a']);
  await clock.advance(60_000);
  expect(queue.depth()).toBe(0);
});

test.each([0, -5, Number.NaN])('a delay of %s ms is none', (delayMs) => {
  const { queue } = create();
  queue.addAfter('a', delayMs);
  expect(queue.depth()).toBe(1);
});

test('the backoff of a key doubles to its bound, for itself alone, until it is forgotten', async () => {
  const { clock, queue, drain } = create();
  const waits: number[] = [];
  for (let failure = 0; failure < 9; failure += 1) {
    queue.addRateLimited('a');
    const startMs = clock.nowMs();
    while (queue.depth() === 0) await clock.advance(500);
    waits.push(clock.nowMs() - startMs);
    await drain();
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect([queue.failures('a'), queue.failures('b')]).toEqual([9, 0]);
  queue.forget('a');
  queue.addRateLimited('a');
  queue.addRateLimited('b');
  await clock.advance(500);
  expect(await drain()).toEqual(['a', 'b']);
});

test('a queue that is shut down gives what is ready, then nothing, and leaves no timer', async () => {
  const { clock, queue } = create();
  queue.add('a');
  queue.addAfter('b', 1000);
  queue.addRateLimited('c');
  queue.shutDown();
  await settle();
  queue.add('d');
  queue.addAfter('e', 1000);
  expect(await queue.take(never)).toBe('a');
  expect(await queue.take(never)).toBeUndefined();
  expect(clock.sleepers()).toBe(0);
});

const keys = fc.constantFrom('a', 'b', 'c', 'd');
const steps = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant('add' as const), key: keys }),
    fc.record({ act: fc.constant('addAfter' as const), key: keys, ms: fc.integer({ min: 0, max: 3000 }) }),
    fc.record({ act: fc.constant('addRateLimited' as const), key: keys }),
    fc.record({ act: fc.constant('forget' as const), key: keys }),
    fc.record({ act: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
  ),
  { maxLength: 40 },
);

test('never are two workers on a key, and whatever is added is worked on afterwards', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), fc.nat(1500), async (plan, workers, workMs) => {
      const { clock, queue } = create();
      const stop = new AbortController();
      const busy = new Set<string>();
      const lastStartMs = new Map<string, number>();
      const worker = async () => {
        for (let key = await queue.take(stop.signal); key !== undefined; key = await queue.take(stop.signal)) {
          expect(busy.has(key)).toBe(false);
          busy.add(key);
          lastStartMs.set(key, clock.nowMs());
          await clock.sleep(workMs);
          busy.delete(key);
          queue.done(key);
        }
      };
      const all = Promise.all(Array.from({ length: workers }, worker));
      const addedMs = new Map<string, number>();
      for (const step of plan) {
        if (step.act === 'pass') {
          await clock.advance(step.ms);
          continue;
        }
        if (step.act === 'addAfter') queue.addAfter(step.key, step.ms);
        else queue[step.act](step.key);
        if (step.act !== 'forget') addedMs.set(step.key, clock.nowMs());
      }
      await clock.advance(600_000);
      for (const [key, atMs] of addedMs) expect(lastStartMs.get(key)).toBeGreaterThanOrEqual(atMs);
      expect([busy.size, queue.depth(), clock.sleepers()]).toEqual([0, 0, 0]);
      stop.abort();
      await all;
    }),
    { numRuns: 150 },
  );
});
