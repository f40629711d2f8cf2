// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import { finding } from '../finding.ts';
import type { Failure, Finding } from '../finding.ts';
import type { Snapshot } from '../snapshot.ts';
import { writtenAt } from './installation.ts';

/** Forecasts are made minute by minute; a few seconds change nothing. */
const tolerableSeconds = 5;
/** A sample is stamped by Prometheus, and read on the whole minute. */
const futureSeconds = 30;
const fix = 'set the clock by NTP (chrony, systemd-timesyncd)';

/** The clocks that are part of the way of a number, against the apiserver's. */
export function checkClocks(snapshot: Snapshot, now: number): Finding[] {
  return [judgeLocal(snapshot), ...judgeForecaster(snapshot), ...judgeObservations(snapshot, now)];
}

function judgeLocal({ localClock }: Snapshot): Finding {
  if ('failure' in localClock) return unknown(localClock.failure);
  const { aheadSeconds, uncertaintySeconds } = localClock.value;
  const message = `this machine's clock is ${ahead(aheadSeconds)} the apiserver's (± ${uncertaintySeconds.toFixed(1)} s)`;
  if (Math.abs(aheadSeconds) - uncertaintySeconds <= tolerableSeconds) return finding('clock', 'InSync', { message });
  return finding('clock', 'LocalClockOff', { message: `${message}; ages below are by the apiserver's`, fix });
}

function unknown({ code, message }: Failure): Finding {
  const reason = code === 'Forbidden' ? 'NotAllowed' : 'NotRead';
  return finding('clock', reason, { message: `the apiserver's time was not read: ${message}` });
}

/** The leader writes its own time into the Lease, and the apiserver notes when it took that. */
function judgeForecaster({ lease, headstartNamespace }: Snapshot): Finding[] {
  if ('failure' in lease || lease.value === undefined) return [];
  const { renewTime, holderIdentity = '' } = lease.value.spec ?? {};
  const taken = writtenAt(lease.value);
  if (renewTime === undefined || taken === undefined || holderIdentity === '') return [];
  const object = { kind: 'Lease', namespace: headstartNamespace, name: 'headstart-forecaster' };
  // The apiserver's stamp has whole seconds.
  const aheadSeconds = parseTimestamp(renewTime, 'spec.renewTime') - (taken + 0.5);
  const message = `the clock of forecaster ${holderIdentity} is ${ahead(aheadSeconds)} the apiserver's`;
  if (Math.abs(aheadSeconds) <= tolerableSeconds) return [finding('clock', 'InSync', { message, object })];
  return [
    finding('clock', 'ForecasterClockOff', {
      message: `${message}: forecasts are for the wrong minutes`,
      fix: `${fix} on the node of ${holderIdentity}`,
      object,
    }),
  ];
}

function judgeObservations({ forecasts }: Snapshot, now: number): Finding[] {
  if ('failure' in forecasts) return [];
  return (forecasts.value ?? []).flatMap((forecast) => judgeObservation(forecast, now));
}

function judgeObservation({ metadata, status }: DemandForecast, now: number): Finding[] {
  if (status?.observed === undefined) return [];
  const { namespace, name } = metadata;
  const aheadSeconds = parseTimestamp(status.observed.time, 'status.observed.time') - now;
  if (aheadSeconds <= futureSeconds) return [];
  const message = `demand of ${name} was observed at ${status.observed.time}, ${Math.round(aheadSeconds)} s from now by the apiserver's clock`;
  const object = { kind: 'DemandForecast', namespace, name };
  return [finding('clock', 'ObservedInFuture', { message, fix: `${fix} on Prometheus' node`, object })];
}

function ahead(seconds: number): string {
  const size = Math.abs(seconds).toFixed(1);
  return `${size} s ${seconds < 0 ? 'behind' : 'ahead of'}`;
}
