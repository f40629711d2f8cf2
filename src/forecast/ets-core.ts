// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import { minimise } from './nelder-mead.ts';
import { countPresent, meanPresent } from './robust.ts';

/** A model of exponential smoothing in the letters of Hyndman et al.: none, additive, multiplicative. */
export interface EtsForm {
  readonly error: 'A' | 'M';
  readonly trend: 'N' | 'A' | 'M';
  readonly damped: boolean;
  readonly season: 'N' | 'A' | 'M';
  /** Points in a season; 1 for none. */
  readonly period: number;
}

/** Smoothing parameters, each between 0 and 1. */
export interface EtsParameters {
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
  readonly phi: number;
}

/** Where a model stands: its level, its trend, and the season's indices from the next point on. */
export interface EtsStates {
  level: number;
  trend: number;
  readonly season: Float64Array;
  /** Where in `season` the next point is. */
  position: number;
}

/** A fitted model, as plain data. */
export interface EtsFit {
  readonly form: EtsForm;
  readonly parameters: EtsParameters;
  /** Before the first point. */
  readonly start: EtsStates;
  /** After the last point. */
  readonly end: EtsStates;
  readonly aicc: number;
  /** n ln Σe² + 2 Σ ln |ŷ| (the last for multiplicative errors): −2 times the likelihood but for a constant. */
  readonly likelihood: number;
}

/** How much is searched for. */
export interface EtsEffort {
  readonly mostEvaluations: number;
  readonly tolerance: number;
  /** Indices of the season at the start are searched for too; else they are those of the first seasons. */
  readonly searchSeason: boolean;
}

/** The "usual" region of Hyndman et al. (2008), §3.4, with the bounds of R's `forecast::ets`. */
const least = 0.0001;
const most = 0.9999;
const leastPhi = 0.8;
const mostPhi = 0.98;

/**
 * Moves a model over a point (NaN for a gap: only time passes) and gives the one-step forecast. The recursions of
 * Hyndman, Koehler, Ord & Snyder (2008), "Forecasting with Exponential Smoothing: The State Space Approach", table
 * 2.1, in the form of R's `forecast`: `beta` and `gamma` are those of the error correction form.
 */
export function stepEts(form: EtsForm, parameters: EtsParameters, states: EtsStates, value: number): number {
  const { level, trend, season, position } = states;
  const grown = growth(form, trend, parameters.phi);
  const base = form.trend === 'M' ? level * grown : level + grown;
  const index = at(season, position);
  const forecast = seasoned(form, base, index);
  if (season.length > 0) states.position = position + 1 === season.length ? 0 : position + 1;
  if (Number.isNaN(value)) {
    states.level = base;
    if (form.trend !== 'N') states.trend = grown;
    return forecast;
  }
  const adjusted = unseasoned(form, value, index);
  const next = base + parameters.alpha * (adjusted - base);
  states.level = next;
  if (form.trend !== 'N') {
    const rise = form.trend === 'A' ? next - level : next / level;
    states.trend = grown + (parameters.beta / parameters.alpha) * (rise - grown);
  }
  if (form.season !== 'N') {
    const seen = form.season === 'A' ? value - base : value / base;
    season[position] = index + parameters.gamma * (seen - index);
  }
  return forecast;
}

/** Point forecasts for the next steps. */
export function forecastEts(form: EtsForm, { phi }: EtsParameters, states: EtsStates, horizon: number): Float64Array {
  const path = new Float64Array(horizon);
  let { level, trend } = states;
  for (let step = 0; step < horizon; step += 1) {
    const grown = growth(form, trend, phi);
    level = form.trend === 'M' ? level * grown : level + grown;
    trend = grown;
    path[step] = seasoned(form, level, at(states.season, (states.position + step) % Math.max(1, states.season.length)));
  }
  return path;
}

/** A copy that stands in the same place. */
export function copyStates(states: EtsStates): EtsStates {
  return { ...states, season: states.season.slice() };
}

/**
 * Fits one form by maximum likelihood: smoothing parameters and the states at the start, by simplex search.
 * undefined for too few points, or for points that are not positive where something is multiplicative.
 */
