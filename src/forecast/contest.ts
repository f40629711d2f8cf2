// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model, TargetForecast } from './model.ts';

const daySeconds = 86_400;

/** Models are judged on this much of the recent past, on at most so many origins and predicted points. */
const judgedSeconds = 7 * daySeconds;
const longestJudgedSeconds = 28 * daySeconds;
const wantedOrigins = 1000;
const mostPoints = 400_000;

/** Parameters are chosen for forecasts up to this far ahead. */
const longestHorizonSeconds = 7 * daySeconds;

/** Forecasts of the past count half as much when they are this much older. */
const halfLifeSeconds = 4 * daySeconds;

/** A window's maximum is known when at least this share of its points is there. */
const leastPresent = 0.8;

/**
 * What is forecast. A position is a step of the path that starts with the last observed step (position 0) and goes on
 * with the future; the target at a position is the maximum of demand from there over `windowSteps` more steps, which
 * for 0 is demand itself.
 */
export interface Target {
  readonly windowSteps: number;
  /** Forecasts are wanted for the positions 0 to `lastPosition`. */
  readonly lastPosition: number;
}

/** Forecasts and outcomes of every model at rolling origins of the past. */
export interface Contest {
  readonly origins: readonly Origin[];
  /** Positions at which forecasts were noted, ascending. */
  readonly positions: readonly number[];
  /** Outcomes by origin and position; NaN where not known. */
  readonly actual: Float64Array;
  readonly tracks: readonly Track[];
  readonly refusals: readonly { readonly name: string; readonly refusal: CannotFit }[];
}

/** A moment of the past from which every model forecast, knowing only what was before it. */
export interface Origin {
  /** Local day and time of day of the first step after the origin. */
  readonly day: number;
  readonly secondOfDay: number;
  /** What it counts: the recent past counts most. */
  readonly weight: number;
}

/** One model's part of a contest. */
export interface Track {
  readonly model: Model;
  /** Forecasts by origin and position: of the target, where the model makes them, else from its path. */
  readonly forecasts: Float64Array;
  /** How wide the model says that errors are, by origin and position, where it does. */
  readonly spreads?: Float64Array;
  /** Fitted before the first origin and updated to the end of the history. */
  readonly fitted: FittedModel;
}

/**
 * Lets every model forecast from rolling origins over the last week (or half of a shorter history): each is fitted
 * before the first origin and then updated point by point.
 */
export function runContest(
  history: TimeSeries,
  models: readonly Model[],
  setup: { readonly target: Target; readonly timeZone: string },
): Contest {
  const { target, timeZone } = setup;
  const start = firstOrigin(history, target);
  const every = originSpacing(history, start, target);
  const positions = notedPositions(target);
  const indices: number[] = [];
  for (let index = start; index < history.values.length; index += every) indices.push(index);
  const known = { ...history, values: history.values.slice(0, start) };
  const context = contextOf(history, { target, timeZone });
  const tracks: Track[] = [];
  const refusals: { name: string; refusal: CannotFit }[] = [];
  for (const model of models) {
    const fitted = model.fit(known, context);
    if (fitted.kind === 'cannot-fit') refusals.push({ name: model.name, refusal: fitted });
    else tracks.push({ model, fitted, ...follow(fitted, history, { start, every, positions, target }) });
  }
  return {
    origins: describeOrigins(history, indices, timeZone),
    positions,
    actual: outcomes(history, indices, { positions, target }),
    tracks,
    refusals,
  };
}

/** The target at `position` on a path; steps that are not known do not count. NaN when none is. */
export function windowMaximum(path: Float64Array, position: number, windowSteps: number): number {
  let maximum = Number.NaN;
  for (let index = position; index <= position + windowSteps; index += 1) {
    const value = at(path, index);
    if (!(value <= maximum) && !Number.isNaN(value)) maximum = value;
  }
  return maximum;
}

/** The path that a forecast is read from: the last observation, then predictions. */
export function pathOf(last: number, fitted: FittedModel, { windowSteps, lastPosition }: Target): Float64Array {
  const path = new Float64Array(lastPosition + windowSteps + 1);
  path[0] = last;
  if (path.length > 1) path.set(fitted.predict(path.length - 1), 1);
  return path;
}

/** The maximum over a window of observations; NaN when too many are missing. */
export function observedMaximum(values: Float64Array, index: number, windowSteps: number): number {
  let present = 0;
  for (let step = index; step <= index + windowSteps; step += 1) if (!Number.isNaN(at(values, step))) present += 1;
  return present >= leastPresent * (windowSteps + 1) ? windowMaximum(values, index, windowSteps) : Number.NaN;
}

