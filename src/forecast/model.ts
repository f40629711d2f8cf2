// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../series/time-series.ts';

/** What a model may know besides the history. */
export interface FitContext {
  /** IANA zone in which days and weeks are counted. */
  readonly timeZone: string;
  /** Parameters are chosen for forecasts this many steps ahead and nearer. */
  readonly horizonSteps: number;
  /** The target is the maximum of demand over so many more steps; default 0, demand itself. */
  readonly windowSteps?: number;
  /** Local days, as `localCalendar` counts them, that are holidays. */
  readonly holidays?: ReadonlySet<number>;
  /** What is known ahead and may move demand. */
  readonly regressors?: readonly Regressor[];
}

/** A quantity that is known for the past and for the time that is forecast, such as a price or an announced campaign. */
export interface Regressor {
  readonly name: string;
  /** On the history's grid; reaches beyond the history's end as far as it is known. NaN and outside count as 0. */
  readonly series: TimeSeries;
}

/** All that a fitted model has learnt, as data that `structuredClone` copies: numbers, strings, arrays, typed arrays. */
export type ModelState = Readonly<Record<string, unknown>>;

/** A refusal to fit, with what the model has and what it needs, in words a person can act on. */
export interface CannotFit {
  readonly kind: 'cannot-fit';
  readonly reason: 'TooLittleHistory' | 'TooManyGaps' | 'NotFinite';
  readonly have: string;
  readonly need: string;
}

/** What a human may want to see of a fitted model. */
export interface ModelDescription {
  readonly name: string;
  readonly parameters: Readonly<Record<string, number | string>>;
}

/** An unfitted model cannot predict: fitting gives another type. */
export interface Model {
  readonly name: string;
  /** History is demand per step, NaN for gaps; the returned model stands just after its last point. */
  fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit;
  /**
   * The model that gave the state, where it then stood: it predicts and goes on to the bit as that one does. The state
   * is copied, and must come from the same version of the model.
   */
  restore(state: ModelState, context: FitContext): FittedModel;
}

/** Direct forecasts of a target, by position. */
export interface TargetForecast {
  /** Finite; not negative when the history never was. */
  readonly centres: Float64Array;
  /** How wide errors are there, in units of demand; what it is worth is found out on forecasts of the past. */
  readonly spreads: Float64Array;
}

/** A model that stands at a point in time and predicts from there. */
export interface FittedModel {
  readonly kind: 'fitted';
  /** Takes the next point on the grid (NaN for a gap) and moves one step on. */
  update(value: number): void;
  /** Point forecasts for the next `horizon` steps: finite, and not negative when the history never was. */
  predict(horizon: number): Float64Array;
  /**
   * For a model that forecasts the target itself and not a path: the maximum of demand over `windowSteps` (see
   * {@link FitContext}) from each of the positions on, where 0 is the last point and 1 the next one.
   */
  target?(positions: readonly number[]): TargetForecast;
  describe(): ModelDescription;
  /** What `restore` needs to go on from here: a copy, which later updates do not touch. */
  snapshot(): ModelState;
}
