// SPDX-License-Identifier: Apache-2.0
import type { KnownEvent } from '../series/events-csv.ts';
import { resample, samplingStep } from '../series/resample.ts';
import type { Grid } from '../series/resample.ts';
import { at } from '../series/time-series.ts';
import type { Sample, TimeSeries } from '../series/time-series.ts';
import type { Regressor } from './model.ts';

/** What is known ahead, before it is on the grid of a history. */
export type RegressorSource =
  | { readonly kind: 'samples'; readonly name: string; readonly samples: readonly Sample[] }
  | { readonly kind: 'events'; readonly name: string; readonly events: readonly KnownEvent[] };

/**
 * Regressors on a grid. Samples count as long as the next one is usually away; NaN where there is none. Events count
 * with their magnitude times the share of the step that they cover; those at the same time add up; 0 elsewhere.
 */
export function regressorsOn(grid: Grid, sources: readonly RegressorSource[]): Regressor[] {
  return sources.map((source) => ({
    name: source.name,
    series: source.kind === 'samples' ? samplesOn(grid, source.samples) : eventsOn(grid, source.events),
  }));
}

function samplesOn(grid: Grid, samples: readonly Sample[]): TimeSeries {
  return resample(samples, { ...grid, holdSeconds: samplingStep(samples) ?? grid.stepSeconds });
}

function eventsOn({ startSeconds, endSeconds, stepSeconds }: Grid, events: readonly KnownEvent[]): TimeSeries {
  const values = new Float64Array(Math.max(0, Math.ceil((endSeconds - startSeconds) / stepSeconds)));
  for (const { start, end, magnitude } of events) {
    // An event without a duration counts for the step that it falls in.
    const until =
      end > start ? end : (Math.floor((start - startSeconds) / stepSeconds) + 1) * stepSeconds + startSeconds;
    const from = end > start ? start : until - stepSeconds;
    const first = Math.max(0, Math.floor((from - startSeconds) / stepSeconds));
    const last = Math.min(values.length, Math.ceil((until - startSeconds) / stepSeconds));
    for (let index = first; index < last; index += 1) {
      const begin = startSeconds + index * stepSeconds;
      const covered = Math.min(until, begin + stepSeconds) - Math.max(from, begin);
      values[index] = at(values, index) + (magnitude * covered) / stepSeconds;
    }
  }
  return { startSeconds, stepSeconds, values };
}
