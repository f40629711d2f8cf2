// SPDX-License-Identifier: Apache-2.0
import { HeadstartError, invalidInput } from '../../src/base/errors.ts';
import type { Sample } from '../../src/series/time-series.ts';
import type { Load } from './load.ts';

/** A recorded series, ready to be looked up by time. */
export interface Trace {
  /** How it is called in messages: the file. */
  readonly name: string;
  /** Ascending by time. */
  readonly samples: readonly Sample[];
  /** What a row stands for: [timestamp, timestamp + step). */
  readonly stepSeconds: number;
}

/** The part that is shown: `minutes` from `fromSeconds` on. */
export interface Stretch {
  readonly fromSeconds: number;
  readonly minutes: number;
}

/** What demand spans in the part that is shown, in requests per second. */
export interface DemandRange {
  readonly least: number;
  readonly most: number;
}

const day = 86_400;
/** Rows further apart than this cannot show a ramp of minutes. */
const maxStepSeconds = 300;
/** Below this the forecaster would show nothing but why it cannot forecast. */
const minHistorySeconds = 2 * day;
const wantedHistorySeconds = 14 * day;
/** The rise that is looked for, and how long before it the shown part begins. */
const riseSeconds = 600;
const leadInSeconds = 300;

/**
 * A trace from its rows.
 * @throws HeadstartError InvalidInput when rows are too few, too far apart, or negative
 */
export function createTrace(name: string, samples: readonly Sample[]): Trace {
  if (samples.length < 3) throw invalidInput(name, `${samples.length} rows`, 'at least two days of rows');
  const negative = samples.findIndex(({ value }) => !(value >= 0));
  if (negative >= 0)
    throw invalidInput(`${name}, data row ${negative + 1}`, samples[negative]?.value, 'a demand of 0 or more');
  const steps = samples.slice(1).map(({ timestamp }, index) => timestamp - (samples[index]?.timestamp ?? Number.NaN));
  const stepSeconds = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? Number.NaN;
  if (!(stepSeconds >= 1 && stepSeconds <= maxStepSeconds))
    throw invalidInput(name, `rows ${stepSeconds} s apart`, `rows at most ${maxStepSeconds} s apart`);
  return { name, samples, stepSeconds };
}

/**
 * Where to begin when the user does not say: five minutes before the steepest rise over ten minutes (of the mean of
 * three minutes, compared with the largest value that would be shown) in the last quarter of the series, among the places
 * with two weeks of history before, no missing row in the part that is shown, and a largest value there that is at least
 * the mean of the series. The first of equals.
 * @throws HeadstartError NotFound when there is no such place
 */
export function chooseFromSeconds(trace: Trace, minutes: number): number {
  const { stepSeconds } = trace;
  const values = grid(trace);
  const startSeconds = trace.samples[0]?.timestamp ?? 0;
  const steps = (seconds: number): number => Math.max(1, Math.round(seconds / stepSeconds));
  const [width, rise, leadIn, shown] = [steps(180), steps(riseSeconds), steps(leadInSeconds), steps(minutes * 60)];
  const first = Math.max(Math.floor(values.length * 0.75), steps(wantedHistorySeconds));
  const usual = trace.samples.reduce((sum, { value }) => sum + value, 0) / trace.samples.length;
  let best = -1;
  let bestRise = 0;
  for (let from = first; from + shown <= values.length; from += 1) {
    const at = from + leadIn;
    // NaN, which is no rise, where a row is missing.
    const most = values.subarray(from, from + shown).reduce((a, b) => Math.max(a, b), 0);
    const gain = (mean(values, at + rise, width) - mean(values, at, width)) / most;
    if (gain > bestRise && most >= usual) {
      best = from;
      bestRise = gain;
    }
  }
  if (best < 0)
    throw new HeadstartError(
      'NotFound',
      `${trace.name}: no rise in the last quarter with two weeks of rows before it and ${minutes} minutes without a missing row; say where to begin with --from`,
    );
  return startSeconds + best * stepSeconds;
}

/**
 * The trace as a load that plays from `startSeconds` on what was recorded from `stretch.fromSeconds` on; earlier times
 * give the rows before. Values are multiplied so that the largest of the stretch becomes `range.most`. Only where its
 * smallest would then be below `range.least`, they are squeezed between the two instead: multiplied by less, and a
 * constant added. Missing rows are NaN before the start; during and after the show the last value stands.
 * @throws HeadstartError InvalidInput when the stretch is not in the trace, or has nothing in it
 */
export function traceLoad(trace: Trace, stretch: Stretch, options: { range: DemandRange; startSeconds: number }): Load {
  const values = grid(trace);
  const traceStart = trace.samples[0]?.timestamp ?? 0;
  checkStretch(trace, stretch, values.length);
  const index = (seconds: number): number => Math.floor((seconds - traceStart) / trace.stepSeconds);
  const endOfShow = stretch.fromSeconds + stretch.minutes * 60;
  const rows = values
    .subarray(index(stretch.fromSeconds), index(endOfShow - 1) + 1)
    .filter((value) => !Number.isNaN(value));
  if (rows.length === 0 || Math.max(...rows) === 0)
    throw invalidInput('--from', stretch.fromSeconds, `a stretch of ${trace.name} that has demand`);
  const { factor, constant } = scaling(Math.min(...rows), Math.max(...rows), options.range);
  const shift = stretch.fromSeconds - options.startSeconds;
  return {
    demandAt: (seconds) => {
      const at = seconds + shift;
      let row = index(Math.min(at, endOfShow - 1));
      while (at >= stretch.fromSeconds && row > 0 && Number.isNaN(values[row] ?? Number.NaN)) row -= 1;
      return (values[row] ?? Number.NaN) * factor + constant;
    },
  };
}

function scaling(least: number, most: number, range: DemandRange): { factor: number; constant: number } {
  const factor = range.most / most;
  if (least * factor >= range.least) return { factor, constant: 0 };
  const squeezed = (range.most - range.least) / (most - least);
  return { factor: squeezed, constant: range.least - squeezed * least };
}

function checkStretch(trace: Trace, { fromSeconds, minutes }: Stretch, length: number): void {
  const traceStart = trace.samples[0]?.timestamp ?? 0;
  const first = traceStart + minHistorySeconds;
  const last = traceStart + length * trace.stepSeconds - minutes * 60;
  if (fromSeconds >= first && fromSeconds <= last) return;
  const allowed =
    last < first
      ? `a trace of at least two days and ${minutes} minutes`
      : `a time from ${iso(first)} to ${iso(last)}: two days of history before, ${minutes} minutes after`;
  throw invalidInput('--from', iso(fromSeconds), allowed);
}

/** The rows on the grid of the step; NaN where there is none, the last one where there are two. */
function grid({ samples, stepSeconds }: Trace): Float64Array {
  const start = samples[0]?.timestamp ?? 0;
  const end = samples.at(-1)?.timestamp ?? start;
  const values = new Float64Array(Math.floor((end - start) / stepSeconds) + 1).fill(Number.NaN);
  for (const { timestamp, value } of samples) values[Math.floor((timestamp - start) / stepSeconds)] = value;
  return values;
}

/** Of the `width` values before `end`; NaN when one is missing. */
function mean(values: Float64Array, end: number, width: number): number {
  let sum = 0;
  for (let index = end - width; index < end; index += 1) sum += values[index] ?? Number.NaN;
  return sum / width;
}

function iso(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}
