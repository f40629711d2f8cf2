// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import { estimateLead, noLeads, recordPods } from '../../capacity/lead.ts';
import type { Lead, LeadRecord, PodStart } from '../../capacity/lead.ts';
import { judgePerPod, noReplicas, recordReplicas } from '../../capacity/per-pod.ts';
import type { PerPodVerdict, ReplicaRecord } from '../../capacity/per-pod.ts';
import { createTargetForecaster, restoreTargetForecaster } from '../../forecast/engine.ts';
import type { TargetForecaster, TargetState } from '../../forecast/engine.ts';
import type { DueFit } from '../../forecast/refit.ts';
import type { HistoryState } from '../../forecast/target.ts';
import type { FitReason } from '../../forecast/target.ts';
import { objectKey } from '../../kube/store.ts';
import { isTimeZone } from '../../series/calendar.ts';
import { targetKey } from './decide.ts';
import { demandKey } from './demand-source.ts';
import type { KnownSoFar } from './gather.ts';
import { createIncidentWatch } from './incident-watch.ts';
import type { IncidentWatch } from './incident-watch.ts';
import type { Keeper, StateOf } from './keep-states.ts';
import type { DemandRead, HistoryPlan } from './read-demand.ts';
import type { SignalRead } from './read-signals.ts';
import type { Incident, Outlook, SignalView } from './snapshot.ts';

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
  /** The fit that is due, to be made elsewhere and settled; undefined when none is. */
  takeFit(forecast: DemandForecast, now: number): DueFit | undefined;
  outlook(forecast: DemandForecast, now: number): Outlook;
  history(now: number): HistoryState | undefined;
  /** What made the fits of models due that were made since this was last asked. */
  takeRefits(): readonly FitReason[];
  /** Status has been written for this forecast. */
  wrote(forecast: DemandForecast): void;
  /** Whether demand has moved as an average per pod does. */
  perPod(): PerPodVerdict;
  readonly signalTime: KnownSoFar['signalTime'];
  signals(now: number): readonly SignalView[];
  incident(): Incident;
  /** When the explaining part of status was last written, in epoch seconds; undefined before the first time. */
  explainedAt(): number | undefined;
  explained(now: number): void;
  isFitted(): boolean;
  /** What a process after this one goes on from, and what it was learnt for; undefined before there is a fit. */
  state(): StateOf | undefined;
}

/** Raised whenever what `Learnt.state` gives, or anything in it, looks otherwise. */
export const learntFormat = 1;

/** What was read. */
type Absorbed = DemandRead & {
  readonly pods: readonly PodStart[] | undefined;
  readonly readyReplicas: number | undefined;
  readonly wantedReplicas: number | undefined;
  readonly signals: readonly SignalRead[];
};

/** Everything that is learnt, by the uid of the DemandForecast. */
export interface Registry {
  /** What was learnt by this process; undefined before `get`. */
  find(forecast: DemandForecast): Learnt | undefined;
  /** The same, else what was kept by a process before, which takes milliseconds, else nothing learnt yet. */
  get(forecast: DemandForecast): Learnt;
  forget(namespace: string, name: string): void;
  /** What a process before learnt leads to this error: it is learnt anew. What this one learnt stays. */
  distrust(forecast: DemandForecast, error: unknown): void;
}

interface Entry {
  readonly uid: string;
  readonly learnt: Learnt;
  readonly isRestored: boolean;
}

/** A registry that knows what the keeper has. */
export function createRegistry(keeper?: Keeper): Registry {
  const entries = new Map<string, Entry>();
  const find: Registry['find'] = ({ metadata: { namespace, name, uid } }) => {
    const entry = entries.get(objectKey(namespace, name));
    return entry?.uid === uid ? entry.learnt : undefined;
  };
  const forget: Registry['forget'] = (namespace, name) => {
    const key = objectKey(namespace, name);
    const entry = entries.get(key);
    if (entry !== undefined) keeper?.forget(entry.uid);
    entries.delete(key);
  };
  return {
    find,
    get: (forecast) => {
      const { namespace, name, uid } = forecast.metadata;
      const found = find(forecast);
      if (found !== undefined) return found;
      forget(namespace, name);
      const restore = (state: unknown): Learnt => createLearnt(forecast, restoreLearnt(state as LearntState));
      const restored = keeper?.restore(forecast, historyOf(forecast), restore);
      const learnt = restored ?? createLearnt(forecast);
      entries.set(objectKey(namespace, name), { uid, learnt, isRestored: restored !== undefined });
      return learnt;
    },
    forget,
    distrust: (forecast, error) => {
      const { namespace, name } = forecast.metadata;
      if (entries.get(objectKey(namespace, name))?.isRestored !== true) return;
      keeper?.discard(forecast, error);
      entries.delete(objectKey(namespace, name));
    },
  };
}

/** What was learnt, as plain data; what a look at the cluster tells again is left out. */
interface LearntState extends Kept {
  readonly engine: Omit<Engine, 'forecaster'> & { readonly forecaster: TargetState };
}

