// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../base/duration.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { at } from '../series/time-series.ts';
import type { Sample } from '../series/time-series.ts';
import { observedMaximum } from './contest.ts';
import { restoreForecaster } from './forecaster.ts';
import type { ForecasterState, Outlook } from './forecaster.ts';
import type { Candidate } from './learn.ts';
import { createMinuteHistory } from './minute-history.ts';
import type { MinuteHistoryState } from './minute-history.ts';
import { restoreOnlineLevels } from './online.ts';
import type { OnlineState } from './online.ts';
import { dueReason, prepareFit, publishedMinutes, refit, stalestMinutes } from './refit.ts';
import type { DueFit } from './refit.ts';
import { models } from './registry.ts';
import { createScoreboard } from './scoreboard.ts';
import type { Accuracy, ScoreboardState } from './scoreboard.ts';
import { createOnline, describeHistory, minuteSeconds, refuse, windowOf } from './target.ts';
import type { Fit, FitReason, HistoryState, NotIssued, Refusal, State, TargetOptions } from './target.ts';

/** Skill is judged on a history of at least this; a loss below this share of mean demand is none worth to beat. */
const judgeableSeconds = 3 * 86_400;
const negligibleLoss = 0.005;
/** A forecast must lose this much less than the last value does. */
const leastSkill = 0.03;

/** For so long after a level shift quantiles are raised by this share of what lies above them. */
const widenedSeconds = 86_400;
const widenedShare = 0.3;

/** A forecast for the next hour. */
export interface Issued {
  readonly kind: 'issued';
  readonly issuedAt: number;
  /** The minute of `issuedAt`. */
  readonly startTime: number;
  readonly stepSeconds: 60;
  readonly quantile: number;
  /** values[i] is the quantile of the maximum of demand over [t, t + lead + 5 min], t = startTime + 60 i. */
  readonly values: Float64Array;
  /** Median of demand one lead after `issuedAt`. */
  readonly atLead: number;
  /** Point forecast for each minute from startTime to the end of the last look-ahead. */
  readonly median: Float64Array;
  readonly model: { readonly name: string; readonly since: number; readonly candidates: readonly Candidate[] };
  /** Of the forecasts that have come due in the last days. */
  readonly accuracy?: Accuracy;
}

/** Forecasts one target; is told samples, and asked once a minute. */
export interface TargetForecaster {
  /** Takes samples in any order; repeated ones and gaps do no harm. Those older than the history are not kept. */
  observe(samples: readonly Sample[]): void;
  setOptions(patch: { leadSeconds?: number; quantile?: number }): void;
  history(nowSeconds: number): HistoryState;
  /**
   * The fit that is due, to be made elsewhere and then settled, whatever comes of it; until then `issue` goes on with
   * the last fit, and no other is due. undefined when none is due.
   */
  takeFit(nowSeconds: number): DueFit | undefined;
  /** Fits when a fit is due that nobody took, which takes a fraction of a second; else takes milliseconds at most. */
  issue(nowSeconds: number): Issued | NotIssued;
  /** What made the fits due that were made since this was last asked. */
  takeRefits(): readonly FitReason[];
  /** A copy of all that is known, for `restoreTargetForecaster`. */
  snapshot(): TargetState;
}

/** A target's forecaster as plain data. */
export interface TargetState {
  readonly options: TargetOptions;
  readonly history: MinuteHistoryState;
  readonly scoreboard: ScoreboardState;
  readonly online: OnlineState;
  readonly fit: (Omit<Fit, 'forecaster'> & { readonly forecaster: ForecasterState }) | undefined;
  readonly refusal: State['refusal'];
  readonly inUse: State['inUse'];
  readonly shift?: State['shift'];
  readonly late: number;
}

/** A forecaster that knows nothing yet. */
export function createTargetForecaster(options: TargetOptions): TargetForecaster {
  return createEngine({
    options,
    history: createMinuteHistory(options.historySeconds),
    scoreboard: createScoreboard(),
    online: createOnline(options),
    late: 0,
    refits: [],
    counted: { head: Number.NEGATIVE_INFINITY, present: 0 },
  });
}

