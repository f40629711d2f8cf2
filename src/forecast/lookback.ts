// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';

const daySeconds = 86_400;

/** The distant past is kept in cells of this length, or of a step where steps are longer. */
const cellSeconds = 300;

/** Days that are kept: a week and a day, up to four weeks where that takes no more cells than these. */
const fewestDays = 8;
const mostDays = 29;
const mostCells = 1000;

/** Half-lives of the moving means, in seconds, and at least in so many steps. */
const means = [
  { seconds: 120, steps: 1 },
  { seconds: 360, steps: 2 },
  { seconds: 1500, steps: 4 },
  { seconds: 4500, steps: 8 },
  { seconds: 30_000, steps: 24 },
];
const levelMean = { seconds: 700, steps: 2 };
const runningMean = { seconds: 4 * daySeconds, steps: 96 };

/** Spans of the maxima of the near past. */
const maxima = [
  { seconds: 3600, cells: 3 },
  { seconds: 10_800, cells: 6 },
];

/** Half-lives of the mean absolute change from cell to cell. */
const changes = [
  { seconds: 1500, cells: 4 },
  { seconds: 30_000, cells: 24 },
];

/** Weekly lags, as far as they are kept. */
const weeks = [1, 2, 3, 4];
const weekDays = 7;

/** Log-ratios are kept within this. */
const widest = 4;

/** Demand is taken for at least this share of its running mean more when logarithms are taken. */
const offsetShare = 0.1;

const nearFeatures = 4 + means.length + maxima.length + changes.length + 4;
const aheadFeatures = 18;

/** Number of features in a row, the constant among them. */
export const featureWidth = nearFeatures + aheadFeatures;

/** What a lookback is about. */
export interface LookbackSetup {
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly timeZone: string;
  /** The target at a position is the maximum from there over so many more steps. */
  readonly windowSteps: number;
}

/** What a lookback has learnt, as plain data. */
export interface LookbackState {
  readonly setup: LookbackSetup;
  readonly steps: number;
  /** Numerators and weights of the moving means, then of the changes. */
  readonly sums: Float64Array;
  readonly recent: Float64Array;
  readonly cellMeans: Float32Array;
  readonly cellMaxima: Float32Array;
  readonly cellLevels: Float32Array;
  /** Of the cell that is open: sum, count, maximum. */
  readonly open: Float64Array;
}

/** The past of a series as regressors see it: log-ratios of demand then to the level now. */
export interface Lookback {
  /** Takes the next point, NaN for a gap. */
  push(value: number): void;
  /** Demand now, robust against the noise of a minute, plus the offset: what log-ratios are taken to. */
  level(): number;
  /** Added to demand before its logarithm is taken. */
  offset(): number;
  /** True once there is a level. */
  isReady(): boolean;
  /** Writes the features of the target at `position` at `from`; position 0 is the last point, 1 the next one. */
  write(position: number, out: Float64Array, from: number): void;
  state(): LookbackState;
}

const recentSteps = 7;

/** A lookback that has seen nothing yet. */
export function createLookback(setup: LookbackSetup): Lookback {
  const perDay = daySeconds / (stepsPerCell(setup) * setup.stepSeconds);
  const days = Math.max(fewestDays, Math.min(mostDays, Math.floor(mostCells / perDay)));
  const cells = Math.ceil(days * perDay) + 2;
  return restoreLookback({
    setup,
    steps: 0,
    sums: new Float64Array(2 * (means.length + 2 + changes.length)),
    recent: new Float64Array(recentSteps).fill(Number.NaN),
    cellMeans: new Float32Array(cells).fill(Number.NaN),
    cellMaxima: new Float32Array(cells).fill(Number.NaN),
    cellLevels: new Float32Array(cells).fill(Number.NaN),
    open: Float64Array.of(0, 0, Number.NaN),
  });
}

function stepsPerCell({ stepSeconds }: LookbackSetup): number {
  return Math.max(1, Math.round(cellSeconds / stepSeconds));
}

