// SPDX-License-Identifier: Apache-2.0
// The scoring of the Numenta Anomaly Benchmark, standard profile: Lavin & Ahmad, "Evaluating Real-Time Anomaly Detection
// Algorithms", ICMLA 2015, and nab/sweeper.py and nab/runner.py of the benchmark.

const truePositive = 1;
const falsePositive = 0.11;
const falseNegative = 1;

const probationShare = 0.15;
const probationRows = 5000;

/** The first and the last timestamp of an anomaly, epoch seconds. */
export type NabWindow = readonly [start: number, end: number];

/** What a detection at each row of a file is worth. */
export interface NabFile {
  /** The worth: positive within a window, most at its start; negative outside, little just after a window. */
  readonly worth: Float64Array;
  /** The window that a row lies in; -1 outside, -2 in the probationary period, which does not count. */
  readonly window: Int32Array;
  readonly windows: number;
}

/** A file and what a detector made of it: one score for each row. */
export interface NabResult {
  readonly file: NabFile;
  readonly scores: ArrayLike<number>;
}

/** The worth of a detection at a position relative to a window: -1 its first row, 0 just after its last one. */
export function scaledSigmoid(position: number): number {
  return position > 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

/** Rows keep their order; windows are in order and do not overlap. */
export function nabFile(timestamps: ArrayLike<number>, windows: readonly NabWindow[]): NabFile {
  const rows = timestamps.length;
  const worth = new Float64Array(rows).fill(-falsePositive);
  const window = new Int32Array(rows).fill(-1);
  for (const [number, [first, last]] of windowRows(timestamps, windows).entries()) {
    const width = last - first + 1;
    for (let row = first; row <= last; row += 1) {
      worth[row] = (truePositive * scaledSigmoid((row - last - 1) / width)) / scaledSigmoid(-1);
      window[row] = number;
    }
    for (let row = last + 1; row < rows; row += 1) {
      worth[row] = falsePositive * scaledSigmoid((row - last) / (width - 1));
    }
  }
  window.fill(-2, 0, Math.ceil(Math.min(Math.floor(probationShare * rows), probationShare * probationRows)));
  return { worth, window, windows: windows.length };
}

/** What detections are worth together; totals of several files or groups add up. */
export interface NabTotals {
  readonly worth: number;
  /** What a detector gets that never says anything. */
  readonly nothing: number;
  readonly windows: number;
  /** Windows with a detection, and detections outside of windows. */
  readonly found: number;
  readonly falseAlarms: number;
}

/** What files come to when every row with at least the threshold is a detection. */
export function nabTotals(results: readonly NabResult[], threshold: number): NabTotals {
  return addNabTotals(results.map((result) => fileTotals(result, threshold)));
}

export function addNabTotals(totals: readonly NabTotals[]): NabTotals {
  const add = (name: keyof NabTotals): number => sum(totals.map((one) => one[name]));
  return {
    worth: add('worth'),
    nothing: add('nothing'),
    windows: add('windows'),
    found: add('found'),
    falseAlarms: add('falseAlarms'),
  };
}

/** The benchmark's figure: 0 for nothing, 100 for perfect; NaN where there is no window. */
export function nabScore({ worth, nothing, windows }: NabTotals): number {
  return windows === 0 ? Number.NaN : (100 * (worth - nothing)) / (windows * truePositive - nothing);
}

function fileTotals({ file, scores }: NabResult, threshold: number): NabTotals {
  const missed = emptyWindows(file);
  const best = new Map<number, number>();
  let [outside, falseAlarms] = [0, 0];
  for (const [row, window] of file.window.entries()) {
    if (window === -2 || !((scores[row] ?? 0) >= threshold)) continue;
    const worth = file.worth[row] ?? 0;
    if (window >= 0) best.set(window, Math.max(best.get(window) ?? Number.NEGATIVE_INFINITY, worth));
    else [outside, falseAlarms] = [outside + worth, falseAlarms + 1];
  }
  const worth = outside + sum(new Map([...missed, ...best]).values());
  return { worth, nothing: sum(missed.values()), windows: file.windows, found: best.size, falseAlarms };
}

/** The threshold that gives files together their highest score; Infinity when silence is best. */
export function bestNabThreshold(results: readonly NabResult[]): number {
  const detections = results.flatMap(({ file, scores }, number) =>
    Array.from(file.worth, (worth, row) => ({ number, row, worth, score: scores[row] ?? 0 })).filter(
      ({ row }) => file.window[row] !== -2,
    ),
  );
  detections.sort((a, b) => b.score - a.score);
  const windows = results.map(({ file }) => emptyWindows(file));
  let total = 0;
  let best = { threshold: Number.POSITIVE_INFINITY, total };
  for (const [index, { number, row, worth, score }] of detections.entries()) {
    const window = results[number]?.file.window[row] ?? -1;
    const before = windows[number]?.get(window);
    const gain = before === undefined ? worth : Math.max(0, worth - before);
    if (before !== undefined) windows[number]?.set(window, before + gain);
    total += gain;
    if (detections[index + 1]?.score !== score && total > best.total) best = { threshold: score, total };
  }
  return best.threshold;
}

/** The rows of each window, of those that a row begins. */
function windowRows(timestamps: ArrayLike<number>, windows: readonly NabWindow[]): [first: number, last: number][] {
  const found: [number, number][] = [];
  const all = Array.from(timestamps);
  for (const [start, end] of windows) {
    const first = all.indexOf(start);
    const last = all.indexOf(end);
    if (first >= 0 && last >= first) found.push([first, last]);
  }
  return found;
}

/** A missed anomaly for each window that has a row that counts. */
function emptyWindows({ window }: NabFile): Map<number, number> {
  return new Map(
    Array.from(
      window.filter((number) => number >= 0),
      (number) => [number, -falseNegative],
    ),
  );
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
