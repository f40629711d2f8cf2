// SPDX-License-Identifier: Apache-2.0
import { dayOfWeek, localCalendar } from '../../series/calendar.ts';

import { at, endSeconds } from '../../series/time-series.ts';
import type { TimeSeries } from '../../series/time-series.ts';
import { createLeastSquares, emptyLeastSquares } from '../least-squares.ts';
import type { LeastSquares, LeastSquaresState } from '../least-squares.ts';
import { courseOf } from '../lookahead.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState, Regressor } from '../model.ts';
import { refuseShort } from '../refusals.ts';
import { valuesOf } from '../regressors.ts';
import { fromScale, scaleOf, toScale } from '../remainder.ts';
import type { DemandScale } from '../remainder.ts';
import { chooseResidualRule, createResidualLevel } from '../residual-level.ts';
import type { ResidualLevel, ResidualRule } from '../residual-level.ts';

const daySeconds = 86_400;
/** Points closer than this are averaged before they enter the regression. */
const binSeconds = 900;
/** The regression forgets half in one of these. */
const halfLives = [14, 5, 42];
/** Coefficients are solved for this often. */
const solveSeconds = 6 * 3600;
const mostDayTerms = 12;
/** Weekdays may differ in level and in the slowest waves of the day. */
const mostWeekTerms = 10;
const weekendTerms = 4;
/** Of a mean bin's weight: as if each coefficient had been seen to be 0 that often. */
const ridgeBins = 0.5;

/**
 * Fourier terms of the day and the week by the local clock, as many as the history supports; workdays against
 * weekends and holidays, in level and in the first terms of the day; regressors. Fitted by recursive least squares
 * with forgetting (`least-squares.ts`), on logarithms where demand is never negative; what is left is carried on as an
 * AR(1) seen through noise. Dynamic harmonic regression: Hyndman & Athanasopoulos, FPP3 §10.5. Needs a day.
 */
export const harmonic: Model = { name: 'harmonic', fit, restore };

interface Terms {
  readonly day: number;
  readonly week: number;
  readonly weekend: boolean;
  readonly names: readonly string[];
}

interface State extends Readonly<Record<string, unknown>> {
  readonly terms: Terms;
  readonly scale: DemandScale;
  readonly squares: LeastSquaresState;
  readonly bin: Bin;
  readonly rule: ResidualRule;
  readonly level: number;
  readonly now: number;
  readonly stepSeconds: number;
}

/** Points that wait for their bin to be complete. */
interface Bin {
  index: number;
  sum: number;
  count: number;
}

function fit(history: TimeSeries, context: FitContext): FittedModel | CannotFit {
  const refusal = refuseShort(history);
  if (refusal !== undefined) return refusal;
  const { startSeconds, stepSeconds, values } = history;
  const scale = scaleOf(values);
  const scaled = values.map((value) => toScale(scale, value));
  const terms = termsOf(history, context);
  const design = createDesign(terms, context);
  const width = Math.max(binSeconds, stepSeconds);
  const bins = binned(scaled, history, width);
  const ridge = new Float64Array(design.size).fill(ridgeBins).fill(1e-6, 0, 1);
  const decay = chooseDecay(bins, { design, ridge, width });
  const squares = createLeastSquares(emptyLeastSquares(decay, ridge, Math.ceil(solveSeconds / width)));
  const bin: Bin = { index: Math.floor(startSeconds / width), sum: 0, count: 0 };
  const errors = scaled.map((value, index) => {
    const now = startSeconds + index * stepSeconds;
    const error =
      index * stepSeconds < daySeconds ? 0 : value - dot(squares.coefficients(), design.row(now + stepSeconds / 2));
    collect(bin, { squares, design, width }, { now, value });
    return error;
  });
  const rule = chooseResidualRule(errors, { ...courseOf(history, context.horizonSteps), stepSeconds });
  const level = createResidualLevel(rule);
  for (const error of errors) level.update(error);
  return create({ terms, scale, squares, bin, level }, { now: endSeconds(history), stepSeconds, context });
}

