// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast, DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import type { Issued } from '../../forecast/engine.ts';
import { maxHoldSeconds, stepGuard, watching } from '../../forecast/outage-guard.ts';
import type { GuardState } from '../../forecast/outage-guard.ts';
import { at } from '../../series/time-series.ts';
import type { Sample } from '../../series/time-series.ts';
import { createSignalWatch } from './signal-watch.ts';
import type { SignalRead } from './read-signals.ts';
import type { DemandReading, Exclusion, Incident, Outlook, SignalView } from './snapshot.ts';

/** What one look at a forecast read. */
export interface IncidentLook {
  readonly demand: DemandReading;
  /** Demand by the minute, what is new of it. */
  readonly samples: readonly Sample[];
  readonly signals: readonly SignalRead[];
  readonly readyReplicas: number | undefined;
  readonly wantedReplicas: number | undefined;
}

/** Watches one workload for outages, and keeps what its guard needs. */
export interface IncidentWatch {
  /** Takes a look; gives the time to forget (epoch seconds) when an incident has just begun. */
  look(forecast: DemandForecast, look: IncidentLook, now: number): Exclusion | undefined;
  /** Whether nothing is to be learnt from this time. */
  isExcluded(timestamp: number): boolean;
  /** What is issued; while demand is not trusted the forecast of before in its place. */
  inPlaceOf(now: number, issue: () => Outlook): Outlook;
  incident(): Incident;
  signals(now: number): readonly SignalView[];
  signalTime: ReturnType<typeof createSignalWatch>['timeOf'];
}

const minuteSeconds = 60;
/** The half hour before the last five minutes says what demand was before. */
const recentSeconds = 2400;
const unsettledSeconds = 300;
/** A curve of less than four minutes ago may have learnt from the fall already. */
const settledCurveSeconds = 240;
const curveSpacingSeconds = 120;
const keptCurves = 4;
/** Where a fall began is looked for so far back. */
const longestFallSeconds = 600;
const stillUsualShare = 0.9;
const keptExclusions = 20;

/** A watch that knows the times of trouble that stand in status. */
export function createIncidentWatch({ status }: DemandForecast): IncidentWatch {
  const signals = createSignalWatch();
  const exclusions = readExclusions(status);
  let state: GuardState = watching;
  let recent: readonly Sample[] = [];
  let curves: readonly Issued[] = [];
  /** As things were when the incident began. */
  let usual: { readonly before: number; readonly curve: Issued | undefined } | undefined;

  const isExcluded = (timestamp: number): boolean =>
    exclusions.some(({ fromSeconds, toSeconds }) => timestamp >= fromSeconds && timestamp < toSeconds);
  const close = (now: number): void => {
    const last = exclusions.at(-1);
    if (last?.toSeconds === Number.POSITIVE_INFINITY)
      exclusions.splice(-1, 1, { ...last, toSeconds: minuteAfter(now) });
  };
  return {
    look: (forecast, look, now) => {
      const value = valueOf(forecast, look.demand, now);
      recent = merge(recent, look, now);
      signals.take(look.signals, isExcluded);
      const { before, curve } = usual ?? { before: levelBefore(recent, now), curve: settledCurve(curves, now) };
      const expected = medianAt(curve, now);
      const wasHolding = state.kind === 'holding';
      state = stepGuard(state, {
        now,
        demand: value,
        expected,
        before,
        pods: podsOf(look),
        alarms: signals.alarms(now),
        isBlind: look.demand.kind === 'failed',
      });
      usual = state.kind === 'watching' ? undefined : { before, curve };
      if (wasHolding && state.kind !== 'holding') close(now);
      if (wasHolding || state.kind !== 'holding') return undefined;
      const fromSeconds = fallBegan(recent, stillUsualShare * Math.min(expected, before), now);
      const exclusion = { fromSeconds, toSeconds: Number.POSITIVE_INFINITY };
      exclusions.push(exclusion);
      if (exclusions.length > keptExclusions) exclusions.shift();
      return exclusion;
    },
    isExcluded,
    inPlaceOf: (now, issue) => {
      const curve = usual?.curve;
      if (state.kind === 'holding' && curve !== undefined) return reissue(curve, now);
      const issued = issue();
      if (issued.kind === 'issued') curves = remember(curves, issued);
      return issued;
    },
    incident: () => ({ guard: state, exclusions: [...exclusions] }),
    signals: signals.views,
    signalTime: signals.timeOf,
  };
}

