// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../../series/calendar.ts';
import type { LocalCalendar } from '../../series/calendar.ts';
import { at, endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { copyDoubleSeasonal, startDoubleSeasonal, stepDoubleSeasonal } from '../double-seasonal.ts';
import type { DoubleSeasonalParameters, DoubleSeasonalStates, Slots } from '../double-seasonal.ts';
import { courseOf } from '../lookahead.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { minimise } from '../nelder-mead.ts';
import { refuseShort } from '../refusals.ts';
import { fromScale, scaleOf, toScale } from '../remainder.ts';
import type { DemandScale } from '../remainder.ts';
import { chooseResidualRule, createResidualLevel } from '../residual-level.ts';
import type { ResidualLevel, ResidualRule } from '../residual-level.ts';

const daySeconds = 86_400;
/** Slots of a day: a quarter of an hour, or the next of these that the step fits in. */
const slotChoices = [900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400];
/** Parameters are fitted on so many of the last slots. */
const mostSlots = 3000;
const mostEvaluations = 120;

/**
 * Double seasonal exponential smoothing, day and week (Taylor 2003; see `double-seasonal.ts`), by slots of the local
 * clock, on logarithms where demand is never negative: there the seasons multiply. Points closer than a quarter of an
 * hour are averaged into slots and forecast on straight lines between them. The trend is held at nothing: what little
 * of it there is in demand over days the level follows, and a day ahead it only does harm. The adjustment for
 * autocorrelated errors works at the step of the history, by the rule that forecast the last week best. Needs a day.
 */
export const holtWinters: Model = { name: 'holt-winters', fit, restore };

interface State extends Readonly<Record<string, unknown>> {
  readonly parameters: DoubleSeasonalParameters;
  readonly states: DoubleSeasonalStates;
  readonly scale: DemandScale;
  readonly open: OpenSlot;
  readonly rule: ResidualRule;
  readonly level: number;
  readonly now: number;
  readonly stepSeconds: number;
}

/** The slot whose points are still coming. */
interface OpenSlot {
  /** Since 1970 on the local clock. */
  index: number;
  sum: number;
  count: number;
}

function fit(history: TimeSeries, { timeZone, horizonSteps }: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds, values } = history;
  const grid = createGrid(localCalendar(timeZone), stepSeconds);
  const scale = scaleOf(values);
  const scaled = values.map((value) => toScale(scale, value));
  const series = slotMeans(scaled, history, grid);
  const { parameters, start } = estimate(series, grid);
  const states = copyDoubleSeasonal(start);
  const open: OpenSlot = { index: grid.index(startSeconds), sum: 0, count: 0 };
  const errors = scaled.map((value, index) => {
    const now = startSeconds + index * stepSeconds;
    const error = value - grid.base(states, now);
    collect(open, states, { grid, parameters, now, value });
    return error;
  });
  const rule = chooseResidualRule(errors, { ...courseOf(history, horizonSteps), stepSeconds });
  const level = createResidualLevel(rule);
  for (const error of errors) level.update(error);
  return create({ parameters, states, scale, open, level, grid }, { now: endSeconds(history), stepSeconds });
}

function restore(state: ModelState, { timeZone }: FitContext): FittedModel {
  const { parameters, states, scale, open, rule, level, now, stepSeconds } = state as State;
  return create(
    {
      parameters,
      states: copyDoubleSeasonal(states),
      scale: { ...scale },
      open: { ...open },
      level: createResidualLevel(rule, level),
      grid: createGrid(localCalendar(timeZone), stepSeconds),
    },
    { now, stepSeconds },
  );
}

interface Parts {
  readonly parameters: DoubleSeasonalParameters;
  readonly states: DoubleSeasonalStates;
  readonly scale: DemandScale;
  readonly open: OpenSlot;
  readonly level: ResidualLevel;
  readonly grid: Grid;
}

function create(
  { parameters, states, scale, open, level, grid }: Parts,
  { now: start, stepSeconds }: { now: number; stepSeconds: number },
): FittedModel {
  let now = start;
  return {
    kind: 'fitted',
    update: (value) => {
      const scaled = toScale(scale, value);
      level.update(scaled - grid.base(states, now));
      collect(open, states, { grid, parameters, now, value: scaled });
      now += stepSeconds;
    },
    predict: (horizon) =>
      Float64Array.from({ length: horizon }, (_, index) =>
        fromScale(scale, grid.base(states, now + index * stepSeconds) + level.ahead(index)),
      ),
    describe: () => ({
      name: holtWinters.name,
      parameters: { slotSeconds: grid.slotSeconds, ...parameters, kappa: level.rule.kappa, stepPhi: level.rule.phi },
    }),
    snapshot: () => ({
      parameters,
      states: copyDoubleSeasonal(states),
      scale: { ...scale },
      open: { ...open },
      rule: level.rule,
      level: level.level(),
      now,
      stepSeconds,
    }),
  };
}

/** The slots of days and weeks on the local clock. */
interface Grid {
  readonly slotSeconds: number;
  readonly perDay: number;
  index(epochSeconds: number): number;
  slots(index: number): Slots;
  /** Level and seasons at a time, on a line between the middles of slots where they are wider than a step. */
  base(states: DoubleSeasonalStates, epochSeconds: number): number;
}