interface Bins {
  /** In widths since 1970. */
  readonly first: number;
  /** NaN for a gap. */
  readonly means: Float64Array;
}

function binned(scaled: Float64Array, { startSeconds, stepSeconds }: TimeSeries, width: number): Bins {
  const first = Math.floor(startSeconds / width);
  const last = Math.floor((startSeconds + (scaled.length - 1) * stepSeconds) / width);
  const sums = new Float64Array(last - first + 1);
  const counts = new Float64Array(sums.length);
  for (const [index, value] of scaled.entries()) {
    if (Number.isNaN(value)) continue;
    const slot = Math.floor((startSeconds + index * stepSeconds) / width) - first;
    sums[slot] = at(sums, slot) + value;
    counts[slot] = at(counts, slot) + 1;
  }
  return { first, means: sums.map((sum, slot) => sum / at(counts, slot)) };
}

/** The memory with the smallest error in the second half, by coefficients up to a day old. */
function chooseDecay(
  { first, means }: Bins,
  { design, ridge, width }: { design: Design; ridge: Float64Array; width: number },
): number {
  const rows = Array.from(means, (_, index) => design.row((first + index + 0.5) * width).slice());
  const held = Math.round(daySeconds / width);
  let best = { loss: Number.POSITIVE_INFINITY, decay: 0.5 ** (width / (14 * daySeconds)) };
  for (const days of halfLives) {
    const decay = 0.5 ** (width / (days * daySeconds));
    const squares = createLeastSquares(emptyLeastSquares(decay, ridge));
    let coefficients = squares.coefficients();
    let loss = 0;
    for (const [index, row] of rows.entries()) {
      const value = at(means, index);
      if (index % held === 0) coefficients = squares.coefficients();
      if (Number.isNaN(value)) continue;
      if (index >= means.length / 2) loss += Math.abs(value - dot(coefficients, row));
      squares.update(row, value);
    }
    if (loss < best.loss) best = { loss, decay };
  }
  return best.decay;
}

function restore(state: ModelState, context: FitContext): FittedModel {
  const { terms, scale, squares, bin, rule, level, now, stepSeconds } = state as State;
  return create(
    {
      terms,
      scale: { ...scale },
      squares: createLeastSquares(squares),
      bin: { ...bin },
      level: createResidualLevel(rule, level),
    },
    { now, stepSeconds, context },
  );
}

interface Parts {
  readonly terms: Terms;
  readonly scale: DemandScale;
  readonly squares: LeastSquares;
  readonly bin: Bin;
  readonly level: ResidualLevel;
}

interface Place {
  readonly now: number;
  readonly stepSeconds: number;
  readonly context: FitContext;
}

function create(
  { terms, scale, squares, bin, level }: Parts,
  { now: start, stepSeconds, context }: Place,
): FittedModel {
  const design = createDesign(terms, context);
  const width = Math.max(binSeconds, stepSeconds);
  let now = start;
  return {
    kind: 'fitted',
    update: (value) => {
      const scaled = toScale(scale, value);
      level.update(scaled - dot(squares.coefficients(), design.row(now + stepSeconds / 2)));
      collect(bin, { squares, design, width }, { now, value: scaled });
      now += stepSeconds;
    },
    predict: (horizon) => {
      const coefficients = squares.coefficients();
      return Float64Array.from({ length: horizon }, (_, index) =>
        fromScale(scale, dot(coefficients, design.row(now + (index + 0.5) * stepSeconds)) + level.ahead(index)),
      );
    },
    describe: () => ({
      name: harmonic.name,
      parameters: {
        dayTerms: terms.day,
        weekTerms: terms.week,
        workdaysDiffer: terms.weekend ? 'yes' : 'no',
        regressors: terms.names.join(','),
        halfLifeDays: Math.round((width / daySeconds) * (Math.log(0.5) / Math.log(squares.snapshot().decay))),
        ...level.rule,
      },
    }),
    snapshot: () => ({
      terms,
      scale: { ...scale },
      squares: squares.snapshot(),
      bin: { ...bin },
      rule: level.rule,
      level: level.level(),
      now,
      stepSeconds,
    }),
  };
}

