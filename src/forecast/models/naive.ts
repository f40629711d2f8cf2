// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../../series/time-series.ts';
import type { CannotFit, FittedModel, Model, ModelState } from '../model.ts';
import { lastPresent } from '../robust.ts';

/** The last observation, for ever: the forecast of a random walk (Hyndman & Athanasopoulos, FPP3 §5.2). */
export const naive: Model = { name: 'naive', fit, restore: (state) => createFitted(state as unknown as State) };

function fit(history: TimeSeries): FittedModel | CannotFit {
  const last = lastPresent(history.values);
  if (Number.isNaN(last)) return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: '0 points', need: '1 point' };
  return createFitted({ last });
}

interface State {
  readonly last: number;
}

function createFitted(state: State): FittedModel {
  let { last } = state;
  return {
    kind: 'fitted',
    update: (value) => {
      if (!Number.isNaN(value)) last = value;
    },
    predict: (horizon) => new Float64Array(horizon).fill(last),
    describe: () => ({ name: naive.name, parameters: { last } }),
    snapshot: (): ModelState => ({ last }) satisfies State,
  };
}
