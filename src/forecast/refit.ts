// SPDX-License-Identifier: Apache-2.0
import { fitTarget } from './fit.ts';
import type { FitInput } from './fit.ts';
import { restoreForecaster } from './forecaster.ts';
import type { ForecasterState } from './forecaster.ts';
import type { CannotFit } from './model.ts';
import { defaultModelNames, models } from './registry.ts';
import { findLevelShift } from './shift.ts';
import { createOnline, describeHistory, minuteSeconds, refuse, windowOf } from './target.ts';
import type { Fit, FitReason, State } from './target.ts';

const hourSeconds = 3600;

/** Minutes that a forecast publishes a value for. */
export const publishedMinutes = 60;

/** A forecast is not issued from an older last sample than this. */
export const stalestMinutes = 15;

const refitSeconds = 6 * hourSeconds;
/** A history that grows by a twelfth in an hour is worth another look. */
const youngRefitSeconds = hourSeconds;
const youngHistorySeconds = 48 * hourSeconds;
const retrySeconds = 600;
/** In between only the models in use are fitted again. */
const reselectSeconds = 24 * hourSeconds;

/** A level shift is looked for in so much of the past, and after one for so long not again. */
const soughtSeconds = 15 * 24 * hourSeconds;
const quietSeconds = 26 * hourSeconds;

/** This many minutes filled behind the models' backs are worth a refit. */
const lateMinutes = 30;

/** A fit that came to nothing: it took too long, or its thread has died. */
export interface FitFailure {
  readonly kind: 'failed';
  readonly message: string;
}

/** A fit that is due, to be made by `fitTarget` wherever there is time for it. */
export interface DueFit {
  readonly reason: FitReason;
  /** True when nothing, or nothing for the look-ahead wanted now, can be issued before it is made. */
  readonly isAwaited: boolean;
  /** What is to be fitted, as known now; the history is a copy, which may be transferred. */
  input(): FitInput;
  /** Takes what came of `input`; the minutes that have passed since are caught up with the next forecast. */
  settle(answer: ForecasterState | CannotFit | FitFailure, nowSeconds: number): void;
}

/** Why models must be fitted before the next forecast; undefined when they need not. */
export function dueReason(state: State, nowSeconds: number): FitReason | undefined {
  const { fit, refusal, options, late } = state;
  if (fit === undefined) {
    // Whether there is enough by now costs nothing to see; whether models can be fitted does.
    const isWaiting = refusal?.answer.reason === 'CannotFit' && Math.abs(nowSeconds - refusal.at) < retrySeconds;
    return isWaiting ? undefined : 'first';
  }
  if (fit.windowMinutes !== windowOf(options)) return 'look-ahead';
  if (late >= lateMinutes) return 'late-samples';
  if (hasShifted(state, nowSeconds)) return 'level-shift';
  if (Math.abs(nowSeconds - fit.fittedAt) < fit.refitAfterSeconds) return undefined;
  return isSelectionOld(state, nowSeconds) ? 'reselection' : 'scheduled';
}

/** Looks for a level shift once an hour, and not for the same one twice. */
function hasShifted(state: State, nowSeconds: number): boolean {
  const { history, options, shift, fit } = state;
  const sought = state.shiftSoughtAt ?? fit?.fittedAt ?? nowSeconds;
  if (Math.abs(nowSeconds - sought) < hourSeconds) return false;
  state.shiftSoughtAt = nowSeconds;
  if (shift !== undefined && nowSeconds - shift.atSeconds < quietSeconds) return false;
  const head = history.range()?.head ?? 0;
  const found = findLevelShift(
    history.series(head - Math.floor(Math.min(options.historySeconds, soughtSeconds) / minuteSeconds)),
  );
  if (found === undefined) return false;
  state.shift = found;
  return true;
}

/** Models are chosen anew daily, and hourly while the history is young. */
function isSelectionOld({ fit }: State, nowSeconds: number): boolean {
  if (fit === undefined || fit.refitAfterSeconds < refitSeconds) return true;
  return Math.abs(nowSeconds - fit.selectedAt) >= reselectSeconds - refitSeconds / 2;
}

