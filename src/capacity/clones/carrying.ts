// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { formatMilli } from '../../base/quantity.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import type { CloneView } from './view.ts';

const maxSteps = 120;

/**
 * `status.carrying`: what Ready clones that are not ending take off the base, and until when. Deadlines are rounded down,
 * where there are too many different ones to coarser times: whoever reads it must not count on a clone for too long.
 * @param perClone demand that one clone carries
 */
export function renderCarrying(
  clones: readonly CloneView[],
  perClone: number,
  now: number,
): NonNullable<ClonePoolStatus['carrying']> {
  const serving = clones.filter(({ state, effectiveDeadline }) => state === 'Serving' && effectiveDeadline > now);
  let stepSeconds = 1;
  let steps = stepsOf(serving, stepSeconds);
  while (steps.length > maxSteps) {
    stepSeconds = stepSeconds === 1 ? 60 : stepSeconds * 2;
    steps = stepsOf(serving, stepSeconds);
  }
  return { time: formatRfc3339(now), perClone: formatMilli(perClone), ready: serving.length, steps };
}

function stepsOf(serving: readonly CloneView[], stepSeconds: number) {
  const counts = new Map<number, number>();
  for (const { effectiveDeadline } of serving) {
    const until = Math.floor(effectiveDeadline / stepSeconds) * stepSeconds;
    counts.set(until, (counts.get(until) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([a], [b]) => a - b)
    .map(([until, replicas]) => ({ until: formatRfc3339(until), replicas }));
}
