// SPDX-License-Identifier: Apache-2.0
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { keyOf } from '../snapshot.ts';
import type { ApiService, SeenCondition, Snapshot } from '../snapshot.ts';
import { hpaOf } from './tolerance.ts';

const name = 'v1beta1.metrics.k8s.io';
const object = { kind: 'APIService', name };
const resourceTypes: readonly string[] = ['Resource', 'ContainerResource'];

/** metrics.k8s.io, where it is needed. */
export function checkMetricsServer(snapshot: Snapshot): Finding[] {
  const { metricsServer } = snapshot;
  if ('failure' in metricsServer) return [notRead('metrics-server', metricsServer.failure, object)];
  const users = usersOf(snapshot);
  if (conditionOf(metricsServer.value)?.status === 'True') {
    return [finding('metrics-server', 'Available', { message: `APIService ${name} is available`, object })];
  }
  if (users.length === 0) {
    const message = `APIService ${name} is not available, and nothing that was looked at needs it`;
    return [finding('metrics-server', 'NotNeeded', { message, object })];
  }
  return [absent(metricsServer.value, users)];
}

function absent(apiService: ApiService | undefined, users: readonly string[]): Finding {
  const needed = `needed by ${users.slice(0, 5).join(', ')}${users.length > 5 ? ` and ${users.length - 5} more` : ''}`;
  const consequence =
    'an HPA that cannot read one of its metrics does not scale down, and clones end by their deadline alone';
  if (apiService === undefined) {
    const message = `there is no APIService ${name}, ${needed}: ${consequence}`;
    const fix = 'install metrics-server (https://github.com/kubernetes-sigs/metrics-server)';
    return finding('metrics-server', 'Missing', { message, fix, object });
  }
  const available = conditionOf(apiService);
  const why = `${available?.reason ?? 'Unknown'}: ${available?.message ?? 'no condition Available'}`;
  const message = `APIService ${name} is not available (${why}), ${needed}: ${consequence}`;
  return finding('metrics-server', 'Unavailable', { message, fix: `kubectl describe apiservice ${name}`, object });
}

function conditionOf(apiService: ApiService | undefined): SeenCondition | undefined {
  return apiService?.status?.conditions?.find(({ type }) => type === 'Available');
}

/** Forecasts whose demand comes from it, HPAs of forecasts that also scale by CPU or memory, and ClonePools. */
function usersOf({ forecasts, hpas, pools }: Snapshot): string[] {
  const measuring = ('failure' in pools ? [] : (pools.value ?? [])).filter(
    ({ spec: { utilizationExit: exit } }) => exit !== undefined && exit.query === undefined,
  );
  const names = measuring.map((pool) => `ClonePool ${keyOf(pool)}`);
  if ('failure' in forecasts) return names;
  const readers = (forecasts.value ?? []).flatMap((forecast) => {
    const own = forecast.spec.source.resource !== undefined ? [`DemandForecast ${keyOf(forecast)}`] : [];
    const hpa = 'failure' in hpas ? undefined : hpaOf(forecast, hpas.value);
    const isReader = hpa?.spec.metrics?.some(({ type }) => resourceTypes.includes(type)) === true;
    return hpa !== undefined && isReader ? [...own, `HPA ${keyOf(hpa)}`] : own;
  });
  return [...readers, ...names];
}
