// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../src/api/v1alpha1/demand-forecast.ts';
import { parseDurationSeconds } from '../../src/base/duration.ts';
import { HeadstartError } from '../../src/base/errors.ts';
import { parseQuantity } from '../../src/base/quantity.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { resourcePath } from '../../src/kube/paths.ts';
import { twins } from './score.ts';
import type { ForecastState, Observation, TwinState } from './score.ts';

interface Deployment {
  readonly spec: { readonly replicas: number };
  readonly status?: { readonly readyReplicas?: number };
}

interface MetricValueList {
  readonly items: readonly { readonly value: string }[];
}

interface Hpa {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** What the cluster says now, all but the demand. */
export async function observe(
  kube: KubeClient,
  namespace: string,
): Promise<Pick<Observation, 'reactive' | 'predictive' | 'forecast'>> {
  const [reactive, predictive, forecast] = await Promise.all([
    readTwin(kube, namespace, 'reactive'),
    readTwin(kube, namespace, 'predictive'),
    readForecast(kube, namespace),
  ]);
  return { reactive, predictive, ...(forecast === undefined ? {} : { forecast }) };
}

async function readTwin(kube: KubeClient, namespace: string, name: string): Promise<TwinState> {
  const path = resourcePath({ apiVersion: 'apps/v1', plural: 'deployments', namespace, name });
  const { spec, status } = await kube.request<Deployment>({ path });
  return { desired: spec.replicas, ready: status?.readyReplicas ?? 0 };
}

/** Undefined while there is no forecast, or the metric is not served: that is a part of the show, not its end. */
async function readForecast(kube: KubeClient, namespace: string): Promise<ForecastState | undefined> {
  try {
    const { status } = await readDemandForecast(kube, namespace);
    if (status?.forecast === undefined || status.lead === undefined) return undefined;
    const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/predicted_demand`;
    const query = { labelSelector: 'forecast=predictive' };
    const { items } = await kube.request<MetricValueList>({ path, query });
    return {
      leadSeconds: parseDurationSeconds(status.lead.p90, 'status.lead.p90'),
      atLead: parseQuantity(status.forecast.atLead, 'status.forecast.atLead'),
      published: parseQuantity(items[0]?.value ?? '', 'predicted_demand'),
    };
  } catch (error) {
    if (error instanceof HeadstartError) return undefined;
    throw error;
  }
}

async function readDemandForecast(kube: KubeClient, namespace: string): Promise<DemandForecast> {
  return await kube.request<DemandForecast>({
    path: resourcePath({
      apiVersion: 'headstart.dev/v1alpha1',
      plural: 'demandforecasts',
      namespace,
      name: 'predictive',
    }),
  });
}

/** What the show still waits for, in words; nothing when it can begin. `pods` is the number that each twin began with. */
export async function whatIsMissing(kube: KubeClient, namespace: string, pods: number): Promise<string | undefined> {
  const state = await observe(kube, namespace);
  const starting = twins.find((twin) => state[twin].ready < pods);
  if (starting !== undefined) return `pods of ${starting}: ${state[starting].ready} of ${pods} are ready`;
  const { status } = await readDemandForecast(kube, namespace);
  const publishing = status?.conditions?.find(({ type }) => type === 'Publishing');
  if (publishing?.reason !== 'Forecast') return `the forecast: ${forecastProblem(status) ?? 'none yet'}`;
  const active = await Promise.all(twins.map((twin) => isActive(kube, namespace, twin)));
  const inactive = twins.find((_, index) => active[index] === false);
  return inactive === undefined ? undefined : `the HPA ${inactive}: it has no metrics yet`;
}

async function isActive(kube: KubeClient, namespace: string, name: string): Promise<boolean> {
  const path = resourcePath({ apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers', namespace, name });
  const { status } = await kube.request<Hpa>({ path });
  return status?.conditions?.find(({ type }) => type === 'ScalingActive')?.status === 'True';
}

/** The first condition that is not well, as a sentence. */
function forecastProblem(status: DemandForecast['status']): string | undefined {
  const wanted = ['TargetReady', 'Observed', 'Forecastable', 'Publishing'];
  const bad = status?.conditions?.find(({ type, status: state }) => wanted.includes(type) && state !== 'True');
  return bad === undefined ? undefined : `${bad.type}: ${bad.message}`;
}
