// SPDX-License-Identifier: Apache-2.0
import type { ModelName } from '../api/v1alpha1/demand-forecast.ts';
import { formatDuration } from '../base/duration.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { at } from '../series/time-series.ts';
import type { Sample } from '../series/time-series.ts';
import { observedMaximum } from './contest.ts';
import { fitForecaster } from './forecaster.ts';
import type { Candidate, Forecaster, Outlook } from './forecaster.ts';
import { createMinuteHistory } from './minute-history.ts';
import type { MinuteHistory } from './minute-history.ts';
import type { CannotFit } from './model.ts';
import { createOnlineLevels } from './online.ts';
import type { OnlineLevels } from './online.ts';
import { defaultModelNames, models } from './registry.ts';
import { createScoreboard } from './scoreboard.ts';
import type { Accuracy } from './scoreboard.ts';

const minuteSeconds = 60;
const hourSeconds = 3600;

/** Minutes that a forecast publishes a value for. */
const publishedMinutes = 60;

/** The maximum is taken over the lead and this much more: it insures the timing of ramps. */
const insuranceSeconds = 300;

/** A forecast is not issued from an older last sample than this. */
const stalestMinutes = 15;

/** Rows of the published curve at which quantiles are checked against what came. */
const checkpoints = [0, 15, 45];

/** Much lower and a week does not suffice to correct coverage; much higher and levels chase every cluster of misses. */
const gain = 0.0015;

const refitSeconds = 6 * hourSeconds;
/** A history that grows by a twelfth in an hour is worth another look. */
const youngRefitSeconds = hourSeconds;
const youngHistorySeconds = 48 * hourSeconds;
const retrySeconds = 600;

/** This many minutes filled behind the models' backs are worth a refit. */
const lateMinutes = 30;

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

