// SPDX-License-Identifier: Apache-2.0
import { at, endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { fitArima, runArima } from '../arima-core.ts';
import type { ArimaEffort, ArimaFit, ArimaOrder, ArimaState } from '../arima-core.ts';
import { courseOf, judgeWalker } from '../lookahead.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState, Regressor } from '../model.ts';
import { refuseShort } from '../refusals.ts';
import { valuesOf } from '../regressors.ts';
import { restoreRemainder, takeApart } from '../remainder.ts';
import type { Remainder, RemainderState, TakenApart } from '../remainder.ts';
import { meanPresent } from '../robust.ts';

/** Coefficients are fitted on so many of the last points: more hardly change them. */
const mostPoints = 5000;
const effort: ArimaEffort = { mostEvaluations: 60, tolerance: 1e-6 };

const simplest: ArimaOrder = { p: 1, d: 0, q: 1 };
const otherOrders: readonly ArimaOrder[] = [
  { p: 2, d: 0, q: 1 },
  { p: 0, d: 1, q: 1 },
];

/** A day of so few points may have a seasonal term besides what the typical day takes out. */
const mostSeasonalPoints = 48;

/**
 * A seasonal ARIMA with regressors (SARIMAX) on what is left of demand when the typical day is taken out (all, half or
 * none of it), on a logarithmic scale where demand is never negative; fitted by conditional sum of squares in partial
 * autocorrelations (see `arima-core.ts`). A raw ARIMA at one-minute steps collapses to the last value; the remainder
 * has no season, and few terms suffice. The share of the typical day is the one that forecasts the last week best, the
 * order the one with the smallest AICc (Hurvich & Tsai 1989) that forecasts it no worse. Needs a day.
 */
export const arima: Model = { name: 'arima', fit, restore };

interface State extends Readonly<Record<string, unknown>> {
  readonly fit: ArimaFit;
  readonly mean: number;
  readonly order: string;
  readonly remainder: RemainderState;
  readonly recursion: ReturnType<ArimaState['snapshot']>;
  readonly names: readonly string[];
  readonly now: number;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const parts = takeApart(history, context);
  const regressors = context.regressors ?? [];
  const columns = regressors.map((regressor) => valuesOf(regressor, history.startSeconds, history));
  const best = choose(history, parts, { columns, horizonSteps: context.horizonSteps });
  if (best === undefined) {
    return { kind: 'cannot-fit', reason: 'TooManyGaps', have: 'too few points in a row', need: 'more' };
  }
  const recursion = runArima(best.fit.recursion);
  for (const value of centred(parts, best.shape, { ...best, columns })) recursion.update(value);
  const name = nameOf(best.order);
  return create(
    {
      fit: best.fit,
      mean: best.mean,
      order: name,
      remainder: parts.remainder(best.shape),
      recursion,
      names: regressors.map((regressor) => regressor.name),
    },
    { now: endSeconds(history), stepSeconds: history.stepSeconds, regressors },
  );
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const known = state as State;
  return create(
    {
      fit: known.fit,
      mean: known.mean,
      order: known.order,
      remainder: restoreRemainder(known.remainder, context),
      recursion: runArima(known.fit.recursion, known.recursion),
      names: known.names,
    },
    { now: known.now, stepSeconds: known.remainder.stepSeconds, regressors: context.regressors ?? [] },
  );
}

interface Choice {
  readonly fit: ArimaFit;
  readonly mean: number;
  readonly order: ArimaOrder;
  readonly shape: number;
}

interface Given {
  readonly columns: readonly Float64Array[];
  readonly horizonSteps: number;
}

/** The share of the typical day by forecasts of the past with the simplest order; then the order. */
function choose(history: TimeSeries, parts: TakenApart, given: Given): Choice | undefined {
  const course = courseOf(history, given.horizonSteps);
  const judge = (choice: Choice): number => {
    const state = runArima(choice.fit.recursion);
    const { mean } = choice;
    const walker = {
      update: (value: number): void => void state.update(value - mean),
      forecast: (horizon: number): Float64Array => state.forecast(horizon).map((value) => value + mean),
    };
    return judgeWalker(parts, choice.shape, { walker, course });
  };
  let best: { choice: Choice; error: number } | undefined;
  for (const shape of parts.shapes) {
    const found = fitOrders(remaindersOf(parts, shape), [simplest], given.columns);
    if (found === undefined) continue;
    const choice = { ...found, shape };
    const error = judge(choice);
    if (best === undefined || error < best.error) best = { choice, error };
  }
  if (best === undefined) return undefined;
  const { choice, error } = best;
  const other = fitOrders(remaindersOf(parts, choice.shape), ordersBeyond(history), given.columns);
  if (other === undefined || other.fit.aicc >= choice.fit.aicc) return choice;
  // One step ahead is what the AICc judges; it must not be paid for further ahead.
  const challenger = { ...other, shape: choice.shape };
  return judge(challenger) <= error ? challenger : choice;
}

function ordersBeyond({ values, stepSeconds }: TimeSeries): readonly ArimaOrder[] {
  const perDay = Math.round(86_400 / stepSeconds);
  const seasonal =
    perDay > 1 && perDay <= mostSeasonalPoints && values.length > 5 * perDay
      ? [{ ...simplest, seasonal: { p: 1, d: 0, q: 0, period: perDay } }]
      : [];
  return [...otherOrders, ...seasonal];
}

/** The best of the orders, around the mean of the values. */
function fitOrders(
  values: Float64Array,
  orders: readonly ArimaOrder[],
  columns: readonly Float64Array[],
): Omit<Choice, 'shape'> | undefined {
  const from = Math.max(0, values.length - mostPoints);
  const mean = meanPresent(values.subarray(from));
  const tail = values.subarray(from).map((value) => value - mean);
  const regressors = columns.map((column) => column.subarray(from));
  let best: Omit<Choice, 'shape'> | undefined;
  for (const order of orders) {
    const found = fitArima(tail, order, { regressors, effort });
    if (found !== undefined && (best === undefined || found.aicc < best.fit.aicc)) best = { fit: found, order, mean };
  }
  return best;
}

function remaindersOf({ demand, expected }: TakenApart, shape: number): Float64Array {
  return shape === 0 ? demand : demand.map((value, index) => value - shape * at(expected, index));
}

/** Remainders less mean and regression. */
function centred(
  parts: TakenApart,
  shape: number,
  { fit: fitted, mean, columns }: Choice & { columns: readonly Float64Array[] },
): Float64Array {
  return remaindersOf(parts, shape).map((value, index) => {
    let known = mean;
    for (const [term, column] of columns.entries()) known += (fitted.coefficients[term] ?? 0) * at(column, index);
    return value - known;
  });
}

interface Parts {
  readonly fit: ArimaFit;
  readonly mean: number;
  readonly order: string;
  readonly remainder: Remainder;
  readonly recursion: ArimaState;
  /** Of the regressors, in the order of the coefficients. */
  readonly names: readonly string[];
}

interface Place {
  readonly now: number;
  readonly stepSeconds: number;
  readonly regressors: readonly Regressor[];
}

function create({ fit: fitted, mean, order, remainder, recursion, names }: Parts, place: Place): FittedModel {
  const { stepSeconds } = place;
  let { now } = place;
  const used = names.map((name) => place.regressors.find((regressor) => regressor.name === name));
  const known = (horizon: number): Float64Array => {
    const sum = new Float64Array(horizon).fill(mean);
    for (const [term, regressor] of used.entries()) {
      if (regressor === undefined) continue;
      const column = valuesOf(regressor, now, { stepSeconds, values: sum });
      for (const [index, value] of column.entries())
        sum[index] = at(sum, index) + (fitted.coefficients[term] ?? 0) * value;
    }
    return sum;
  };
  return {
    kind: 'fitted',
    update: (value) => {
      recursion.update(remainder.observe(value) - at(known(1), 0));
      now += stepSeconds;
    },
    predict: (horizon) => {
      const base = known(horizon);
      return remainder.demandOf(recursion.forecast(horizon).map((value, index) => value + at(base, index)));
    },
    describe: () => ({
      name: arima.name,
      parameters: {
        order,
        typicalDay: remainder.shape,
        ...listed('ar', fitted.ar),
        ...listed('ma', fitted.ma),
        ...listed('seasonalAr', fitted.seasonalAr),
        mean,
        ...Object.fromEntries(names.map((name, term) => [name, fitted.coefficients[term] ?? 0])),
      },
    }),
    snapshot: () => ({
      fit: fitted,
      mean,
      order,
      remainder: remainder.snapshot(),
      recursion: recursion.snapshot(),
      names,
      now,
    }),
  };
}

function listed(name: string, values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, index) => [`${name}${index + 1}`, value]));
}

function nameOf({ p, d, q, seasonal }: ArimaOrder): string {
  const tail = seasonal === undefined ? '' : `(${seasonal.p},${seasonal.d},${seasonal.q})${seasonal.period}`;
  return `(${p},${d},${q})${tail}`;
}
