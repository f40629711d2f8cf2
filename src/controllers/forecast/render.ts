// SPDX-License-Identifier: Apache-2.0
import type { DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import { formatDuration } from '../../base/duration.ts';
import { formatMilli } from '../../base/quantity.ts';
import type { HpaVerdict } from '../../capacity/hpa.ts';
import type { Lead } from '../../capacity/lead.ts';
import type { Issued } from '../../forecast/engine.ts';
import type { HistoryState } from '../../forecast/target.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import type { Sample } from '../../series/time-series.ts';
import type { Snapshot } from './snapshot.ts';

/** The largest demand that the metrics replicas publish: integer milli are exact up to here. */
export const maxDemand = 9e12;

const maxCandidates = 20;

/** The observation to write down: the new one, else the one that stands. */
export function renderObserved(
  sample: Sample | undefined,
  standing: DemandForecastStatus | undefined,
): Pick<DemandForecastStatus, 'observed'> {
  if (sample !== undefined) {
    return { observed: { value: formatMilli(sample.value), time: formatRfc3339(sample.timestamp) } };
  }
  return standing?.observed === undefined ? {} : { observed: standing.observed };
}

/** What the HPA's verdict says in numbers. */
export function renderHpa({ hpa }: HpaVerdict): Pick<DemandForecastStatus, 'hpa'> {
  if (hpa === undefined) return {};
  const utilization = String(Number(Math.min(hpa.utilization, 99_999).toFixed(2)));
  return { hpa: { name: hpa.name, targetAverageValue: hpa.targetAverageValue, utilization } };
}

/** The lead as durations. */
export function renderLead({
  p50Seconds,
  p90Seconds,
  samples,
  source,
}: Lead): NonNullable<DemandForecastStatus['lead']> {
  return { p50: formatDuration(p50Seconds), p90: formatDuration(p90Seconds), samples, source };
}

type Forecasted = Pick<DemandForecastStatus, 'forecast' | 'model' | 'accuracy' | 'history'>;

/**
 * What the engine says. While it has nothing new to say because demand cannot be read, what was issued last stands to
 * its end; otherwise a forecast that is not made anew is withdrawn.
 */
export function renderForecasted(
  { outlook, history, demand }: Snapshot,
  standing: DemandForecastStatus | undefined,
  { now, mayForecast }: { readonly now: number; readonly mayForecast: boolean },
): Forecasted {
  switch (outlook.kind) {
    case 'issued':
      return { ...(mayForecast ? renderCurve(outlook) : {}), ...renderModel(outlook), ...renderHistory(history) };
    case 'held':
      return keep(standing, { now, mayForecast });
    case 'not-issued': {
      const isBlind = outlook.reason === 'NoHistory' && demand.kind !== 'sample';
      if (isBlind) return keep(standing, { now, mayForecast });
      const readyAt = outlook.readyAt === undefined ? {} : { readyAt: formatRfc3339(outlook.readyAt) };
      return { history: { have: cut(outlook.have), need: cut(outlook.need), ...readyAt } };
    }
    case 'invalid-time-zone':
      return {};
  }
}

function keep(
  standing: DemandForecastStatus | undefined,
  { now, mayForecast }: { readonly now: number; readonly mayForecast: boolean },
): Forecasted {
  const { forecast, model, accuracy, history } = standing ?? {};
  const isOver =
    forecast === undefined ||
    parseTimestamp(forecast.startTime, 'status.forecast.startTime') + forecast.stepSeconds * forecast.values.length <=
      now;
  return {
    ...(isOver || !mayForecast ? {} : { forecast }),
    ...(model === undefined ? {} : { model }),
    ...(accuracy === undefined ? {} : { accuracy }),
    ...(history === undefined ? {} : { history }),
  };
}

function renderCurve(issued: Issued): Pick<DemandForecastStatus, 'forecast'> {
  const { issuedAt, startTime, stepSeconds, quantile, atLead, values } = issued;
  return {
    forecast: {
      issuedAt: formatRfc3339(issuedAt),
      startTime: formatRfc3339(startTime),
      stepSeconds,
      quantile: String(quantile),
      atLead: milli(atLead),
      values: Array.from(values, milli),
    },
  };
}

function renderModel({ model, accuracy }: Issued): Pick<DemandForecastStatus, 'model' | 'accuracy'> {
  const candidates = model.candidates
    .filter(({ loss }) => Number.isFinite(loss))
    .slice(0, maxCandidates)
    .map(({ name, loss }) => ({ name, loss: short(loss) }));
  const rendered = { model: { name: model.name, since: formatRfc3339(model.since), candidates } };
  if (accuracy === undefined) return rendered;
  const { coverage, pinballSkill, bias, scores } = accuracy;
  const skill = String(Number(Math.max(pinballSkill, -9999).toFixed(3)));
  return {
    ...rendered,
    accuracy: { coverage: String(Number(coverage.toFixed(3))), pinballSkill: skill, bias: short(bias), scores },
  };
}

function renderHistory(history: HistoryState | undefined): Pick<DemandForecastStatus, 'history'> {
  if (history === undefined) return {};
  return { history: { have: formatDuration(history.haveSeconds), need: formatDuration(history.needSeconds) } };
}

/** A forecast beyond what can be counted is as much as can be counted; NaN is refused by formatMilli. */
function milli(value: number): string {
  return formatMilli(Math.min(value, maxDemand));
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function cut(text: string): string {
  return text.slice(0, 20);
}
