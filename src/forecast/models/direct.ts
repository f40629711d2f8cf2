// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { observedMaximum } from '../contest.ts';
import { createLookback, featureWidth, restoreLookback } from '../lookback.ts';
import type { Lookback } from '../lookback.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState, TargetForecast } from '../model.ts';
import type { LookbackState } from '../past.ts';
import { refuseShort } from '../refusals.ts';
import { lastPresent } from '../robust.ts';
import { dot, fitHuber, fitRidge, residualsOf } from '../ridge.ts';
import type { Rows } from '../ridge.ts';

const daySeconds = 86_400;

/** Regressions are fitted on the last weeks; the rows before the newest count less by e for each fortnight. */
const trainedSeconds = 21 * daySeconds;
const fewestTrainedSteps = 2016;
const memorySeconds = 14 * daySeconds;

/** So many rows for the positions that matter most, and for each group of the others. */
const mostRows = 6000;
const groupRows = 2000;
const pathRows = 1200;
const fewestRows = 60;

const locationRidge = 0.01;
const spreadRidge = 0.03;
const huberRounds = 2;

/** Rows weigh as their level does, within these multiples of the mean level. */
const leastWeight = 0.1;
const mostWeight = 5;

/** Log-ratios of the target to the level are kept within this. */
const widest = 4;
/** Errors below this are as good as none. */
const leastError = 1e-4;

/**
 * A regression of the logarithm of demand ahead, or of its maximum over the look-ahead, over the level now: ridge with
 * Huber's weights for the location, ridge on the logarithm of the absolute error for the spread. Features are
 * log-ratios of the near past, and of what came at the same time on past days, to the level. One regression for each
 * group of leads, and none is iterated: a direct forecast. Needs a day.
 */
export const direct: Model = { name: 'direct', fit, restore };

/** The regression of the positions up to `last` that no group before it has. */
interface Group {
  readonly last: number;
  readonly location: Float64Array;
  readonly spread: Float64Array;
  /** The range of the targets it was fitted on. */
  readonly low: number;
  readonly high: number;
}

interface DirectState {
  readonly target: readonly Group[];
  readonly path: readonly Group[];
  readonly last: number;
  readonly base: number;
  readonly lookback: LookbackState;
  readonly pathLookback?: LookbackState;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds } = history;
  // Logarithms want demand from 0 on: one that goes below is taken from its lowest point.
  const base = history.values.reduce((lowest, value) => (value < lowest ? value : lowest), 0);
  const raised = base === 0 ? history : { ...history, values: history.values.map((value) => value - base) };
  const windowSteps = context.windowSteps ?? 0;
  const setup = { startSeconds, stepSeconds, timeZone: context.timeZone, windowSteps };
  const lookback = createLookback(setup);
  const lasts = windowSteps > 0 ? targetGroups(context.horizonSteps) : pathGroups(context.horizonSteps);
  const target = train(raised, lookback, { lasts, windowSteps, wanted: windowSteps > 0 ? mostRows : groupRows });
  const last = lastPresent(raised.values);
  if (windowSteps === 0) return createFitted({ target, path: target, last, base }, lookback, lookback);
  const other = createLookback({ ...setup, windowSteps: 0 });
  const path = train(raised, other, {
    lasts: targetGroups(context.horizonSteps).slice(1),
    windowSteps: 0,
    wanted: pathRows,
  });
  return createFitted({ target, path, last, base }, lookback, other);
}

function restore(state: ModelState): FittedModel {
  const { target, path, last, base, lookback, pathLookback } = state as unknown as DirectState;
  const own = restoreLookback(structuredClone(lookback));
  const other = pathLookback === undefined ? own : restoreLookback(structuredClone(pathLookback));
  return createFitted({ target, path, last, base }, own, other);
}

/** Position 0 on its own, where the published value is read; then ever wider groups. */
function targetGroups(lastPosition: number): number[] {
  const lasts = [0];
  for (let last = 4; last < lastPosition; last *= 4) lasts.push(last);
  lasts.push(Math.max(1, lastPosition));
  return lasts;
}