/** Why there is no forecast, with the numbers. */
export interface NotIssued {
  readonly kind: 'not-issued';
  readonly reason: 'NoHistory' | 'TooLittleHistory' | 'CannotFit';
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

/** Forecasts one target; is told samples, and asked once a minute. */
export interface TargetForecaster {
  /** Takes samples in any order; repeated ones and gaps do no harm. Those older than the history are not kept. */
  observe(samples: readonly Sample[]): void;
  /** Forgets what was observed from then to before then (epoch seconds); models that have seen it are fitted anew. */
  exclude(fromSeconds: number, toSeconds: number): void;
  setOptions(patch: { leadSeconds?: number; quantile?: number }): void;
  history(nowSeconds: number): HistoryState;
  /** Fits when a fit is due, which takes a fraction of a second; else takes milliseconds at most. */
  issue(nowSeconds: number): Issued | NotIssued;
}

/** Everything that is learnt about one target. */
interface State {
  options: TargetOptions;
  readonly history: MinuteHistory;
  readonly scoreboard: ReturnType<typeof createScoreboard>;
  online: OnlineLevels;
  fit?: Fit;
  refusal?: { readonly answer: NotIssued; readonly at: number };
  inUse?: { readonly name: string; readonly since: number };
  /** Minutes filled behind the models' backs since the last fit. */
  late: number;
  /** Minutes with a value before `head`. */
  counted: { readonly head: number; readonly present: number };
}

interface Fit {
  readonly kind: 'fit';
  readonly forecaster: Forecaster;
  readonly windowMinutes: number;
  readonly fittedAt: number;
  readonly refitAfterSeconds: number;
  /** The first minute that the models have not seen. */
  head: number;
}

/** A forecaster that knows nothing yet. */
export function createTargetForecaster(options: TargetOptions): TargetForecaster {
  const state: State = {
    options,
    history: createMinuteHistory(options.historySeconds),
    scoreboard: createScoreboard(),
    online: createOnline(options),
    late: 0,
    counted: { head: Number.NEGATIVE_INFINITY, present: 0 },
  };
  return {
    observe: (samples) => {
      state.late += state.history.put(samples);
    },
    exclude: (fromSeconds, toSeconds) => {
      state.history.blank(Math.floor(fromSeconds / minuteSeconds), Math.ceil(toSeconds / minuteSeconds));
      state.late = lateMinutes;
    },
    setOptions: (patch) => {
      const next = { ...state.options, ...patch };
      if (next.quantile !== state.options.quantile || windowOf(next) !== windowOf(state.options)) {
        state.online = createOnline(next);
      }
      state.options = next;
    },
    history: () => describeHistory(state),
    issue: (nowSeconds) => issue(state, nowSeconds),
  };
}

function createOnline(options: TargetOptions): OnlineLevels {
  return createOnlineLevels({ levels: [options.quantile], checkpoints, windowSteps: windowOf(options), gain });
}

function windowOf({ leadSeconds }: TargetOptions): number {
  return Math.ceil((leadSeconds + insuranceSeconds) / minuteSeconds);
}

function needOf({ models: allowed = defaultModelNames }: TargetOptions): number {
  return allowed.some((name) => seasonless.includes(name)) ? needSeconds : seasonalNeedSeconds;
}

function describeHistory(state: State): HistoryState {
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

function issue(state: State, nowSeconds: number): Issued | NotIssued {
  const minute = Math.floor(nowSeconds / minuteSeconds);
  const range = state.history.range();
  if (range === undefined) return refuse(state, nowSeconds, { reason: 'NoHistory', because: 'there is no sample yet' });
  const age = minute - (range.head - 1);
  if (age > stalestMinutes) {
    const last = `${formatDuration(age * minuteSeconds)} old (${formatRfc3339((range.head - 1) * minuteSeconds)})`;
    const because = `the last sample is ${last}, forecasting needs one of the last ${stalestMinutes}m`;
    return refuse(state, nowSeconds, { reason: 'NoHistory', because });
  }
  const fit = isDue(state, nowSeconds) ? refit(state, nowSeconds) : state.fit;
  if (fit === undefined || fit.kind === 'not-issued') {
    return (
      fit ?? state.refusal?.answer ?? refuse(state, nowSeconds, { reason: 'NoHistory', because: 'nothing is fitted' })
    );
  }
  catchUp(state, fit);
  return publish(state, fit, { nowSeconds, minute, position: Math.max(0, age) });
}

/** True when models must be fitted before the next forecast. */
function isDue({ fit, refusal, options, late }: State, nowSeconds: number): boolean {
  if (fit === undefined) {
    // Whether there is enough by now costs nothing to see; whether models can be fitted does.
    if (refusal?.answer.reason !== 'CannotFit') return true;
    return Math.abs(nowSeconds - refusal.at) >= retrySeconds;
  }
  if (fit.windowMinutes !== windowOf(options) || late >= lateMinutes) return true;
  return Math.abs(nowSeconds - fit.fittedAt) >= fit.refitAfterSeconds;
}

function refit(state: State, nowSeconds: number): Fit | NotIssued {
  const { history, options } = state;
  history.measureSpacing();
  state.counted = { head: Number.NEGATIVE_INFINITY, present: 0 };
  state.late = 0;
  const { haveSeconds, needSeconds: need } = describeHistory(state);
  if (haveSeconds < need) {
    return refuse(state, nowSeconds, {
      reason: 'TooLittleHistory',
      because: '',
      readyAt: nowSeconds + need - haveSeconds,
    });
  }
  const head = history.range()?.head ?? 0;
  const windowMinutes = windowOf(options);
  const forecaster = fitForecaster(history.series(head - Math.floor(options.historySeconds / minuteSeconds)), {
    timeZone: options.timeZone,
    models: (options.models ?? defaultModelNames).map((name) => models[name]),
    target: { windowSteps: windowMinutes, lastPosition: publishedMinutes + stalestMinutes },
    ...(state.inUse === undefined ? {} : { inUse: state.inUse.name }),
  });
  if (forecaster.kind === 'cannot-fit') return keepOrRefuse(state, nowSeconds, forecaster);
  if (state.inUse?.name !== forecaster.model) state.inUse = { name: forecaster.model, since: nowSeconds };
  delete state.refusal;
  const refitAfterSeconds = haveSeconds < youngHistorySeconds ? youngRefitSeconds : refitSeconds;
  state.fit = { kind: 'fit', forecaster, windowMinutes, fittedAt: nowSeconds, refitAfterSeconds, head };
  return state.fit;
}

/** A refit that fails loses nothing: the last fit goes on, if it is for the same look-ahead. */
function keepOrRefuse(state: State, nowSeconds: number, refusal: CannotFit): Fit | NotIssued {
  const { fit, options } = state;
  if (fit !== undefined && fit.windowMinutes === windowOf(options)) {
    state.fit = { ...fit, fittedAt: nowSeconds, refitAfterSeconds: retrySeconds };
    return state.fit;
  }
  delete state.fit;
  return refuse(state, nowSeconds, { reason: 'CannotFit', because: '', have: refusal.have, need: refusal.need });
}

interface Refusal {
  readonly reason: NotIssued['reason'];
  /** Empty: what is there and what is needed says it all. */
  readonly because: string;
  readonly have?: string;
  readonly need?: string;
  readonly readyAt?: number;
}

function refuse(state: State, nowSeconds: number, refusal: Refusal): NotIssued {
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
  if (refusal.reason !== 'NoHistory') state.refusal = { answer, at: nowSeconds };
  return answer;
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
  const levelAt = (at: number): number => online.levelAt(0, at - position);
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
