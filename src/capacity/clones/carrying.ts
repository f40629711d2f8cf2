// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { formatMilli } from '../../base/quantity.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import type { WantedWindow } from './population.ts';
import type { CloneView } from './view.ts';

const maxSteps = 120;

/** What is there, and for how long it is wanted. */
export interface CarryingInput {
  readonly clones: readonly CloneView[];
  /** The windows that are open. */
  readonly windows: readonly Pick<WantedWindow, 'deadline' | 'replicas'>[];
  /** Demand that one clone carries. */
  readonly perClone: number;
}

/**
 * `status.carrying`: what Ready clones that are not ending take off the base, and until when. That is their deadline, or
 * the end of a window where fewer are wanted from then on: those that are too many then end before their time.
 * Deadlines are rounded down, where there are too many different ones to coarser times: whoever reads it must not count
 * on a clone for too long.
 */
export function renderCarrying(
  { clones, windows, perClone }: CarryingInput,
  now: number,
): NonNullable<ClonePoolStatus['carrying']> {
  const serving = clones.filter(({ state, effectiveDeadline }) => state === 'Serving' && effectiveDeadline > now);
  const ends = endsOf(serving, windows).filter((end) => end > now);
  let stepSeconds = 1;
  let steps = stepsOf(ends, stepSeconds);
  while (steps.length > maxSteps) {
    stepSeconds = stepSeconds === 1 ? 60 : stepSeconds * 2;
    steps = stepsOf(ends, stepSeconds);
  }
  return { time: formatRfc3339(now), perClone: formatMilli(perClone), ready: serving.length, steps };
}

/** At no time are there more than have not passed their deadline, nor more than windows want that are still open. */
function endsOf(serving: readonly CloneView[], windows: CarryingInput['windows']): readonly number[] {
  const deadlines = serving.map(({ effectiveDeadline }) => effectiveDeadline).toSorted((a, b) => b - a);
  const places = windows
    .flatMap(({ deadline = Number.POSITIVE_INFINITY, replicas }) =>
      Array.from({ length: Math.min(replicas, serving.length) }, () => deadline),
    )
    .toSorted((a, b) => b - a);
  return places.slice(0, deadlines.length).map((end, index) => Math.min(end, deadlines[index] ?? end));
}

function stepsOf(ends: readonly number[], stepSeconds: number) {
  const counts = new Map<number, number>();
  for (const end of ends) {
    const until = Math.floor(end / stepSeconds) * stepSeconds;
    counts.set(until, (counts.get(until) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([a], [b]) => a - b)
    .map(([until, replicas]) => ({ until: formatRfc3339(until), replicas }));
}
