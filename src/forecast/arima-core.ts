// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { minimise } from './nelder-mead.ts';
import { solveSymmetric } from './normal-equations.ts';

/** Orders of a multiplicative seasonal ARIMA model (p,d,q)(P,D,Q) with period s. */
export interface ArimaOrder {
  readonly p: number;
  readonly d: number;
  readonly q: number;
  readonly seasonal?: { readonly p: number; readonly d: number; readonly q: number; readonly period: number };
  /** A mean is estimated; possible without differences only. */
  readonly mean?: boolean;
}

/** A fitted model, as plain data. */
export interface ArimaFit {
  readonly ar: readonly number[];
  readonly ma: readonly number[];
  readonly seasonalAr: readonly number[];
  readonly seasonalMa: readonly number[];
  readonly mean: number;
  /** Of the regressors. */
  readonly coefficients: readonly number[];
  /** Mean of the squared errors of one step. */
  readonly variance: number;
  readonly aicc: number;
  /** Errors that were counted. */
  readonly count: number;
  readonly recursion: Recursion;
}

/** z(t) = Σ ar.weights z(t − ar.lags) + e(t) + Σ ma.weights e(t − ma.lags), differences multiplied out. */
export interface Recursion {
  readonly ar: Lagged;
  readonly ma: Lagged;
}

interface Lagged {
  readonly lags: readonly number[];
  readonly weights: readonly number[];
}

/** How long the search for coefficients may be. */
export interface ArimaEffort {
  readonly mostEvaluations: number;
  readonly tolerance: number;
}

/** What a fit may be given besides the series. */
export interface ArimaOptions {
  /** As long as the series, and known everywhere. */
  readonly regressors?: readonly Float64Array[];
  readonly effort?: ArimaEffort;
}

const thorough: ArimaEffort = { mostEvaluations: 4000, tolerance: 1e-12 };

/** The largest partial autocorrelation (tanh of the search's coordinate). */
const largest = 0.9999;

/**
 * Fits by the conditional sum of squares (Box & Jenkins; as R's `arima(method = "CSS")`, which also conditions on the
 * first d + sD + p + sP points). The search runs over partial autocorrelations (Jones 1980; Monahan 1984), so that
 * every model it meets is stationary and invertible; mean and regression are solved for by least squares at each
 * step, where the errors are linear in them. Where a value is missing the model's own forecast stands in for it.
 * undefined when there are fewer errors than coefficients.
 */
export function fitArima(
  values: Float64Array,
  order: ArimaOrder,
  { regressors = [], effort = thorough }: ArimaOptions = {},
): ArimaFit | undefined {
  const columns = [...(usesMean(order) ? [new Float64Array(values.length).fill(1)] : []), ...regressors];
  const first = values.findIndex((value) => !Number.isNaN(value));
  if (first < 0) return undefined;
  const series = values.subarray(first);
  const design = columns.map((column) => column.subarray(first));
  const skip = conditioned(order);
  const scratch: Scratch = {
    errors: new Float64Array(series.length),
    filled: new Float64Array(series.length),
    design: design.map(() => new Float64Array(series.length)),
  };
  const coordinates = sizes(order).reduce((sum, size) => sum + size, 0);
  const count = countFrom(series, skip);
  const parameters = coordinates + columns.length + 1;
  if (count <= parameters + 1) return undefined;
  const problem: Problem = { series, design, skip, scratch };
  const objective = (point: Float64Array): number => {
    const { squares } = solve(problem, multiplyOut(polynomials(order, point), order));
    return Math.log(squares + Number.MIN_VALUE);
  };
  const start = new Float64Array(coordinates).fill(0.1);
  const { point } = minimise(objective, start, { size: 0.4, ...effort });
  const parts = polynomials(order, point);
  const recursion = multiplyOut(parts, order);
  const { squares, coefficients } = solve(problem, recursion);
  const variance = squares / count;
  const likelihood = count * (Math.log(2 * Math.PI * variance + Number.MIN_VALUE) + 1);
  return {
    ar: parts.ar,
    ma: parts.ma,
    seasonalAr: parts.seasonalAr,
    seasonalMa: parts.seasonalMa,
    mean: usesMean(order) ? (coefficients[0] ?? 0) : 0,
    coefficients: coefficients.slice(usesMean(order) ? 1 : 0),
    variance,
    count,
    aicc: likelihood + 2 * parameters + (2 * parameters * (parameters + 1)) / (count - parameters - 1),
    recursion,
  };
}