/** A lookback that goes on from a state, which it takes over. */
export function restoreLookback(state: LookbackState): Lookback {
  const past = createPast(state);
  const near = new Float64Array(nearFeatures);
  let nearAt = -1;
  return {
    push: past.push,
    level: past.level,
    offset: past.offset,
    isReady: () => past.level() > 0,
    write: (position, out, from) => {
      if (nearAt !== past.steps()) {
        writeNear(past, near);
        nearAt = past.steps();
      }
      out.set(near, from);
      writeAhead(past, position, { out, from: from + nearFeatures });
    },
    state: () => structuredClone({ ...state, steps: past.steps() }),
  };
}

/** Demand and levels of the past, by step. */
interface Past {
  readonly setup: LookbackSetup;
  push(value: number): void;
  steps(): number;
  level(): number;
  offset(): number;
  running(): number;
  mean(index: number): number;
  change(index: number): number;
  recent(back: number): number;
  maximum(cells: number): number;
  /** Steps per cell. */
  readonly perCell: number;
  readonly keptSteps: number;
  /** Mean demand around a step, or the maximum over the window from there, of complete cells; NaN when not kept. */
  targetAt(step: number): number;
  /** Logarithm of the level that a step was forecast from. */
  logLevelAt(step: number): number;
}

function createPast(state: LookbackState): Past {
  const { setup, sums, recent, cellMeans, cellMaxima, cellLevels, open } = state;
  const perCell = stepsPerCell(setup);
  const cells = cellMeans.length;
  const decays = [...means, levelMean, runningMean].map(({ seconds, steps }) => {
    return 0.5 ** (1 / Math.max(seconds / setup.stepSeconds, steps));
  });
  const changeDecays = changes.map(({ seconds, cells: least }) => {
    return 0.5 ** (1 / Math.max(seconds / (setup.stepSeconds * perCell), least));
  });
  let { steps } = state;
  const ratio = (index: number): number => at(sums, 2 * index) / at(sums, 2 * index + 1);
  const decayInto = (index: number, decay: number, value: number): void => {
    const present = Number.isNaN(value) ? 0 : 1;
    sums[2 * index] = decay * at(sums, 2 * index) + (present === 1 ? value : 0);
    sums[2 * index + 1] = decay * at(sums, 2 * index + 1) + present;
  };
  const offset = (): number => offsetShare * ratio(means.length + 1);
  const level = (): number => {
    const slow = ratio(means.length);
    const last = at(recent, 0);
    return (Number.isNaN(last) ? slow : (last + slow) / 2) + offset();
  };
  const closeCell = (): void => {
    const cell = steps / perCell - 1;
    const mean = at(open, 0) / at(open, 1);
    const before = cellMeans[(cell - 1 + cells) % cells] ?? Number.NaN;
    for (const [index, decay] of changeDecays.entries()) {
      decayInto(means.length + 2 + index, decay, Math.abs(mean - before));
    }
    cellMeans[cell % cells] = mean;
    cellMaxima[cell % cells] = at(open, 2);
    cellLevels[cell % cells] = Math.log(level());
    open[0] = 0;
    open[1] = 0;
    open[2] = Number.NaN;
  };
  const read = (ring: Float32Array, cell: number): number => {
    const complete = Math.floor(steps / perCell);
    return cell >= complete || cell < complete - cells || cell < 0 ? Number.NaN : (ring[cell % cells] ?? Number.NaN);
  };
  return {
    setup,
    perCell,
    keptSteps: (cells - 2) * perCell,
    push: (value) => {
      for (const [index, decay] of decays.entries()) decayInto(index, decay, value);
      recent.copyWithin(1, 0);
      recent[0] = value;
      if (!Number.isNaN(value)) {
        open[0] = at(open, 0) + value;
        open[1] = at(open, 1) + 1;
        if (!(value <= at(open, 2))) open[2] = value;
      }
      steps += 1;
      if (steps % perCell === 0) closeCell();
    },
    steps: () => steps,
    level,
    offset,
    running: () => ratio(means.length + 1),
    mean: ratio,
    change: (index) => ratio(means.length + 2 + index),
    recent: (back) => at(recent, back),
    maximum: (span) => {
      const complete = Math.floor(steps / perCell);
      let maximum = at(open, 2);
      for (let cell = complete - span; cell < complete; cell += 1) {
        const value = read(cellMaxima, cell);
        if (!(value <= maximum) && !Number.isNaN(value)) maximum = value;
      }
      return maximum;
    },
    targetAt: (step) => {
      const first = Math.floor(step / perCell);
      return setup.windowSteps === 0
        ? aroundCell(first, perCell, (cell) => read(cellMeans, cell))
        : maximumOf(first, Math.floor((step + setup.windowSteps) / perCell), (cell) => read(cellMaxima, cell));
    },
    logLevelAt: (step) => read(cellLevels, Math.floor(step / perCell) - 1),
  };
}

