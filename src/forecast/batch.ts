// SPDX-License-Identifier: Apache-2.0
import { resample, samplingStep } from '../series/resample.ts';
import { at } from '../series/time-series.ts';
import type { Sample, TimeSeries } from '../series/time-series.ts';
import { fitForecaster } from './forecaster.ts';
import type { Forecaster } from './forecaster.ts';
import type { Candidate } from './learn.ts';
import type { CannotFit, Model } from './model.ts';
import { createOnlineLevels } from './online.ts';
import type { OnlineLevels } from './online.ts';

const daySeconds = 86_400;

/** Models are fitted anew at the first origin that is so long after the last fit. */
const refitSeconds = daySeconds;

/** A longer way to the next origin is not walked point by point: models are fitted anew there. */
const longestWalkSeconds = 8 * daySeconds;

/** Quantiles are checked this often on the way from origin to origin, and corrected by this much. */
const checkSeconds = 900;
const gain = 0.005;

/** Models look back on four weeks, and on so many points of a coarse series. */
const leastHistorySeconds = 28 * daySeconds;
const leastHistorySteps = 2500;

/** A sample stands for the time to the next one, but for no longer than this. */
const longestHoldSeconds = 3600;

/** Forecasts of one series from many origins. */
export interface BatchOptions {
  readonly stepSeconds: number;
  readonly horizonSeconds: number;
  /** Quantiles, ascending. */
  readonly levels: readonly number[];
  readonly timeZone: string;
  readonly models: readonly Model[];
  /** Default: what the models can use. */
  readonly historySeconds?: number;
}

/** A forecast made at `origin` from samples before it. */
export interface BatchForecast {
  readonly origin: number;
  readonly model: string;
  readonly candidates: readonly Candidate[];
  /** Quantiles of demand by level, for origin, origin + step, … before origin + horizon. */
  readonly quantiles: readonly Float64Array[];
}

/** An origin without a forecast. */
export interface BatchRefusal {
  readonly origin: number;
  readonly refusal: CannotFit;
}

/**
 * Forecasts demand at each origin, in the order of time within each phase of the grid. Only samples before an origin
 * are used for it, to the second. Between origins models are updated point by point; they are fitted anew daily.
 */
export function* forecastOrigins(
  samples: readonly Sample[],
  origins: readonly number[],
  options: BatchOptions,
): Generator<BatchForecast | BatchRefusal> {
  for (const group of groupByPhase(origins, options.stepSeconds)) {
    const state = createWalk(samples, group, options);
    for (const origin of group) yield forecastAt(state, origin, options);
  }
}

/** Everything that goes from origin to origin. */
interface Walk {
  /** All points; a point at or after an origin is not looked at for it. */
  readonly series: TimeSeries;
  readonly online: OnlineLevels;
  forecaster?: Forecaster;
  /** Index of the first point that the models have not seen. */
  head: number;
  fittedAt: number;
  inUse?: string;
}

/** Origins that lie on one grid of steps share their points, and the work. */
function groupByPhase(origins: readonly number[], stepSeconds: number): number[][] {
  const groups = new Map<number, number[]>();
  for (const origin of [...new Set(origins)].sort((a, b) => a - b)) {
    const phase = ((origin % stepSeconds) + stepSeconds) % stepSeconds;
    const group = groups.get(phase) ?? [];
    group.push(origin);
    groups.set(phase, group);
  }
  return [...groups.values()];
}

function createWalk(samples: readonly Sample[], group: readonly number[], options: BatchOptions): Walk {
  const { stepSeconds } = options;
  const [first = 0] = group;
  const last = group.at(-1) ?? first;
  const oldest = samples[0]?.timestamp ?? first;
  // How far samples are apart is measured on what the first origin may know.
  const spacing = samplingStep(samples.filter(({ timestamp }) => timestamp < first)) ?? stepSeconds;
  const steps = Math.max(0, Math.ceil((first - oldest) / stepSeconds));
  return {
    series: resample(samples, {
      startSeconds: first - steps * stepSeconds,
      endSeconds: last,
      stepSeconds,
      holdSeconds: Math.min(spacing, longestHoldSeconds),
    }),
    online: createOnline(options.levels, horizonStepsOf(options)),
    head: 0,
    fittedAt: Number.NEGATIVE_INFINITY,
  };
}

