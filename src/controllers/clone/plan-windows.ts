// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { maxForecastAgeSeconds } from '../../api/v1alpha1/freshness.ts';
import { parseDurationSeconds } from '../../base/duration.ts';
import { HeadstartError } from '../../base/errors.ts';
import { parseQuantity } from '../../base/quantity.ts';
import type { Base, DemandCurve } from '../../capacity/clones/bursts.ts';
import { lookAheadSeconds } from '../../capacity/clones/hand-off.ts';
import { planBursts } from '../../capacity/clones/plan.ts';
import type { TargetDeployment } from '../../capacity/clones/target.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import type { PlanWindows } from './snapshot.ts';

/** As capacity/lead.ts, until pods have been measured. */
const usualLeadSeconds = 180;

/** Plans from the status of the DemandForecast that the pool names, and from the HPA of its target. */
export const planWindows: PlanWindows = ({ pool, forecast, target, hpas = [] }, previous, now) => {
  if (forecast === undefined || target.kind !== 'found') return undefined;
  const lead = forecast.status?.lead;
  const { windows, reason } = planBursts({
    curve: readCurve(forecast, now),
    capacityPerClone: quantityOf(pool.spec.capacityPerClone ?? forecast.spec.capacityPerReplica),
    base: readBase(forecast, target.value, hpas),
    spec: pool.spec,
    leadSeconds: readLead(lead?.p90),
    lookAheadSeconds: lookAheadSeconds(lead),
    now,
    previous,
  });
  return { windows, reason };
};

/** Undefined when there is none, when it is too old, and when any of it cannot be read. */
function readCurve({ status }: DemandForecast, now: number): DemandCurve | undefined {
  const given = status?.forecast;
  if (given === undefined) return undefined;
  return orUndefined(() => {
    const age = Math.abs(now - parseTimestamp(given.issuedAt, 'status.forecast.issuedAt'));
    if (age > maxForecastAgeSeconds) return undefined;
    return {
      startTime: parseTimestamp(given.startTime, 'status.forecast.startTime'),
      stepSeconds: given.stepSeconds,
      values: given.values.map(quantityOf),
    };
  });
}

function readBase(
  forecast: DemandForecast,
  { metadata, spec, status }: TargetDeployment,
  hpas: readonly HorizontalPodAutoscaler[],
): Base {
  const { replicas = 1 } = spec;
  const hpa = hpas.find(
    ({ spec: { scaleTargetRef } }) => scaleTargetRef.kind === 'Deployment' && scaleTargetRef.name === metadata.name,
  );
  const { minReplicas = 1, maxReplicas = replicas } = hpa?.spec ?? { minReplicas: replicas };
  return {
    readyReplicas: status?.readyReplicas ?? 0,
    minReplicas,
    maxReplicas,
    capacityPerReplica: filledCapacity(forecast),
  };
}

/** The HPA fills the pods of the base up to its target, no further. */
function filledCapacity({ spec, status }: DemandForecast): number {
  const target = status?.hpa?.targetAverageValue;
  const filled = target === undefined ? undefined : orUndefined(() => quantityOf(target));
  return filled ?? quantityOf(spec.capacityPerReplica);
}

function readLead(p90: string | undefined): number {
  if (p90 === undefined) return usualLeadSeconds;
  return orUndefined(() => parseDurationSeconds(p90, 'status.lead.p90')) ?? usualLeadSeconds;
}

function quantityOf(given: ClonePool['spec']['capacityPerClone'] & {}): number {
  return parseQuantity(String(given), 'capacity');
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof HeadstartError) return undefined;
    throw error;
  }
}
