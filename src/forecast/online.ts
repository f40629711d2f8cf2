// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Levels are not corrected by more than this. */
const largestCorrection = 0.25;

/** Corrections as plain data. */
export interface OnlineState extends OnlineSetup {
  /** By checkpoint and level. */
  readonly corrections: Float64Array;
  /** Steps that quantiles were issued for and that wait to come due: the step of row 0. */
  readonly steps: Float64Array;
  /** Those quantiles, by step, checkpoint and level. */
  readonly values: Float64Array;
  /** For each checkpoint, how many of the steps it has scored already. */
  readonly cursors: readonly number[];
}

/** What is corrected: quantiles of the target at these levels, by row of the forecast. */
export interface OnlineSetup {
  readonly levels: readonly number[];
  /** Rows at which quantiles are checked, ascending from 0. */
  readonly checkpoints: readonly number[];
  /** Steps that must have passed, after the row's own, before its target is known. */
  readonly windowSteps: number;
  /** A level moves by this much, times miss minus expected share of misses, for each forecast that comes due. */
  readonly gain: number;
}

/** Corrections of the levels, learnt from the forecasts that have come due. */
export interface OnlineLevels {
  /** The level to ask for at `row`, so that the outcome is below the quantile as often as level number `index` says. */
  levelAt(index: number, row: number): number;
  /** Remembers what was issued: quantiles of each level by row, row 0 for `step`. */
  note(step: number, quantiles: readonly Float64Array[]): void;
  /** Scores what has come due before `head`, the first step not yet known; `outcome` gives NaN for unknown. */
  learn(head: number, outcome: (step: number) => number): void;
  /** A copy of all that is known. */
  snapshot(): OnlineState;
}

/**
 * Adaptive conformal inference (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): after
 * a miss the level rises, after a hit it sinks, in the proportion that makes the share of misses what it should be.
 */
export function createOnlineLevels(setup: OnlineSetup): OnlineLevels {
  const { levels, checkpoints } = setup;
  return restoreOnlineLevels({
    ...setup,
    corrections: new Float64Array(checkpoints.length * levels.length),
    steps: new Float64Array(0),
    values: new Float64Array(0),
    cursors: checkpoints.map(() => 0),
  });
}

/** The corrections that gave the state, as they then were. */
export function restoreOnlineLevels(state: OnlineState): OnlineLevels {
  const { levels, checkpoints, windowSteps, gain } = state;
  const width = checkpoints.length * levels.length;
  const corrections = new Float64Array(state.corrections);
  // Flat: there may be an hour's worth for each of many targets.
  const steps = [...state.steps];
  const values = [...state.values];
  // The first pending step that each checkpoint has not scored yet.
  const cursors = [...state.cursors];

  const correct = (slot: number, cursor: number, actual: number): void => {
    for (const [index, level] of levels.entries()) {
      const cell = slot * levels.length + index;
      const missed = actual > (values[cursor * width + cell] ?? Number.NaN);
      const next = at(corrections, cell) + gain * ((missed ? 1 : 0) - (1 - level));
      corrections[cell] = Math.max(-largestCorrection, Math.min(largestCorrection, next));
    }
  };
  const score = (slot: number, row: number, moment: { head: number; outcome: (step: number) => number }): void => {
    let cursor = cursors[slot] ?? 0;
    for (let step = steps[cursor]; step !== undefined && step + row + windowSteps < moment.head; step = steps[cursor]) {
      const actual = moment.outcome(step + row);
      if (!Number.isNaN(actual)) correct(slot, cursor, actual);
      cursor += 1;
    }
    cursors[slot] = cursor;
  };
  return {
    levelAt: (index, row) =>
      (levels[index] ?? 0.5) + correctionAt(checkpoints, row, (slot) => at(corrections, slot * levels.length + index)),
    note: (step, quantiles) => {
      if ((steps.at(-1) ?? Number.NEGATIVE_INFINITY) >= step) return;
      steps.push(step);
      for (const row of checkpoints) for (const quantile of quantiles) values.push(at(quantile, row));
    },
    learn: (head, outcome) => {
      for (const [slot, row] of checkpoints.entries()) score(slot, row, { head, outcome });
      const done = Math.min(...cursors);
      if (done === 0) return;
      steps.splice(0, done);
      values.splice(0, done * width);
      for (const slot of cursors.keys()) cursors[slot] = (cursors[slot] ?? 0) - done;
    },
    snapshot: () => ({
      levels,
      checkpoints,
      windowSteps,
      gain,
      corrections: corrections.slice(),
      steps: Float64Array.from(steps),
      values: Float64Array.from(values),
      cursors: [...cursors],
    }),
  };
}

/** Linear between checkpoints, level beyond the last. */
function correctionAt(checkpoints: readonly number[], row: number, correction: (slot: number) => number): number {
  const right = checkpoints.findIndex((checkpoint) => checkpoint >= row);
  if (right === -1) return correction(checkpoints.length - 1);
  const to = checkpoints[right] ?? 0;
  const from = checkpoints[right - 1];
  if (from === undefined || to === row) return correction(right);
  const share = (row - from) / (to - from);
  return (1 - share) * correction(right - 1) + share * correction(right);
}