function remember(curves: readonly Issued[], issued: Issued): readonly Issued[] {
  const last = curves.at(-1);
  const isSoon = last !== undefined && Math.abs(issued.issuedAt - last.issuedAt) < curveSpacingSeconds;
  return isSoon ? curves : [...curves, issued].slice(-keptCurves);
}

/** Those of a process before; one that was open then is over by now, or found anew. */
function readExclusions(status: DemandForecastStatus | undefined): Exclusion[] {
  return (status?.exclusions ?? []).flatMap(({ startTime, endTime }) => {
    const fromSeconds = Date.parse(startTime) / 1000;
    const toSeconds = endTime === undefined ? fromSeconds + maxHoldSeconds : Date.parse(endTime) / 1000;
    return Number.isFinite(fromSeconds) && Number.isFinite(toSeconds) ? [{ fromSeconds, toSeconds }] : [];
  });
}

/** NaN for no sample that is still good. */
function valueOf({ spec }: DemandForecast, demand: DemandReading, now: number): number {
  if (demand.kind !== 'sample') return Number.NaN;
  const isStale = now - demand.sample.timestamp > parseDurationSeconds(spec.staleAfter, 'spec.staleAfter');
  return isStale ? Number.NaN : demand.sample.value;
}

function podsOf({ readyReplicas, wantedReplicas }: IncidentLook) {
  return readyReplicas === undefined || wantedReplicas === undefined
    ? undefined
    : { ready: readyReplicas, wanted: wantedReplicas };
}

/** One sample for each minute, oldest first. */
function merge(recent: readonly Sample[], { samples }: IncidentLook, now: number): readonly Sample[] {
  const byMinute = new Map<number, Sample>();
  for (const sample of [...recent, ...samples]) {
    if (sample.timestamp > now - recentSeconds) byMinute.set(Math.floor(sample.timestamp / minuteSeconds), sample);
  }
  return [...byMinute.values()].toSorted((a, b) => a.timestamp - b.timestamp);
}

function levelBefore(recent: readonly Sample[], now: number): number {
  const settled = recent.filter(({ timestamp }) => timestamp <= now - unsettledSeconds).map(({ value }) => value);
  return settled.toSorted((a, b) => a - b)[Math.floor(settled.length / 2)] ?? Number.NaN;
}

/** The newest curve that knows nothing of the last minutes; the oldest where there is none. */
function settledCurve(curves: readonly Issued[], now: number): Issued | undefined {
  return curves.findLast(({ issuedAt }) => issuedAt <= now - settledCurveSeconds) ?? curves[0];
}

function medianAt(curve: Issued | undefined, now: number): number {
  if (curve === undefined) return Number.NaN;
  return at(curve.median, Math.floor((now - curve.startTime) / curve.stepSeconds));
}

/** The first of the low minutes that lead up to now; where there are no samples, the minute after the last. */
function fallBegan(recent: readonly Sample[], usual: number, now: number): number {
  const last = recent.findLast(({ value, timestamp }) => value >= usual && timestamp <= now);
  const afterLast = last === undefined ? 0 : minuteAfter(last.timestamp);
  return Math.max(afterLast, minuteAfter(now - longestFallSeconds));
}

function minuteAfter(now: number): number {
  return (Math.floor(now / minuteSeconds) + 1) * minuteSeconds;
}

/** The same forecast, from now on; its last value goes on where it ends. */
function reissue(curve: Issued, now: number): Issued {
  const startTime = Math.floor(now / minuteSeconds) * minuteSeconds;
  const offset = Math.max(0, Math.round((startTime - curve.startTime) / minuteSeconds));
  const from = (values: Float64Array): Float64Array =>
    values.map((_, index) => at(values, Math.min(index + offset, values.length - 1)));
  return { ...curve, issuedAt: now, startTime, values: from(curve.values), median: from(curve.median) };
}
