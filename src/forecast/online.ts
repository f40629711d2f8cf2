// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** Levels are not corrected by more than this. */
const largestCorrection = 0.25;

/** Quantiles that were issued at one step, waiting to come due. */
interface Note {
  /** The step that row 0 of the forecast is for. */
  readonly step: number;
  /** By checkpoint and level. */
  readonly values: Float64Array;
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
}

/**
 * Adaptive conformal inference (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): after
 * a miss the level rises, after a hit it sinks, in the proportion that makes the share of misses what it should be.
 */
export function createOnlineLevels({ levels, checkpoints, windowSteps, gain }: OnlineSetup): OnlineLevels {
  const corrections = checkpoints.map(() => new Float64Array(levels.length));
  const pending: Note[] = [];
  // The first pending note that each checkpoint has not scored yet.
  const cursors = checkpoints.map(() => 0);

  const correct = (checkpoint: number, note: Note, actual: number): void => {
    for (const [index, level] of levels.entries()) {
      const missed = actual > at(note.values, checkpoint * levels.length + index);
      const list = corrections[checkpoint] ?? new Float64Array(levels.length);
      const next = at(list, index) + gain * ((missed ? 1 : 0) - (1 - level));
      list[index] = Math.max(-largestCorrection, Math.min(largestCorrection, next));
    }
  };
  return {
    levelAt: (index, row) =>
      (levels[index] ?? 0.5) + correctionAt(checkpoints, row, (slot) => at(corrections[slot] ?? noCorrections, index)),
    note: (step, quantiles) => {
      const values = new Float64Array(checkpoints.length * levels.length);
      for (const [slot, row] of checkpoints.entries()) {
        for (const [index, quantile] of quantiles.entries()) values[slot * levels.length + index] = at(quantile, row);
      }
      const last = pending.at(-1);
      if (last !== undefined && last.step >= step) return;
      pending.push({ step, values });
    },
    learn: (head, outcome) => {
      for (const [slot, row] of checkpoints.entries()) {
        let cursor = cursors[slot] ?? 0;
        for (
          let note = pending[cursor];
          note !== undefined && note.step + row + windowSteps < head;
          note = pending[cursor]
        ) {
          const actual = outcome(note.step + row);
          if (!Number.isNaN(actual)) correct(slot, note, actual);
          cursor += 1;
        }
        cursors[slot] = cursor;
      }
      const done = Math.min(...cursors);
      pending.splice(0, done);
      for (const slot of cursors.keys()) cursors[slot] = (cursors[slot] ?? 0) - done;
    },
  };
}

const noCorrections = new Float64Array(0);

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
