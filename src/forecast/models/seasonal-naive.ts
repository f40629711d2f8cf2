// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../base/duration.ts';
import { localCalendar } from '../../series/calendar.ts';
import type { LocalCalendar } from '../../series/calendar.ts';
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { countPresent } from '../robust.ts';

const daySeconds = 86_400;

/** Days that are kept: a week to repeat, one more to fall back on, and the hour by which clocks change. */
const keptSeconds = 8 * daySeconds + 3600;

/** The memory of a younger history grows by this much at a time. */
const growSeconds = daySeconds / 4;

/**
 * The value at the same local time a week ago or a day ago, whichever repeated better so far; where that point is
 * missing, the day or the week before it, at last the last observation (seasonal naive, FPP3 §5.2). Needs a day.
 */
export const seasonalNaive: Model = {
  name: 'seasonal-naive',
  fit,
  restore: (state, { timeZone }) => createFitted(state as unknown as State, localCalendar(timeZone)),
};

function fit(history: TimeSeries, { timeZone }: FitContext): FittedModel | CannotFit {
  const spanSeconds = history.values.length * history.stepSeconds;
  if (spanSeconds < daySeconds) {
    return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: formatDuration(spanSeconds), need: '24h' };
  }
  const { startSeconds, stepSeconds, values } = history;
  const ring = new Float64Array(Math.min(sizeOf(stepSeconds), values.length)).fill(Number.NaN);
  const calendar = localCalendar(timeZone);
  const memory = createMemory({ startSeconds, stepSeconds, ring, end: 0, last: Number.NaN }, calendar);
  values.forEach(memory.push);
  const state = memory.state();
  if (countPresent(state.ring) === 0) {
    return { kind: 'cannot-fit', reason: 'TooManyGaps', have: '0 points in the last 8d', need: '1 point' };
  }
  return createFitted({ ...state, season: betterSeason(history, calendar) }, calendar);
}

interface State extends MemoryState {
  /** Days between the points that repeat. */
  readonly season: 1 | 7;
}

function createFitted(state: State, calendar: LocalCalendar): FittedModel {
  const { season } = state;
  const memory = createMemory(state, calendar);
  // A week ago, else the days before today; a day ago, else two, else a week.
  const lags = season === 7 ? [7, 1, 2, 3] : [1, 2, 7, 3];
  return {
    kind: 'fitted',
    update: (value) => memory.push(value),
    predict: (horizon) => Float64Array.from({ length: horizon }, (_, index) => memory.recall(index, lags)),
    describe: () => ({ name: seasonalNaive.name, parameters: { seasonDays: season } }),
    snapshot: (): ModelState => ({ ...memory.state(), season }) satisfies State,
  };
}

interface MemoryState {
  /** Of the first point ever told. */
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly ring: Float64Array;
  /** Points told so far. */
  readonly end: number;
  readonly last: number;
}

interface Memory {
  push(value: number): void;
  /** A copy. */
  state(): MemoryState;
  /** The point `index` steps after the next one, from the first lag (in days) that has it. */
  recall(index: number, lags: readonly number[]): number;
}

/** A ring of the last days, no larger than what it has been told. */
function createMemory(state: MemoryState, calendar: LocalCalendar): Memory {
  const { stepSeconds, startSeconds } = state;
  const size = sizeOf(stepSeconds);
  let ring = new Float64Array(state.ring);
  let { end, last } = state;
  const push = (value: number): void => {
    if (end === ring.length && end < size)
      ring = grown(ring, Math.min(size, end + Math.ceil(growSeconds / stepSeconds)));
    ring[end % size] = value;
    end += 1;
    if (!Number.isNaN(value)) last = value;
  };
  return {
    push,
    state: () => ({ startSeconds, stepSeconds, ring: ring.slice(), end, last }),
    recall: (index, lags) => {
      for (const days of lags) {
        let source = lagged(startSeconds + (end + index) * stepSeconds, days, calendar);
        while (source >= startSeconds + end * stepSeconds) source = lagged(source, days, calendar);
        const position = Math.floor((source - startSeconds) / stepSeconds);
        const value = position >= Math.max(0, end - size) ? at(ring, position % size) : Number.NaN;
        if (!Number.isNaN(value)) return value;
      }
      return last;
    },
  };
}

function sizeOf(stepSeconds: number): number {
  return Math.ceil(keptSeconds / stepSeconds);
}

function grown(ring: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length).fill(Number.NaN);
  larger.set(ring);
  return larger;
}

/** The same local time `days` earlier, also when clocks changed in between. */
function lagged(epochSeconds: number, days: number, calendar: LocalCalendar): number {
  const source = epochSeconds - days * daySeconds;
  return source + calendar.offsetSeconds(epochSeconds) - calendar.offsetSeconds(source);
}

/** 7 when the history has at least eight days and the week before was nearer than the day before, else 1. */
function betterSeason({ values, startSeconds, stepSeconds }: TimeSeries, calendar: LocalCalendar): 1 | 7 {
  const value = (epochSeconds: number): number => at(values, Math.floor((epochSeconds - startSeconds) / stepSeconds));
  let day = 0;
  let week = 0;
  let count = 0;
  for (let index = Math.ceil((7 * daySeconds) / stepSeconds); index < values.length; index += 1) {
    const now = startSeconds + index * stepSeconds;
    const dayError = Math.abs(at(values, index) - value(lagged(now, 1, calendar)));
    const weekError = Math.abs(at(values, index) - value(lagged(now, 7, calendar)));
    if (Number.isNaN(dayError + weekError)) continue;
    day += dayError;
    week += weekError;
    count += 1;
  }
  return count * stepSeconds >= daySeconds && week < day ? 7 : 1;
}