/** A recursion that stands in a series; values are those of the series less its mean and regression. */
export interface ArimaState {
  /** Takes the next value (NaN for a gap) and gives the error of its forecast, 0 for a gap. */
  update(value: number): number;
  forecast(horizon: number): Float64Array;
  snapshot(): { values: Float64Array; errors: Float64Array; seen: number };
}

/** Starts a recursion, or goes on from a snapshot. */
export function runArima(recursion: Recursion, state?: ReturnType<ArimaState['snapshot']>): ArimaState {
  const { ar, ma } = recursion;
  const depth = Math.max(1, ...ar.lags);
  const errorDepth = Math.max(1, ...ma.lags);
  // The newest value is first.
  const values = state?.values.slice() ?? new Float64Array(depth);
  const errors = state?.errors.slice() ?? new Float64Array(errorDepth);
  let seen = state?.seen ?? 0;
  const push = (buffer: Float64Array, value: number): void => {
    buffer.copyWithin(1, 0);
    buffer[0] = value;
  };
  const next = (): number => weigh(ar, values, 0) + weigh(ma, errors, 0);
  return {
    update: (value) => {
      const expected = seen < depth ? at(values, 0) : next();
      const missing = Number.isNaN(value);
      const error = missing || seen < depth ? 0 : value - expected;
      push(values, missing ? expected : value);
      push(errors, error);
      if (!missing || seen > 0) seen = Math.min(depth, seen + 1);
      return error;
    },
    forecast: (horizon) => {
      const path = new Float64Array(depth + horizon);
      for (let index = 0; index < depth; index += 1) path[index] = at(values, depth - 1 - index);
      for (let index = 0; index < horizon; index += 1) {
        let value = 0;
        for (const [term, lag] of ar.lags.entries()) {
          value += (ar.weights[term] ?? 0) * at(path, depth + index - lag);
        }
        for (const [term, lag] of ma.lags.entries()) {
          if (lag > index) value += (ma.weights[term] ?? 0) * at(errors, lag - index - 1);
        }
        path[depth + index] = value;
      }
      return path.slice(depth);
    },
    snapshot: () => ({ values: values.slice(), errors: errors.slice(), seen }),
  };
}

function weigh({ lags, weights }: Lagged, newestFirst: Float64Array, ahead: number): number {
  let sum = 0;
  for (let term = 0; term < lags.length; term += 1) {
    sum += (weights[term] ?? 0) * at(newestFirst, (lags[term] ?? 1) - 1 - ahead);
  }
  return sum;
}

/**
 * Autoregressive coefficients from partial autocorrelations in (−1, 1), by the Durbin–Levinson recursion: the process
 * is stationary whatever they are.
 */
export function arFromPartial(partial: readonly number[]): number[] {
  let coefficients: number[] = [];
  for (const [order, value] of partial.entries()) {
    const before = coefficients;
    coefficients = before.map((coefficient, index) => coefficient - value * (before[order - 1 - index] ?? 0));
    coefficients.push(value);
  }
  return coefficients;
}

interface Parts {
  readonly ar: readonly number[];
  readonly ma: readonly number[];
  readonly seasonalAr: readonly number[];
  readonly seasonalMa: readonly number[];
}

function sizes({ p, q, seasonal }: ArimaOrder): readonly number[] {
  return [p, q, seasonal?.p ?? 0, seasonal?.q ?? 0];
}

function polynomials(order: ArimaOrder, point: Float64Array): Parts {
  let from = 0;
  const [ar, ma, seasonalAr, seasonalMa] = sizes(order).map((size) => {
    const partial = Array.from(point.subarray(from, from + size), (value) => largest * Math.tanh(value));
    from += size;
    return arFromPartial(partial);
  });
  // 1 + θB is invertible when 1 − (−θ)B is stationary.
  const negative = (coefficients: readonly number[] = []): number[] => coefficients.map((value) => -value);
  return { ar: ar ?? [], ma: negative(ma), seasonalAr: seasonalAr ?? [], seasonalMa: negative(seasonalMa) };
}

function multiplyOut({ ar, ma, seasonalAr, seasonalMa }: Parts, { d, seasonal }: ArimaOrder): Recursion {
  const period = seasonal?.period ?? 1;
  let polynomial = product(
    spread(
      ar.map((value) => -value),
      1,
    ),
    spread(
      seasonalAr.map((value) => -value),
      period,
    ),
  );
  for (let times = 0; times < d; times += 1) polynomial = product(polynomial, [1, -1]);
  for (let times = 0; times < (seasonal?.d ?? 0); times += 1) polynomial = product(polynomial, spread([-1], period));
  const moving = product(spread(ma, 1), spread(seasonalMa, period));
  return { ar: lagged(polynomial.map((value) => -value)), ma: lagged(moving) };
}

