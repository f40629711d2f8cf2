// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { endSeconds } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { pathOf, runContest, windowMaximum } from './contest.ts';
import type { Contest, Target } from './contest.ts';
import { calibrationOf, createCalibration } from './intervals.ts';
import type { Calibration, CalibrationState } from './intervals.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from './model.ts';
import { naive } from './models/naive.ts';
import { seasonalNaive } from './models/seasonal-naive.ts';
import { lastPresent, meanPresent } from './robust.ts';
import { scoreTracks, selectScore } from './select.ts';
import type { Score } from './select.ts';

/** With fewer forecasts of the past that have come due, quantiles would be guesses. */
const fewestResiduals = 12;

/** What to forecast, with which models. */
export interface ForecasterSetup {
  readonly timeZone: string;
  readonly models: readonly Model[];
  readonly target: Target;
  /** The model in use: another one must be clearly better to replace it. */
  readonly inUse?: string;
}

/** The models that took part, best first. */
export interface Candidate {
  readonly name: string;
  /** Mean pinball loss of the target over the quantiles 0.5, 0.8 and 0.95, in units of demand. */
  readonly loss: number;
}

/** Point forecasts and quantiles from one moment on, by position (0 is the last observed step). */
export interface Outlook {
  /** The last observation, then point forecasts. */
  readonly path: Float64Array;
  /** Quantiles of the target at the positions `first` to the last; `levelAt` gives the level by position. */
  quantiles(first: number, levelAt: (position: number) => number): Float64Array;
  /** The same quantile from the reference (seasonal naive, or naive), to measure skill against. */
  reference(position: number, level: number): number;
}

/** The selected model with its calibration; moves on point by point. */
export interface Forecaster {
  readonly kind: 'forecaster';
  readonly model: string;
  readonly candidates: readonly Candidate[];
  update(value: number): void;
  outlook(): Outlook;
  /** A copy of all that is known, for `restoreForecaster`. */
  snapshot(): ForecasterState;
}

/** A forecaster as plain data, which needs no history to go on. */
export interface ForecasterState {
  readonly kind: 'forecaster-state';
  readonly model: string;
  readonly candidates: readonly Candidate[];
  readonly position: Position;
  readonly used: CalibratedState;
  /** undefined: the model in use. */
  readonly reference: CalibratedState | undefined;
}

interface CalibratedState {
  readonly name: string;
  readonly fitted: ModelState;
  readonly calibration: CalibrationState;
}

/** Where a forecaster stands. */
interface Position {
  readonly target: Target;
  readonly timeZone: string;
  readonly horizonSteps: number;
  readonly stepSeconds: number;
  readonly now: number;
  readonly last: number;
  /** No quantile is below it. */
  readonly floor: number;
}

/** Holds the contest, selects the model, and fits it on the whole history. */
export function fitForecaster(history: TimeSeries, setup: ForecasterSetup): Forecaster | CannotFit {
  const entrants = [...new Set([...setup.models, naive, seasonalNaive])];
  const contest = runContest(history, entrants, setup);
  const mean = meanPresent(history.values.map(Math.abs));
  // The maximum over a window is judged from now on; demand itself at every position ahead.
  const judged = contest.positions.flatMap((position, slot) => {
    return (setup.target.windowSteps > 0 ? position === 0 : position > 0) ? [slot] : [];
  });
  const scores = scoreTracks(contest, judged, mean);
  const eligible = scores.filter(({ track }) => setup.models.includes(track.model));
  const selected = selectScore(eligible, setup.inUse);
  if (selected === undefined) return refusalOf(contest, setup.models);
  const calibration = createCalibration(contest, selected.track, { rule: selected.rule, mean });
  if (calibration.size < fewestResiduals) {
    return {
      kind: 'cannot-fit',
      reason: 'TooLittleHistory',
      have: `${calibration.size} forecasts of the past to learn the errors of ${selected.track.model.name} from`,
      need: `${fewestResiduals}`,
    };
  }
  const context = contextOf(history, setup);
  const fitted = selected.track.model.fit(history, context);
  if (fitted.kind === 'cannot-fit') return fitted;
  const reference =
    scores.find(({ track }) => track.model === seasonalNaive) ?? scores.find(({ track }) => track.model === naive);
  const model = selected.track.model.name;
  const candidates = eligible
    .filter(({ loss }) => !Number.isNaN(loss))
    .map(({ track, loss }) => ({ name: track.model.name, loss }));
  const position = { ...context, target: setup.target, ...standOf(history) };
  return createForecaster(position, {
    model,
    candidates,
    used: { name: model, fitted, calibration },
    reference: calibrated(contest, reference, mean),
  });
}

