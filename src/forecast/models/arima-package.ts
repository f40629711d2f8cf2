// SPDX-License-Identifier: Apache-2.0

import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { runArima } from '../arima-core.ts';
import type { ArimaState, Recursion } from '../arima-core.ts';
import { Arima } from '../arima-package/load.ts';
import { courseOf, judgeWalker } from '../lookahead.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { refuseShort } from '../refusals.ts';
import { restoreRemainder, takeApart } from '../remainder.ts';
import type { Remainder, RemainderState, TakenApart } from '../remainder.ts';
import { meanPresent } from '../robust.ts';

/** The package's time grows with the points: it sees so many of the last ones, and no more. */
const mostPoints = 500;
const fewestPoints = 12;
/** Older points have hardly any weight in its forecasts. */
const mostLags = 40;
/** Its own forecast and the one by the weights read from it must agree to this share of the remainder's deviation. */
const agreement = 0.05;
/** A forecast this many deviations away is an explosion. */
const mostDeviations = 20;

/** The package's searches along gradients end in nonsense more often, and then write to the standard output. */
const simplexSearch = 0;

/** Exact maximum likelihood first; the simpler ones for windows on which it explodes. */
const orders = [
  { p: 2, d: 0, q: 1, method: 0 },
  { p: 1, d: 0, q: 1, method: 2 },
  { p: 1, d: 0, q: 0, method: 0 },
] as const;

/**
 * The npm package `arima` (ctsa compiled to WebAssembly): ARIMA(2,0,1) by exact maximum likelihood, or a simpler
 * one, on the last points of what is left of demand when the typical day is taken out, as `arima` has it. The package
 * explodes silently on some windows, so what it gives is kept only when it is finite, within a robust range, and linear in the points as it
 * has to be; otherwise the model cannot be fitted. Its forecast's weights by lag are read off once, by asking it for
 * forecasts of unit pulses; from then on they do the work, and nothing of the package has to be kept, updated or
 * saved. It takes no part of the outside world: a computation from numbers to numbers. Needs a day.
 */
export const arimaPackage: Model = { name: 'arima-package', fit, restore };

interface State extends Readonly<Record<string, unknown>> {
  readonly weights: readonly number[];
  readonly mean: number;
  readonly order: string;
  readonly remainder: RemainderState;
  readonly recursion: ReturnType<ArimaState['snapshot']>;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const parts = takeApart(history, context);
  const course = courseOf(history, context.horizonSteps);
  let best: { shape: number; error: number; weights: Weights } | undefined;
  for (const shape of parts.shapes) {
    const weights = read(remaindersOf(parts, shape));
    if (weights === undefined) continue;
    const state = runArima(recursionOf(weights.weights));
    const walker = {
      update: (value: number): void => void state.update(value - weights.mean),
      forecast: (horizon: number): Float64Array => state.forecast(horizon).map((value) => value + weights.mean),
    };
    const error = judgeWalker(parts, shape, { walker, course });
    if (best === undefined || error < best.error) best = { shape, error, weights };
  }
  if (best === undefined) {
    return { kind: 'cannot-fit', reason: 'NotFinite', have: 'a fit that explodes', need: 'one that stays in range' };
  }
  const { weights, mean, order } = best.weights;
  const recursion = runArima(recursionOf(weights));
  for (const value of remaindersOf(parts, best.shape)) recursion.update(value - mean);
  return create({ weights, mean, order, remainder: parts.remainder(best.shape), recursion });
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const { weights, mean, order, remainder, recursion } = state as State;
  return create({
    weights,
    mean,
    order,
    remainder: restoreRemainder(remainder, context),
    recursion: runArima(recursionOf(weights), recursion),
  });
}

interface Weights {
  /** Of the last value, the one before, and so on, in the forecast of the next. */
  readonly weights: readonly number[];
  readonly mean: number;
  readonly order: string;
}

interface Parts extends Weights {
  readonly remainder: Remainder;
  readonly recursion: ArimaState;
}

