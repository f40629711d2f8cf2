// SPDX-License-Identifier: Apache-2.0
import type { Registry } from 'prom-client';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../base/duration.ts';
import { parseQuantity } from '../base/quantity.ts';
import { catalogue } from './catalogue.ts';
import type { MetricKey } from './catalogue.ts';
import { gauge } from './metrics.ts';

/** One series of a DemandForecast: labels besides its namespace and name, and the value. */
interface Series {
  readonly labels?: Readonly<Record<string, string>>;
  /** Left out, or not a number: there is no such series. */
  readonly value: number | undefined;
}

type Read = (forecast: DemandForecast) => readonly Series[];

const reads = {
  info: ({ spec, status }) => [{ labels: { mode: spec.mode, model: status?.model?.name ?? '' }, value: 1 }],
  condition: ({ status }) =>
    (status?.conditions ?? []).map(({ type, status: value, reason }) => ({
      labels: { condition: type, status: value, reason },
      value: 1,
    })),
  observedDemand: ({ status }) => [{ value: quantity(status?.observed?.value) }],
  demandAtLead: ({ status }) => [{ value: quantity(status?.forecast?.atLead) }],
  observedTime: ({ status }) => [{ value: seconds(status?.observed?.time) }],
  issuedTime: ({ status }) => [{ value: seconds(status?.forecast?.issuedAt) }],
  quantile: ({ spec }) => [{ value: Number(spec.quantile) }],
  coverage: ({ status }) => [{ value: decimal(status?.accuracy?.coverage) }],
  skill: ({ status }) => [{ value: decimal(status?.accuracy?.pinballSkill) }],
  bias: ({ status }) => [{ value: decimal(status?.accuracy?.bias) }],
  scores: ({ status }) => [{ value: status?.accuracy?.scores }],
  lead: ({ status }) => [
    { labels: { quantile: '0.5' }, value: duration(status?.lead?.p50) },
    { labels: { quantile: '0.9' }, value: duration(status?.lead?.p90) },
  ],
  outageGuard: ({ status }) => {
    const trusted = status?.conditions?.find(({ type }) => type === 'DemandTrusted');
    return [{ value: trusted && (trusted.reason === 'OutageGuard' ? 1 : 0) }];
  },
} satisfies Partial<Record<MetricKey, Read>>;

/**
 * Says at each scrape what the statuses of the DemandForecasts say: `list` gives none where others tell of them. A
 * DemandForecast that is gone has no series from the next scrape on.
 */
export function registerForecastMetrics(registry: Registry, list: () => readonly DemandForecast[]): void {
  for (const [key, read] of Object.entries<Read>(reads)) {
    gauge(registry, catalogue[key as keyof typeof reads], (set) => {
      for (const forecast of list()) {
        const { namespace, name } = forecast.metadata;
        for (const { labels, value } of read(forecast)) {
          if (value !== undefined && Number.isFinite(value)) set({ namespace, name, ...labels }, value);
        }
      }
    });
  }
}

/** What a status holds was written by a Headstart of perhaps another version: what cannot be read is left out. */
function attempt(parse: () => number): number | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function quantity(text: string | undefined): number | undefined {
  return text === undefined ? undefined : attempt(() => parseQuantity(text, 'status'));
}

function duration(text: string | undefined): number | undefined {
  return text === undefined ? undefined : attempt(() => parseDurationSeconds(text, 'status'));
}

function decimal(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text);
}

function seconds(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time) / 1000;
}
