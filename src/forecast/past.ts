// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

const daySeconds = 86_400;

/** The distant past is kept in cells of this length, or of a step where steps are longer. */
const cellSeconds = 300;

/** Days that are kept: a week and a day, up to four weeks where that takes no more cells than these. */
const fewestDays = 8;
const mostDays = 29;
const mostCells = 1000;

/** Half-lives of the moving means, in seconds, and at least in so many steps. */
export const means = [
  { seconds: 120, steps: 1 },
  { seconds: 360, steps: 2 },
  { seconds: 1500, steps: 4 },
  { seconds: 4500, steps: 8 },
  { seconds: 30_000, steps: 24 },
];
const levelMean = { seconds: 700, steps: 2 };
const runningMean = { seconds: 4 * daySeconds, steps: 96 };

/** Spans of the maxima of the near past. */
export const maxima = [
  { seconds: 3600, cells: 3 },
  { seconds: 10_800, cells: 6 },
];

/** Half-lives of the mean absolute change from cell to cell. */
export const changes = [
  { seconds: 1500, cells: 4 },
  { seconds: 30_000, cells: 24 },
];

/** Demand is taken for at least this share of its running mean more when logarithms are taken. */
const offsetShare = 0.1;

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

const recentSteps = 7;

/** Nothing seen yet. */
export function emptyState(setup: LookbackSetup): LookbackState {
  const perDay = daySeconds / (stepsPerCell(setup) * setup.stepSeconds);
  const days = Math.max(fewestDays, Math.min(mostDays, Math.floor(mostCells / perDay)));
  const cells = Math.ceil(days * perDay) + 2;
  return {
    setup,
    steps: 0,
    sums: new Float64Array(2 * (means.length + 2 + changes.length)),
    recent: new Float64Array(recentSteps).fill(Number.NaN),
    cellMeans: new Float32Array(cells).fill(Number.NaN),
    cellMaxima: new Float32Array(cells).fill(Number.NaN),
    cellLevels: new Float32Array(cells).fill(Number.NaN),
    open: Float64Array.of(0, 0, Number.NaN),
  };
}

function stepsPerCell({ stepSeconds }: LookbackSetup): number {
  return Math.max(1, Math.round(cellSeconds / stepSeconds));
}

/** Demand and levels of the past, by step. */
export interface Past {
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

/** Moving means with exponential weights, gaps left out: those of demand, then those of its changes. */
function createMeans({ setup, sums }: LookbackState) {
  const perCell = stepsPerCell(setup);
  const decays = [...means, levelMean, runningMean].map(({ seconds, steps }) => {
    return 0.5 ** (1 / Math.max(seconds / setup.stepSeconds, steps));
  });
  const changeDecays = changes.map(({ seconds, cells }) => {
    return 0.5 ** (1 / Math.max(seconds / (setup.stepSeconds * perCell), cells));
  });
  const decayInto = (index: number, decay: number, value: number): void => {
    const isPresent = !Number.isNaN(value);
    sums[2 * index] = decay * at(sums, 2 * index) + (isPresent ? value : 0);
    sums[2 * index + 1] = decay * at(sums, 2 * index + 1) + (isPresent ? 1 : 0);
  };
  return {
    push: (value: number): void => {
      for (const [index, decay] of decays.entries()) decayInto(index, decay, value);
    },
    pushChange: (change: number): void => {
      for (const [index, decay] of changeDecays.entries()) decayInto(decays.length + index, decay, change);
    },
    mean: (index: number): number => at(sums, 2 * index) / at(sums, 2 * index + 1),
  };
}

/** The past as a state has it, which goes on in that state. */
export function createPast(state: LookbackState): Past {
  const { setup, recent, cellMeans, cellMaxima, cellLevels, open } = state;
  const perCell = stepsPerCell(setup);
  const cells = cellMeans.length;
  const averages = createMeans(state);
  let { steps } = state;
  const offset = (): number => offsetShare * averages.mean(means.length + 1);
  const level = (): number => {
    const slow = averages.mean(means.length);
    const last = at(recent, 0);
    return (Number.isNaN(last) ? slow : (last + slow) / 2) + offset();
  };
  const closeCell = (): void => {
    const cell = steps / perCell - 1;
    const mean = at(open, 0) / at(open, 1);
    averages.pushChange(Math.abs(mean - (cellMeans[(cell - 1 + cells) % cells] ?? Number.NaN)));
    cellMeans[cell % cells] = mean;
    cellMaxima[cell % cells] = at(open, 2);
    cellLevels[cell % cells] = level();
    open.set([0, 0, Number.NaN]);
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
      averages.push(value);
      recent.copyWithin(1, 0);
      recent[0] = value;
      if (!Number.isNaN(value)) open.set([at(open, 0) + value, at(open, 1) + 1, larger(at(open, 2), value)]);
      steps += 1;
      if (steps % perCell === 0) closeCell();
    },
    steps: () => steps,
    level,
    offset,
    running: () => averages.mean(means.length + 1),
    mean: averages.mean,
    change: (index) => averages.mean(means.length + 2 + index),
    recent: (back) => at(recent, back),
    maximum: (span) => {
      const complete = Math.floor(steps / perCell);
      return larger(
        at(open, 2),
        maximumOf(complete - span, complete - 1, (cell) => read(cellMaxima, cell)),
      );
    },
    targetAt: (step) => {
      const first = Math.floor(step / perCell);
      return setup.windowSteps === 0
        ? aroundCell(first, perCell, (cell) => read(cellMeans, cell))
        : maximumOf(first, Math.floor((step + setup.windowSteps) / perCell), (cell) => read(cellMaxima, cell));
    },
    logLevelAt: (step) => Math.log(read(cellLevels, Math.floor(step / perCell) - 1)),
  };
}

/** The larger of two of which either may be unknown. */
function larger(a: number, b: number): number {
  if (Number.isNaN(a)) return b;
  return b > a ? b : a;
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
  for (let cell = first; cell <= last; cell += 1) maximum = larger(maximum, read(cell));
  return maximum;
}