function pathGroups(lastPosition: number): number[] {
  const lasts: number[] = [];
  for (let last = 1; last < lastPosition; last *= 2) lasts.push(last);
  lasts.push(Math.max(1, lastPosition));
  return lasts;
}

interface Training {
  readonly lasts: readonly number[];
  readonly windowSteps: number;
  /** Rows of the first group; the others get `groupRows` at most. */
  readonly wanted: number;
}

interface Collected {
  readonly features: Float64Array;
  readonly targets: Float64Array;
  readonly levels: Float64Array;
  readonly ages: Float64Array;
  count: number;
}

/** Leads the lookback through the history, and fits each group on what it saw on the way and what then came. */
function train(history: TimeSeries, lookback: Lookback, { lasts, windowSteps, wanted }: Training): Group[] {
  const { values, stepSeconds } = history;
  const length = values.length;
  const span = Math.min(
    length - Math.ceil(daySeconds / stepSeconds),
    Math.max(fewestTrainedSteps, Math.ceil(trainedSeconds / stepSeconds)),
  );
  const start = length - span;
  const plans = lasts.map((last, index) => {
    const first = index === 0 ? Math.min(1, last) : (lasts[index - 1] ?? 0) + 1;
    const most = index === 0 ? wanted : Math.min(wanted, groupRows);
    const every = Math.max(1, Math.ceil(span / most));
    // A short history is used for several positions of a group at once.
    const each = Math.max(1, Math.min(last - first + 1, Math.floor(most / span)));
    return { first, last, every, each, rows: emptyRows(each * Math.ceil(span / every)) };
  });
  for (let index = 0; index < length; index += 1) {
    const due = index < start || !lookback.isReady() ? [] : plans.filter(({ every }) => (index - start) % every === 0);
    for (const plan of due) addRows(plan, lookback, { history, index, windowSteps });
    lookback.push(at(values, index));
  }
  return plans.flatMap(({ last, rows }) => (rows.count < fewestRows ? [] : [fitGroup(last, rows)]));
}

/** Which rows a group takes, and those that it has. */
interface Plan {
  readonly first: number;
  readonly last: number;
  /** Rows at one origin. */
  readonly each: number;
  readonly rows: Collected;
}

/** The rows of a group at the origin before step `index`. */
function addRows(
  { first, last, each, rows }: Plan,
  lookback: Lookback,
  { history, index, windowSteps }: { history: TimeSeries; index: number; windowSteps: number },
): void {
  const { values, stepSeconds } = history;
  for (let turn = 0; turn < each; turn += 1) {
    const position = first + (scatter(each * index + turn) % (last - first + 1));
    const outcome = observedMaximum(values, index - 1 + position, windowSteps);
    if (Number.isNaN(outcome)) continue;
    collect(rows, lookback, { position, outcome, ageSeconds: (values.length - index) * stepSeconds });
  }
}