/** What models may know to forecast a target. */
export function contextOf(
  { stepSeconds }: TimeSeries,
  { target, timeZone }: { readonly target: Target; readonly timeZone: string },
): FitContext {
  const { windowSteps, lastPosition } = target;
  const longest = Math.ceil(longestHorizonSeconds / stepSeconds);
  return { timeZone, windowSteps, horizonSteps: Math.max(1, windowSteps, Math.min(lastPosition, longest)) };
}

/** Where judging begins: at half of the history, after a whole day where there is one, at most so long ago. */
function firstOrigin({ values, stepSeconds }: TimeSeries, { lastPosition }: Target): number {
  const length = values.length;
  const horizonSeconds = lastPosition * stepSeconds;
  const judged = Math.min(longestJudgedSeconds, Math.max(judgedSeconds, 14 * horizonSeconds));
  const half = Math.ceil(Math.max(length / 2, length - judged / stepSeconds));
  const day = Math.ceil(daySeconds / stepSeconds);
  return length > day + 1 ? Math.max(half, day) : half;
}

function originSpacing({ values }: TimeSeries, start: number, target: Target): number {
  const perOrigin = target.lastPosition + target.windowSteps + 1;
  const most = Math.max(100, Math.min(wantedOrigins, mostPoints / perOrigin));
  return Math.max(1, Math.ceil((values.length - start) / most));
}

/** 0, 1, 2, 4, 8 … and the last position. */
function notedPositions({ lastPosition }: Target): number[] {
  const positions = [0];
  for (let position = 1; position < lastPosition; position *= 2) positions.push(position);
  if (lastPosition > 0) positions.push(lastPosition);
  return positions;
}

interface Course {
  readonly start: number;
  readonly every: number;
  readonly positions: readonly number[];
  readonly target: Target;
}

/** Forecasts of one model, by origin and position, while it is led through the past. */
function follow(
  fitted: FittedModel,
  { values }: TimeSeries,
  { start, every, positions, target }: Course,
): Pick<Track, 'forecasts' | 'spreads'> {
  const width = positions.length;
  const forecasts = new Float64Array(Math.ceil((values.length - start) / every) * width);
  const spreads = fitted.target === undefined ? undefined : new Float64Array(forecasts.length);
  let written = 0;
  for (let index = start; index < values.length; index += 1) {
    if ((index - start) % every === 0) {
      const { centres, spreads: own } = targetsOf(fitted, { last: at(values, index - 1), target, positions });
      forecasts.set(centres, written);
      if (own !== undefined) spreads?.set(own, written);
      written += width;
    }
    fitted.update(at(values, index));
  }
  return spreads === undefined ? { forecasts } : { forecasts, spreads };
}

/** What a model forecasts of the target at positions: directly where it can, else the maximum over its path. */
export function targetsOf(
  fitted: FittedModel,
  {
    last,
    target,
    positions,
  }: { readonly last: number; readonly target: Target; readonly positions: readonly number[] },
): { readonly centres: Float64Array; readonly spreads?: Float64Array } {
  if (fitted.target !== undefined) return withObserved(fitted.target(positions), { last, target, positions });
  const path = pathOf(last, fitted, target);
  return {
    centres: Float64Array.from(positions, (position) => windowMaximum(path, position, target.windowSteps)),
  };
}

/** The maximum from the last observation on is not below that observation. */
function withObserved(
  forecast: TargetForecast,
  { last, target, positions }: { last: number; target: Target; positions: readonly number[] },
): TargetForecast {
  const { centres } = forecast;
  for (const [index, position] of positions.entries()) {
    if (position !== 0 || Number.isNaN(last)) continue;
    centres[index] = target.windowSteps === 0 ? last : Math.max(last, at(centres, index));
  }
  return forecast;
}

function outcomes(
  { values }: TimeSeries,
  indices: readonly number[],
  { positions, target }: { positions: readonly number[]; target: Target },
): Float64Array {
  const actual = new Float64Array(indices.length * positions.length);
  let written = 0;
  for (const index of indices) {
    for (const position of positions) {
      actual[written] = observedMaximum(values, index - 1 + position, target.windowSteps);
      written += 1;
    }
  }
  return actual;
}

function describeOrigins(history: TimeSeries, indices: readonly number[], timeZone: string): Origin[] {
  const calendar = localCalendar(timeZone);
  const { startSeconds, stepSeconds, values } = history;
  return indices.map((index) => ({
    ...calendar.local(startSeconds + index * stepSeconds),
    weight: 0.5 ** (((values.length - index) * stepSeconds) / halfLifeSeconds),
  }));
}