export function fitEts(values: Float64Array, form: EtsForm, effort: EtsEffort): EtsFit | undefined {
  if (!isPossible(values, form)) return undefined;
  const count = countPresent(values);
  const start = startOf(values, form);
  const { free, slopes, parameterCount, searched } = countParameters(form, effort);
  if (count <= parameterCount + 1) return undefined;
  const coordinates = firstPoint(form, free + 1 + slopes + searched);
  const spread = deviation(values) + Number.MIN_VALUE;
  const read = (point: Float64Array): Candidate => readPoint(point, form, { start, free, spread, searched });
  const objective = (point: Float64Array): number => {
    const candidate = read(point);
    return likelihoodOf(values, form, candidate.parameters, candidate.states);
  };
  const { point, value } = minimise(objective, coordinates, { size: 0.5, ...effort });
  const best = read(point);
  const first = copyStates(best.states);
  const likelihood = likelihoodOf(values, form, best.parameters, best.states);
  if (!Number.isFinite(value)) return undefined;
  return {
    form,
    parameters: best.parameters,
    start: first,
    end: best.states,
    likelihood,
    aicc: likelihood + 2 * parameterCount + (2 * parameterCount * (parameterCount + 1)) / (count - parameterCount - 1),
  };
}

/** Something multiplicative needs points above zero, and a season two of its kind. */
function isPossible(values: Float64Array, { error, trend, season, period }: EtsForm): boolean {
  if ([error, trend, season].includes('M') && values.some((value) => value <= 0)) return false;
  return season === 'N' || values.length >= 2 * period;
}

interface Counts {
  /** Smoothing parameters. */
  readonly free: number;
  /** 1 with a trend. */
  readonly slopes: number;
  /** Indices of the season that are searched for. */
  readonly searched: number;
  /** All that the AICc counts, with the variance. */
  readonly parameterCount: number;
}

function countParameters({ trend, damped, season, period }: EtsForm, { searchSeason }: EtsEffort): Counts {
  const slopes = trend === 'N' ? 0 : 1;
  const seasons = season === 'N' ? 0 : 1;
  const free = 1 + slopes + seasons + (damped ? 1 : 0);
  const indices = seasons * (period - 1);
  return { free, slopes, searched: searchSeason ? indices : 0, parameterCount: free + 1 + slopes + indices + 1 };
}

/** Slow smoothing: α ¼ of its range, the others less; φ close to its most. */
function firstPoint({ trend, damped, season }: EtsForm, size: number): Float64Array {
  const point = new Float64Array(size);
  point.set([-1, ...(trend === 'N' ? [] : [-2]), ...(season === 'N' ? [] : [-2]), ...(damped ? [1] : [])]);
  return point;
}

/** −2 log likelihood but for a constant; `states` are moved to the end. */
function likelihoodOf(values: Float64Array, form: EtsForm, parameters: EtsParameters, states: EtsStates): number {
  let squares = 0;
  let logs = 0;
  let count = 0;
  for (let index = 0; index < values.length; index += 1) {
    const value = at(values, index);
    const forecast = stepEts(form, parameters, states, value);
    if (Number.isNaN(value)) continue;
    const error = form.error === 'A' ? value - forecast : (value - forecast) / forecast;
    squares += error * error;
    if (form.error === 'M') logs += Math.log(Math.abs(forecast));
    count += 1;
  }
  return count * Math.log(squares + Number.MIN_VALUE) + 2 * logs;
}

function growth({ trend, damped }: EtsForm, slope: number, phi: number): number {
  if (trend === 'N') return 0;
  if (!damped) return slope;
  return trend === 'A' ? phi * slope : slope ** phi;
}

function seasoned({ season }: EtsForm, base: number, index: number): number {
  if (season === 'N') return base;
  return season === 'A' ? base + index : base * index;
}

function unseasoned({ season }: EtsForm, value: number, index: number): number {
  if (season === 'N') return value;
  return season === 'A' ? value - index : value / index;
}

interface Candidate {
  readonly parameters: EtsParameters;
  readonly states: EtsStates;
}

interface Layout {
  readonly start: EtsStates;
  readonly free: number;
  /** Unit of the coordinates of states. */
  readonly spread: number;
  readonly searched: number;
}

