// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { formatDuration, parseDurationSeconds } from '../../base/duration.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { HistorySummary } from '../history-summary.ts';
import { keyOf } from '../snapshot.ts';
import type { HistoryReading, Snapshot } from '../snapshot.ts';

const hourSeconds = 3600;
/** Below it nothing is forecast (forecast/engine.ts). */
const leastSeconds = 2 * hourSeconds;
/** Below it no pattern of the day is learnt. */
const daySeconds = 24 * hourSeconds;
const leastPresentShare = 0.9;
/** Demand is read once a minute. */
const coarseSeconds = 75;

/** What there is in Prometheus for each forecast. */
export function checkHistories(snapshot: Snapshot, now: number): Finding[] {
  const { forecasts, histories } = snapshot;
  if ('failure' in forecasts) return [];
  return (forecasts.value ?? []).flatMap((forecast) => {
    const reading = histories.get(keyOf(forecast));
    return reading === undefined ? [] : judge(forecast, reading, now);
  });
}

function judge(forecast: DemandForecast, reading: HistoryReading, now: number): Finding[] {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  switch (reading.kind) {
    case 'read':
      return judgeSummary(forecast, reading, now);
    case 'failed':
      return [judgeFailure(forecast, reading)];
    case 'unknown-server': {
      const message = `${name} reads from server ${JSON.stringify(reading.server)}, which is none of ${reading.names.join(', ')}`;
      const fix = 'set serverRef, or add the server to HEADSTART_PROMETHEUS_SERVERS';
      return [finding('history', 'UnknownServer', { message, fix, object })];
    }
    case 'bad-configuration':
      return [finding('history', 'BadConfiguration', { message: reading.message, object })];
    case 'no-configuration': {
      const message = `the history of ${name} was not read, as the URL of its server is not known: ${reading.failure.message}${hearsay(forecast)}`;
      const fix = 'give it: --prometheus-servers NAME=URL';
      return [finding('history', 'NoConfiguration', { message, fix, object })];
    }
    case 'other-source': {
      const message = `demand of ${name} does not come from Prometheus${hearsay(forecast)}`;
      return [finding('history', 'OtherSource', { message, object })];
    }
    case 'own-access': {
      const message = `the history of ${name} was not read, as its url or secretRef is for the forecaster alone${hearsay(forecast)}`;
      return [finding('history', 'OwnAccess', { message, object })];
    }
  }
}

type Failed = Extract<HistoryReading, { kind: 'failed' }>;

function judgeFailure(forecast: DemandForecast, { server, url, isNamed, failure }: Failed): Finding {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const isAway = failure.code === 'Unavailable' || failure.code === 'Timeout';
  if (!isAway) {
    const message = `the history of ${name} cannot be read from server ${JSON.stringify(server)}: ${failure.message}`;
    const fix = 'try spec.source.prometheus.query in Prometheus: it must give one series over the whole window';
    return finding('history', 'QueryFailed', { message, fix, object });
  }
  const message = `server ${JSON.stringify(server)} does not answer this machine: ${failure.message}${hearsay(forecast)}`;
  if (isNamed) {
    return finding('history', 'Unreachable', { message, fix: 'check --prometheus-servers', object });
  }
  return finding('history', 'OutOfReach', { message, fix: forwarding(server, url), object });
}

