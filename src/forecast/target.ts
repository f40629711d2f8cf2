// SPDX-License-Identifier: Apache-2.0
import type { ModelName } from '../api/v1alpha1/demand-forecast.ts';
import { formatDuration } from '../base/duration.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import type { Forecaster } from './forecaster.ts';
import type { MinuteHistory } from './minute-history.ts';
import { createOnlineLevels } from './online.ts';
import type { OnlineLevels } from './online.ts';
import { defaultModelNames } from './registry.ts';
import type { Scoreboard } from './scoreboard.ts';
import type { LevelShift } from './shift.ts';

export const minuteSeconds = 60;
const hourSeconds = 3600;

/** The maximum is taken over the lead and this much more: it insures the timing of ramps. */
const insuranceSeconds = 300;

/** Rows of the published curve at which quantiles are checked against what came. */
const checkpoints = [0, 15, 45];

/** Much lower and a week does not suffice to correct coverage; much higher and levels chase every cluster of misses. */
const gain = 0.0015;

/** Two hours let a model without seasons be fitted and judged; seasonal ones need a day before that. */
const needSeconds = 2 * hourSeconds;
const seasonalNeedSeconds = 26 * hourSeconds;
const seasonless: readonly ModelName[] = ['naive', 'drift'];

/** What a target's forecaster is told. */
export interface TargetOptions {
  readonly timeZone: string;
  /** Models that may be used; default `defaultModelNames`. */
  readonly models?: readonly ModelName[];
  /** History that models are fitted on. */
  readonly historySeconds: number;
  /** The quantile of the maximum over the look-ahead that is published. */
  readonly quantile: number;
  /** Time from a decision to ready pods. */
  readonly leadSeconds: number;
}

/** Why there is no forecast, with the numbers. */
export interface NotIssued {
  readonly kind: 'not-issued';
  readonly reason: 'NoHistory' | 'TooLittleHistory' | 'CannotFit' | 'NoSkill';
  readonly message: string;
  readonly have: string;
  readonly need: string;
  /** When there will be enough, if nothing is missing. */
  readonly readyAt?: number;
}

/** History that there is and that forecasting needs. */
export interface HistoryState {
  readonly haveSeconds: number;
  readonly needSeconds: number;
  readonly lastTimestamp?: number;
}

/** Everything that is known of one target. */
export interface State {
  options: TargetOptions;
  readonly history: MinuteHistory;
  readonly scoreboard: Scoreboard;
  online: OnlineLevels;
  fit?: Fit;
  /** True while a fit is being made elsewhere. */
  isFitting?: true;
  refusal?: { readonly answer: NotIssued; readonly at: number };
  inUse?: { readonly name: string; readonly since: number };
  /** The last level shift, as long as the history reaches back before it. */
  shift?: LevelShift;
  /** When a shift was last looked for. */
  shiftSoughtAt?: number;
  /** What made the fits due that nobody has counted yet. */
  refits: FitReason[];
  /** Minutes filled behind the models' backs since the last fit. */
  late: number;
  /** Minutes with a value before `head`. */
  counted: { readonly head: number; readonly present: number };
}

/** What makes a fit due. */
export type FitReason = 'first' | 'look-ahead' | 'level-shift' | 'late-samples' | 'scheduled' | 'reselection';

export interface Fit {
  readonly forecaster: Forecaster;
  readonly windowMinutes: number;
  readonly fittedAt: number;
  readonly refitAfterSeconds: number;
  /** When the models in use were last chosen. */
  readonly selectedAt: number;
  /** The first minute that the models have not seen. */
  head: number;
}

/** Corrections of the published quantile that have seen nothing yet. */
export function createOnline(options: Pick<TargetOptions, 'quantile' | 'leadSeconds'>): OnlineLevels {
  return createOnlineLevels({ levels: [options.quantile], checkpoints, windowSteps: windowOf(options), gain });
}

/** Minutes over which the maximum of demand is forecast. */
export function windowOf({ leadSeconds }: Pick<TargetOptions, 'leadSeconds'>): number {
  return Math.ceil((leadSeconds + insuranceSeconds) / minuteSeconds);
}

function needOf({ models: allowed = defaultModelNames }: TargetOptions): number {
  return allowed.some((name) => seasonless.includes(name)) ? needSeconds : seasonalNeedSeconds;
}

/** What there is of the history, and what is needed. */
export function describeHistory(state: State): HistoryState {
  const { history, options } = state;
  const range = history.range();
  if (range === undefined) return { haveSeconds: 0, needSeconds: needOf(options) };
  const wanted = Math.floor(options.historySeconds / minuteSeconds);
  const { counted } = state;
  // Counted once, then minute by minute: this is asked for every minute.
  let { present } = counted;
  for (let minute = Math.max(counted.head, range.head - wanted); minute < range.head; minute += 1) {
    if (!Number.isNaN(history.at(minute))) present += 1;
  }
  state.counted = { head: range.head, present: Math.min(present, wanted) };
  return {
    haveSeconds: state.counted.present * minuteSeconds,
    needSeconds: needOf(options),
    lastTimestamp: (range.head - 1) * minuteSeconds,
  };
}

/** Why nothing can be issued. */
export interface Refusal {
  readonly reason: NotIssued['reason'];
  /** Empty: what is there and what is needed says it all. */
  readonly because: string;
  readonly have?: string;
  readonly need?: string;
  readonly readyAt?: number;
}

/** Says why nothing can be issued, and remembers it where it took work to find out. */
export function refuse(state: State, nowSeconds: number, refusal: Refusal): NotIssued {
  const { haveSeconds, needSeconds: needed } = describeHistory(state);
  const have = refusal.have ?? formatDuration(haveSeconds);
  const need = refusal.need ?? formatDuration(needed);
  const numbers = `have ${have}${refusal.have === undefined ? ' of history' : ''}, need ${need}`;
  const starts = refusal.readyAt === undefined ? '' : `; forecasting starts ${formatRfc3339(refusal.readyAt)}`;
  const answer: NotIssued = {
    kind: 'not-issued',
    reason: refusal.reason,
    message: refusal.because === '' ? `${numbers}${starts}` : refusal.because,
    have,
    need,
    ...(refusal.readyAt === undefined ? {} : { readyAt: refusal.readyAt }),
  };
  // Too old or no samples at all are looked at anew every time: that costs nothing.
  if (refusal.reason !== 'NoHistory' && refusal.reason !== 'NoSkill') state.refusal = { answer, at: nowSeconds };
  return answer;
}
