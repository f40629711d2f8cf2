// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { copyStates, fitEts, forecastEts, stepEts } from '../ets-core.ts';
import type { EtsEffort, EtsFit, EtsForm, EtsParameters, EtsStates } from '../ets-core.ts';
import { courseOf, judgeWalker } from '../lookahead.ts';
import type { Course } from '../lookahead.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from '../model.ts';
import { refuseShort } from '../refusals.ts';
import { fromScale, restoreRemainder, scaleOf, takeApart, toScale } from '../remainder.ts';
import type { DemandScale, Remainder, RemainderState, TakenApart } from '../remainder.ts';

/** A day of so few points is a season of the model itself; a longer one is taken out before. */
const mostSeasonalPoints = 48;
const mostPoints = 6000;
const mostSeasonalHistory = 1500;
const effort: EtsEffort = { mostEvaluations: 90, tolerance: 1e-6, searchSeason: false };
const shortSeasonEffort: EtsEffort = { ...effort, mostEvaluations: 160 };

/**
 * Exponential smoothing in state space form (Hyndman, Koehler, Ord & Snyder 2008; see `ets-core.ts`). Where a day has
 * few points its season is the model's own, additive or multiplicative, chosen with error and (damped) trend by AICc
 * on demand itself. Otherwise, and where it forecasts the last week better, the typical day (all, half or none of it)
 * is taken out first, on a logarithmic scale where demand is never negative, and level and damped trend are smoothed
 * on what is left, as in STL + ETS. Needs a day.
 */
export const ets: Model = { name: 'ets', fit, restore };

interface State extends Readonly<Record<string, unknown>> {
  readonly form: EtsForm;
  readonly parameters: EtsParameters;
  readonly states: EtsStates;
  /** One of the two. */
  readonly remainder?: RemainderState;
  readonly scale?: DemandScale;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const parts = takeApart(history, context);
  const course = courseOf(history, context.horizonSteps);
  const outer = chooseRemainder(parts, course);
  const own = chooseSeasonal(history, course);
  if (own !== undefined && !(outer !== undefined && outer.error <= own.error)) {
    return create(own.fit, copyStates(own.fit.end), direct(own.scale));
  }
  if (outer === undefined) {
    return { kind: 'cannot-fit', reason: 'TooManyGaps', have: 'too few points', need: 'more' };
  }
  return create(outer.fit, outer.states, removed(parts.remainder(outer.shape)));
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const { form, parameters, states, remainder, scale } = state as State;
  const frame =
    remainder === undefined
      ? direct(scale ?? scaleOf(new Float64Array(0)))
      : removed(restoreRemainder(remainder, context));
  return create({ form, parameters }, copyStates(states), frame);
}

/** Demand to what is smoothed, and back. */
interface Frame {
  observe(value: number): number;
  demandOf(path: Float64Array): Float64Array;
  readonly typicalDay: number;
  snapshot(): Pick<State, 'remainder' | 'scale'>;
}

function removed(remainder: Remainder): Frame {
  return {
    observe: remainder.observe,
    demandOf: remainder.demandOf,
    typicalDay: remainder.shape,
    snapshot: () => ({ remainder: remainder.snapshot() }),
  };
}

function direct(given: DemandScale): Frame {
  const scale = { ...given };
  return {
    observe: (value) => toScale(scale, value),
    demandOf: (path) => path.map((value) => fromScale(scale, value)),
    typicalDay: 0,
    snapshot: () => ({ scale: { ...scale } }),
  };
}

function create(
  { form, parameters }: Pick<EtsFit, 'form' | 'parameters'>,
  states: EtsStates,
  frame: Frame,
): FittedModel {
  return {
    kind: 'fitted',
    update: (value) => {
      const scaled = frame.observe(value);
      // What is multiplied cannot be zero: such a point is left out.
      const usable = form.error === 'A' && form.season !== 'M' ? scaled : scaled > 0 ? scaled : Number.NaN;
      stepEts(form, parameters, states, usable);
    },
    predict: (horizon) => frame.demandOf(forecastEts(form, parameters, states, horizon)),
    describe: () => ({
      name: ets.name,
      parameters: {
        form: nameOf(form),
        period: form.period,
        typicalDay: frame.typicalDay,
        ...parameters,
        level: states.level,
        trend: states.trend,
      },
    }),
    snapshot: () => ({ form, parameters, states: copyStates(states), ...frame.snapshot() }),
  };
}

