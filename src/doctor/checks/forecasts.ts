// SPDX-License-Identifier: Apache-2.0
import type { Condition } from '../../api/conditions.ts';
import type { ConditionType } from '../../api/reasons.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { formatDuration } from '../../base/duration.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Snapshot } from '../snapshot.ts';

/** The first look at a new forecast, and a few more when the source is slow. */
const patienceSeconds = 120;

/** HPAReady is left to the check hpa, which sees more. */
const told: readonly Exclude<ConditionType, 'HPAReady'>[] = [
  'TargetReady',
  'Observed',
  'SignalsObserved',
  'DemandTrusted',
  'Forecastable',
  'Calibrated',
  'Publishing',
];

const fixes: Readonly<Record<(typeof told)[number], string>> = {
  TargetReady: 'set spec.scaleTargetRef to a workload of its own in the same namespace',
  Observed: 'try spec.source.prometheus.query in Prometheus: it must give one series with the demand of now',
  SignalsObserved: 'try the query of the signal in Prometheus: it must give one series with a number',
  DemandTrusted: 'look after the workload: its demand fell while it was in trouble; it goes on by itself',
  Forecastable: 'see the check history; more history comes by itself',
  Calibrated: 'see status.accuracy; after a change of the workload it takes some days',
  Publishing: 'see the other conditions',
};

/** What is False in the conditions of each forecast. */
export function checkForecasts(snapshot: Snapshot, now: number): Finding[] {
  const { forecasts, namespace } = snapshot;
  if ('failure' in forecasts) return [notRead('forecast', forecasts.failure)];
  if (forecasts.value === undefined) return [];
  if (forecasts.value.length === 0) {
    const message = `there is no DemandForecast in ${namespace === undefined ? 'the cluster' : `namespace ${namespace}`}`;
    return [finding('forecast', 'NoForecasts', { message, fix: 'begin with manifests/examples/preview.yaml' })];
  }
  return forecasts.value.flatMap((forecast) => judge(forecast, now));
}

function judge(forecast: DemandForecast, now: number): Finding[] {
  const { namespace, name, generation, creationTimestamp } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const { conditions = [], observedGeneration = 0 } = forecast.status ?? {};
  if (observedGeneration < generation) {
    const age = now - parseTimestamp(creationTimestamp, 'metadata.creationTimestamp');
    const message = `the forecaster has not looked at ${name} since its spec changed (generation ${generation}, seen ${observedGeneration}, ${formatDuration(age)} old)`;
    if (age > patienceSeconds) {
      return [finding('forecast', 'NotReconciled', { message, fix: 'see the checks leader and access', object })];
    }
  }
  const failing = told.flatMap((type) => conditions.filter((item) => item.type === type && item.status === 'False'));
  if (failing.length === 0) {
    return [finding('forecast', 'Healthy', { message: `no condition of ${name} is False`, object })];
  }
  return failing.map(({ type, reason, message }: Condition) => {
    const known = told.find((item) => item === type) ?? 'Publishing';
    return finding('forecast', known, {
      message: `${type} of ${name}: ${reason}: ${message}`,
      fix: fixes[known],
      object,
    });
  });
}
