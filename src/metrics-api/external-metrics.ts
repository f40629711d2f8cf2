// SPDX-License-Identifier: Apache-2.0
import { forecastLabel } from '../api/labels.ts';
import type { MetricName } from '../api/labels.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { baseDemand, lookAheadSeconds } from '../capacity/clones/hand-off.ts';
import type { Carrying } from '../capacity/clones/hand-off.ts';
import { readCurve, readObservation } from './published-status.ts';
import type { Curve, Observation } from './published-status.ts';
import { matchesLabels } from './selector.ts';
import type { Requirement } from './selector.ts';

/** The cache of DemandForecasts that answers come from; never asks anybody. */
export interface ForecastReader {
  get(namespace: string, name: string): DemandForecast | undefined;
  list(namespace: string): readonly DemandForecast[];
  /** True once the cache has held everything there is. */
  hasSynced(): boolean;
}

/**
 * Why a value is what it is: the larger of fresh demand and forecast, demand in Preview, demand alone, or the larger
 * of forecast and last demand while demand is stale.
 */
export type Rung = 'Forecast' | 'Preview' | 'ObservedOnly' | 'ForecastHeld';

/** A value to publish, or the sentence that says why there is none. Times are epoch seconds. */
export type MetricReading =
  | {
      readonly kind: 'value';
      readonly value: number;
      /** When the value holds: the observation's time, or the beginning of the forecast's step. */
      readonly timestamp: number;
      /** Length of the forecast's step; absent for an observation. */
      readonly windowSeconds?: number;
      readonly rung: Rung;
    }
  | { readonly kind: 'missing'; readonly message: string };

/** What a selector picks in a namespace. */
export type Selection =
  | { readonly kind: 'found'; readonly forecast: DemandForecast }
  | { readonly kind: 'none' }
  /** `names` holds the first few of `total`. */
  | { readonly kind: 'several'; readonly names: readonly string[]; readonly total: number };

const maxNames = 5;

/**
 * Climbs down the ladder: fresh demand and a valid curve give the larger of both; fresh demand alone gives demand;
 * stale demand and a valid curve give the larger of curve and last demand; anything else gives nothing, so that the
 * HPA does not scale down. Unreadable numbers and times count as missing; nothing ever becomes 0.
 * `observed_demand` is given while it is fresh, `forecast_demand` while the curve is valid. What clones carry is taken
 * off `predicted_demand` alone, which is what the base is scaled by.
 * @param carrying of the ClonePools that name this forecast
 */
export function readMetric(
  metric: MetricName,
  forecast: DemandForecast,
  now: number,
  carrying: readonly Carrying[] = [],
): MetricReading {
  const observation = readObservation(forecast, now);
  const curve = readCurve(forecast, now);
  switch (metric) {
    case 'observed_demand':
      return observed(observation, 'ObservedOnly') ?? missing(metric, forecast, [observation.explanation]);
    case 'forecast_demand':
      return curve.point === undefined
        ? missing(metric, forecast, [curve.explanation])
        : forecasted(curve.point, 'Forecast');
    case 'predicted_demand': {
      const reading =
        forecast.spec.mode === 'Auto'
          ? predict(forecast, observation, curve)
          : (observed(observation, 'Preview') ??
            missing(metric, forecast, [observation.explanation, 'mode is Preview']));
      return withoutClones(reading, { forecast, observation, carrying, now });
    }
  }
}

function withoutClones(
  reading: MetricReading,
  given: {
    readonly forecast: DemandForecast;
    readonly observation: Observation;
    readonly carrying: readonly Carrying[];
    readonly now: number;
  },
): MetricReading {
  const { forecast, observation, carrying, now } = given;
  if (reading.kind === 'missing' || carrying.length === 0) return reading;
  const { value } = baseDemand({
    value: reading.value,
    observed: observation.last?.value,
    lookAheadSeconds: lookAheadSeconds(forecast.status?.lead),
    pools: carrying,
    now,
  });
  return { ...reading, value };
}

/** Finds the one DemandForecast of a namespace that meets the requirements by its label `forecast=<name>`. */
export function selectForecast(
  reader: ForecastReader,
  namespace: string,
  requirements: readonly Requirement[],
): Selection {
  const matching = candidates(reader, namespace, requirements).filter(({ metadata }) =>
    matchesLabels(requirements, { [forecastLabel]: metadata.name }),
  );
  const [first] = matching;
  if (first === undefined) return { kind: 'none' };
  if (matching.length === 1) return { kind: 'found', forecast: first };
  const names = matching.map(({ metadata }) => metadata.name).toSorted();
  return { kind: 'several', names: names.slice(0, maxNames), total: names.length };
}

/** The named ones where the selector names them, as an HPA's does; else all. */
function candidates(
  reader: ForecastReader,
  namespace: string,
  requirements: readonly Requirement[],
): readonly DemandForecast[] {
  const named = requirements.find(({ key, operator }) => key === forecastLabel && operator === 'In');
  if (named === undefined) return reader.list(namespace);
  return named.values.flatMap((name) => reader.get(namespace, name) ?? []);
}

/** A forecast alone is not published: without any observation nobody knows whether it is below the demand of now. */
function predict(forecast: DemandForecast, observation: Observation, curve: Curve): MetricReading {
  const { last } = observation;
  if (last === undefined || curve.point === undefined) {
    return (
      observed(observation, 'ObservedOnly') ??
      missing('predicted_demand', forecast, [observation.explanation, curve.explanation])
    );
  }
  const rung = last.isFresh ? 'Forecast' : 'ForecastHeld';
  if (curve.point.value >= last.value) return forecasted(curve.point, rung);
  return { kind: 'value', value: last.value, timestamp: last.time, rung };
}

function observed({ last }: Observation, rung: Rung): MetricReading | undefined {
  return last?.isFresh === true ? { kind: 'value', value: last.value, timestamp: last.time, rung } : undefined;
}

function forecasted({ value, start, stepSeconds }: NonNullable<Curve['point']>, rung: Rung): MetricReading {
  return { kind: 'value', value, timestamp: start, windowSeconds: stepSeconds, rung };
}

function missing(metric: MetricName, { metadata }: DemandForecast, why: readonly string[]): MetricReading {
  return { kind: 'missing', message: `${metric} for ${metadata.namespace}/${metadata.name}: ${why.join(', ')}` };
}