/** 1 + c₁B^s + c₂B^2s … */
function spread(coefficients: readonly number[], period: number): number[] {
  const polynomial = Array.from({ length: coefficients.length * period + 1 }, () => 0);
  polynomial[0] = 1;
  for (const [index, value] of coefficients.entries()) polynomial[(index + 1) * period] = value;
  return polynomial;
}

function product(one: readonly number[], other: readonly number[]): number[] {
  const result = Array.from({ length: one.length + other.length - 1 }, () => 0);
  for (const [i, a] of one.entries()) {
    for (const [j, b] of other.entries()) result[i + j] = (result[i + j] ?? 0) + a * b;
  }
  return result;
}

function lagged(polynomial: readonly number[]): Lagged {
  const lags = [...polynomial.keys()].filter((lag) => lag > 0 && polynomial[lag] !== 0);
  return { lags, weights: lags.map((lag) => polynomial[lag] ?? 0) };
}

function usesMean({ mean, d, seasonal }: ArimaOrder): boolean {
  return mean === true && d === 0 && (seasonal?.d ?? 0) === 0;
}

function conditioned({ p, d, seasonal }: ArimaOrder): number {
  return p + d + (seasonal === undefined ? 0 : seasonal.period * (seasonal.p + seasonal.d));
}

function countFrom(values: Float64Array, from: number): number {
  let count = 0;
  for (let index = from; index < values.length; index += 1) if (!Number.isNaN(at(values, index))) count += 1;
  return count;
}

interface Scratch {
  readonly errors: Float64Array;
  readonly filled: Float64Array;
  readonly design: readonly Float64Array[];
}

interface Problem {
  readonly series: Float64Array;
  readonly design: readonly Float64Array[];
  readonly skip: number;
  readonly scratch: Scratch;
}

/** Least squares of the errors of the series on those of the columns: the smallest sum of squares. */
function solve(problem: Problem, recursion: Recursion): { squares: number; coefficients: readonly number[] } {
  const { series, design, skip, scratch } = problem;
  const missing = series;
  filter(recursion, { column: series, missing, skip, errors: scratch.errors, filled: scratch.filled });
  for (const [index, column] of design.entries()) {
    const errors = scratch.design[index] ?? scratch.errors;
    filter(recursion, { column, missing, skip, errors, filled: scratch.filled });
  }
  const size = design.length;
  const normal = new Float64Array(size * size);
  const right = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    const one = scratch.design[row] ?? scratch.errors;
    right[row] = dot(one, scratch.errors);
    for (let other = 0; other <= row; other += 1) {
      const value = dot(one, scratch.design[other] ?? scratch.errors);
      normal[row * size + other] = value;
      normal[other * size + row] = value;
    }
  }
  const coefficients = solveSymmetric(normal, right);
  let squares = dot(scratch.errors, scratch.errors);
  for (const [row, coefficient] of coefficients.entries()) squares -= coefficient * at(right, row);
  return { squares: Math.max(0, squares), coefficients: [...coefficients] };
}

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += at(one, index) * at(other, index);
  return sum;
}

interface Filter {
  readonly column: Float64Array;
  /** NaN where the series is missing. */
  readonly missing: Float64Array;
  readonly skip: number;
  readonly errors: Float64Array;
  readonly filled: Float64Array;
}

/** Errors of one step; those of the first `skip` points and of gaps are 0. */
function filter({ ar, ma }: Recursion, { column, missing, skip, errors, filled }: Filter): void {
  const arLags = Int32Array.from(ar.lags);
  const arWeights = Float64Array.from(ar.weights);
  const maLags = Int32Array.from(ma.lags);
  const maWeights = Float64Array.from(ma.weights);
  for (let index = 0; index < column.length; index += 1) {
    const gap = Number.isNaN(at(missing, index));
    if (index < skip) {
      filled[index] = gap ? at(filled, index - 1) : at(column, index);
      errors[index] = 0;
      continue;
    }
    let expected = 0;
    for (let term = 0; term < arLags.length; term += 1) {
      expected += at(arWeights, term) * at(filled, index - (arLags[term] ?? 0));
    }
    for (let term = 0; term < maLags.length; term += 1) {
      const lag = maLags[term] ?? 0;
      if (lag <= index) expected += at(maWeights, term) * at(errors, index - lag);
    }
    filled[index] = gap ? expected : at(column, index);
    errors[index] = gap ? 0 : at(column, index) - expected;
  }
}
