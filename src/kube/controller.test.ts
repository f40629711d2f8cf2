// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { runController } from './controller.ts';
import type { ReconcileObservation, ReconcileResult } from './controller.ts';
import { createWorkQueue } from './workqueue.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

function start(reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>, workers = 2) {
  const clock = createFakeClock();
  const queue = createWorkQueue({ clock, random: () => 0, baseMs: 1000 });
  const results: ReconcileObservation[] = [];
  const options = { name: 'forecast', queue, reconcile, workers, clock, timeoutMs: 10_000 };
  const running = runController({ ...options, onResult: (result) => results.push(result) }, stop.signal);
  const outcomes = () => results.map(({ key, outcome }) => `${key} ${outcome}`);
  return { clock, queue, results, outcomes, running };
}

test('a key that asks for it is looked at again, others wait for an event', async () => {
  const { clock, queue, outcomes } = start(async (key) => (key === 'a' ? { requeueAfterMs: 60_000 } : undefined));
  queue.add('a');
  queue.add('b');
  await clock.advance(125_000);
  expect(outcomes()).toEqual(['a Success', 'b Success', 'a Success', 'a Success']);
});

test('an error means to try again after the backoff of the key, which a success forgets', async () => {
  let failures = 3;
  const { clock, queue, results, outcomes } = start(async () => {
    failures -= 1;
    if (failures >= 0) throw new HeadstartError('Unavailable', 'applying status');
    return undefined;
  });
  queue.add('a');
  await clock.advance(499);
  expect(outcomes()).toEqual(['a Unavailable']);
  await clock.advance(1 + 1000 + 2000);
  expect(outcomes()).toEqual(['a Unavailable', 'a Unavailable', 'a Unavailable', 'a Success']);
  expect(results[0]).toMatchObject({ controller: 'forecast', error: { message: 'applying status' } });
  expect(queue.failures('a')).toBe(0);
});

test('as many keys are worked on at once as there are workers, each alone', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const running: string[] = [];
  const { queue } = start(async (key) => {
    running.push(key);
    await gate;
    return undefined;
  });
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await settle();
  queue.add('a');
  await settle();
  expect(running).toEqual(['a', 'b']);
  open();
  await settle();
  expect(running).toEqual(['a', 'b', 'c', 'a']);
});

test('a reconcile that hangs is told to stop, and tried again', async () => {
  const { clock, queue, results, outcomes } = start(
    async (_, signal) =>
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  );
  queue.add('a');
  await clock.advance(10_000);
  expect(outcomes()).toEqual(['a Timeout']);
  expect(results[0]?.error).toMatchObject({ message: 'reconciling a (forecast): not done within 10 s' });
  await clock.advance(10_500);
  expect(outcomes()).toEqual(['a Timeout', 'a Timeout']);
});

test('a reconcile that ignores the signal holds its worker and key no longer than timeout and grace', async () => {
  const { clock, queue, outcomes } = start(
    async (key) => (key === 'deaf' ? await new Promise(() => {}) : undefined),
    1,
  );
  queue.add('deaf');
  queue.add('other');
  await clock.advance(14_999);
  expect(outcomes()).toEqual([]);
  await clock.advance(1);
  expect(outcomes()).toEqual(['deaf Timeout', 'other Success']);
});

test('the controller ends with its signal, after what runs has ended, and leaves no timer', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  let wasTold = false;
  const { clock, queue, running, outcomes } = start(async (key, signal) => {
    if (key === 'delayed') return { requeueAfterMs: 60_000 };
    await gate;
    wasTold = signal.aborted;
    throw signal.reason;
  });
  queue.add('delayed');
  queue.add('a');
  await settle();
  let ended = false;
  void running.then(() => (ended = true));
  stop.abort(new Error('stopping'));
  await settle();
  expect(ended).toBe(false);
  open();
  await running;
  expect(wasTold).toBe(true);
  expect(outcomes()).toEqual(['delayed Success']);
  await settle();
  expect(clock.sleepers()).toBe(0);
});
