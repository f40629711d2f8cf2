// SPDX-License-Identifier: Apache-2.0
import type { ModelName } from '../api/v1alpha1/demand-forecast.ts';
import type { TimeSeries } from '../series/time-series.ts';
import type { Target } from './contest.ts';
import { fitForecaster } from './forecaster.ts';
import type { ForecasterState } from './forecaster.ts';
import type { Learnt } from './learn.ts';
import type { CannotFit } from './model.ts';
import { models } from './registry.ts';
import { relevel } from './shift.ts';
import type { LevelShift } from './shift.ts';

/** What a fit is made from: plain data, so that it can be made in another thread. */
export interface FitInput {
  readonly history: TimeSeries;
  readonly timeZone: string;
  readonly models: readonly ModelName[];
  readonly target: Target;
  /** The model in use. */
  readonly inUse?: string;
  /** What the last contest has taught: the models in use are fitted again, and none is held. */
  readonly learnt?: Learnt;
  /** The past before it is brought to the level after it. */
  readonly shift?: LevelShift;
}

/** Fits one target's forecaster; the same for the same input, in whichever thread. Takes up to a second of CPU. */
export function fitTarget({ history, models: names, shift, ...setup }: FitInput): ForecasterState | CannotFit {
  const fitted = fitForecaster(shift === undefined ? history : relevel(history, shift), {
    ...setup,
    models: names.map((name) => models[name]),
  });
  return fitted.kind === 'cannot-fit' ? fitted : fitted.snapshot();
}
