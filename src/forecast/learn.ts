// SPDX-License-Identifier: Apache-2.0
import type { TimeSeries } from '../series/time-series.ts';
import { alone, combineScores } from './combine.ts';
import type { Combination } from './combine.ts';
import { runContest } from './contest.ts';
import type { Contest, Target } from './contest.ts';
import { calibrate } from './intervals.ts';
import type { CalibrationState } from './intervals.ts';
import type { CannotFit, Model } from './model.ts';
import { ensemble, ensembleMembers } from './models/ensemble.ts';
import { naive } from './models/naive.ts';
import { seasonalNaive } from './models/seasonal-naive.ts';
import { meanPresent } from './robust.ts';
import { refineRule, scoreTracks, selectScore } from './select.ts';
import type { Basis, Score } from './select.ts';

/** With fewer forecasts of the past that have come due, quantiles would be guesses. */
const fewestResiduals = 12;

/** What to forecast, with which models. */
export interface LearnSetup {
  readonly timeZone: string;
  /** Models that may be used; `ensemble` among them lets the others be combined. */
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

/** One of the models in use: what it is called, how its errors were, and what it weighs. */
export interface LearntMember {
  readonly name: string;
  readonly calibration: CalibrationState;
  /** By noted position and judged level. */
  readonly weights: Float64Array;
}

/** What a contest has taught, as plain data: with it models are fitted again without another contest. */
export interface Learnt {
  readonly kind: 'learnt';
  /** The model in use: the one member, or `ensemble`. */
  readonly model: string;
  readonly members: readonly LearntMember[];
  /** Positions that weights are given for. */
  readonly positions: readonly number[];
  /** What skill is measured against. */
  readonly reference?: { readonly name: string; readonly calibration: CalibrationState };
  readonly candidates: readonly Candidate[];
  /** The loss of the naive model in the same contest. */
  readonly naiveLoss: number;
  /** Mean demand, the unit of losses. */
  readonly mean: number;
}

/** Every model that a setup makes use of. */
export function entrantsOf({ models }: Pick<LearnSetup, 'models'>): readonly Model[] {
  const named = models.filter((model) => model !== ensemble);
  return [...new Set([...(named.length === 0 ? ensembleMembers : named), naive, seasonalNaive])];
}

/** Holds the contest, and selects the model or the combination by its loss there. */
export function learn(history: TimeSeries, setup: LearnSetup): Learnt | CannotFit {
  const contest = runContest(history, entrantsOf(setup), setup);
  const basis = basisOf(history, contest, setup.target);
  const scores = scoreTracks(contest, basis);
  const named = setup.models.filter((model) => model !== ensemble);
  const allowed = scores.filter(({ track }) => named.length === 0 || named.includes(track.model));
  const combination = setup.models.includes(ensemble) ? combineScores(contest, allowed, basis) : undefined;
  const eligible: readonly (Score | Combination)[] =
    combination === undefined ? allowed : [combination, ...(named.length === 0 ? [] : allowed)];
  const selected = selectScore(eligible, setup.inUse);
  if (selected === undefined) return refusalOf(contest, setup.models);
  return learntFrom(contest, selected, { scores, eligible, basis });
}

interface Judged {
  readonly scores: readonly Score[];
  readonly eligible: readonly (Score | Combination)[];
  readonly basis: Basis;
}

function learntFrom(
  contest: Contest,
  selected: Score | Combination,
  { scores, eligible, basis }: Judged,
): Learnt | CannotFit {
  const members = 'members' in selected ? selected.members : alone(selected);
  const calibrated = members.map(({ score, weights }) => ({ ...calibrateScore(contest, score, basis), weights }));
  const size = Math.min(...calibrated.map(({ calibration }) => calibration.size));
  if (size < fewestResiduals) return tooFewResiduals(size, selected.name);
  const scoreOf = (model: Model): Score | undefined => scores.find(({ track }) => track.model === model);
  const reference = scoreOf(seasonalNaive) ?? scoreOf(naive) ?? members[0]?.score;
  return {
    kind: 'learnt',
    model: selected.name,
    members: calibrated,
    positions: contest.positions,
    ...(reference === undefined ? {} : { reference: calibrateScore(contest, reference, basis) }),
    candidates: eligible
      .filter(({ loss }) => !Number.isNaN(loss))
      .map(({ name, loss }) => ({ name, loss }))
      .sort((a, b) => a.loss - b.loss),
    naiveLoss: scoreOf(naive)?.loss ?? Number.NaN,
    mean: basis.mean,
  };
}

/** The maximum over a window is judged from now on; demand itself at every position ahead. */
function basisOf(history: TimeSeries, { positions }: Contest, { windowSteps }: Target): Basis {
  const judgedSlots = positions.flatMap((position, slot) => {
    return (windowSteps > 0 ? position === 0 : position > 0) ? [slot] : [];
  });
  return { judgedSlots, mean: meanPresent(history.values.map(Math.abs)) };
}

function calibrateScore(contest: Contest, score: Score, basis: Basis): { name: string; calibration: CalibrationState } {
  const rule = refineRule(contest, score, basis);
  return { name: score.name, calibration: calibrate(contest, score.track, { rule, mean: basis.mean }) };
}

function tooFewResiduals(size: number, name: string): CannotFit {
  return {
    kind: 'cannot-fit',
    reason: 'TooLittleHistory',
    have: `${size} forecasts of the past to learn the errors of ${name} from`,
    need: `${fewestResiduals}`,
  };
}

function refusalOf({ refusals }: Contest, models: readonly Model[]): CannotFit {
  const refused = refusals.filter(({ name }) => models.some((model) => model === ensemble || model.name === name));
  const [first] = refused;
  if (first === undefined) return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: 'no model', need: '1 model' };
  return { ...first.refusal, have: `${first.refusal.have} (${first.name})` };
}
