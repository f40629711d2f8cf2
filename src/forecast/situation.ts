// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../series/calendar.ts';
import type { LocalCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import { effectAt } from './effects.ts';
import type { Effect, EffectAt } from './effects.ts';
import { advance } from './level.ts';
import type { Level } from './level.ts';
import type { FitContext } from './model.ts';
import { restoreDayProfile } from './profile.ts';
import type { DayProfile, DayProfileState } from './profile.ts';

const daySeconds = 86_400;

/** Observations count half as much when they are this much older; one level for each of these times. */
const levelSeconds = [300, 900, 3600, 3 * 3600, daySeconds, 7 * daySeconds];

/** So many of them, the last ones, look back for days. */
export const slowLevels = 2;

/** Demand over the profile is not taken to be outside of these. */
const ratioLimits = { least: -0.9, most: 4 };

/** A level that is worth less than this share of a full one fades. */
const leastConfidence = 0.2;

/** A profile this near to nothing, as a share of mean demand, says nothing about a ratio. */
const leastProfile = 0.02;

/** What is left of demand is remembered in cells of at least this long, for a week. */
const cellSeconds = 300;

/** Of a target time: profile, what was left a day and a week before, two waves of the day, weekend, holiday twice. */
export const targetWidth = 10;

/** All that regressions know at a moment, as plain data. */
export interface SituationState {
  /** The first step that is not known. */
  readonly now: number;
  readonly stepSeconds: number;
  /** Mean demand: features are in units of it. */
  readonly scale: number;
  readonly neverNegative: boolean;
  readonly last: number;
  readonly levels: readonly Level[];
  readonly cells: CellsState;
  readonly effects: readonly Effect[];
}

/** What is left of demand by cell: a ring, and the cell that is being filled. */
interface CellsState {
  readonly seconds: number;
  readonly ring: Float32Array;
  readonly current: number;
  readonly sum: number;
  readonly count: number;
}

/** What is known at a moment; moves on step by step. Demand is without the effects of regressors. */
export interface Situation {
  readonly profile: DayProfile;
  readonly effect: EffectAt;
  readonly scale: number;
  readonly stepSeconds: number;
  /** Levels that are kept. */
  readonly levelCount: number;
  now(): number;
  neverNegative(): boolean;
  /** Takes demand (NaN for a gap) and the profile as it was known before. */
  observe(demand: number, expected: number): void;
  /** The next step (NaN for a gap), for the profile as well. */
  step(demand: number): void;
  /** What a human may want to see. */
  describe(): Readonly<Record<string, number>>;
  /** The profile `lead` steps ahead (1 is the next step), in units of the scale. */
  expected(lead: number): number;
  /** The levels against the profile; `expected` is the profile of the next step in units of the scale, if known. */
  origin(expected?: number): Origin;
  /** The features of a time ahead, whose profile is `expected`, at `offset` of `row`. */
  target(row: Float64Array, offset: number, ahead: Ahead): void;
  snapshot(): SituationState;
}

/** The levels at a moment against the profile: differences in units of the scale, and ratios less 1. */
export interface Origin {
  /** The profile of the next step, in units of the scale. */
  readonly expected: number;
  readonly differences: Float64Array;
  readonly ratios: Float64Array;
}

/** A step ahead. */
export interface Ahead {
  readonly lead: number;
  /** In units of the scale. */
  readonly expected: number;
}

/** The situation before the first step of a history. */
export function emptySituation(of: {
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly scale: number;
  readonly neverNegative: boolean;
  readonly effects: readonly Effect[];
}): SituationState {
  const seconds = Math.max(of.stepSeconds, cellSeconds);
  return {
    now: of.startSeconds,
    stepSeconds: of.stepSeconds,
    scale: of.scale,
    neverNegative: of.neverNegative,
    last: 0,
    levels: decaysOf(of.stepSeconds).map(() => ({ demand: 0, profile: 0, weight: 0, age: 0 })),
    cells: {
      seconds,
      ring: new Float32Array(Math.ceil((7 * daySeconds + 3600) / seconds) + 3).fill(Number.NaN),
      current: Math.floor(of.startSeconds / seconds),
      sum: 0,
      count: 0,
    },
    effects: of.effects,
  };
}

/** How much of each level is left after a step: the first one is little more than the last step. */
function decaysOf(stepSeconds: number): number[] {
  return [
    0.05,
    ...levelSeconds.filter((seconds) => seconds >= stepSeconds).map((seconds) => 0.5 ** (stepSeconds / seconds)),
  ];
}

/** The situation that gave the state, on a profile of its own or one that is led beside it. */
export function restoreSituation(
  state: SituationState,
  context: FitContext,
  profileOrState: DayProfile | DayProfileState,
): Situation {
  const calendar = localCalendar(context.timeZone);
  const profile = 'expected' in profileOrState ? profileOrState : restoreDayProfile(calendar, profileOrState);
  const { stepSeconds, scale, effects } = state;
  const effect = effectAt(effects, context);
  const decays = decaysOf(stepSeconds);
  const levels: Level[] = state.levels.map((level) => ({ ...level }));
  const cells = createCells(state.cells, calendar);
  let { now, last, neverNegative } = state;
  const observe = (raw: number, known: number): void => {
    if (raw < 0) neverNegative = false;
    const rest = raw - effect(now);
    const demand = neverNegative ? Math.max(0, rest) : rest;
    const typical = Number.isNaN(known) ? demand : known;
    for (const [index, level] of levels.entries()) advance(level, decays[index] ?? 0, { demand, profile: typical });
    cells.add(now, (demand - typical) / scale);
    if (!Number.isNaN(demand)) last = demand;
    now += stepSeconds;
  };
  const expected = (lead: number): number => {
    const value = profile.expected(now + (lead - 1) * stepSeconds);
    return (Number.isNaN(value) ? last : value) / scale;
  };
  return {
    profile,
    effect,
    scale,
    stepSeconds,
    levelCount: levels.length,
    now: () => now,
    neverNegative: () => neverNegative,
    observe,
    step: (demand) => {
      const known = profile.expected(now);
      const rest = demand - effect(now);
      profile.add(now, neverNegative && demand >= 0 ? Math.max(0, rest) : rest);
      observe(demand, known);
    },
    describe: () => ({ ...profile.shape().weights, ...sizesOf(effects) }),
    expected,
    origin: (known = expected(1)) => ({ ...levelsOf(levels, decays, scale), expected: known }),
    target: (row, offset, { lead, expected: ahead }) => {
      fillTarget(row, offset, { time: now + (lead - 1) * stepSeconds, ahead, cells, calendar, context });
    },
    snapshot: () => ({
      now,
      stepSeconds,
      scale,
      neverNegative,
      last,
      levels: levels.map((level) => ({ ...level })),
      cells: cells.snapshot(),
      effects,
    }),
  };
}

function sizesOf(effects: readonly Effect[]): Record<string, number> {
  return Object.fromEntries(effects.map(({ name, size }) => [`effect ${name}`, size]));
}

interface Target {
  readonly time: number;
  readonly ahead: number;
  readonly cells: Cells;
  readonly calendar: LocalCalendar;
  readonly context: FitContext;
}

function fillTarget(row: Float64Array, offset: number, { time, ahead, cells, calendar, context }: Target): void {
  const { day, secondOfDay } = calendar.local(time);
  const angle = (2 * Math.PI * secondOfDay) / daySeconds;
  const weekday = dayOfWeek(day);
  const holiday = context.holidays?.has(day) === true ? 1 : 0;
  row[offset] = ahead;
  row[offset + 1] = cells.before(time, 1);
  row[offset + 2] = cells.before(time, 7);
  row[offset + 3] = Math.sin(angle);
  row[offset + 4] = Math.cos(angle);
  row[offset + 5] = Math.sin(2 * angle);
  row[offset + 6] = Math.cos(2 * angle);
  row[offset + 7] = weekday === 0 || weekday === 6 ? 1 : 0;
  row[offset + 8] = holiday;
  row[offset + 9] = holiday * ahead;
}

function levelsOf(levels: readonly Level[], decays: readonly number[], scale: number): Omit<Origin, 'expected'> {
  const differences = new Float64Array(levels.length);
  const ratios = new Float64Array(levels.length);
  for (const [index, { demand, profile, weight }] of levels.entries()) {
    const confidence = Math.min(1, (weight * (1 - (decays[index] ?? 0))) / leastConfidence);
    if (!(weight > 0) || confidence < 1e-6) continue;
    differences[index] = (confidence * (demand - profile)) / weight / scale;
    if (!(Math.abs(profile / weight) > leastProfile * scale)) continue;
    ratios[index] = confidence * Math.max(ratioLimits.least, Math.min(ratioLimits.most, demand / profile - 1));
  }
  return { differences, ratios };
}

interface Cells {
  add(epochSeconds: number, value: number): void;
  /** Around the same local time so many days before, or twice as many …: the latest that is over; 0 if not known. */
  before(epochSeconds: number, days: number): number;
  snapshot(): CellsState;
}

function createCells(state: CellsState, calendar: LocalCalendar): Cells {
  const { seconds } = state;
  const ring = state.ring.slice();
  let { current, sum, count } = state;
  const read = (cell: number): number => {
    return cell >= current || cell <= current - ring.length ? Number.NaN : (ring[cell % ring.length] ?? Number.NaN);
  };
  return {
    add: (epochSeconds, value) => {
      const cell = Math.floor(epochSeconds / seconds);
      while (current < cell) {
        ring[current % ring.length] = count === 0 ? Number.NaN : sum / count;
        current += 1;
        sum = 0;
        count = 0;
      }
      if (Number.isNaN(value)) return;
      sum += value;
      count += 1;
    },
    before: (epochSeconds, days) => {
      let source = epochSeconds;
      do source -= days * daySeconds;
      while (source >= current * seconds);
      source += calendar.offsetSeconds(epochSeconds) - calendar.offsetSeconds(source);
      const cell = Math.floor(source / seconds);
      if (seconds >= 3600) return read(cell) || 0;
      return meanKnown(read(cell - 1), read(cell), read(cell + 1));
    },
    snapshot: () => ({ seconds, ring: ring.slice(), current, sum, count }),
  };
}

function meanKnown(...values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Feeds the profile the history, and notes what it expected of each point before it saw the point's day. */
export function walkProfile(
  { values, startSeconds, stepSeconds }: { values: Float64Array; startSeconds: number; stepSeconds: number },
  profile: DayProfile,
): Float64Array {
  return values.map((_, index) => {
    const now = startSeconds + index * stepSeconds;
    profile.add(now, Number.NaN);
    const expected = profile.isFirstDay(now) ? Number.NaN : profile.expected(now);
    profile.add(now, at(values, index));
    return expected;
  });
}
