// SPDX-License-Identifier: Apache-2.0
import { mergeConditions } from '../../api/conditions.ts';
import type { Condition, ConditionDraft } from '../../api/conditions.ts';
import type { ConditionType, Reason } from '../../api/reasons.ts';
import type { DemandForecast, DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import { maxForecastAgeSeconds } from '../../api/v1alpha1/freshness.ts';
import { formatDuration, parseDurationSeconds } from '../../base/duration.ts';
import { findHpa } from '../../capacity/hpa.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import type { Sample } from '../../series/time-series.ts';
import { sourceName } from './demand-source.ts';
import { maxDemand, renderForecasted, renderHpa, renderLead, renderObserved } from './render.ts';
import type { Outlook, Snapshot } from './snapshot.ts';

/** A Kubernetes Event to record about the forecast. */
interface EventDraft {
  readonly type: 'Normal' | 'Warning';
  readonly reason: Reason;
  readonly message: string;
  /** The type of the condition that changed. */
  readonly action: ConditionType;
}

/** The status to apply, whole, and the Events that say what changed. */
export interface Decision {
  readonly status: DemandForecastStatus;
  readonly events: readonly EventDraft[];
}

const coverageTolerance = 0.05;
const minScores = 60;
const maxMessage = 400;
/** Usual in the life of a forecast, and no reason to worry. */
const harmless: ReadonlySet<Reason> = new Set<Reason>(['TooLittleHistory', 'NoHPA', 'TooFewScores', 'NoSkill']);

/** What to say about a forecast, from what was seen; `now` is in epoch seconds. */
export function decide(given: Snapshot, now: number): Decision {
  const snapshot = { ...given, outlook: soundOutlook(given.outlook) };
  const { forecast } = snapshot;
  const standing = snapshot.isStatusCurrent ? forecast.status : undefined;
  const target = judgeTarget(snapshot);
  const hpa = findHpa(forecast, snapshot.hpas);
  const observed = judgeObserved(snapshot, now);
  const forecastable = judgeForecastable(snapshot);
  const mayForecast = target.status !== 'False' && !snapshot.perPod.isPerPod;
  const numbers = renderForecasted(snapshot, standing, { now, mayForecast });
  const data = {
    ...renderObserved(observed.sample, standing),
    ...numbers,
    ...renderHpa(hpa),
    lead: renderLead(snapshot.lead),
  };
  const drafts = [
    target,
    draft('HPAReady', hpa.reason === 'HPAFound' ? 'True' : 'False', hpa.reason, hpa.message),
    observed.draft,
    ...forecastable,
    ...judgeCalibrated(snapshot.outlook),
    judgePublishing({
      forecast,
      status: data,
      target,
      forecastable: forecastable[0],
      isPerPod: snapshot.perPod.isPerPod,
      now,
    }),
  ];
  const before = forecast.status?.conditions ?? [];
  const at = { observedGeneration: forecast.metadata.generation, now: formatRfc3339(now) };
  const status = {
    observedGeneration: forecast.metadata.generation,
    ...data,
    conditions: mergeConditions(before, drafts, at),
  };
  return { status, events: drafts.flatMap((item) => announce(item, before)) };
}

/** A number that cannot be published must not stop the rest: unknown never becomes a number. */
function soundOutlook(outlook: Outlook): Outlook {
  if (outlook.kind !== 'issued') return outlook;
  const { values, atLead, model } = outlook;
  const unsound = [atLead, ...values].find((value) => !(value >= 0));
  if (unsound === undefined) return outlook;
  const message = `model ${model.name} forecast ${unsound}, want numbers from 0 on`;
  return { kind: 'not-issued', reason: 'CannotFit', message, have: `${unsound}`, need: 'numbers from 0 on' };
}

/** Of several forecasts for one target the oldest keeps it; of two of one second, the first by name. */
export function ownerOfTarget(forecast: DemandForecast, forecasts: readonly DemandForecast[]): DemandForecast {
  const rank = ({ metadata }: DemandForecast): string => `${metadata.creationTimestamp} ${metadata.name}`;
  const key = targetKey(forecast);
  const rivals = forecasts.filter((other) => targetKey(other) === key);
  return rivals.reduce((first, other) => (rank(other) < rank(first) ? other : first), forecast);
}

/** Namespace, group, kind and name of the target. */
export function targetKey({ metadata, spec }: DemandForecast): string {
  const { apiVersion, kind, name } = spec.scaleTargetRef;
  return [metadata.namespace, apiVersion.split('/')[0], kind, name].join('/');
}

function judgeTarget({ forecast, forecasts, target }: Snapshot): ConditionDraft<'TargetReady'> {
  const { kind, name } = forecast.spec.scaleTargetRef;
  const own = `${kind}/${name}`;
  const owner = ownerOfTarget(forecast, forecasts);
  if (owner.metadata.name !== forecast.metadata.name) {
    const { name: other, creationTimestamp } = owner.metadata;
    const message = `${own} is the target of DemandForecast ${other} since ${creationTimestamp}; this one publishes observed demand only`;
    return draft('TargetReady', 'False', 'DuplicateTarget', message);
  }
  switch (target.kind) {
    case 'found':
      return draft('TargetReady', 'True', 'TargetFound', `${own} is there, and no other DemandForecast has it`);
    case 'missing': {
      const message = `no ${own} in namespace ${forecast.metadata.namespace}; observed demand is published without a forecast`;
      return draft('TargetReady', 'False', 'TargetNotFound', message);
    }
    case 'unreadable':
      return draft('TargetReady', 'Unknown', 'TargetUnreadable', `${own}: ${target.message}`);
  }
}

interface ObservedJudgement {
  readonly draft: ConditionDraft<'Observed'>;
  /** What to write down, if it is a demand. */
  readonly sample?: Sample;
}

function judgeObserved({ forecast, demand, perPod }: Snapshot, now: number): ObservedJudgement {
  const no = (reason: Reason<'Observed'>, message: string): ObservedJudgement => ({
    draft: draft('Observed', 'False', reason, message),
  });
  if (perPod.isPerPod && demand.kind === 'sample') return no('PerPodAverage', perPodMessage(perPod.changes));
  switch (demand.kind) {
    case 'failed':
      return no(demand.reason, demand.message);
    case 'none':
      return no('NoData', `no data: the query gives nothing on ${sourceName(forecast.spec)}`);
    case 'sample':
      return judgeSample(demand.sample, forecast, { now, no });
  }
}

function perPodMessage(changes: number): string {
  return `in the last ${changes} changes of the number of pods demand moved against it in proportion: this is an average per pod; want the total, such as sum(…)`;
}

function judgeSample(
  sample: Sample,
  { spec }: DemandForecast,
  { now, no }: { now: number; no: (reason: Reason<'Observed'>, message: string) => ObservedJudgement },
): ObservedJudgement {
  const { value, timestamp } = sample;
  const time = formatRfc3339(timestamp);
  if (value < 0) return no('NegativeDemand', `the query gives ${value} at ${time}: demand cannot be negative`);
  if (!(value <= maxDemand))
    return no('TooLarge', `the query gives ${value} at ${time}; an HPA counts to ${maxDemand}`);
  if (now - timestamp > parseDurationSeconds(spec.staleAfter, 'spec.staleAfter')) {
    const message = `the newest sample is of ${time}, older than staleAfter ${spec.staleAfter}`;
    return { draft: draft('Observed', 'False', 'StaleData', message), sample };
  }
  // The number is in status.observed; here it would make every loop write the conditions.
  const message = `demand is read from ${sourceName(spec)}, no older than staleAfter ${spec.staleAfter}`;
  return { draft: draft('Observed', 'True', 'DemandObserved', message), sample };
}

/** Nothing where the engine was not asked anew: what stands is still so. */
function judgeForecastable(snapshot: Snapshot): ConditionDraft<'Forecastable'>[] {
  const { forecast, outlook, history, historyFailure } = snapshot;
  const no = (reason: Reason<'Forecastable'>, message: string): ConditionDraft<'Forecastable'>[] => [
    draft('Forecastable', 'False', reason, message),
  ];
  const unread = `the history cannot be read: ${historyFailure}`;
  switch (outlook.kind) {
    case 'issued': {
      const { name, since } = outlook.model;
      const have = formatDuration(history?.haveSeconds ?? 0);
      const message = `model ${name} since ${formatRfc3339(since)}, on ${have} of history`;
      return [draft('Forecastable', 'True', 'ModelFitted', message)];
    }
    case 'not-issued': {
      const isUnread = outlook.reason === 'NoHistory' && historyFailure !== undefined;
      return no(outlook.reason, isUnread ? unread : outlook.message);
    }
    case 'held':
      // Where demand cannot be read either, Observed tells of it.
      return historyFailure !== undefined && snapshot.demand.kind === 'sample' ? no('NoHistory', unread) : [];
    case 'invalid-time-zone': {
      const given = JSON.stringify(forecast.spec.timeZone);
      return no('InvalidTimeZone', `spec.timeZone: got ${given}, want an IANA time zone such as UTC or Europe/Berlin`);
    }
  }
}

function judgeCalibrated(outlook: Outlook): ConditionDraft<'Calibrated'>[] {
  if (outlook.kind === 'held') return [];
  const accuracy = outlook.kind === 'issued' ? outlook.accuracy : undefined;
  if (outlook.kind !== 'issued' || accuracy === undefined || accuracy.scores < minScores) {
    const message = `${accuracy?.scores ?? 0} forecasts have come due, ${minScores} are needed`;
    return [draft('Calibrated', 'Unknown', 'TooFewScores', message)];
  }
  const { coverage, scores } = accuracy;
  const { quantile } = outlook;
  const isWithin = Math.abs(coverage - quantile) <= coverageTolerance;
  const message = `${percent(coverage)} of ${scores} maxima were at or below the ${quantile} quantile; want ${percent(quantile)} ± ${percent(coverageTolerance)}`;
  return [
    draft(
      'Calibrated',
      isWithin ? 'True' : 'False',
      isWithin ? 'CoverageWithinBounds' : 'CoverageOutOfBounds',
      message,
    ),
  ];
}

interface PublishingInput {
  readonly forecast: DemandForecast;
  readonly status: Pick<DemandForecastStatus, 'observed' | 'forecast'>;
  readonly target: ConditionDraft<'TargetReady'>;
  readonly forecastable: ConditionDraft<'Forecastable'> | undefined;
  readonly isPerPod: boolean;
  readonly now: number;
}

/** What the metrics replicas make of the status, now; their ladder decides, this describes it. */
function judgePublishing(input: PublishingInput): ConditionDraft<'Publishing'> {
  const { forecast, status, now } = input;
  const { mode, staleAfter } = forecast.spec;
  const { observed } = status;
  const ageSeconds = observed === undefined ? Number.NaN : now - parseTimestamp(observed.time, 'status.observed.time');
  const isFresh = ageSeconds <= parseDurationSeconds(staleAfter, 'spec.staleAfter');
  const curve = status.forecast;
  if (mode === 'Auto' && observed !== undefined && curve !== undefined && isUsable(curve, now)) {
    const message = `the larger of observed demand and the ${curve.quantile} quantile of its maximum over the look-ahead`;
    return draft('Publishing', 'True', 'Forecast', message);
  }
  if (!isFresh) {
    const last = observed === undefined ? 'demand was never observed' : `demand was last observed at ${observed.time}`;
    const without = mode === 'Auto' ? whyNoForecast(input) : 'mode is Preview';
    return draft('Publishing', 'False', 'Nothing', `an error: ${last} (staleAfter ${staleAfter}), ${without}`);
  }
  if (mode === 'Preview') {
    return draft('Publishing', 'True', 'Preview', 'observed demand; the forecast is shown in status only');
  }
  return draft('Publishing', 'True', 'ObservedOnly', `observed demand: ${whyNoForecast(input)}`);
}

function isUsable(curve: NonNullable<DemandForecastStatus['forecast']>, now: number): boolean {
  const start = parseTimestamp(curve.startTime, 'status.forecast.startTime');
  const index = Math.floor((now - start) / curve.stepSeconds);
  const ageSeconds = now - parseTimestamp(curve.issuedAt, 'status.forecast.issuedAt');
  return Math.abs(ageSeconds) <= maxForecastAgeSeconds && index >= 0 && index < curve.values.length;
}

function whyNoForecast({ status, target, forecastable, isPerPod }: PublishingInput): string {
  if (target.status === 'False') return target.message;
  if (isPerPod) return 'demand is an average per pod';
  if (forecastable?.status === 'False') return forecastable.message;
  return status.forecast === undefined
    ? 'there is no forecast'
    : `the last forecast is of ${status.forecast.issuedAt} (at most ${formatDuration(maxForecastAgeSeconds)} old)`;
}

function announce(item: ConditionDraft, before: readonly Condition[]): EventDraft[] {
  const last = before.find(({ type }) => type === item.type);
  const isNews =
    last === undefined ? item.status === 'False' : last.status !== item.status || last.reason !== item.reason;
  if (!isNews) return [];
  const isWarning = item.status === 'False' && !harmless.has(item.reason);
  return [{ type: isWarning ? 'Warning' : 'Normal', reason: item.reason, message: item.message, action: item.type }];
}

function draft<T extends ConditionType>(
  type: T,
  status: Condition['status'],
  reason: Reason<T>,
  message: string,
): ConditionDraft<T> {
  const short = message.length > maxMessage ? `${message.slice(0, maxMessage - 1)}…` : message;
  return { type, status, reason, message: short } as ConditionDraft<T>;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
