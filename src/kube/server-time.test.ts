// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { compareClocks, createServerTime } from './server-time.ts';

const startMs = 1_800_000_000_000;
const { signal } = new AbortController();

/** An apiserver whose clock is `behindMs` behind the local one, a local clock, and the server's time. */
function stage(behindMs: number) {
  const clock = createFakeClock(startMs);
  const world = { localMs: startMs, behindMs, fail: undefined as HeadstartError | undefined };
  const local = { nowMs: () => world.localMs, sleep: clock.sleep };
  const client = createFakeKubeClient(() => {
    if (world.fail !== undefined) throw world.fail;
    const stamp = new Date(world.localMs - world.behindMs).toISOString().replace(/\.\d+Z$/, 'Z');
    return { metadata: { creationTimestamp: stamp } };
  });
  const problems: unknown[] = [];
  const time = createServerTime({ client, clock: local, onProblem: (error) => void problems.push(error) });
  /** What it says, less what the server's clock says. */
  const error = () => (time.now() ?? Number.NaN) - (world.localMs - world.behindMs) / 1000;
  return { client, clock: local, problems, time, world, error };
}

test('one comparison is right to half a second', async () => {
  const { client, clock } = stage(600_250);
  const { aheadSeconds, uncertaintySeconds } = await compareClocks(client, clock);
  expect(Math.abs(aheadSeconds - 600.25)).toBeLessThanOrEqual(uncertaintySeconds);
});

test('several, at different parts of a second, are better', async () => {
  const { time, world, error } = stage(-90_000);
  for (let round = 0; round < 5; round += 1) {
    await time.refresh(signal);
    for (let second = 0; second < 6; second += 1) {
      world.localMs += 10_030;
      time.now();
    }
  }
  expect(Math.abs(error())).toBeLessThan(0.35);
});

test('the apiserver is asked once a minute, and not known until it has answered', async () => {
  const { client, time, world } = stage(0);
  expect(time.now()).toBeUndefined();
  for (let second = 0; second < 125; second += 1) {
    await time.refresh(signal);
    time.now();
    world.localMs += 1000;
  }
  expect(client.requests.length).toBe(3);
});

test.each([
  ['set back', -3600_000, 1],
  ['set forward, or the machine has slept', 3600_000, 1],
])('after the local clock was %s the time is not known until it is compared anew', async (_, leapMs, asked) => {
  const { client, time, world, error } = stage(5000);
  await time.refresh(signal);
  expect(Math.abs(error())).toBeLessThanOrEqual(0.5);
  world.localMs += leapMs;
  world.behindMs += leapMs;
  expect(time.now()).toBeUndefined();
  await time.refresh(signal);
  expect(client.requests.length).toBe(1 + asked);
  expect(Math.abs(error())).toBeLessThanOrEqual(0.5);
});

test('a small step of the local clock is followed at the next comparison', async () => {
  const { time, world, error } = stage(0);
  await time.refresh(signal);
  world.localMs += 8000;
  world.behindMs += 8000;
  time.now();
  for (let round = 0; round < 6; round += 1) {
    world.localMs += 10_000;
    time.now();
  }
  await time.refresh(signal);
  expect(Math.abs(error())).toBeLessThanOrEqual(0.5);
});

test('a failure is told, and the older comparison stands', async () => {
  const { time, world, error, problems } = stage(0);
  world.fail = new HeadstartError('Unavailable', 'down');
  await expect(time.refresh(signal)).rejects.toThrow('down');
  expect(time.now()).toBeUndefined();
  world.fail = undefined;
  await time.refresh(signal);
  for (let round = 0; round < 7; round += 1) {
    world.localMs += 10_000;
    time.now();
  }
  world.fail = new HeadstartError('Unavailable', 'down');
  await time.refresh(signal);
  expect(Math.abs(error())).toBeLessThanOrEqual(0.5);
  expect(problems).toHaveLength(1);
});

test('an apiserver that does not tell its time has the local one, and that is said', async () => {
  const { time, world, problems } = stage(600_000);
  world.fail = new HeadstartError('NotFound', 'no such resource');
  await time.refresh(signal);
  expect(time.now()).toBe(startMs / 1000);
  expect(String(problems[0])).toContain('the local one is used');
});
