// SPDX-License-Identifier: Apache-2.0
import { localCalendar } from '../series/calendar.ts';
import { at, endSeconds } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { mixParts, weightsBetween } from './combine.ts';
import { contextOf, pathOf, targetsOf } from './contest.ts';
import type { Target } from './contest.ts';
import { createCalibration } from './intervals.ts';
import type { Calibration } from './intervals.ts';
import { entrantsOf, learn } from './learn.ts';
import type { Candidate, Learnt, LearntMember, LearnSetup } from './learn.ts';
import type { CannotFit, FitContext, FittedModel, Model, ModelState } from './model.ts';
import { lastPresent } from './robust.ts';

/** What to forecast, with which models. */
export interface ForecasterSetup extends LearnSetup {
  /** What an earlier contest has taught: with it, no contest is held. */
  readonly learnt?: Learnt;
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

/** The selected models with their calibration; moves on point by point. */
export interface Forecaster {
  readonly kind: 'forecaster';
  readonly model: string;
  readonly candidates: readonly Candidate[];
  readonly learnt: Learnt;
  update(value: number): void;
  outlook(): Outlook;
  /** A copy of all that is known, for {@link restoreForecaster}. */
  snapshot(): ForecasterState;
}

/** A forecaster as plain data, which needs no history to go on. */
export interface ForecasterState {
  readonly kind: 'forecaster-state';
  readonly position: Position;
  readonly learnt: Learnt;
  /** The states of the fitted models by name. */
  readonly fits: Readonly<Record<string, ModelState>>;
}

/** Where a forecaster stands. */
interface Position extends FitContext {
  readonly target: Target;
  readonly stepSeconds: number;
  /** Epoch seconds of the next point. */
  readonly now: number;
  readonly last: number;
  /** No quantile is below it. */
  readonly floor: number;
}

/** Holds the contest where there was none, selects the models, and fits them on the whole history. */
export function fitForecaster(history: TimeSeries, setup: ForecasterSetup): Forecaster | CannotFit {
  const learnt = setup.learnt ?? learn(history, setup);
  if (learnt.kind === 'cannot-fit') return learnt;
  const context = contextOf(history, setup);
  const fits = new Map<string, FittedModel>();
  for (const { name } of [...learnt.members, ...(learnt.reference === undefined ? [] : [learnt.reference])]) {
    if (fits.has(name)) continue;
    const fitted = entrantsOf(setup)
      .find((model) => model.name === name)
      ?.fit(history, context);
    if (fitted === undefined) return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: 'no model', need: name };
    if (fitted.kind === 'cannot-fit') return fitted;
    fits.set(name, fitted);
  }
  const position = {
    ...context,
    target: setup.target,
    stepSeconds: history.stepSeconds,
    now: endSeconds(history),
    last: lastPresent(history.values),
    floor: history.values.some((value) => value < 0) ? Number.NEGATIVE_INFINITY : 0,
  };
  return createForecaster(position, learnt, fits);
}

/**
 * The forecaster that gave the state, where it then stood: it goes on to the bit as that one does.
 * @throws RangeError for a model that is not among `models`
 */
export function restoreForecaster(
  { position, learnt, fits }: ForecasterState,
  models: Readonly<Record<string, Model>>,
): Forecaster {
  const restored = Object.entries(fits).map(([name, state]) => {
    const known = models[name];
    if (known === undefined) throw new RangeError(`model: got ${JSON.stringify(name)}, want one that there is`);
    return [name, known.restore(state, position)] as const;
  });
  return createForecaster(position, learnt, new Map(restored));
}

/** A model in use. */
interface Player {
  readonly fitted: FittedModel;
  readonly calibration: Calibration;
  readonly weightAt: (position: number, level: number) => number;
}

/** Closures hold on to nothing of the history: it lives for as long as the forecaster, once for every target. */
function createForecaster(position: Position, learnt: Learnt, fits: ReadonlyMap<string, FittedModel>): Forecaster {
  const { target, stepSeconds } = position;
  const calendar = localCalendar(position.timeZone);
  const players = learnt.members.flatMap((member) => playerOf(member, fits, learnt.positions));
  const reference = learnt.reference === undefined ? [] : playerOf(learnt.reference, fits, learnt.positions);
  let { now, last, floor } = position;
  return {
    kind: 'forecaster',
    model: learnt.model,
    candidates: learnt.candidates,
    learnt,
    update: (value) => {
      for (const fitted of fits.values()) fitted.update(value);
      if (!Number.isNaN(value)) last = value;
      if (value < 0) floor = Number.NEGATIVE_INFINITY;
      now += stepSeconds;
    },
    outlook: () =>
      createOutlook({ players, reference, target, last, floor, secondOfDay: calendar.local(now).secondOfDay }),
    snapshot: () => ({
      kind: 'forecaster-state',
      position: { ...position, now, last, floor },
      learnt,
      fits: Object.fromEntries([...fits].map(([name, fitted]) => [name, fitted.snapshot()])),
    }),
  };
}