interface Chosen {
  readonly fit: EtsFit;
  readonly error: number;
}

/** Level, and level with damped trend, of the remainder. */
function chooseRemainder(
  parts: TakenApart,
  course: Course,
): (Chosen & { shape: number; states: EtsStates }) | undefined {
  let best: (Chosen & { shape: number; states: EtsStates }) | undefined;
  for (const shape of parts.shapes) {
    const values =
      shape === 0 ? parts.demand : parts.demand.map((value, index) => value - shape * at(parts.expected, index));
    const tail = values.subarray(Math.max(0, values.length - mostPoints));
    const found = bestOf(tail, [plain(false), plain(true)], effort);
    if (found === undefined) continue;
    const { states, error } = judge(found, parts, { shape, course });
    if (best === undefined || error < best.error) best = { fit: found, error, shape, states };
  }
  return best;
}

/** A model with a season of its own, on demand itself. */
function chooseSeasonal(
  { values, stepSeconds }: TimeSeries,
  course: Course,
): (Chosen & { scale: DemandScale }) | undefined {
  const period = Math.round(86_400 / stepSeconds);
  if (period < 2 || period > mostSeasonalPoints) return undefined;
  const scale: DemandScale = { ...scaleOf(values), offset: Number.POSITIVE_INFINITY };
  const demand = values.map((value) => toScale(scale, value));
  const from = Math.max(0, demand.length - mostSeasonalHistory);
  const tail = demand.subarray(from);
  const forms = scale.low > 0 ? [...additive(period), ...multiplicative(period)] : additive(period);
  const found = bestOf(tail, forms, shortSeasonEffort);
  if (found === undefined) return undefined;
  const parts = { demand: tail, expected: tail, scale };
  const cut = { ...course, from: Math.max(0, course.from - from) };
  const { error } = judge(found, parts, { shape: 0, course: cut });
  return { fit: found, error, scale };
}

function judge(
  { form, parameters, start }: EtsFit,
  parts: Pick<TakenApart, 'demand' | 'expected' | 'scale'>,
  { shape, course }: { shape: number; course: Course },
): { error: number; states: EtsStates } {
  const states = copyStates(start);
  const walker = {
    update: (value: number): void => void stepEts(form, parameters, states, value),
    forecast: (horizon: number): Float64Array => forecastEts(form, parameters, states, horizon),
  };
  return { error: judgeWalker(parts, shape, { walker, course }), states };
}

function bestOf(values: Float64Array, forms: readonly EtsForm[], limits: EtsEffort): EtsFit | undefined {
  let best: EtsFit | undefined;
  for (const form of forms) {
    const found = fitEts(values, form, limits);
    if (found !== undefined && (best === undefined || found.aicc < best.aicc)) best = found;
  }
  return best;
}

function plain(damped: boolean): EtsForm {
  return { error: 'A', trend: damped ? 'A' : 'N', damped, season: 'N', period: 1 };
}

function additive(period: number): readonly EtsForm[] {
  return [
    { error: 'A', trend: 'N', damped: false, season: 'A', period },
    { error: 'A', trend: 'A', damped: true, season: 'A', period },
  ];
}

function multiplicative(period: number): readonly EtsForm[] {
  return [
    { error: 'M', trend: 'N', damped: false, season: 'M', period },
    { error: 'M', trend: 'A', damped: true, season: 'M', period },
    { error: 'M', trend: 'N', damped: false, season: 'A', period },
  ];
}

function nameOf({ error, trend, damped, season }: EtsForm): string {
  return `${error}${trend}${damped ? 'd' : ''}${season}`;
}
