// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import { estimateLead, noLeads, recordPods } from '../../capacity/lead.ts';
import type { Lead, PodStart } from '../../capacity/lead.ts';
import { createTargetForecaster } from '../../forecast/engine.ts';
import type { HistoryState, TargetForecaster } from '../../forecast/engine.ts';
import { isTimeZone } from '../../series/calendar.ts';
import type { Sample } from '../../series/time-series.ts';
import { targetKey } from './decide.ts';
import type { Outlook } from './snapshot.ts';

/** A forecast from a last sample that is older than this would be made of air. */
const maxSampleAgeSeconds = 300;

/** What has been learnt for one DemandForecast. */
export interface Learnt {
  /** Where to read on from; undefined while nothing has been read. */
  sinceSeconds(forecast: DemandForecast): number | undefined;
  /** Whether what was last written into status is about the demand that spec names now. */
  isStatusCurrent(forecast: DemandForecast): boolean;
  /** Takes in what was read. Nothing that was learnt is dropped before something takes its place. */
  absorb(forecast: DemandForecast, read: Absorbed): void;
  lead(forecast: DemandForecast): Lead;
  outlook(forecast: DemandForecast, now: number): Outlook;
  history(now: number): HistoryState | undefined;
  /** Status has been written for this forecast. */
  wrote(forecast: DemandForecast): void;
}

/** What was read. */
interface Absorbed {
  readonly samples: readonly Sample[];
  readonly readUntil: number | undefined;
  readonly pods: readonly PodStart[] | undefined;
}

/** Everything that is learnt, by the uid of the DemandForecast; for the life of the process. */
export interface Registry {
  get(forecast: DemandForecast): Learnt;
  forget(namespace: string, name: string): void;
}

/** An empty registry. */
export function createRegistry(): Registry {
  const entries = new Map<string, { readonly uid: string; readonly learnt: Learnt }>();
  const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;
  return {
    get: ({ metadata }) => {
      const key = keyOf(metadata.namespace, metadata.name);
      const entry = entries.get(key);
      if (entry?.uid === metadata.uid) return entry.learnt;
      const learnt = createLearnt();
      entries.set(key, { uid: metadata.uid, learnt });
      return learnt;
    },
    forget: (namespace, name) => {
      entries.delete(keyOf(namespace, name));
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
  const leadOf = ({ spec }: DemandForecast): Lead =>
    estimateLead(leads.record, spec.lead === 'auto' ? undefined : parseDurationSeconds(spec.lead, 'spec.lead'));
  return {
    sinceSeconds: (forecast) => (isFor(engine, forecast) ? engine?.readUntil : undefined),
    isStatusCurrent: (forecast) =>
      writtenDemand === undefined
        ? forecast.status?.observedGeneration === forecast.metadata.generation
        : writtenDemand === demandOf(forecast),
    absorb: (forecast, { samples, readUntil, pods }) => {
      const target = targetKey(forecast);
      if (leads.target !== target) leads = { target, record: noLeads };
      if (pods !== undefined) leads = { target, record: recordPods(leads.record, pods) };
      engine = nextEngine(engine, forecast, { readUntil, leadSeconds: leadOf(forecast).p90Seconds });
      if (readUntil !== undefined) engine?.forecaster.observe(samples);
    },
    lead: leadOf,
    outlook: (forecast, now) => outlook(forecast, { engine, lead: leadOf(forecast), now }),
    history: (now) => engine?.forecaster.history(now),
    wrote: (forecast) => {
      writtenDemand = demandOf(forecast);
    },
  };
}

function isFor(engine: Engine | undefined, forecast: DemandForecast): boolean {
  return engine?.demand === demandOf(forecast) && engine.setup === setupOf(forecast);
}

/** An engine that knows the demand goes on until the history has been read for the one that takes its place. */
function nextEngine(
  engine: Engine | undefined,
  forecast: DemandForecast,
  { readUntil, leadSeconds }: { readonly readUntil: number | undefined; readonly leadSeconds: number },
): Engine | undefined {
  const own = engine?.demand === demandOf(forecast) ? engine : undefined;
  if (!isTimeZone(forecast.spec.timeZone)) return own;
  if (isFor(own, forecast)) return own && { ...own, readUntil: readUntil ?? own.readUntil };
  if (own !== undefined && readUntil === undefined) return own;
  const forecaster = createForecaster(forecast, leadSeconds);
  return { demand: demandOf(forecast), setup: setupOf(forecast), forecaster, readUntil };
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
  { engine, lead, now }: { readonly engine: Engine | undefined; readonly lead: Lead; readonly now: number },
): Outlook {
  if (!isTimeZone(spec.timeZone)) return { kind: 'invalid-time-zone' };
  if (engine === undefined) return { kind: 'held' };
  const { forecaster } = engine;
  const { lastTimestamp = now } = forecaster.history(now);
  if (now - lastTimestamp > maxSampleAgeSeconds) return { kind: 'held' };
  forecaster.setOptions({ leadSeconds: lead.p90Seconds, quantile: Number(spec.quantile) });
  return forecaster.issue(now);
}

function demandOf({ spec }: DemandForecast): string {
  return JSON.stringify([spec.source.prometheus.serverRef, spec.source.prometheus.query]);
}

/** What an engine cannot change afterwards. */
function setupOf({ spec }: DemandForecast): string {
  return JSON.stringify([spec.history.window, spec.timeZone, spec.models]);
}