function create({ weights, mean, order, remainder, recursion }: Parts): FittedModel {
  return {
    kind: 'fitted',
    update: (value) => void recursion.update(remainder.observe(value) - mean),
    predict: (horizon) => remainder.demandOf(recursion.forecast(horizon).map((value) => value + mean)),
    describe: () => ({
      name: arimaPackage.name,
      parameters: {
        order,
        typicalDay: remainder.shape,
        mean,
        weightOfLast: weights[0] ?? 0,
        lags: weights.length,
      },
    }),
    snapshot: () => ({
      weights: [...weights],
      mean,
      order,
      remainder: remainder.snapshot(),
      recursion: recursion.snapshot(),
    }),
  };
}

/** As the package never sees the mean of the typical day or of the season, nor a gap. */
function read(remainders: Float64Array): Weights | undefined {
  const present = remainders.filter((value) => !Number.isNaN(value)).slice(-mostPoints);
  if (present.length < fewestPoints) return undefined;
  const mean = meanPresent(present);
  const deviation = Math.sqrt(meanPresent(present.map((value) => (value - mean) ** 2)));
  if (!(deviation > 1e-9)) return { weights: [0], mean, order: 'constant' };
  const values = present.map((value) => (value - mean) / deviation);
  for (const order of orders) {
    const weights = attempt(values, order);
    if (weights !== undefined) return { weights, mean, order: `(${order.p},${order.d},${order.q})` };
  }
  return undefined;
}

function attempt(values: Float64Array, order: (typeof orders)[number]): number[] | undefined {
  try {
    return weightsOf(values, order);
  } catch {
    // An abort inside of the package's machine code: nothing of this fit can be used.
    return undefined;
  }
}

/** The package hands the points anew to each forecast: with pulses in their place it gives the weights. */
interface Instance {
  ts: Uint8Array;
  predict(length: number): [number[], number[]];
}

function weightsOf(values: Float64Array, order: (typeof orders)[number]): number[] | undefined {
  const fitted = new Arima({ ...order, optimizer: simplexSearch, verbose: false });
  try {
    fitted.train([...values]);
    const instance = fitted as unknown as Instance;
    const forecastOf = (points: Float64Array): number => {
      instance.ts = new Uint8Array(points.slice().buffer);
      return instance.predict(1)[0][0] ?? Number.NaN;
    };
    const pulse = new Float64Array(values.length);
    const base = forecastOf(pulse);
    const weights: number[] = [];
    let explained = base;
    for (let lag = 1; lag <= Math.min(mostLags, values.length); lag += 1) {
      pulse[values.length - lag] = 1;
      const weight = forecastOf(pulse) - base;
      pulse[values.length - lag] = 0;
      weights.push(weight);
      explained += weight * at(values, values.length - lag);
    }
    return isSound(forecastOf(values), explained, weights) ? weights : undefined;
  } finally {
    fitted.destroy();
  }
}

function isSound(forecast: number, explained: number, weights: readonly number[]): boolean {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const size = weights.reduce((total, weight) => total + Math.abs(weight), 0);
  return (
    Number.isFinite(forecast) &&
    Math.abs(forecast) < mostDeviations &&
    Math.abs(forecast - explained) < agreement &&
    sum < 1 &&
    size < mostDeviations &&
    staysInRange(weights)
  );
}

/** Led on from a unit pulse, forecasts must not grow. */
function staysInRange(weights: readonly number[]): boolean {
  const state = runArima(recursionOf(weights));
  for (let index = 0; index < weights.length; index += 1) state.update(0);
  state.update(1);
  return state.forecast(2000).every((value) => Math.abs(value) <= mostDeviations);
}

function recursionOf(weights: readonly number[]): Recursion {
  return { ar: { lags: weights.map((_, index) => index + 1), weights }, ma: { lags: [], weights: [] } };
}

function remaindersOf({ demand, expected }: TakenApart, shape: number): Float64Array {
  return shape === 0 ? demand : demand.map((value, index) => value - shape * at(expected, index));
}
