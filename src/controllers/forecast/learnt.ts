// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import { estimateLead, noLeads, recordPods } from '../../capacity/lead.ts';
import type { Lead, PodStart } from '../../capacity/lead.ts';
import { judgePerPod, noReplicas, recordReplicas } from '../../capacity/per-pod.ts';
import type { PerPodVerdict, ReplicaRecord } from '../../capacity/per-pod.ts';
import { createTargetForecaster } from '../../forecast/engine.ts';
import type { TargetForecaster } from '../../forecast/engine.ts';
import type { HistoryState } from '../../forecast/target.ts';
import type { FitReason } from '../../forecast/target.ts';
import { objectKey } from '../../kube/store.ts';
import { isTimeZone } from '../../series/calendar.ts';
import { targetKey } from './decide.ts';
import { demandKey } from './demand-source.ts';
import type { DemandRead, HistoryPlan } from './read-demand.ts';
import type { Outlook } from './snapshot.ts';

/** A forecast from a last sample that is older than this would be made of air. */
const maxSampleAgeSeconds = 300;
/** With every minute of lead models are fitted anew; a p90 that wavers by less is no reason to. */
const leadToleranceSeconds = 15;
const minWaitSeconds = 30;
const maxWaitSeconds = 600;

/** What has been learnt for one DemandForecast. */
export interface Learnt {
  /** What to read of the history now. */
  plan(forecast: DemandForecast, now: number): HistoryPlan;
  /** Whether what was last written into status is about the demand that spec names now. */
  isStatusCurrent(forecast: DemandForecast): boolean;
  /** Takes in what was read. Nothing that was learnt is dropped before something takes its place. */
  absorb(forecast: DemandForecast, read: Absorbed, now: number): void;
  lead(forecast: DemandForecast): Lead;
  outlook(forecast: DemandForecast, now: number): Outlook;
  history(now: number): HistoryState | undefined;
  /** What made the fits of models due that were made since this was last asked. */
  takeRefits(): readonly FitReason[];
  /** Status has been written for this forecast. */
  wrote(forecast: DemandForecast): void;
  /** Whether demand has moved as an average per pod does. */
  perPod(): PerPodVerdict;
  /** When the explaining part of status was last written, in epoch seconds; undefined before the first time. */
  explainedAt(): number | undefined;
  explained(now: number): void;
}

/** What was read. */
type Absorbed = DemandRead & {
  readonly pods: readonly PodStart[] | undefined;
  readonly readyReplicas: number | undefined;
};

/** Everything that is learnt, by the uid of the DemandForecast; for the life of the process. */
export interface Registry {
  get(forecast: DemandForecast): Learnt;
  forget(namespace: string, name: string): void;
}

/** An empty registry. */
export function createRegistry(): Registry {
  const entries = new Map<string, { readonly uid: string; readonly learnt: Learnt }>();
  return {
    get: ({ metadata }) => {
      const key = objectKey(metadata.namespace, metadata.name);
      const entry = entries.get(key);
      if (entry?.uid === metadata.uid) return entry.learnt;
      const learnt = createLearnt();
      entries.set(key, { uid: metadata.uid, learnt });
      return learnt;
    },
    forget: (namespace, name) => {
      entries.delete(objectKey(namespace, name));
    },
  };
}

interface Engine {
  /** The demand that it knows. */
  readonly demand: string;
  /** What it was made with. */
  readonly setup: string;
  readonly forecaster: TargetForecaster;
  readonly readUntil: number | undefined;
}

function createLearnt(): Learnt {
  let engine: Engine | undefined;
  let leads = { target: '', record: noLeads };
  let writtenDemand: string | undefined;
  let refusal: Refusal | undefined;
  let plannedSeconds = Number.NaN;
  let explainedSeconds: number | undefined;
  let seen = { of: '', record: noReplicas };
  const leadOf = ({ spec }: DemandForecast): Lead =>
    estimateLead(leads.record, spec.lead === 'auto' ? undefined : parseDurationSeconds(spec.lead, 'spec.lead'));
  return {
    plan: (forecast, now) => {
      const sinceSeconds = isFor(engine, forecast) ? engine?.readUntil : undefined;
      const isWaiting = sinceSeconds === undefined && refusal?.of === historyOf(forecast) && now < refusal.untilSeconds;
      return isWaiting ? { kind: 'wait', failure: refusal?.failure ?? '' } : { kind: 'read', sinceSeconds };
    },
    isStatusCurrent: (forecast) =>
      writtenDemand === undefined
        ? forecast.status?.observedGeneration === forecast.metadata.generation
        : writtenDemand === demandKey(forecast),
    absorb: (forecast, read, now) => {
      const { samples, readUntil, historyFailure = '', isHistoryRefused, pods } = read;
      seen = watchReplicas(seen, forecast, { ...read, now });
      refusal = isHistoryRefused ? nextRefusal(refusal, { forecast, historyFailure, now }) : undefined;
      const target = targetKey(forecast);
      if (leads.target !== target) leads = { target, record: noLeads };
      if (pods !== undefined) leads = { target, record: recordPods(leads.record, pods) };
      engine = nextEngine(engine, forecast, { readUntil, leadSeconds: leadOf(forecast).p90Seconds });
      if (readUntil !== undefined) engine?.forecaster.observe(samples);
    },
    lead: leadOf,
    outlook: (forecast, now) => {
      const { p90Seconds, source } = leadOf(forecast);
      const wavers = source === 'Measured' && Math.abs(p90Seconds - plannedSeconds) < leadToleranceSeconds;
      if (!wavers) plannedSeconds = p90Seconds;
      return outlook(forecast, { engine, leadSeconds: plannedSeconds, now });
    },
    history: (now) => engine?.forecaster.history(now),
    takeRefits: () => engine?.forecaster.takeRefits() ?? [],
    wrote: (forecast) => {
      writtenDemand = demandKey(forecast);
    },
    perPod: () => judgePerPod(seen.record),
    explainedAt: () => explainedSeconds,
    explained: (now) => {
      explainedSeconds = now;
    },
  };
}