function createOnline(levels: readonly number[], horizonSteps: number): OnlineLevels {
  const checkpoints = [0];
  for (let row = 1; row < horizonSteps; row = row * 2 + 1) checkpoints.push(row);
  return createOnlineLevels({ levels, checkpoints, windowSteps: 0, gain });
}

function forecastAt(walk: Walk, origin: number, options: BatchOptions): BatchForecast | BatchRefusal {
  const refusal = moveTo(walk, origin, options);
  const { forecaster } = walk;
  if (refusal !== undefined || forecaster === undefined) {
    return {
      origin,
      refusal: refusal ?? { kind: 'cannot-fit', reason: 'TooLittleHistory', have: '0 points', need: '1' },
    };
  }
  const { model, candidates } = forecaster;
  return { origin, model, candidates, quantiles: quantilesOf(walk, forecaster, options) };
}

/** Brings the models to the origin: by updates, or by a fit where one is due. */
function moveTo(walk: Walk, origin: number, options: BatchOptions): CannotFit | undefined {
  const { series } = walk;
  const target = Math.round((origin - series.startSeconds) / series.stepSeconds);
  const { forecaster } = walk;
  if (forecaster !== undefined && origin - walk.fittedAt <= longestWalkSeconds) {
    for (; walk.head < target; walk.head += 1) step(walk, forecaster, options);
  }
  if (forecaster !== undefined && origin - walk.fittedAt < refitSeconds) return undefined;
  const historySteps = Math.ceil(historyOf(options) / series.stepSeconds);
  const from = Math.max(0, target - historySteps);
  const known: TimeSeries = {
    startSeconds: series.startSeconds + from * series.stepSeconds,
    stepSeconds: series.stepSeconds,
    values: series.values.slice(from, target),
  };
  const fitted = fitForecaster(known, {
    timeZone: options.timeZone,
    models: options.models,
    target: { windowSteps: 0, lastPosition: horizonStepsOf(options) },
    ...(walk.inUse === undefined ? {} : { inUse: walk.inUse }),
  });
  if (fitted.kind === 'cannot-fit') {
    delete walk.forecaster;
    return fitted;
  }
  walk.forecaster = fitted;
  walk.inUse = fitted.model;
  walk.head = target;
  walk.fittedAt = origin;
  return undefined;
}

/** One point further; now and then, what would have been forecast is noted and checked. */
function step(walk: Walk, forecaster: Forecaster, options: BatchOptions): void {
  const { series, online, head } = walk;
  const every = Math.max(1, Math.round(checkSeconds / series.stepSeconds));
  if (head % every === 0) {
    online.learn(head, (index) => at(series.values, index));
    online.note(head, quantilesOf(walk, forecaster, options));
  }
  forecaster.update(at(series.values, head));
}

/** By level and row; a higher quantile is never below a lower one. */
function quantilesOf({ online }: Walk, forecaster: Forecaster, { levels }: BatchOptions): Float64Array[] {
  const outlook = forecaster.outlook();
  const quantiles = levels.map((_, index) => outlook.quantiles(1, (position) => online.levelAt(index, position - 1)));
  for (const [index, upper] of quantiles.entries()) {
    const lower = quantiles[index - 1];
    if (lower === undefined) continue;
    for (const [row, value] of lower.entries()) upper[row] = Math.max(value, at(upper, row));
  }
  return quantiles;
}

function horizonStepsOf({ horizonSeconds, stepSeconds }: BatchOptions): number {
  return Math.max(1, Math.ceil(horizonSeconds / stepSeconds));
}

function historyOf({ historySeconds, stepSeconds }: BatchOptions): number {
  return historySeconds ?? Math.max(leastHistorySeconds, leastHistorySteps * stepSeconds);
}
