// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../base/duration.ts';
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { observedMaximum } from '../contest.ts';
import { createLookback, featureWidth, restoreLookback } from '../lookback.ts';
import type { Lookback, LookbackState } from '../lookback.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState, TargetForecast } from '../model.ts';
import { countPresent, lastPresent } from '../robust.ts';
import { dot, fitHuber, fitRidge, residualsOf } from '../ridge.ts';
import type { Rows } from '../ridge.ts';

const daySeconds = 86_400;

/** Regressions are fitted on the last weeks; the rows before the newest count less by e for each fortnight. */
const trainedSeconds = 21 * daySeconds;
const fewestTrainedSteps = 2016;
const memorySeconds = 14 * daySeconds;

/** So many rows for the positions that matter most, and for each group of the others. */
const mostRows = 6000;
const groupRows = 2500;
const pathRows = 1200;
const fewestRows = 60;
const needSeconds = 2 * daySeconds;

const locationRidge = 0.01;
const spreadRidge = 0.03;
const huberRounds = 3;

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
 * group of leads, and none is iterated: a direct forecast. Needs two days of demand that is never negative.
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
  readonly lookback: LookbackState;
  readonly pathLookback?: LookbackState;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuse(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds } = history;
  const windowSteps = context.windowSteps ?? 0;
  const setup = { startSeconds, stepSeconds, timeZone: context.timeZone, windowSteps };
  const lookback = createLookback(setup);
  const lasts = windowSteps > 0 ? targetGroups(context.horizonSteps) : pathGroups(context.horizonSteps);
  const target = train(history, lookback, { lasts, windowSteps, wanted: windowSteps > 0 ? mostRows : groupRows });
  if (target.length === 0) return { ...tooLittle, have: `fewer than ${fewestRows} points to learn from` };
  const last = lastPresent(history.values);
  if (windowSteps === 0) return createFitted({ target, path: target, last }, lookback, lookback);
  const other = createLookback({ ...setup, windowSteps: 0 });
  const path = train(history, other, { lasts: pathGroups(context.horizonSteps), windowSteps: 0, wanted: pathRows });
  return createFitted({ target, path, last }, lookback, other);
}

function restore(state: ModelState): FittedModel {
  const { target, path, last, lookback, pathLookback } = state as unknown as DirectState;
  const own = restoreLookback(structuredClone(lookback));
  const other = pathLookback === undefined ? own : restoreLookback(structuredClone(pathLookback));
  return createFitted({ target, path, last }, own, other);
}

const tooLittle = { kind: 'cannot-fit', reason: 'TooLittleHistory', need: '48h' } as const;

function refuse({ values, stepSeconds }: TimeSeries): CannotFit | undefined {
  const spanSeconds = values.length * stepSeconds;
  if (spanSeconds < needSeconds) return { ...tooLittle, have: formatDuration(spanSeconds) };
  if (values.some((value) => value < 0)) {
    return { kind: 'cannot-fit', reason: 'NotFinite', have: 'negative demand', need: 'demand from 0 on' };
  }
  const needed = Math.ceil(values.length / 4);
  const present = countPresent(values);
  if (present >= needed && values.some((value) => value > 0)) return undefined;
  return { kind: 'cannot-fit', reason: 'TooManyGaps', have: `${present} points`, need: `${needed} points above 0` };
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
    const first = index === 0 ? (last === 0 ? 0 : 1) : (lasts[index - 1] ?? 0) + 1;
    const rows = index === 0 ? wanted : Math.min(wanted, groupRows);
    return { first, last, every: Math.max(1, Math.ceil(span / rows)), rows: emptyRows(Math.ceil(span / rows) > 1 ? rows + 1 : span) };
  });
  for (let index = 0; index < length; index += 1) {
    if (index >= start && lookback.isReady()) {
      for (const { first, last, every, rows } of plans) {
        if ((index - start) % every !== 0) continue;
        const width = last - first + 1;
        // Positions of a group take turns, in an order without a rhythm.
        const position = first + ((Math.floor((index - start) / every) * 7919) % width);
        const outcome = observedMaximum(values, index - 1 + position, windowSteps);
        if (Number.isNaN(outcome)) continue;
        collect(rows, lookback, { position, outcome, ageSeconds: (length - index) * stepSeconds });
      }
    }
    lookback.push(at(values, index));
  }
  return plans.flatMap(({ last, rows }) => {
    return rows.count < fewestRows ? [] : [fitGroup(last, rows)];
  });
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

function clip(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

interface Learnt {
  readonly target: readonly Group[];
  readonly path: readonly Group[];
  readonly last: number;
}

function createFitted({ target, path, last: lastSeen }: Learnt, lookback: Lookback, pathLookback: Lookback): FittedModel {
  const row = new Float64Array(featureWidth);
  let last = lastSeen;
  const forecast = (groups: readonly Group[], past: Lookback, position: number): { centre: number; spread: number } => {
    const level = past.level();
    const group = groups.find((candidate) => candidate.last >= position) ?? groups.at(-1);
    if (group === undefined || !(level > 0)) return { centre: last, spread: Number.NaN };
    past.write(position, row, 0);
    const ratio = clip(dot(group.location, row, 0), group.low, group.high);
    const scaled = level * Math.exp(ratio);
    return {
      centre: Math.max(0, scaled - past.offset()),
      spread: scaled * Math.exp(clip(dot(group.spread, row, 0), -9, 1)),
    };
  };
  return {
    kind: 'fitted',
    update: (value) => {
      lookback.push(value);
      if (pathLookback !== lookback) pathLookback.push(value);
      if (!Number.isNaN(value)) last = value;
    },
    predict: (horizon) => {
      return Float64Array.from({ length: horizon }, (_, index) => forecast(path, pathLookback, index + 1).centre);
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
      lookback: lookback.state(),
      ...(pathLookback === lookback ? {} : { pathLookback: pathLookback.state() }),
    }),
  };
}