/** Coordinates are logits of the smoothing parameters within their bounds, then distances from the first states. */
function readPoint(point: Float64Array, form: EtsForm, { start, free, spread, searched }: Layout): Candidate {
  let next = 0;
  const take = (low: number, high: number): number => {
    const value = low + (high - low) / (1 + Math.exp(-at(point, next)));
    next += 1;
    return value;
  };
  const alpha = take(least, most);
  const beta = form.trend === 'N' ? 0 : take(least * alpha, alpha);
  const gamma = form.season === 'N' ? 0 : take(least * (1 - alpha), 1 - alpha);
  const phi = form.damped ? take(leastPhi, mostPhi) : 1;
  const states = copyStates(start);
  states.level += 0.5 * spread * at(point, free);
  if (form.trend !== 'N') {
    const distance = at(point, free + 1);
    states.trend = form.trend === 'A' ? start.trend + 0.05 * spread * distance : start.trend * Math.exp(distance / 50);
  }
  if (searched > 0) shiftSeason(states.season, point.subarray(point.length - searched), { form, spread });
  return { parameters: { alpha, beta, gamma, phi }, states };
}

/** The last index follows from the others: they sum to nothing, or have the mean 1. */
function shiftSeason(
  season: Float64Array,
  distances: Float64Array,
  { form, spread }: { form: EtsForm; spread: number },
): void {
  let total = 0;
  for (const [index, distance] of distances.entries()) {
    const shifted = at(season, index) + (form.season === 'A' ? 0.2 * spread * distance : 0.1 * distance);
    season[index] = shifted;
    total += shifted;
  }
  season[season.length - 1] = (form.season === 'A' ? 0 : season.length) - total;
}

/** First states: the season by comparison with a moving mean over a season, the line through what then is left. */
function startOf(values: Float64Array, form: EtsForm): EtsStates {
  const { period } = form;
  const season = form.season === 'N' ? new Float64Array(0) : seasonOf(values, form);
  const adjusted = values.map((value, index) =>
    form.season === 'N' ? value : unseasoned(form, value, at(season, index % period)),
  );
  const head = adjusted.subarray(0, Math.max(10, form.season === 'N' ? 10 : 2 * period));
  const centre = meanPresent(head);
  if (form.trend === 'N')
    return { level: Number.isNaN(centre) ? meanPresent(adjusted) : centre, trend: 0, season, position: 0 };
  const { level, slope } = lineOf(head);
  if (form.trend === 'A') return { level, trend: slope, season, position: 0 };
  const ratio = level > 0 && level + slope > 0 ? (level + slope) / level : 1;
  return { level: level > 0 ? level : centre, trend: Math.max(0.5, Math.min(2, ratio)), season, position: 0 };
}

function seasonOf(values: Float64Array, { season, period }: EtsForm): Float64Array {
  const sums = new Float64Array(period);
  const counts = new Float64Array(period);
  const half = Math.floor(period / 2);
  for (let index = half; index < values.length - half; index += 1) {
    const around = meanPresent(values.subarray(index - half, index - half + period));
    const value = at(values, index);
    const compared = season === 'A' ? value - around : value / around;
    if (!Number.isFinite(compared)) continue;
    sums[index % period] = at(sums, index % period) + compared;
    counts[index % period] = at(counts, index % period) + 1;
  }
  const neutral = season === 'A' ? 0 : 1;
  const indices = sums.map((sum, index) => (at(counts, index) > 0 ? sum / at(counts, index) : neutral));
  const mean = meanPresent(indices);
  return indices.map((value) => (season === 'A' ? value - mean : Math.max(0.01, value / mean)));
}

/** Least squares; `level` is at the point before the first. */
function lineOf(values: Float64Array): { level: number; slope: number } {
  let [count, x, y, xx, xy] = [0, 0, 0, 0, 0];
  for (const [index, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    count += 1;
    x += index + 1;
    y += value;
    xx += (index + 1) ** 2;
    xy += (index + 1) * value;
  }
  const slope = count < 2 ? 0 : (count * xy - x * y) / (count * xx - x * x);
  return { level: count === 0 ? 0 : (y - slope * x) / count, slope };
}

function deviation(values: Float64Array): number {
  const mean = meanPresent(values);
  return Math.sqrt(meanPresent(values.map((value) => (value - mean) ** 2)));
}
