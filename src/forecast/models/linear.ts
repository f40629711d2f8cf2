// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { demandOf } from '../demand-path.ts';
import { fitPath } from '../path-regression.ts';
import { copyCoefficients, predictPath } from '../path.ts';
import type { PathCoefficients } from '../path.ts';
import type { DayProfileState } from '../profile.ts';
import { refuseShort } from '../refusals.ts';
import { restoreSituation } from '../situation.ts';
import type { Situation, SituationState } from '../situation.ts';

/**
 * Ridge regression (Hoerl & Kennard 1970) of demand on levels, lags and the calendar, one for each of a few leads; and
 * regressors, whose effects are not negative unless the history proves it (non-negative least squares, Lawson & Hanson
 * 1974). Needs a day.
 */
export const linear: Model = { name: 'linear', fit, restore };

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { situation, coefficients } = fitPath(history, context);
  return createFitted(situation, coefficients);
}

interface State {
  readonly situation: SituationState;
  readonly profile: DayProfileState;
  readonly coefficients: PathCoefficients;
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const { situation, profile, coefficients } = state as unknown as State;
  return createFitted(restoreSituation(situation, context, profile), copyCoefficients(coefficients));
}

function createFitted(situation: Situation, coefficients: PathCoefficients): FittedModel {
  return {
    kind: 'fitted',
    update: (value) => situation.step(value),
    predict: (horizon) => demandOf(situation, predictPath(situation, coefficients, horizon)),
    describe: () => ({
      name: linear.name,
      parameters: { ...situation.describe(), leads: coefficients.leads.join(' ') },
    }),
    snapshot: (): ModelState =>
      ({
        situation: situation.snapshot(),
        profile: situation.profile.snapshot(),
        coefficients: copyCoefficients(coefficients),
      }) satisfies State,
  };
}