interface Seen {
  /** The target and its demand. */
  readonly of: string;
  readonly record: ReplicaRecord;
}

function watchReplicas(
  seen: Seen,
  forecast: DemandForecast,
  { demand, readyReplicas = 0, now }: Pick<Absorbed, 'demand' | 'readyReplicas'> & { readonly now: number },
): Seen {
  const of = `${targetKey(forecast)} ${demandKey(forecast)}`;
  const record = seen.of === of ? seen.record : noReplicas;
  if (demand.kind !== 'sample') return { of, record };
  return {
    of,
    record: recordReplicas(record, { timestamp: now, replicas: readyReplicas, demand: demand.sample.value }),
  };
}

/** A whole history that could not be read is asked for again after 30 s, then after twice as long each time. */
interface Refusal {
  readonly of: string;
  readonly failure: string;
  readonly waitSeconds: number;
  readonly untilSeconds: number;
}

function nextRefusal(
  last: Refusal | undefined,
  { forecast, historyFailure, now }: { forecast: DemandForecast; historyFailure: string; now: number },
): Refusal {
  const of = historyOf(forecast);
  const before = last?.of === of ? last : undefined;
  // It was not asked for again.
  if (before !== undefined && now < before.untilSeconds) return before;
  const waitSeconds = Math.min(maxWaitSeconds, (before?.waitSeconds ?? minWaitSeconds / 2) * 2);
  return { of, failure: historyFailure, waitSeconds, untilSeconds: now + waitSeconds };
}

function isFor(engine: Engine | undefined, forecast: DemandForecast): boolean {
  return engine?.demand === demandKey(forecast) && engine.setup === setupOf(forecast);
}

function historyOf(forecast: DemandForecast): string {
  return demandKey(forecast) + setupOf(forecast);
}

/** An engine that knows the demand goes on until the history has been read for the one that takes its place. */
function nextEngine(
  engine: Engine | undefined,
  forecast: DemandForecast,
  { readUntil, leadSeconds }: { readonly readUntil: number | undefined; readonly leadSeconds: number },
): Engine | undefined {
  const own = engine?.demand === demandKey(forecast) ? engine : undefined;
  if (!isTimeZone(forecast.spec.timeZone)) return own;
  if (isFor(own, forecast)) return own && { ...own, readUntil: readUntil ?? own.readUntil };
  if (own !== undefined && readUntil === undefined) return own;
  const forecaster = createForecaster(forecast, leadSeconds);
  return { demand: demandKey(forecast), setup: setupOf(forecast), forecaster, readUntil };
}

function createForecaster({ spec }: DemandForecast, leadSeconds: number): TargetForecaster {
  return createTargetForecaster({
    timeZone: spec.timeZone,
    ...(spec.models === undefined ? {} : { models: spec.models }),
    historySeconds: parseDurationSeconds(spec.history.window, 'spec.history.window'),
    quantile: Number(spec.quantile),
    leadSeconds,
  });
}

function outlook(
  { spec }: DemandForecast,
  {
    engine,
    leadSeconds,
    now,
  }: { readonly engine: Engine | undefined; readonly leadSeconds: number; readonly now: number },
): Outlook {
  if (!isTimeZone(spec.timeZone)) return { kind: 'invalid-time-zone' };
  if (engine === undefined) return { kind: 'held' };
  const { forecaster } = engine;
  const { lastTimestamp = now } = forecaster.history(now);
  if (now - lastTimestamp > maxSampleAgeSeconds) return { kind: 'held' };
  forecaster.setOptions({ leadSeconds, quantile: Number(spec.quantile) });
  return forecaster.issue(now);
}

/** What an engine cannot change afterwards. */
function setupOf({ spec }: DemandForecast): string {
  return JSON.stringify([spec.history.window, spec.timeZone, spec.models]);
}