/** The fit that is due; undefined with too little history, which is then the refusal that stands. */
export function prepareFit(state: State, nowSeconds: number, reason: FitReason): DueFit | undefined {
  state.history.measureSpacing();
  state.counted = { head: Number.NEGATIVE_INFINITY, present: 0 };
  const { haveSeconds, needSeconds } = describeHistory(state);
  if (haveSeconds < needSeconds) {
    const readyAt = nowSeconds + needSeconds - haveSeconds;
    refuse(state, nowSeconds, { reason: 'TooLittleHistory', because: '', readyAt });
    return undefined;
  }
  const windowMinutes = windowOf(state.options);
  // Only a refit in good order goes on with what the last contest has taught.
  const learnt = reason === 'scheduled' ? state.fit?.forecaster.learnt : undefined;
  let head = Number.NEGATIVE_INFINITY;
  return {
    reason,
    isAwaited: state.fit?.windowMinutes !== windowMinutes,
    input: () => {
      const { history, options, inUse } = state;
      state.late = 0;
      head = history.range()?.head ?? 0;
      return {
        history: history.series(head - Math.floor(options.historySeconds / minuteSeconds)),
        timeZone: options.timeZone,
        models: options.models ?? defaultModelNames,
        target: { windowSteps: windowMinutes, lastPosition: publishedMinutes + stalestMinutes },
        ...(inUse === undefined ? {} : { inUse: inUse.name }),
        ...(learnt === undefined ? {} : { learnt }),
        ...(state.shift === undefined ? {} : { shift: state.shift }),
      };
    },
    settle: (answer, at) => {
      if (answer.kind !== 'forecaster-state') {
        keepOrRefuse(state, answer, at);
        return;
      }
      state.refits.push(reason);
      const selectedAt = learnt === undefined ? at : (state.fit?.selectedAt ?? at);
      accept(state, answer, { nowSeconds: at, windowMinutes, head, selectedAt });
    },
  };
}

/** Makes the fit that is due here and now. */
export function refit(state: State, nowSeconds: number, reason: FitReason): void {
  const due = prepareFit(state, nowSeconds, reason);
  due?.settle(fitTarget(due.input()), nowSeconds);
}

function accept(
  state: State,
  answer: ForecasterState,
  {
    nowSeconds,
    windowMinutes,
    head,
    selectedAt,
  }: Pick<Fit, 'windowMinutes' | 'head' | 'selectedAt'> & { nowSeconds: number },
): void {
  const { haveSeconds } = describeHistory(state);
  const forecaster = restoreForecaster(answer, models);
  if (state.inUse?.name !== forecaster.model) state.inUse = { name: forecaster.model, since: nowSeconds };
  delete state.refusal;
  const refitAfterSeconds = haveSeconds < youngHistorySeconds ? youngRefitSeconds : refitSeconds;
  // Corrections learnt for another look-ahead are worth nothing for this one.
  if (state.fit !== undefined && state.fit.windowMinutes !== windowMinutes) state.online = createOnline(state.options);
  state.fit = { forecaster, windowMinutes, fittedAt: nowSeconds, refitAfterSeconds, selectedAt, head };
}

/** A refit that fails loses nothing: the last fit goes on, if it is for the same look-ahead, and it is tried again. */
function keepOrRefuse(state: State, answer: CannotFit | FitFailure, nowSeconds: number): void {
  const { fit, options } = state;
  if (fit !== undefined && fit.windowMinutes === windowOf(options)) {
    state.fit = { ...fit, fittedAt: nowSeconds, refitAfterSeconds: retrySeconds };
    return;
  }
  delete state.fit;
  const { have, need, because } =
    answer.kind === 'failed' ? { ...failed, because: answer.message } : { ...answer, because: '' };
  refuse(state, nowSeconds, { reason: 'CannotFit', because, have, need });
}

const failed = { have: 'a fit that failed', need: 'one that succeeds' };
