// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { formatDuration } from '../../base/duration.ts';
import { parseQuantity } from '../../base/quantity.ts';
import { findHpa } from '../../capacity/hpa.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { keyOf } from '../snapshot.ts';
import type { Hpa, Snapshot } from '../snapshot.ts';

/** --horizontal-pod-autoscaler-tolerance of the controller manager, which nobody can read from outside. */
const clusterTolerance = 0.1;

const advice =
  'a smaller tolerance lets it act: spec.behavior.scaleUp.tolerance of the HPA (on by default from Kubernetes 1.35), ' +
  "or the controller manager's --horizontal-pod-autoscaler-tolerance; or lower the target by the tolerance";

/** Whether what the forecast adds is more than what the HPA overlooks. */
export function checkTolerance(snapshot: Snapshot): Finding[] {
  const { forecasts, hpas } = snapshot;
  if ('failure' in forecasts || 'failure' in hpas) return [];
  return (forecasts.value ?? []).flatMap((forecast) => {
    const hpa = hpaOf(forecast, hpas.value);
    return hpa === undefined ? [] : [judge(snapshot, forecast, hpa)];
  });
}

/** The HPA that uses the forecast, if there is one that works. */
export function hpaOf(forecast: DemandForecast, hpas: readonly Hpa[]): Hpa | undefined {
  const inNamespace = hpas.filter(({ metadata }) => metadata.namespace === forecast.metadata.namespace);
  const { hpa } = findHpa(forecast, inNamespace);
  return hpa === undefined ? undefined : inNamespace.find(({ metadata }) => metadata.name === hpa.name);
}

function judge(snapshot: Snapshot, forecast: DemandForecast, hpa: Hpa): Finding {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const tolerance = toleranceOf(hpa);
  const limit = `HPA ${hpa.metadata.name} acts above ${percent(tolerance.share)} (${tolerance.source})`;
  const history = snapshot.histories.get(keyOf(forecast));
  const growth = history?.kind === 'read' ? history.summary.growth : undefined;
  if (history?.kind === 'read' && growth !== undefined) {
    const { spanSeconds, leadSeconds } = history.summary;
    const window = `within the lead of ${formatDuration(leadSeconds)} in the last ${formatDuration(spanSeconds)}`;
    if (growth.share > tolerance.share) {
      const message = `demand of ${name} grew by up to ${percent(growth.share)} ${window} (at ${formatRfc3339(growth.atSeconds)}); ${limit}`;
      return finding('tolerance', 'BeyondTolerance', { message, object });
    }
    const message = `demand of ${name} never grew by more than ${percent(growth.share)} ${window}; ${limit}: the forecast cannot change anything`;
    return finding('tolerance', 'WithinTolerance', { message, fix: advice, object });
  }
  return judgeByStatus(forecast, tolerance.share, limit);
}

/** Without the history there is only the curve of the next hour. */
function judgeByStatus(forecast: DemandForecast, tolerance: number, limit: string): Finding {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const { observed, forecast: curve } = forecast.status ?? {};
  const now = observed === undefined ? Number.NaN : parseQuantity(observed.value, 'status.observed.value');
  const values = (curve?.values ?? []).map((value) => parseQuantity(value, 'status.forecast.values'));
  if (!(now > 0) || values.length === 0) {
    const message = `what the forecast of ${name} gains is not known: its history was not read, and status has no demand and forecast to compare`;
    return finding('tolerance', 'NotKnown', { message, fix: 'see the check history', object });
  }
  const highest = Math.max(...values);
  const gain = Math.max(0, highest / now - 1);
  const numbers = `in the hour of status.forecast ${name} publishes at most ${short(highest)}, observed demand is ${short(now)} (+${percent(gain)}); ${limit}`;
  if (gain > tolerance) return finding('tolerance', 'BeyondTolerance', { message: numbers, object });
  const message = `${numbers}: in that hour the forecast changes nothing`;
  const fix = `${advice}. Let the doctor read the history (--prometheus-servers) to judge more than this hour`;
  return finding('tolerance', 'WithinTolerance', { message, fix, object });
}

function toleranceOf({ spec }: Hpa): { readonly share: number; readonly source: string } {
  const own = spec.behavior?.scaleUp?.tolerance;
  return own === undefined
    ? { share: clusterTolerance, source: "the cluster's default, unless the controller manager has another" }
    : { share: parseQuantity(String(own), 'behavior.scaleUp.tolerance'), source: 'its behavior.scaleUp.tolerance' };
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(5)));
}