/** How to reach a Service of the cluster from here. */
function forwarding(server: string, url: string): string {
  const [, service, namespace, port = '80'] =
    /^https?:\/\/([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc[a-z0-9.-]*)?(?::(\d+))?(?:\/|$)/.exec(url) ?? [];
  if (service === undefined || namespace === undefined)
    return `give a URL that works here: --prometheus-servers ${server}=URL`;
  return (
    `kubectl -n ${namespace} port-forward service/${service} 19090:${port}, and in another terminal ` +
    `headstart doctor --prometheus-servers ${server}=http://127.0.0.1:19090`
  );
}

/** What the forecaster has written about it. */
function hearsay({ status }: DemandForecast): string {
  const { history, conditions = [] } = status ?? {};
  if (history !== undefined) return `; the forecaster says: have ${history.have}, need ${history.need}`;
  const observed = conditions.find(({ type }) => type === 'Observed');
  return observed === undefined ? '' : `; the forecaster says: ${observed.reason}: ${observed.message}`;
}

type Read = Extract<HistoryReading, { kind: 'read' }>;

function judgeSummary(forecast: DemandForecast, { server, summary }: Read, now: number): Finding[] {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const { first, last, windowSeconds, spanSeconds, presentShare, changeSeconds } = summary;
  if (first === undefined || last === undefined) {
    const message = `the query of ${name} gives nothing in the last ${formatDuration(windowSeconds)} on server ${JSON.stringify(server)}`;
    const fix = 'try spec.source.prometheus.query in Prometheus: labels, recording rules, and the unit of rate()';
    return [finding('history', 'Empty', { message, fix, object })];
  }
  const problems = [
    ...judgeAge(forecast, last, now),
    ...judgeLength(forecast, summary),
    ...judgeGaps(forecast, summary),
    ...judgeResolution(forecast, summary),
  ];
  if (problems.length > 0) return problems;
  const resolution = changeSeconds === undefined ? '' : `, a new value every ${formatDuration(changeSeconds)}`;
  const message = `${name} has ${formatDuration(spanSeconds)} of the ${formatDuration(windowSeconds)} that are used, ${percent(presentShare)} of it there${resolution}, the last of ${formatRfc3339(last)}`;
  return [finding('history', 'Enough', { message, object })];
}

function judgeAge({ metadata: { namespace, name }, spec }: DemandForecast, last: number, now: number): Finding[] {
  const age = now - last;
  if (age <= parseDurationSeconds(spec.staleAfter, 'spec.staleAfter')) return [];
  const message = `the newest sample of ${name} is ${formatDuration(age)} old, of ${formatRfc3339(last)} (staleAfter ${spec.staleAfter})`;
  const fix = "look at Prometheus' targets: the exporter is down, or the recording rule is not evaluated";
  return [finding('history', 'Stale', { message, fix, object: { kind: 'DemandForecast', namespace, name } })];
}

function judgeLength({ metadata: { namespace, name } }: DemandForecast, summary: HistorySummary): Finding[] {
  const { first = 0, spanSeconds, windowSeconds } = summary;
  const object = { kind: 'DemandForecast', namespace, name };
  const have = `the history of ${name} begins at ${formatRfc3339(first)}: ${formatDuration(spanSeconds)} of the ${formatDuration(windowSeconds)} that are used`;
  const fix = "it grows by itself, up to Prometheus' --storage.tsdb.retention.time";
  if (spanSeconds < leastSeconds) {
    return [
      finding('history', 'TooShort', {
        message: `${have}; a forecast needs ${formatDuration(leastSeconds)}`,
        fix,
        object,
      }),
    ];
  }
  if (spanSeconds >= Math.min(daySeconds, windowSeconds)) return [];
  const message = `${have}; learning the pattern of the day needs ${formatDuration(daySeconds)}`;
  return [finding('history', 'NoDay', { message, fix, object })];
}

function judgeGaps({ metadata: { namespace, name } }: DemandForecast, summary: HistorySummary): Finding[] {
  const { presentShare, longestGap } = summary;
  if (presentShare >= leastPresentShare || longestGap === undefined) return [];
  const { startSeconds, seconds } = longestGap;
  const message = `${percent(1 - presentShare)} of the history of ${name} is missing; the longest gap is ${formatDuration(seconds)} from ${formatRfc3339(startSeconds)} on`;
  const fix =
    'a rate() over four scrape intervals bridges single missed scrapes; for longer gaps look at up{…} of the exporter';
  return [finding('history', 'Gaps', { message, fix, object: { kind: 'DemandForecast', namespace, name } })];
}

function judgeResolution({ metadata: { namespace, name } }: DemandForecast, summary: HistorySummary): Finding[] {
  const { changeSeconds } = summary;
  if (changeSeconds === undefined || changeSeconds <= coarseSeconds) return [];
  const message = `demand of ${name} changes once in ${formatDuration(changeSeconds)}; it is forecast by the minute, so a ramp is seen late`;
  const fix = 'scrape the exporter (and evaluate recording rules) at least once a minute';
  return [finding('history', 'Coarse', { message, fix, object: { kind: 'DemandForecast', namespace, name } })];
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