/** What is data anyway. */
interface Kept {
  readonly leads: { readonly target: string; readonly record: LeadRecord };
  readonly seen: Seen;
  readonly writtenDemand: string | undefined;
  readonly plannedSeconds: number;
}

/** @throws whatever a state of another shape leads to */
function restoreLearnt({ engine, ...kept }: LearntState): LearntBefore {
  return { ...kept, engine: { ...engine, forecaster: restoreTargetForecaster(engine.forecaster) } };
}

interface LearntBefore extends Kept {
  readonly engine: Engine | undefined;
}

const nothing: LearntBefore = {
  engine: undefined,
  leads: { target: '', record: noLeads },
  seen: { of: '', record: noReplicas },
  writtenDemand: undefined,
  plannedSeconds: Number.NaN,
};

function stateOf({ engine, ...kept }: LearntBefore): StateOf | undefined {
  if (engine?.forecaster.isFitted() !== true) return undefined;
  const state: LearntState = { ...kept, engine: { ...engine, forecaster: engine.forecaster.snapshot() } };
  return { spec: engine.demand + engine.setup, state };
}

interface Engine {
  /** The demand that it knows. */
  readonly demand: string;
  /** What it was made with. */
  readonly setup: string;
  readonly forecaster: TargetForecaster;
  readonly readUntil: number | undefined;
}

function createLearnt(first: DemandForecast, before: LearntBefore = nothing): Learnt {
  let { engine, leads, seen, writtenDemand, plannedSeconds } = before;
  let refusal: Refusal | undefined;
  let explainedSeconds: number | undefined;
  const watch = createWatches(first);
  const leadOf = ({ spec }: DemandForecast): Lead =>
    estimateLead(leads.record, spec.lead === 'auto' ? undefined : parseDurationSeconds(spec.lead, 'spec.lead'));
  const plan = (forecast: DemandForecast): number => (plannedSeconds = steady(plannedSeconds, leadOf(forecast)));
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
      const incidents = watch.of(forecast);
      const begun = incidents.look(forecast, read, now);
      if (begun !== undefined) engine?.forecaster.exclude(begun.fromSeconds, now + 1);
      if (readUntil === undefined) return;
      engine?.forecaster.observe(samples.filter(({ timestamp }) => !incidents.isExcluded(timestamp)));
    },
    lead: leadOf,
    takeFit: (forecast, now) => currentForecaster(forecast, { engine, leadSeconds: plan(forecast), now })?.takeFit(now),
    outlook: (forecast, now) => {
      if (!isTimeZone(forecast.spec.timeZone)) return { kind: 'invalid-time-zone' };
      const forecaster = currentForecaster(forecast, { engine, leadSeconds: plan(forecast), now });
      return watch.of(forecast).inPlaceOf(now, () => forecaster?.issue(now) ?? { kind: 'held' });
    },
    history: (now) => engine?.forecaster.history(now),
    takeRefits: () => engine?.forecaster.takeRefits() ?? [],
    wrote: (forecast) => {
      writtenDemand = demandKey(forecast);
    },
    perPod: () => judgePerPod(seen.record),
    signalTime: (name, query) => watch.current().signalTime(name, query),
    signals: (now) => watch.current().signals(now),
    incident: () => watch.current().incident(),
    explainedAt: () => explainedSeconds,
    explained: (now) => {
      explainedSeconds = now;
    },
    isFitted: () => engine?.forecaster.isFitted() === true,
    state: () => stateOf({ engine, leads, seen, writtenDemand, plannedSeconds }),
  };
}

/** The lead that is planned with: a measured one that wavers a little does not change it. */
function steady(plannedSeconds: number, { p90Seconds, source }: Lead): number {
  const wavers = source === 'Measured' && Math.abs(p90Seconds - plannedSeconds) < leadToleranceSeconds;
  return wavers ? plannedSeconds : p90Seconds;
}

/** The watch of the demand that spec names; another demand has had no incidents yet. */
function createWatches(first: DemandForecast) {
  let demand = demandKey(first);
  let watch = createIncidentWatch(first);
  return {
    of: (forecast: DemandForecast): IncidentWatch => {
      if (demandKey(forecast) !== demand) watch = createIncidentWatch({ ...forecast, status: {} });
      demand = demandKey(forecast);
      return watch;
    },
    current: (): IncidentWatch => watch,
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

/** The forecaster with the options of now; undefined where it has nothing to go on from. */
function currentForecaster(
  { spec }: DemandForecast,
  {
    engine,
    leadSeconds,
    now,
  }: { readonly engine: Engine | undefined; readonly leadSeconds: number; readonly now: number },
): TargetForecaster | undefined {
  if (!isTimeZone(spec.timeZone) || engine === undefined) return undefined;
  const { forecaster } = engine;
  const { lastTimestamp = now } = forecaster.history(now);
  if (now - lastTimestamp > maxSampleAgeSeconds) return undefined;
  forecaster.setOptions({ leadSeconds, quantile: Number(spec.quantile) });
  return forecaster;
}

/** What an engine cannot change afterwards. */
function setupOf({ spec }: DemandForecast): string {
  return JSON.stringify([spec.history.window, spec.timeZone, spec.models]);
}
