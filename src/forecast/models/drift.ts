// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FittedModel, Model, ModelState } from '../model.ts';
import { countPresent, lastPresent, meanPresent } from '../robust.ts';

/** The drift is measured over an hour, or over this many steps where an hour has fewer. */
const spanSeconds = 3600;
const fewestSteps = 12;

/**
 * The line through the first and the last part of the past hour, followed for no longer than it was observed. The
 * drift method (Hyndman & Athanasopoulos, FPP3 §5.2) on a short window: over days the drift of demand is nil.
 */
export const drift: Model = { name: 'drift', fit, restore: (state) => createFitted(state as unknown as State) };

function fit(history: TimeSeries): FittedModel | CannotFit {
  const span = Math.max(fewestSteps, Math.round(spanSeconds / history.stepSeconds));
  const recent = new Float64Array(span).fill(Number.NaN);
  const tail = history.values.subarray(Math.max(0, history.values.length - span));
  recent.set(tail, span - tail.length);
  const present = countPresent(recent);
  if (present < 2) {
    return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: `${present} points in the last hour`, need: '2' };
  }
  return createFitted({
    recent,
    last: lastPresent(recent),
    neverNegative: history.values.every((value) => !(value < 0)),
  });
}

interface State {
  /** Demand of the last hour. */
  readonly recent: Float64Array;
  readonly last: number;
  readonly neverNegative: boolean;
}

function createFitted(state: State): FittedModel {
  const recent = new Float64Array(state.recent);
  const span = recent.length;
  let { last, neverNegative } = state;
  const line = (): Line => lineThrough(recent) ?? { level: last, slope: 0 };
  return {
    kind: 'fitted',
    update: (value) => {
      recent.copyWithin(0, 1);
      recent[span - 1] = value;
      if (value < 0) neverNegative = false;
      if (!Number.isNaN(value)) last = value;
    },
    predict: (horizon) => {
      const { level, slope } = line();
      const floor = neverNegative ? 0 : Number.NEGATIVE_INFINITY;
      return Float64Array.from({ length: horizon }, (_, index) =>
        Math.max(floor, level + slope * Math.min(index + 1, span)),
      );
    },
    describe: () => ({ name: drift.name, parameters: { ...line() } }),
    snapshot: (): ModelState => ({ recent: recent.slice(), last, neverNegative }) satisfies State,
  };
}

interface Line {
  /** At the last point. */
  readonly level: number;
  /** Per step. */
  readonly slope: number;
}

/** Ends are means over a sixth of the points, so that one noisy point does not tilt the line; too few give none. */
function lineThrough(recent: Float64Array): Line | undefined {
  const present: [number, number][] = [];
  recent.forEach((value, index) => {
    if (!Number.isNaN(value)) present.push([index, value]);
  });
  if (present.length < 2) return undefined;
  const size = Math.max(1, Math.floor(present.length / 6));
  const early = centre(present.slice(0, size));
  const late = centre(present.slice(-size));
  const slope = (late.value - early.value) / (late.index - early.index);
  return { level: late.value + slope * (recent.length - 1 - late.index), slope };
}

function centre(points: readonly [number, number][]): { index: number; value: number } {
  return {
    index: meanPresent(Float64Array.from(points, ([index]) => index)),
    value: meanPresent(Float64Array.from(points, ([, value]) => value)),
  };
}
