// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { Sample, TimeSeries } from '../series/time-series.ts';

const minuteSeconds = 60;
const mostMinutes = 28 * 24 * 60;

/** How far samples are apart is measured on a day, and what comes due is up to some minutes older than the history. */
const leastMinutes = 25 * 60;
const marginMinutes = 60;

/** In the newest minutes single samples are kept, so that a minute that arrives in parts gets their mean. */
const openMinutes = 5;

/** A sample may stand for this many minutes where samples are further apart than a minute. */
const longestHold = 5;

/** Demand by the minute, for the last days. Minutes are counted from the epoch. */
export interface MinuteHistory {
  /**
   * Takes samples in any order; a repeated sample changes nothing. Samples of one minute are averaged. A minute that
   * is more than a few minutes old is filled once.
   * @returns how many minutes before `head` were filled
   */
  put(samples: readonly Sample[]): number;
  /** The first minute that has a sample, and the minute after the last one; undefined while there is none. */
  range(): { readonly first: number; readonly head: number } | undefined;
  /** Demand in a minute, NaN for a gap; a sample is held until the next one is due. */
  at(minute: number): number;
  /** The minutes from `from` to before `head`. */
  series(from: number): TimeSeries;
  /** Measures how far samples are apart, which decides how long a sample is held. */
  measureSpacing(): void;
  /** A copy of all that is known. */
  snapshot(): MinuteHistoryState;
}

/** A history as plain data. */
export interface MinuteHistoryState {
  /** The first minute that has a sample; NaN while there is none. */
  readonly first: number;
  /** Demand by the minute from `first` on, NaN where no sample was. */
  readonly minutes: Float64Array;
  /** Minutes that a sample is held. */
  readonly hold: number;
  /** The samples of the newest minutes: time and value in turn. */
  readonly open: Float64Array;
}

/** An empty history that keeps what `wantedSeconds` need, at most (and by default) 28 days. */
export function createMinuteHistory(
  wantedSeconds: number = mostMinutes * minuteSeconds,
  state?: MinuteHistoryState,
): MinuteHistory {
  const keptMinutes = keptMinutesOf(wantedSeconds);
  const slot = (minute: number): number => ((minute % keptMinutes) + keptMinutes) % keptMinutes;
  const { ring, open, ...stand } = restore(state, keptMinutes, slot);
  const given = (minute: number): number => at(ring, slot(minute));
  let { first, head, hold } = stand;

  const advanceTo = (minute: number): void => {
    if (minute < head) return;
    const from = Math.max(head, minute + 1 - keptMinutes);
    for (let cleared = from; cleared <= minute; cleared += 1) ring[slot(cleared)] = Number.NaN;
    head = minute + 1;
    first = Math.max(Math.min(first, minute), head - keptMinutes);
    for (const old of open.keys()) if (old < head - openMinutes) open.delete(old);
  };
  const fill = (minute: number, samples: Map<number, number>): boolean => {
    if (minute < head - keptMinutes) return false;
    const late = minute < head - 1;
    advanceTo(minute);
    first = Math.min(first, minute);
    if (minute < head - openMinutes) {
      if (!Number.isNaN(given(minute))) return false;
      ring[slot(minute)] = mean(samples);
      return true;
    }
    const known = open.get(minute) ?? new Map<number, number>();
    const before = known.size;
    for (const [timestamp, value] of samples) known.set(timestamp, value);
    open.set(minute, known);
    ring[slot(minute)] = mean(known);
    return late && before === 0;
  };
  const read = (minute: number): number => {
    if (minute >= head || minute < first) return Number.NaN;
    for (let source = minute; source > minute - hold && source >= first; source -= 1) {
      const value = given(source);
      if (!Number.isNaN(value)) return value;
    }
    return Number.NaN;
  };
  return {
    put: (samples) => {
      let late = 0;
      for (const [minute, group] of groupByMinute(samples)) if (fill(minute, group)) late += 1;
      return late;
    },
    range: () => (head === Number.NEGATIVE_INFINITY ? undefined : { first, head }),
    at: read,
    series: (from) => {
      const start = Math.max(from, first);
      const values = Float64Array.from({ length: Math.max(0, head - start) }, (_, index) => read(start + index));
      return { startSeconds: start * minuteSeconds, stepSeconds: minuteSeconds, values };
    },
    measureSpacing: () => {
      hold = Math.min(longestHold, medianDistance(given, { first, head }));
    },
    snapshot: () => ({
      first: head === Number.NEGATIVE_INFINITY ? Number.NaN : first,
      minutes: Float64Array.from({ length: Math.max(0, head - first) || 0 }, (_, index) => given(first + index)),
      hold,
      open: Float64Array.from([...open.values()].flatMap((samples) => [...samples].flat())),
    }),
  };
}

interface Stand {
  /** Demand by the minute. */
  readonly ring: Float64Array;
  /** Samples of the newest minutes, by minute and time. */
  readonly open: Map<number, Map<number, number>>;
  readonly first: number;
  readonly head: number;
  readonly hold: number;
}

function restore(state: MinuteHistoryState | undefined, keptMinutes: number, slot: (minute: number) => number): Stand {
  const ring = new Float64Array(keptMinutes).fill(Number.NaN);
  if (state === undefined || state.minutes.length === 0) {
    return { ring, open: new Map(), first: Number.POSITIVE_INFINITY, head: Number.NEGATIVE_INFINITY, hold: 1 };
  }
  const { minutes, hold } = state;
  const head = state.first + minutes.length;
  const first = Math.max(state.first, head - keptMinutes);
  for (let minute = first; minute < head; minute += 1) ring[slot(minute)] = at(minutes, minute - state.first);
  return { ring, open: new Map(groupByMinute(samplesOf(state.open))), first, head, hold };
}

function samplesOf(open: Float64Array): Sample[] {
  return Array.from({ length: open.length / 2 }, (_, index) => ({
    timestamp: at(open, 2 * index),
    value: at(open, 2 * index + 1),
  }));
}

function keptMinutesOf(wantedSeconds: number): number {
  const wantedMinutes = Math.ceil(wantedSeconds / minuteSeconds) + marginMinutes;
  return Math.max(leastMinutes, Math.min(mostMinutes, wantedMinutes));
}

/** In the order of time, so that which minutes are new does not depend on the order of arrival. */
function groupByMinute(samples: readonly Sample[]): [number, Map<number, number>][] {
  const groups = new Map<number, Map<number, number>>();
  for (const { timestamp, value } of samples) {
    if (!Number.isFinite(value) || !Number.isFinite(timestamp)) continue;
    const minute = Math.floor(timestamp / minuteSeconds);
    const group = groups.get(minute) ?? new Map<number, number>();
    group.set(timestamp, value);
    groups.set(minute, group);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

function mean(samples: ReadonlyMap<number, number>): number {
  let total = 0;
  for (const value of samples.values()) total += value;
  return total / samples.size;
}

/** Median distance of minutes with a sample over the last day, at least 1. */
function medianDistance(given: (minute: number) => number, { first, head }: { first: number; head: number }): number {
  const distances: number[] = [];
  let previous = Number.NaN;
  for (let minute = Math.max(first, head - 1440); minute < head; minute += 1) {
    if (Number.isNaN(given(minute))) continue;
    if (minute > previous) distances.push(minute - previous);
    previous = minute;
  }
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] ?? 1;
}