/** Demand in a cell; of short cells the mean with its neighbours. */
function aroundCell(cell: number, perCell: number, read: (cell: number) => number): number {
  if (perCell === 1) return read(cell);
  let sum = 0;
  let count = 0;
  for (let index = cell - 1; index <= cell + 1; index += 1) {
    const value = read(index);
    if (Number.isNaN(value)) continue;
    sum += value;
    count += 1;
  }
  return sum / count;
}

function maximumOf(first: number, last: number, read: (cell: number) => number): number {
  let maximum = Number.NaN;
  for (let cell = first; cell <= last; cell += 1) {
    const value = read(cell);
    if (!(value <= maximum) && !Number.isNaN(value)) maximum = value;
  }
  return maximum;
}

/** ln of demand over the level, both with the offset; 0 where not known. */
function logRatio(demandAndOffset: number, level: number): number {
  return clipped(Math.log(demandAndOffset / level));
}

function clipped(ratio: number): number {
  return Number.isNaN(ratio) ? 0 : Math.max(-widest, Math.min(widest, ratio));
}

/** What does not depend on the position. */
function writeNear(past: Past, out: Float64Array): void {
  const level = past.level();
  const offset = past.offset();
  let written = 0;
  const put = (value: number): void => {
    out[written] = value;
    written += 1;
  };
  put(1);
  for (const back of [0, 2, 6]) put(logRatio(past.recent(back) + offset, level));
  for (const index of means.keys()) put(logRatio(past.mean(index) + offset, level));
  for (const { seconds, cells } of maxima) {
    const span = Math.max(cells, Math.round(seconds / (past.perCell * past.setup.stepSeconds)));
    put(logRatio(past.maximum(span) + offset, level));
  }
  for (const index of changes.keys()) put(logRatio(past.change(index) + offset, level));
  put(logRatio(level, past.running() + offset));
  const day = Math.round(daySeconds / past.setup.stepSeconds);
  for (const days of [1, 7]) put(clipped(past.logLevelAt(past.steps() - days * day) - Math.log(level)));
  // The slope of the level over the last half hour.
  put(logRatio(past.mean(0) + offset, past.mean(2) + offset));
}

/** What past days say about a position, filled anew for each. */
const lags = {
  then: new Float64Array(weekDays),
  grown: new Float64Array(weekDays),
  sorted: new Float64Array(weekDays),
};