function createGrid(calendar: LocalCalendar, stepSeconds: number): Grid {
  const slotSeconds = slotChoices.find((seconds) => seconds >= stepSeconds) ?? daySeconds;
  const perDay = daySeconds / slotSeconds;
  const local = (epochSeconds: number): number => epochSeconds + calendar.offsetSeconds(epochSeconds);
  const slots = (index: number): Slots => {
    const day = Math.floor(index / perDay);
    const ofDay = index - day * perDay;
    return { day: ofDay, week: dayOfWeek(day) * perDay + ofDay };
  };
  const season = ({ day, week }: DoubleSeasonalStates, index: number): number => {
    const { day: ofDay, week: ofWeek } = slots(index);
    return at(day, ofDay) + at(week, ofWeek);
  };
  return {
    slotSeconds,
    perDay,
    index: (epochSeconds) => Math.floor(local(epochSeconds) / slotSeconds),
    slots,
    base: (states, epochSeconds) => {
      if (2 * stepSeconds > slotSeconds) {
        return states.level + season(states, Math.floor(local(epochSeconds) / slotSeconds));
      }
      const place = (local(epochSeconds) + stepSeconds / 2) / slotSeconds - 0.5;
      const left = Math.floor(place);
      const share = place - left;
      return states.level + (1 - share) * season(states, left) + share * season(states, left + 1);
    },
  };
}

interface SlotSeries {
  readonly values: Float64Array;
  readonly slots: readonly Slots[];
}

/** Means of the slots, NaN for those without a point; an hour that the clock skips is such. */
function slotMeans(scaled: Float64Array, { startSeconds, stepSeconds }: TimeSeries, grid: Grid): SlotSeries {
  const first = grid.index(startSeconds);
  const length = grid.index(startSeconds + (scaled.length - 1) * stepSeconds) - first + 1;
  const values = new Float64Array(length);
  const counts = new Float64Array(length);
  for (const [index, value] of scaled.entries()) {
    const slot = grid.index(startSeconds + index * stepSeconds) - first;
    if (Number.isNaN(value) || slot < 0) continue;
    values[slot] = at(values, slot) + value;
    counts[slot] = at(counts, slot) + 1;
  }
  return {
    values: values.map((sum, slot) => sum / at(counts, slot)),
    slots: Array.from(values, (_, slot) => grid.slots(first + slot)),
  };
}

/** Smoothing parameters with the smallest sum of squared errors (those beyond four deviations are pulled in). */
function estimate(
  { values, slots }: SlotSeries,
  { perDay }: Grid,
): { parameters: DoubleSeasonalParameters; start: DoubleSeasonalStates } {
  const days = values.length / perDay;
  const startDays = Math.max(1, Math.min(14, 7 * Math.floor(days / 14), Math.floor(days)) || Math.floor(days / 2));
  const head = Math.max(1, Math.round(startDays * perDay));
  const weeks = days >= 8;
  const sizes = { day: perDay, week: 7 * perDay, withWeek: startDays >= 14 };
  const start = startDoubleSeasonal(values.subarray(0, head), slots, sizes);
  const from = Math.max(0, values.length - mostSlots);
  const limit = 4 * spreadOf(values, start, slots);
  const read = (point: Float64Array): DoubleSeasonalParameters => ({
    alpha: share(at(point, 0), 0.5),
    gamma: 0,
    delta: share(at(point, 1), 0.5),
    omega: weeks ? share(at(point, 3), 0.5) : 0,
    phi: share(at(point, 2), 0.98),
  });
  const loss = (point: Float64Array): number => {
    const states = copyDoubleSeasonal(start);
    const parameters = read(point);
    let squares = 0;
    for (let index = from; index < values.length; index += 1) {
      const error = stepDoubleSeasonal(parameters, states, {
        slots: slots[index] ?? { day: 0, week: 0 },
        value: at(values, index),
      });
      if (!Number.isNaN(error)) squares += Math.min(limit * limit, error * error);
    }
    return squares;
  };
  const first = new Float64Array([-3, -1.5, 1, ...(weeks ? [-1.5] : [])]);
  const { point } = minimise(loss, first, { size: 0.8, mostEvaluations, tolerance: 1e-6 });
  return { parameters: read(point), start };
}

function share(coordinate: number, most: number): number {
  return most / (1 + Math.exp(-coordinate));
}

function spreadOf(values: Float64Array, { level, day, week }: DoubleSeasonalStates, slots: readonly Slots[]): number {
  let total = 0;
  let count = 0;
  for (const [index, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const slot = slots[index] ?? { day: 0, week: 0 };
    total += Math.abs(value - level - at(day, slot.day) - at(week, slot.week));
    count += 1;
  }
  return count === 0 ? 0 : (1.25 * total) / count;
}

/** Complete slots move the states; those without a point are gaps. */
function collect(
  open: OpenSlot,
  states: DoubleSeasonalStates,
  at: { grid: Grid; parameters: DoubleSeasonalParameters; now: number; value: number },
): void {
  const index = at.grid.index(at.now);
  while (open.index < index) {
    stepDoubleSeasonal(at.parameters, states, {
      slots: at.grid.slots(open.index),
      value: open.count > 0 ? open.sum / open.count : Number.NaN,
    });
    open.index += 1;
    open.sum = 0;
    open.count = 0;
  }
  if (Number.isNaN(at.value)) return;
  open.sum += at.value;
  open.count += 1;
}