/** A number without any rhythm, which could fall in with that of the day. */
function scatter(index: number): number {
  const hash = Math.imul(index ^ (index >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function emptyRows(most: number): Collected {
  return {
    features: new Float64Array(most * featureWidth),
    targets: new Float64Array(most),
    levels: new Float64Array(most),
    ages: new Float64Array(most),
    count: 0,
  };
}

function collect(
  rows: Collected,
  lookback: Lookback,
  { position, outcome, ageSeconds }: { position: number; outcome: number; ageSeconds: number },
): void {
  const level = lookback.level();
  const { count } = rows;
  lookback.write(position, rows.features, count * featureWidth);
  rows.targets[count] = clip(Math.log((outcome + lookback.offset()) / level), -widest, widest);
  rows.levels[count] = level;
  rows.ages[count] = ageSeconds;
  rows.count += 1;
}

function fitGroup(last: number, { features, targets: all, levels, ages, count }: Collected): Group {
  const targets = all.slice(0, count);
  let meanLevel = 0;
  for (let index = 0; index < count; index += 1) meanLevel += at(levels, index) / count;
  const weights = targets.map((_, index) => {
    const relative = clip(at(levels, index) / meanLevel, leastWeight, mostWeight);
    return relative * Math.exp(-at(ages, index) / memorySeconds);
  });
  const rows: Rows = { width: featureWidth, features, targets, weights };
  const location = fitHuber(rows, locationRidge, huberRounds);
  const errors = residualsOf(rows, location).map((error) => Math.log(Math.max(leastError, Math.abs(error))));
  const spread = fitRidge({ ...rows, targets: errors }, spreadRidge);
  return { last, location, spread, low: Math.min(...chunkEnds(targets, -1)), high: Math.max(...chunkEnds(targets, 1)) };
}

/** The extreme of the targets, as a list of one: spreading thousands of arguments would overflow the stack. */
function chunkEnds(targets: Float64Array, sign: number): number[] {
  let extreme = Number.NEGATIVE_INFINITY;
  for (const target of targets) extreme = Math.max(extreme, sign * target);
  return [sign * extreme];
}

/** A path of straight lines between the positions 1, 2, 4, 8, … and the last. */
function bent(horizon: number, centreAt: (position: number) => number): Float64Array {
  const path = new Float64Array(horizon);
  let from = 0;
  let start = centreAt(1);
  for (let next = 1; from < horizon; next *= 2) {
    const to = Math.min(horizon, next);
    const end = centreAt(to);
    for (let position = from + 1; position <= to; position += 1) {
      path[position - 1] = start + ((end - start) * (position - from)) / (to - from);
    }
    from = to;
    start = end;
  }
  return path;
}

function clip(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

interface Learnt {
  readonly target: readonly Group[];
  readonly path: readonly Group[];
  /** The last point, above `base`. */
  readonly last: number;
  /** What demand is measured from: 0, or its lowest point where that is less. */
  readonly base: number;
}

function createFitted(
  { target, path, base, last: lastSeen }: Learnt,
  lookback: Lookback,
  pathLookback: Lookback,
): FittedModel {
  const row = new Float64Array(featureWidth);
  let last = lastSeen;
  const forecast = (groups: readonly Group[], past: Lookback, position: number): { centre: number; spread: number } => {
    const level = past.level();
    const group = groups.find((candidate) => candidate.last >= position) ?? groups.at(-1);
    if (group === undefined || !(level > 0)) return { centre: last + base, spread: Number.NaN };
    past.write(position, row, 0);
    const ratio = clip(dot(group.location, row, 0), group.low, group.high);
    const scaled = level * Math.exp(ratio);
    return {
      centre: base + Math.max(0, scaled - past.offset()),
      spread: scaled * Math.exp(clip(dot(group.spread, row, 0), -9, 1)),
    };
  };
  return {
    kind: 'fitted',
    update: (value) => {
      const raised = Math.max(0, value - base);
      lookback.push(raised);
      if (pathLookback !== lookback) pathLookback.push(raised);
      if (!Number.isNaN(raised)) last = raised;
    },
    predict: (horizon) => {
      const centre = (position: number): number => forecast(path, pathLookback, position).centre;
      // Beside a target of its own the path is for the eye: it is bent at some positions only.
      if (pathLookback !== lookback) return bent(horizon, centre);
      return Float64Array.from({ length: horizon }, (_, index) => centre(index + 1));
    },
    target: (positions): TargetForecast => {
      const centres = new Float64Array(positions.length);
      const spreads = new Float64Array(positions.length);
      for (const [index, position] of positions.entries()) {
        const { centre, spread } = forecast(target, lookback, position);
        centres[index] = centre;
        spreads[index] = spread;
      }
      return { centres, spreads };
    },
    describe: () => ({ name: direct.name, parameters: { groups: target.length, features: featureWidth } }),
    snapshot: (): ModelState => ({
      target,
      path,
      last,
      base,
      lookback: lookback.state(),
      ...(pathLookback === lookback ? {} : { pathLookback: pathLookback.state() }),
    }),
  };
}
