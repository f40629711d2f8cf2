// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { direct } from './direct.ts';
import { levelCorrected } from './level-corrected.ts';
import { seasonalNaive } from './seasonal-naive.ts';
import { seasonalProfile } from './seasonal-profile.ts';

/** What is combined when nothing else is named. */
export const ensembleMembers: readonly Model[] = [seasonalNaive, seasonalProfile, levelCorrected, direct];

/**
 * The combination of the best few models. In a contest the quantiles of the members weigh by their losses in it (see
 * `combineScores`); on its own, where there are no losses yet, this is the median of the members' forecasts. Combining
 * is what won most forecasting competitions (Makridakis et al., "The M4 Competition", 2020).
 */
export const ensemble: Model = { name: 'ensemble', fit, restore };

interface Member {
  readonly model: Model;
  readonly fitted: FittedModel;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const members: Member[] = [];
  let refusal: CannotFit = { kind: 'cannot-fit', reason: 'TooLittleHistory', have: 'no member', need: '1 member' };
  for (const model of ensembleMembers) {
    const fitted = model.fit(history, context);
    if (fitted.kind === 'cannot-fit') refusal = fitted;
    else members.push({ model, fitted });
  }
  return members.length === 0 ? refusal : createFitted(members);
}

function restore(state: ModelState, context: FitContext): FittedModel {
  return createFitted(
    ensembleMembers.flatMap((model) => {
      const own = state[model.name] as ModelState | undefined;
      return own === undefined ? [] : [{ model, fitted: model.restore(own, context) }];
    }),
  );
}

function createFitted(members: readonly Member[]): FittedModel {
  return {
    kind: 'fitted',
    update: (value) => {
      for (const { fitted } of members) fitted.update(value);
    },
    predict: (horizon) => {
      const paths = members.map(({ fitted }) => fitted.predict(horizon));
      return Float64Array.from({ length: horizon }, (_, index) => middle(paths.map((path) => at(path, index))));
    },
    describe: () => ({ name: ensemble.name, parameters: { members: members.length } }),
    snapshot: () => Object.fromEntries(members.map(({ model, fitted }) => [model.name, fitted.snapshot()])),
  };
}

function middle(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[half] ?? 0) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
