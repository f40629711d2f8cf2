// SPDX-License-Identifier: Apache-2.0
import type { Contest, Track } from '../forecast/contest.ts';
import type { Model } from '../forecast/model.ts';
import { naive } from '../forecast/models/naive.ts';

/** What a made-up contest saw, by origin and position. */
export interface ContestRows {
  readonly positions: readonly number[];
  readonly forecasts: readonly (readonly number[])[];
  readonly actual: readonly (readonly number[])[];
}

/** A contest with one track, of the naive model; origins are an hour apart and end now. */
export function naiveContest(rows: ContestRows): Contest {
  return contestOf(rows, [track(naive, rows.forecasts)]);
}

/** A contest of several tracks. */
export function contestOf({ positions, actual }: Omit<ContestRows, 'forecasts'>, tracks: readonly Track[]): Contest {
  return {
    positions,
    tracks,
    actual: Float64Array.from(actual.flat()),
    origins: actual.map((_, index) => ({
      day: Math.floor(index / 24),
      secondOfDay: (index % 24) * 3600,
      // All alike: what is tested is not how age counts.
      weight: 1,
    })),
    refusals: [],
  };
}

/** A track with the name of a model. */
export function track(model: Model, forecasts: readonly (readonly number[])[]): Track {
  const fitted = model.fit(
    { startSeconds: 0, stepSeconds: 3600, values: Float64Array.of(1, 1, 1) },
    {
      timeZone: 'UTC',
      horizonSteps: 1,
    },
  );
  if (fitted.kind === 'cannot-fit') throw new Error(`${model.name} cannot be fitted`);
  return { model, forecasts: Float64Array.from(forecasts.flat()), fitted };
}