/** The days that can be known at the position, nearest first, and what is known of them. */
function writeAhead(past: Past, position: number, { out, from }: { out: Float64Array; from: number }): void {
  const { startSeconds, stepSeconds, timeZone, windowSteps } = past.setup;
  const calendar = localCalendar(timeZone);
  const time = startSeconds + (past.steps() - 1 + position) * stepSeconds;
  const { day, secondOfDay } = calendar.local(time);
  const nearest = Math.max(1, Math.ceil(((position + windowSteps) * stepSeconds) / daySeconds));
  const days = daysBefore(past, position, time);
  const { then, grown } = lags;
  const alike = { then: 0, grown: 0, weight: 0 };
  const weekend = isWeekend(day);
  for (let index = 0; index < weekDays; index += 1) {
    days.read(nearest + index);
    then[index] = days.then;
    grown[index] = days.grown;
    if (Number.isNaN(days.then + days.grown) || isWeekend(day - nearest - index) !== weekend) continue;
    const weight = fading ** index;
    alike.then += weight * days.then;
    alike.grown += weight * days.grown;
    alike.weight += weight;
  }
  const weekly = weeklyMeans(days, Math.ceil(nearest / weekDays), past.keptSteps * stepSeconds);
  const sameWeekday = (weekDays - (nearest % weekDays)) % weekDays;
  let written = from;
  const put = (value: number): void => {
    out[written] = clipped(value);
    written += 1;
  };
  put(at(then, 0));
  put(at(grown, 0));
  put(at(then, sameWeekday));
  put(at(grown, sameWeekday));
  put(weekly.then);
  put(weekly.grown);
  for (const values of [then, grown]) {
    const known = sortKnown(values);
    put(known === 0 ? Number.NaN : middle(known));
    put(known === 0 ? Number.NaN : at(lags.sorted, known - 1));
  }
  put(alike.then / alike.weight);
  put(alike.grown / alike.weight);
  const angle = (2 * Math.PI * secondOfDay) / daySeconds;
  for (const wave of [1, 2]) {
    put(Math.sin(wave * angle));
    put(Math.cos(wave * angle));
  }
  put(weekend ? 1 : 0);
  put(Math.log((position + 1) / 8));
}

/** A day or a week further back counts this much less. */
const fading = 0.8;

function isWeekend(day: number): boolean {
  const weekday = dayOfWeek(day);
  return weekday === 0 || weekday === 6;
}

/** Log-ratios of what came some days before a position: to the level now, and to the level then. */
interface DaysBefore {
  then: number;
  grown: number;
  read(days: number): void;
}

function daysBefore(past: Past, position: number, time: number): DaysBefore {
  const { stepSeconds, timeZone } = past.setup;
  const calendar = localCalendar(timeZone);
  const zone = calendar.offsetSeconds(time);
  // Clocks change twice a year: when the ends agree, so does what lies between.
  const isSteady = calendar.offsetSeconds(time - past.keptSteps * stepSeconds) === zone;
  const logLevel = Math.log(past.level());
  const offset = past.offset();
  const before: DaysBefore = {
    then: Number.NaN,
    grown: Number.NaN,
    read: (days) => {
      const moved = isSteady ? 0 : calendar.offsetSeconds(time - days * daySeconds) - zone;
      const back = Math.round((days * daySeconds + moved) / stepSeconds);
      const target = Math.log(past.targetAt(past.steps() - 1 + position - back) + offset);
      before.then = target - logLevel;
      before.grown = target - past.logLevelAt(past.steps() - back);
    },
  };
  return before;
}

/** The same weekday over the weeks that are kept. */
function weeklyMeans(days: DaysBefore, nearestWeek: number, keptSeconds: number): { then: number; grown: number } {
  let then = 0;
  let grown = 0;
  let weight = 0;
  for (const week of weeks) {
    const back = weekDays * (nearestWeek - 1 + week);
    if (back * daySeconds > keptSeconds) break;
    days.read(back);
    if (Number.isNaN(days.then + days.grown)) continue;
    const share = fading ** (week - 1);
    then += share * days.then;
    grown += share * days.grown;
    weight += share;
  }
  return { then: then / weight, grown: grown / weight };
}

/** Sorts the values that are known into the scratch. @returns how many there are */
function sortKnown(values: Float64Array): number {
  const { sorted } = lags;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    let hole = count;
    while (hole > 0 && at(sorted, hole - 1) > value) {
      sorted[hole] = at(sorted, hole - 1);
      hole -= 1;
    }
    sorted[hole] = value;
    count += 1;
  }
  return count;
}

/** The median of the first `count` of the scratch. */
function middle(count: number): number {
  const half = Math.floor(count / 2);
  return count % 2 === 1 ? at(lags.sorted, half) : (at(lags.sorted, half - 1) + at(lags.sorted, half)) / 2;
}