/** A complete bin enters the regression at its middle. */
function collect(
  bin: Bin,
  { squares, design, width }: { squares: LeastSquares; design: Design; width: number },
  { now, value }: { now: number; value: number },
): void {
  const index = Math.floor(now / width);
  if (index !== bin.index) {
    if (bin.count > 0) squares.update(design.row((bin.index + 0.5) * width), bin.sum / bin.count);
    bin.index = index;
    bin.sum = 0;
    bin.count = 0;
  }
  if (Number.isNaN(value)) return;
  bin.sum += value;
  bin.count += 1;
}

/** Terms of a day need four bins each; those of the week two weeks, the weekend one. */
function termsOf({ values, stepSeconds }: TimeSeries, { regressors = [], holidays }: FitContext): Terms {
  const days = (values.length * stepSeconds) / daySeconds;
  const perDay = daySeconds / Math.max(binSeconds, stepSeconds);
  return {
    day: Math.max(1, Math.min(mostDayTerms, Math.floor((perDay - 1) / 2), days < 2 ? 4 : mostDayTerms)),
    week: days >= 14 ? mostWeekTerms : 0,
    weekend: days >= 8 || holidays !== undefined,
    names: regressors.map((regressor) => regressor.name),
  };
}

interface Design {
  readonly size: number;
  /** The columns at a time; valid until the next call. */
  row(epochSeconds: number): Float64Array;
}

function createDesign(terms: Terms, { timeZone, holidays, regressors = [] }: FitContext): Design {
  const calendar = localCalendar(timeZone);
  const used = terms.names.map((name) => regressors.find((regressor) => regressor.name === name));
  const crossed = Math.min(weekendTerms, terms.day);
  const size =
    1 +
    2 * terms.day +
    2 * (terms.week - Math.floor(terms.week / 7)) +
    (terms.weekend ? 1 + 2 * crossed : 0) +
    used.length;
  const row = new Float64Array(size);
  row[0] = 1;
  return {
    size,
    row: (epochSeconds) => {
      const { day, secondOfDay } = calendar.local(epochSeconds);
      let next = waves(row, 1, { phase: secondOfDay / daySeconds, count: terms.day, without: 0 });
      const weekday = (day + 4) % 7;
      next = waves(row, next, { phase: (weekday + secondOfDay / daySeconds) / 7, count: terms.week, without: 7 });
      if (terms.weekend) {
        const off = [0, 6].includes(dayOfWeek(day)) || holidays?.has(day) === true ? 1 : 0;
        row[next] = off;
        for (let index = 0; index < 2 * crossed; index += 1) row[next + 1 + index] = off * at(row, 1 + index);
        next += 1 + 2 * crossed;
      }
      for (const [index, regressor] of used.entries()) row[next + index] = valueAt(regressor, epochSeconds);
      return row;
    },
  };
}

function valueAt(regressor: Regressor | undefined, epochSeconds: number): number {
  if (regressor === undefined) return 0;
  return at(valuesOf(regressor, epochSeconds, { stepSeconds: 1, values: one }), 0);
}

const one = new Float64Array(1);

/** Cosine and sine of the first multiples but those of `without`, by the recurrence of their angle sums. */
function waves(
  row: Float64Array,
  from: number,
  { phase, count, without }: { phase: number; count: number; without: number },
): number {
  const [c, s] = [Math.cos(2 * Math.PI * phase), Math.sin(2 * Math.PI * phase)];
  let [cosine, sine] = [1, 0];
  let next = from;
  for (let multiple = 1; multiple <= count; multiple += 1) {
    const turned = cosine * c - sine * s;
    sine = sine * c + cosine * s;
    cosine = turned;
    if (without > 0 && multiple % without === 0) continue;
    row[next] = cosine;
    row[next + 1] = sine;
    next += 2;
  }
  return next;
}

function dot(coefficients: Float64Array, row: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < row.length; index += 1) sum += at(coefficients, index) * at(row, index);
  return sum;
}
