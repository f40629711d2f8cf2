// SPDX-License-Identifier: Apache-2.0
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createTargetForecaster } from './engine.ts';
import type { TargetForecaster } from './engine.ts';

const now = 1_790_000_040;
const day = 86_400;

function learnt(historySeconds: number, phase: number): TargetForecaster {
  const forecaster = createTargetForecaster({ timeZone: 'UTC', historySeconds, quantile: 0.95, leadSeconds: 180 });
  const samples = Array.from({ length: historySeconds / 60 + 1 }, (_, minute) => ({
    timestamp: now - historySeconds + 60 * minute,
    value: 100 + 50 * Math.sin((2 * Math.PI * minute) / 1440 + phase) + 5 * Math.sin(minute / 1.7),
  }));
  forecaster.observe(samples);
  expect(forecaster.issue(now).kind).toBe('issued');
  return forecaster;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Numbers in typed arrays are nearly all that a target keeps. */
function arraysKiB(): number {
  collect();
  collect();
  return process.memoryUsage().arrayBuffers / 1024;
}

// docs/operations.md, "Sizing", goes by these figures. A closure that holds on to the contest breaks them at once.
test.each([
  { days: 1, targets: 4, most: 200 },
  { days: 14, targets: 1, most: 700 },
])('a target with $days days of history keeps at most $most KiB of numbers', async ({ days, targets, most }) => {
  // What all targets share is there already.
  learnt(day, 0);
  const before = arraysKiB();
  const list = Array.from({ length: targets }, (_, index) => learnt(days * day, index));
  // What is let go is freed in the background.
  await expect.poll(() => (arraysKiB() - before) / list.length, { interval: 20 }).toBeLessThan(most);
});