function playerOf(
  { name, calibration, weights }: Pick<LearntMember, 'name' | 'calibration'> & Partial<LearntMember>,
  fits: ReadonlyMap<string, FittedModel>,
  positions: readonly number[],
): Player[] {
  const fitted = fits.get(name);
  if (fitted === undefined) return [];
  const weightAt = weights === undefined ? () => 1 : weightsBetween(weights, positions);
  return [{ fitted, calibration: createCalibration(calibration), weightAt }];
}

interface Moment {
  readonly players: readonly Player[];
  readonly reference: readonly Player[];
  readonly target: Target;
  readonly last: number;
  readonly floor: number;
  readonly secondOfDay: number;
}

function createOutlook({ players, reference, target, last, floor, secondOfDay }: Moment): Outlook {
  const { lastPosition, windowSteps } = target;
  const every = Array.from({ length: lastPosition + 1 }, (_, position) => position);
  // Each player forecasts once, when it is first asked.
  let targets: readonly Targets[] | undefined;
  const forecasts = (): readonly Targets[] => {
    targets ??= players.map(({ fitted }) => denseTargets(fitted, { last, target, every }));
    return targets;
  };
  return {
    path: mixedPath(players, { last, target }),
    quantiles: (first, levelAt) => {
      const curves = players.map(({ calibration }) => calibration.curve(secondOfDay, levelAt));
      return Float64Array.from({ length: Math.max(0, lastPosition + 1 - first) }, (_, index) => {
        const position = first + index;
        const parts = players.map(({ weightAt }, number) => {
          const own = forecasts()[number];
          const value = curves[number]?.(at(own?.centres ?? none, position), position, own?.spreads?.[position]);
          return {
            value: value ?? Number.NaN,
            weight: players.length === 1 ? 1 : weightAt(position, levelAt(position)),
          };
        });
        return Math.max(floor, mixParts(parts));
      });
    },
    reference: (position, level) => {
      const [player] = reference;
      if (player === undefined) return Number.NaN;
      const path = pathOf(last, player.fitted, { windowSteps, lastPosition: position });
      let centre = Number.NaN;
      for (const value of path.subarray(position)) if (!(value <= centre)) centre = value;
      return Math.max(floor, player.calibration.curve(secondOfDay, () => level)(centre, position));
    },
  };
}

const none = new Float64Array();

type Targets = ReturnType<typeof targetsOf>;

/** Targets at every position. Maxima over a window hardly differ from one position to the next: direct ones are taken at a few. */
function denseTargets(
  fitted: FittedModel,
  { last, target, every }: { readonly last: number; readonly target: Target; readonly every: readonly number[] },
): Targets {
  if (fitted.target === undefined || target.windowSteps === 0)
    return targetsOf(fitted, { last, target, positions: every });
  const positions = every.filter((position) => (position & (position - 1)) === 0 || position === target.lastPosition);
  const sparse = targetsOf(fitted, { last, target, positions });
  return {
    centres: interpolated(sparse.centres, positions),
    ...(sparse.spreads === undefined ? {} : { spreads: interpolated(sparse.spreads, positions) }),
  };
}

/** Linear between the positions, of which the first is 0. */
function interpolated(values: Float64Array, positions: readonly number[]): Float64Array {
  const dense = new Float64Array((positions.at(-1) ?? 0) + 1);
  for (const [index, to] of positions.entries()) {
    const from = positions[index - 1] ?? to;
    for (let position = from; position <= to; position += 1) {
      const share = to === from ? 1 : (position - from) / (to - from);
      dense[position] = (1 - share) * at(values, Math.max(0, index - 1)) + share * at(values, index);
    }
  }
  return dense;
}

/** The members' paths by their weights for the median. */
function mixedPath(players: readonly Player[], { last, target }: { last: number; target: Target }): Float64Array {
  const [only] = players;
  if (only !== undefined && players.length === 1) return pathOf(last, only.fitted, target);
  const paths = players.map(({ fitted }) => pathOf(last, fitted, target));
  const mixed = new Float64Array(target.lastPosition + target.windowSteps + 1);
  for (let index = 0; index < mixed.length; index += 1) {
    let sum = 0;
    let total = 0;
    for (const [number, { weightAt }] of players.entries()) {
      const weight = weightAt(Math.min(index, target.lastPosition), 0.5);
      sum += weight * at(paths[number] ?? none, index);
      total += weight;
    }
    mixed[index] = sum / total;
  }
  return mixed;
}