function contextOf({ stepSeconds }: TimeSeries, { timeZone, target }: ForecasterSetup) {
  const { windowSteps, lastPosition } = target;
  return { timeZone, horizonSteps: Math.max(1, windowSteps, Math.min(lastPosition, 86_400 / stepSeconds)) };
}

function standOf(history: TimeSeries) {
  return {
    stepSeconds: history.stepSeconds,
    now: endSeconds(history),
    last: lastPresent(history.values),
    floor: history.values.some((value) => value < 0) ? Number.NEGATIVE_INFINITY : 0,
  };
}

/**
 * The forecaster that gave the state, where it then stood: it goes on to the bit as that one does.
 * @throws RangeError for a model that is not among `models`
 */
export function restoreForecaster(
  { model, candidates, position, used, reference }: ForecasterState,
  models: Readonly<Record<string, Model>>,
): Forecaster {
  const restore = ({ name, fitted, calibration }: CalibratedState): Calibrated => {
    const known = models[name];
    if (known === undefined) throw new RangeError(`model: got ${JSON.stringify(name)}, want one that there is`);
    const context: FitContext = { timeZone: position.timeZone, horizonSteps: position.horizonSteps };
    return { name, fitted: known.restore(fitted, context), calibration: calibrationOf(calibration) };
  };
  return createForecaster(position, {
    model,
    candidates,
    used: restore(used),
    reference: reference === undefined ? undefined : restore(reference),
  });
}

interface Calibrated {
  readonly name: string;
  readonly fitted: FittedModel;
  readonly calibration: Calibration;
}

interface Parts {
  readonly model: string;
  readonly candidates: readonly Candidate[];
  readonly used: Calibrated;
  /** undefined: the model in use. */
  readonly reference: Calibrated | undefined;
}

function calibrated(contest: Contest, score: Score | undefined, mean: number): Calibrated | undefined {
  if (score === undefined) return undefined;
  const { track, rule } = score;
  const calibration = createCalibration(contest, track, { rule, mean });
  return { name: track.model.name, fitted: track.fitted, calibration };
}

function stateOf({ name, fitted, calibration }: Calibrated): CalibratedState {
  return { name, fitted: fitted.snapshot(), calibration: calibration.state };
}

/** Closures hold on to nothing of the history: it lives for as long as the forecaster, once for every target. */
function createForecaster(position: Position, parts: Parts): Forecaster {
  const { target, stepSeconds } = position;
  const calendar = localCalendar(position.timeZone);
  const { model, candidates, used } = parts;
  const reference = parts.reference ?? used;
  const { windowSteps, lastPosition } = target;
  let { now, last, floor } = position;
  return {
    kind: 'forecaster',
    model,
    candidates,
    update: (value) => {
      used.fitted.update(value);
      if (reference !== used) reference.fitted.update(value);
      if (!Number.isNaN(value)) last = value;
      if (value < 0) floor = Number.NEGATIVE_INFINITY;
      now += stepSeconds;
    },
    outlook: () => {
      const path = pathOf(last, used.fitted, target);
      const { secondOfDay } = calendar.local(now);
      return {
        path,
        quantiles: (first, levelAt) => {
          const quantile = used.calibration.curve(secondOfDay, levelAt);
          return Float64Array.from({ length: Math.max(0, lastPosition + 1 - first) }, (_, index) =>
            Math.max(floor, quantile(windowMaximum(path, first + index, windowSteps), first + index)),
          );
        },
        reference: (at, level) => {
          const other = pathOf(last, reference.fitted, target);
          const quantile = reference.calibration.curve(secondOfDay, () => level);
          return Math.max(floor, quantile(windowMaximum(other, at, windowSteps), at));
        },
      };
    },
    snapshot: () => ({
      kind: 'forecaster-state',
      model,
      candidates,
      position: { ...position, now, last, floor },
      used: stateOf(used),
      reference: reference === used ? undefined : stateOf(reference),
    }),
  };
}

function refusalOf({ refusals }: Contest, models: readonly Model[]): CannotFit {
  const refused = refusals.filter(({ name }) => models.some((model) => model.name === name));
  const [first] = refused;
  if (first === undefined) return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: 'no model', need: '1 model' };
  return { ...first.refusal, have: `${first.refusal.have} (${first.name})` };
}
