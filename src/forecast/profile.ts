// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek } from '../series/calendar.ts';
import type { LocalCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { countPresent, robustMean } from './robust.ts';

const daySeconds = 86_400;

/** Slots of a day: the step of the series, or the next larger of these, so that a day has a whole number of slots. */
const slotChoices = [60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400];

/** Days that are remembered: as many as the weights below can still see. */
const keptDays = 56;

/** Profiles of days to come take in what today has shown so far, once an hour. */
const refreshSeconds = 3600;

/**
 * How much a past day tells about a day to come: its weight halves every `halfLifeDays`, and is multiplied by
 * `sameClass` when it is another weekday of the same class (workday or weekend), by `otherClass` when it is not.
 * With few days of the right kind the others fill in, which shrinks weeks towards days.
 */
export interface DayWeights {
  readonly halfLifeDays: number;
  readonly sameClass: number;
  readonly otherClass: number;
}

/** What a profile is made with. */
export interface ProfileShape {
  readonly weights: DayWeights;
  /** Neighbouring slots that are averaged, an odd number. */
  readonly smoothing: number;
}

/** The demand of a typical day, learnt from past days in local time. */
export interface DayProfile {
  readonly slotSeconds: number;
  /** Takes a point (NaN for a gap); points come in the order of time. */
  add(epochSeconds: number, value: number): void;
  /**
   * The typical demand at a time on the local day of the last point or later, from the days before that day; on the
   * very first day, from what that day has shown. NaN while nothing is known.
   */
  expected(epochSeconds: number): number;
  /** True on the first local day that was seen: nothing is known before it. */
  isFirstDay(epochSeconds: number): boolean;
  /** Complete and incomplete days, oldest first, as rows of slots. */
  days(): readonly DayRow[];
  shape(): ProfileShape;
  reshape(shape: ProfileShape): void;
  /** A copy of all that is known. */
  snapshot(): DayProfileState;
}

/** A profile as plain data. */
export interface DayProfileState {
  readonly slotSeconds: number;
  readonly shape: ProfileShape;
  /** Of the last point. */
  readonly now: number;
  readonly today: number;
  readonly rows: readonly DayRow[];
  /** Points of today in each slot. */
  readonly counts: Uint32Array;
  /** Profiles of days to come, which stay as they are for an hour. */
  readonly ahead: readonly BuiltProfile[];
}

interface BuiltProfile {
  readonly day: number;
  readonly slots: Float64Array;
  readonly builtAt: number;
}

/** One local day: the mean of what was seen in each slot, NaN for none. */
export interface DayRow {
  readonly day: number;
  readonly slots: Float64Array;
}

/** The slot width for points that are `stepSeconds` apart. */
function slotWidth(stepSeconds: number): number {
  return slotChoices.find((seconds) => seconds >= stepSeconds) ?? daySeconds;
}

/** An empty profile. */
export function createDayProfile(calendar: LocalCalendar, stepSeconds: number, shape: ProfileShape): DayProfile {
  const slotSeconds = slotWidth(stepSeconds);
  const never = Number.NEGATIVE_INFINITY;
  const counts = new Uint32Array(daySeconds / slotSeconds);
  return restoreDayProfile(calendar, { slotSeconds, shape, now: never, today: never, rows: [], counts, ahead: [] });
}

/** The profile that gave the state, as it then was. */
export function restoreDayProfile(calendar: LocalCalendar, state: DayProfileState): DayProfile {
  const { slotSeconds } = state;
  const rows = createRows(state);
  const cache = new Map<number, BuiltProfile>();
  for (const built of state.ahead) cache.set(built.day, { ...built, slots: built.slots.slice() });
  let { shape: current, now } = state;
  return {
    slotSeconds,
    add: (epochSeconds, value) => {
      const { day, secondOfDay } = calendar.local(epochSeconds);
      now = epochSeconds;
      if (rows.add(day, Math.floor(secondOfDay / slotSeconds), value)) cache.clear();
    },
    expected: (epochSeconds) => {
      const { day, secondOfDay } = calendar.local(epochSeconds);
      // The profile of a later day takes in what today has shown.
      const target = rows.isFirst(day) ? day + 1 : day;
      let entry = cache.get(target);
      if (entry === undefined || (target > rows.today() && now - entry.builtAt >= refreshSeconds)) {
        entry = { day: target, slots: buildProfile(rows.list(), target, current), builtAt: now };
        cache.set(target, entry);
      }
      return at(entry.slots, Math.floor(secondOfDay / slotSeconds));
    },
    isFirstDay: (epochSeconds) => rows.isFirst(calendar.local(epochSeconds).day),
    days: () => rows.list(),
    shape: () => current,
    reshape: (next) => {
      current = next;
      cache.clear();
    },
    snapshot: () => ({
      slotSeconds,
      shape: current,
      now,
      ...rows.snapshot(),
      // That of today comes of the days before it, and is built anew.
      ahead: [...cache.values()]
        .filter(({ day }) => day > rows.today())
        .map((built) => ({ ...built, slots: built.slots.slice() })),
    }),
  };
}

/**
 * The typical slots of the local day `target` from the days before it: a weighted robust mean in each slot, holes
 * bridged by straight lines, neighbours averaged. All NaN when no day before it has anything.
 */
export function buildProfile(
  days: readonly DayRow[],
  target: number,
  { weights, smoothing }: ProfileShape,
): Float64Array {
  const past = days.filter(({ day }) => day < target);
  const slots = new Float64Array(past[0]?.slots.length ?? 0);
  const dayWeights = past.map(({ day }) => dayWeight(day, target, weights));
  const values = new Float64Array(past.length);
  const scratch = new Float64Array(past.length);
  for (let slot = 0; slot < slots.length; slot += 1) {
    let count = 0;
    for (const [index, row] of past.entries()) {
      const value = at(row.slots, slot);
      if (Number.isNaN(value)) continue;
      values[count] = value;
      scratch[count] = dayWeights[index] ?? 0;
      count += 1;
    }
    slots[slot] = robustMean(values, scratch, count);
  }
  bridge(slots);
  return smooth(slots, smoothing);
}

function dayWeight(day: number, target: number, weights: DayWeights): number {
  const recency = 0.5 ** ((target - day) / weights.halfLifeDays);
  const [one, other] = [dayOfWeek(day), dayOfWeek(target)];
  if (one === other) return recency;
  return recency * (isWeekend(one) === isWeekend(other) ? weights.sameClass : weights.otherClass);
}

function isWeekend(weekday: number): boolean {
  return weekday === 0 || weekday === 6;
}

interface Rows {
  /** True when the point began a new day. */
  add(day: number, slot: number, value: number): boolean;
  list(): readonly DayRow[];
  today(): number;
  isFirst(day: number): boolean;
  snapshot(): Pick<DayProfileState, 'rows' | 'counts' | 'today'>;
}

function createRows(state: Pick<DayProfileState, 'rows' | 'counts' | 'today'>): Rows {
  const list: DayRow[] = state.rows.map(copyRow);
  const slotsPerDay = state.counts.length;
  let counts = state.counts.slice();
  let { today } = state;
  return {
    add: (day, slot, value) => {
      const begins = day > today;
      if (begins) {
        today = day;
        counts = new Uint32Array(slotsPerDay);
        list.push({ day, slots: new Float64Array(slotsPerDay).fill(Number.NaN) });
        if (list.length > keptDays + 1) list.shift();
      }
      const slots = list.at(-1)?.slots;
      // Where clocks go back at midnight, yesterday comes again for an hour: it is left out.
      if (day === today && slots !== undefined && !Number.isNaN(value)) {
        // An hour that the clock repeats gives a slot several points: their mean.
        const count = counts[slot] ?? 0;
        slots[slot] = count === 0 ? value : (at(slots, slot) * count + value) / (count + 1);
        counts[slot] = count + 1;
      }
      return begins;
    },
    list: () => list,
    today: () => today,
    isFirst: (day) => day === list[0]?.day,
    snapshot: () => ({ rows: list.map(copyRow), counts: counts.slice(), today }),
  };
}

function copyRow({ day, slots }: DayRow): DayRow {
  return { day, slots: slots.slice() };
}

/** Fills holes by straight lines between their neighbours, around midnight too. */
function bridge(slots: Float64Array): void {
  const length = slots.length;
  const known: number[] = [];
  slots.forEach((value, slot) => {
    if (!Number.isNaN(value)) known.push(slot);
  });
  for (const [position, left] of known.entries()) {
    const right = position + 1 < known.length ? (known[position + 1] ?? 0) : (known[0] ?? 0) + length;
    const [from, to] = [at(slots, left), at(slots, right % length)];
    for (let slot = left + 1; slot < right; slot += 1) {
      slots[slot % length] = from + ((to - from) * (slot - left)) / (right - left);
    }
  }
}

/** Centred moving mean over `width` slots; at midnight over those that the day has. */
export function smooth(slots: Float64Array, width: number): Float64Array {
  const half = Math.floor(width / 2);
  if (half === 0 || countPresent(slots) < slots.length) return slots;
  return slots.map((_, slot) => {
    const from = Math.max(0, slot - half);
    const to = Math.min(slots.length - 1, slot + half);
    let total = 0;
    for (let index = from; index <= to; index += 1) total += at(slots, index);
    return total / (to - from + 1);
  });
}

/** Feeds the profile the history, and notes what it expected of each point before it saw the point's day. */
export function expectBefore({ values, startSeconds, stepSeconds }: TimeSeries, profile: DayProfile): Float64Array {
  return values.map((value, index) => {
    const now = startSeconds + index * stepSeconds;
    profile.add(now, Number.NaN);
    const expected = profile.isFirstDay(now) ? Number.NaN : profile.expected(now);
    profile.add(now, value);
    return expected;
  });
}