/**
 * The forecaster that gave the state, as it then was: it goes on to the bit as that one does.
 * @throws RangeError for a model that there is not
 */
export function restoreTargetForecaster(kept: TargetState): TargetForecaster {
  const { options, history, scoreboard, online, fit, refusal, inUse, shift, late } = kept;
  return createEngine({
    options,
    history: createMinuteHistory(options.historySeconds, history),
    scoreboard: createScoreboard(scoreboard),
    online: restoreOnlineLevels(online),
    ...(fit === undefined ? {} : { fit: { ...fit, forecaster: restoreForecaster(fit.forecaster, models) } }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(inUse === undefined ? {} : { inUse }),
    ...(shift === undefined ? {} : { shift }),
    late,
    refits: [],
    counted: { head: Number.NEGATIVE_INFINITY, present: 0 },
  });
}

function createEngine(state: State): TargetForecaster {
  return {
    observe: (samples) => {
      state.late += state.history.put(samples);
    },
    setOptions: (patch) => {
      const next = { ...state.options, ...patch };
      const { fit, options } = state;
      // With a fit, another look-ahead begins with the fit for it.
      const isOtherWindow = fit === undefined && windowOf(next) !== windowOf(options);
      if (next.quantile !== options.quantile || isOtherWindow) state.online = createOnline(next);
      state.options = next;
    },
    history: () => describeHistory(state),
    takeFit: (nowSeconds) => takeFit(state, nowSeconds),
    issue: (nowSeconds) => issue(state, nowSeconds),
    takeRefits: () => {
      const made = state.refits;
      state.refits = [];
      return made;
    },
    snapshot: () => snapshot(state),
  };
}

function snapshot({ options, history, scoreboard, online, fit, refusal, inUse, shift, late }: State): TargetState {
  return {
    options,
    history: history.snapshot(),
    scoreboard: scoreboard.snapshot(),
    online: online.snapshot(),
    fit: fit && { ...fit, forecaster: fit.forecaster.snapshot() },
    refusal,
    inUse,
    shift,
    late,
  };
}

function takeFit(state: State, nowSeconds: number): DueFit | undefined {
  if (state.isFitting === true || staleness(state, nowSeconds) !== undefined) return undefined;
  const reason = dueReason(state, nowSeconds);
  const due = reason && prepareFit(state, nowSeconds, reason);
  if (due === undefined) return undefined;
  state.isFitting = true;
  return {
    ...due,
    settle: (answer, at) => {
      delete state.isFitting;
      due.settle(answer, at);
    },
  };
}

/** Why no forecast can be made from the last sample, if so. */
function staleness({ history }: State, nowSeconds: number): string | undefined {
  const range = history.range();
  if (range === undefined) return 'there is no sample yet';
  const age = Math.floor(nowSeconds / minuteSeconds) - (range.head - 1);
  if (age <= stalestMinutes) return undefined;
  const last = `${formatDuration(age * minuteSeconds)} old (${formatRfc3339((range.head - 1) * minuteSeconds)})`;
  return `the last sample is ${last}, forecasting needs one of the last ${stalestMinutes}m`;
}

function issue(state: State, nowSeconds: number): Issued | NotIssued {
  const stale = staleness(state, nowSeconds);
  if (stale !== undefined) return refuse(state, nowSeconds, { reason: 'NoHistory', because: stale });
  const reason = state.isFitting === true ? undefined : dueReason(state, nowSeconds);
  if (reason !== undefined) refit(state, nowSeconds, reason);
  const { fit, refusal } = state;
  if (fit === undefined) {
    return refusal?.answer ?? refuse(state, nowSeconds, { reason: 'NoHistory', because: 'models are being fitted' });
  }
  catchUp(state, fit);
  const skill = lackOfSkill(state, fit);
  if (skill !== undefined) return refuse(state, nowSeconds, { reason: 'NoSkill', ...skill });
  const minute = Math.floor(nowSeconds / minuteSeconds);
  return publish(state, fit, { nowSeconds, minute, position: Math.max(0, minute - (fit.head - 1)) });
}

/**
 * What says that no model can foresee more of this demand than its last value does, if so: then it is better observed
 * than forecast. Asked of the default models only: who names models wants those.
 */
function lackOfSkill(state: State, { forecaster }: Fit): Pick<Refusal, 'because' | 'have' | 'need'> | undefined {
  const { naiveLoss, candidates, mean } = forecaster.learnt;
  const [best] = candidates;
  if (state.options.models !== undefined || best === undefined) return undefined;
  // A demand that hardly moves is forecast well by its last value too, and young histories know too little.
  if (describeHistory(state).haveSeconds < judgeableSeconds || !(naiveLoss > negligibleLoss * mean)) return undefined;
  const skill = 1 - best.loss / naiveLoss;
  if (!(skill < leastSkill)) return undefined;
  const have = `${percent(skill)} less loss than the last value has (${best.name})`;
  const need = percent(leastSkill);
  return {
    because: `no model foresees this demand: the best has ${have}, need ${need}; observed demand is published`,
    have,
    need,
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Leads the models to the newest minute, and scores what has come due. */
function catchUp({ history, scoreboard, online }: State, fit: Fit): void {
  const head = history.range()?.head ?? fit.head;
  for (; fit.head < head; fit.head += 1) fit.forecaster.update(history.at(fit.head));
  const outcome = (minute: number, windowMinutes: number): number => {
    const values = Float64Array.from({ length: windowMinutes + 1 }, (_, index) => history.at(minute + index));
    return observedMaximum(values, 0, windowMinutes);
  };
  scoreboard.score(head, outcome);
  online.learn(head, (minute) => outcome(minute, fit.windowMinutes));
}

interface Moment {
  readonly nowSeconds: number;
  readonly minute: number;
  /** Where this minute is on the models' path: 0 when it has been observed. */
  readonly position: number;
}

function publish(state: State, fit: Fit, { nowSeconds, minute, position }: Moment): Issued {
  const { options, online, scoreboard, inUse } = state;
  const { forecaster, windowMinutes } = fit;
  const { quantile, leadSeconds } = options;
  const outlook = forecaster.outlook();
  const medians = outlook.quantiles(position, () => 0.5);
  const isShaken = state.shift !== undefined && nowSeconds - state.shift.atSeconds < widenedSeconds;
  const widening = isShaken ? widenedShare * Math.max(0, 1 - quantile) : 0;
  const levelAt = (at: number): number => online.levelAt(0, at - position) + widening;
  const values = published(outlook, { medians, quantiles: outlook.quantiles(position, levelAt), quantile, position });
  online.note(minute, [values]);
  scoreboard.publish({
    minute,
    windowMinutes,
    level: quantile,
    quantile: at(values, 0),
    median: at(medians, 0),
    reference: outlook.reference(position, quantile),
  });
  const accuracy = scoreboard.accuracy();
  return {
    kind: 'issued',
    issuedAt: nowSeconds,
    startTime: minute * minuteSeconds,
    stepSeconds: minuteSeconds,
    quantile,
    values,
    atLead: at(outlook.path, position + Math.round(leadSeconds / minuteSeconds)),
    median: outlook.path.slice(position, position + publishedMinutes + windowMinutes),
    model: { name: forecaster.model, since: inUse?.since ?? nowSeconds, candidates: forecaster.candidates },
    ...(accuracy === undefined ? {} : { accuracy }),
  };
}

/** An upper quantile is never below the median, and the maximum from now on never below what is seen now. */
function published(
  outlook: Outlook,
  {
    medians,
    quantiles,
    quantile,
    position,
  }: { medians: Float64Array; quantiles: Float64Array; quantile: number; position: number },
): Float64Array {
  return quantiles.slice(0, publishedMinutes).map((value, row) => {
    const ordered = quantile >= 0.5 ? Math.max(value, at(medians, row)) : Math.min(value, at(medians, row));
    return position === 0 && row === 0 ? Math.max(ordered, at(outlook.path, 0)) : ordered;
  });
}
