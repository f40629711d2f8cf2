// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { finding } from '../finding.ts';
import type { Failure, Finding, Reading } from '../finding.ts';
import { keyOf } from '../snapshot.ts';
import type { Snapshot, Timed } from '../snapshot.ts';
import { isOurs } from './api-service.ts';

/** The HPA controller reads metrics one after the other in five workers, each HPA once in 15 s. */
const slowMilliseconds = 500;
const metric = 'predicted_demand';

/** Whether the apiserver reaches the external metrics API. */
export function checkAggregation(snapshot: Snapshot): Finding[] {
  const { discovery } = snapshot;
  if ('failure' in discovery) return [unreachable(discovery.failure)];
  const { answer, milliseconds } = discovery.value;
  if (!answer.includes(metric)) {
    const listed = answer.length === 0 ? 'nothing' : answer.slice(0, 5).join(', ');
    const message = `discovery of external.metrics.k8s.io lists ${listed}, and no ${metric}: somebody else answers`;
    return [finding('aggregation', 'WrongAnswer', { message, fix: 'see the check api-service' })];
  }
  const times = timesOf(milliseconds, snapshot);
  if (times.own > slowMilliseconds) {
    const message = `discovery through the apiserver takes ${times.text}; more than ${slowMilliseconds} ms slows down every HPA`;
    return [finding('aggregation', 'Slow', { message, fix: slowFix })];
  }
  return [finding('aggregation', 'Reachable', { message: `discovery through the apiserver takes ${times.text}` })];
}

const slowFix =
  'look at the CPU of headstart-metrics (kubectl top pods) and at the network between it and the apiserver';

function unreachable({ code, message }: Failure): Finding {
  if (code === 'Forbidden') return finding('aggregation', 'NotAllowed', { message });
  return finding('aggregation', 'Unreachable', {
    message: `the external metrics API does not answer through the apiserver: ${message}`,
    fix: 'see the check api-service; where that is fine, look for a firewall or a NetworkPolicy between the apiserver and port 10250 of headstart-metrics',
  });
}

/** The time that the answer took beyond what any answer of the apiserver takes from here. */
function timesOf(milliseconds: number, { roundTripMilliseconds }: Snapshot): { own: number; text: string } {
  const own = Math.max(0, milliseconds - roundTripMilliseconds);
  const text = `${Math.round(milliseconds)} ms, of which ${Math.round(own)} ms beyond the way to the apiserver`;
  return { own, text };
}

/** predicted_demand of every forecast, as the HPA reads it. */
export function checkMetrics(snapshot: Snapshot): Finding[] {
  const { forecasts, metrics } = snapshot;
  if ('failure' in forecasts || forecasts.value === undefined || forecasts.value.length === 0) return [];
  if (!isOurs(snapshot)) {
    const message = `${metric} was not read: APIService v1beta1.external.metrics.k8s.io is not Headstart's`;
    return [finding('metric', 'Blocked', { message, fix: 'see the check api-service' })];
  }
  return forecasts.value.flatMap((forecast) => {
    const reading = metrics.get(keyOf(forecast));
    return reading === undefined ? [] : [judge(snapshot, forecast, reading)];
  });
}

function judge(snapshot: Snapshot, forecast: DemandForecast, reading: Reading<Timed<string>>): Finding {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  if ('failure' in reading) return notAnswered(forecast, reading.failure);
  const { answer, milliseconds } = reading.value;
  const times = timesOf(milliseconds, snapshot);
  const message = `${metric} of ${name} is ${answer}; the answer takes ${times.text}`;
  return times.own > slowMilliseconds
    ? finding('metric', 'Slow', { message, fix: slowFix, object })
    : finding('metric', 'Answered', { message, object });
}

function notAnswered({ metadata: { namespace, name }, status }: DemandForecast, { code, message }: Failure): Finding {
  const object = { kind: 'DemandForecast', namespace, name };
  if (code === 'Forbidden') {
    const fix = `run the doctor as a user who may list ${metric}.external.metrics.k8s.io in namespace ${namespace}`;
    return finding('metric', 'NotAllowed', { message, fix, object });
  }
  const { name: hpa } = status?.hpa ?? {};
  if (code === 'NotFound' && hpa === undefined) {
    const fix = 'see the checks forecast and history; no HPA reads it yet';
    return finding('metric', 'NothingToAnswer', { message, fix, object });
  }
  const consequence = hpa === undefined ? '' : `; without it HPA ${hpa} does not scale down`;
  const fix = 'see the checks api-service, aggregation, forecast and history';
  return finding('metric', 'NotAnswered', { message: `${message}${consequence}`, fix, object });
}
