// SPDX-License-Identifier: Apache-2.0
import { clonePools } from '../api/clone-labels.ts';
import { apiVersion, demandForecasts } from '../api/labels.ts';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../base/clock.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import type { ResourceRef } from '../kube/paths.ts';
import { compareClocks } from '../kube/server-time.ts';
import type { MetricSource } from '../sources/metrics/metric-source.ts';
import { inParallel } from './concurrency.ts';
import type { Reading } from './finding.ts';
import { certificateFacts } from './certificate-facts.ts';
import type { CertificateSecret } from './certificate-facts.ts';
import { gatherClones } from './gather-clones.ts';
import { gatherHistories } from './gather-history.ts';
import { getOptional, listOptional, reading } from './reading.ts';
import { headstartRights, hpaRights } from './rights.ts';
import type { Right } from './rights.ts';
import { keyOf } from './snapshot.ts';
import type { ApiService, Deployment, Hpa, Lease, RightAnswer, Snapshot, Timed } from './snapshot.ts';

/** Whom to ask, and about what. */
export interface GatherContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** One namespace; undefined for all. */
  readonly namespace: string | undefined;
  /** Where Headstart is installed. */
  readonly headstartNamespace: string;
  /** Prometheus servers by name, as they are reached from here; undefined reads Headstart's own configuration. */
  readonly servers: ReadonlyMap<string, string> | undefined;
  /** @throws HeadstartError InvalidInput for a list that is none */
  readonly parseServers: (text: string, where: string) => ReadonlyMap<string, string>;
  readonly createSource: (url: string) => MetricSource;
  /** Told what is being done; `total` is known where things are counted. */
  readonly onProgress: (what: string, done?: number, total?: number) => void;
}

/** What was seen, and the apiserver's time when it was. */
export interface Gathered {
  readonly snapshot: Snapshot;
  /** Epoch seconds. */
  readonly now: number;
}

const deployments = ['headstart-metrics', 'headstart-forecaster', 'headstart-clones'];
const externalApi = '/apis/external.metrics.k8s.io/v1beta1';
const roundTrips = 3;

/**
 * Reads everything that the checks look at. What cannot be read is part of the answer.
 * @throws HeadstartError when the apiserver does not answer at all, or does not take the credentials
 */
export async function gather(context: GatherContext): Promise<Gathered> {
  const { client, clock, namespace, headstartNamespace, onProgress } = context;
  onProgress('asking the apiserver');
  const roundTripMilliseconds = await measureRoundTrip(context);
  const localClock = await reading(async () => await compareClocks(client, clock));
  onProgress('reading the cluster');
  const [forecasts, pools, hpas, installation, clones] = await Promise.all([
    reading(async () => await listOptional<DemandForecast>(client, { apiVersion, plural: demandForecasts, namespace })),
    reading(async () => await listOptional<ClonePool>(client, { apiVersion, plural: clonePools, namespace })),
    reading(async () => (await listOptional<Hpa>(client, hpaCollection(namespace))) ?? []),
    readInstallation(context),
    gatherClones(context),
  ]);
  const known = ('failure' in forecasts ? undefined : forecasts.value) ?? [];
  onProgress('asking for rights');
  const namespaces = [...new Set(known.map(({ metadata }) => metadata.namespace))].slice(0, maxNamespaces);
  const { deployments: read } = installation;
  const keepsApiService = environment(read, 'headstart-metrics').get('HEADSTART_API_SERVICE') !== 'never';
  const rights = await readRights(client, [
    ...headstartRights(headstartNamespace, keepsApiService),
    ...hpaRights(namespaces),
  ]);
  onProgress('reading metrics');
  const discovery = await readDiscovery(context);
  const metrics = await readMetrics(context, known, 'failure' in discovery);
  const aheadMs = 'failure' in localClock ? 0 : localClock.value.aheadSeconds * 1000;
  const clusterClock: Clock = { ...clock, nowMs: () => clock.nowMs() - aheadMs };
  const histories = await gatherHistories(
    {
      ...context,
      clock: clusterClock,
      configFile: environment(read, 'headstart-forecaster').get('HEADSTART_PROMETHEUS_CONFIG'),
    },
    known,
    'failure' in hpas ? [] : hpas.value,
  );
  return {
    now: clusterClock.nowMs() / 1000,
    snapshot: {
      namespace,
      headstartNamespace,
      localClock,
      roundTripMilliseconds,
      ...installation,
      ...clones,
      forecasts,
      pools,
      hpas,
      rights,
      discovery,
      metrics,
      histories,
    },
  };
}

/** Rights are asked for by namespace; some of many stand for all, as they come from one ClusterRole. */
const maxNamespaces = 20;

function hpaCollection(namespace: string | undefined): ResourceRef {
  return { apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers', namespace };
}

/** What the way to the apiserver takes; the median, without the first, which opens the connection. */
async function measureRoundTrip({ client, clock }: GatherContext): Promise<number> {
  await client.request({ path: '/version' }).catch((error: unknown) => {
    // Refused is answered.
    if (!(error instanceof HeadstartError && error.code === 'Forbidden')) throw error;
  });
  const times: number[] = [];
  for (let index = 0; index < roundTrips; index += 1) {
    times.push(
      (await timed(clock, async () => await reading(async () => await client.request({ path: '/version' }))))
        .milliseconds,
    );
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

type InstallationReading = Pick<Snapshot, 'apiService' | 'certificate' | 'metricsServer' | 'deployments' | 'lease'>;

async function readInstallation({
  client,
  headstartNamespace: namespace,
}: GatherContext): Promise<InstallationReading> {
  const object = async <T>(ref: ResourceRef): Promise<Reading<T | undefined>> =>
    await reading(async () => await getOptional<T>(client, ref));
  const apiServices = { apiVersion: 'apiregistration.k8s.io/v1', plural: 'apiservices' };
  const [apiService, metricsServer, lease, secret, ...read] = await Promise.all([
    object<ApiService>({ ...apiServices, name: 'v1beta1.external.metrics.k8s.io' }),
    object<ApiService>({ ...apiServices, name: 'v1beta1.metrics.k8s.io' }),
    object<Lease>({ apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace, name: 'headstart-forecaster' }),
    object<CertificateSecret>({
      apiVersion: 'v1',
      plural: 'secrets',
      namespace,
      name: 'headstart-serving-certificate',
    }),
    ...deployments.map(
      async (name) =>
        [name, await object<Deployment>({ apiVersion: 'apps/v1', plural: 'deployments', namespace, name })] as const,
    ),
  ]);
  const caBundle = 'failure' in apiService ? undefined : apiService.value?.spec?.caBundle;
  const certificate = 'failure' in secret ? secret : { value: certificateFacts(secret.value, caBundle ?? '') };
  return { apiService, certificate, metricsServer, lease, deployments: Object.fromEntries(read) };
}

/** The environment that a Deployment gives its containers, where it is a plain value. */
function environment(read: InstallationReading['deployments'], name: string): ReadonlyMap<string, string | undefined> {
  const deployment = read[name];
  const pod = deployment === undefined || 'failure' in deployment ? undefined : deployment.value?.spec?.template?.spec;
  const variables = (pod?.containers ?? []).flatMap((container) => container.env ?? []);
  return new Map(variables.map((variable) => [variable.name, variable.value]));
}

async function readRights(client: KubeClient, rights: readonly Right[]): Promise<Reading<readonly RightAnswer[]>> {
  return await reading(
    async () => await inParallel(rights, async (right) => ({ right, isAllowed: await isAllowed(client, right) })),
  );
}

async function isAllowed(client: KubeClient, right: Right): Promise<boolean> {
  const { subject, verb, group, resource, subresource, name, namespace } = right;
  const accounts = 'system:serviceaccounts';
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: `system:serviceaccount:${subject.namespace}:${subject.serviceAccount}`,
      groups: [accounts, `${accounts}:${subject.namespace}`, 'system:authenticated'],
      resourceAttributes: { verb, group, resource, subresource, name, namespace },
    },
  };
  const path = resourcePath({ apiVersion: body.apiVersion, plural: 'subjectaccessreviews' });
  const { status } = await client.request<{ readonly status?: { readonly allowed?: boolean } }>({
    method: 'POST',
    path,
    body,
  });
  return status?.allowed === true;
}

async function readDiscovery({ client, clock }: GatherContext): Promise<Snapshot['discovery']> {
  return await reading(
    async () =>
      await timed(clock, async () => {
        const list = await client.request<{ readonly resources?: readonly { readonly name: string }[] }>({
          path: externalApi,
        });
        return (list.resources ?? []).map(({ name }) => name);
      }),
  );
}

async function readMetrics(
  { client, clock, onProgress }: GatherContext,
  forecasts: readonly DemandForecast[],
  isUnreachable: boolean,
): Promise<Snapshot['metrics']> {
  // The same failure once for each forecast would take long, and say nothing new.
  if (isUnreachable) return new Map();
  let done = 0;
  const entries = await inParallel(forecasts, async (forecast) => {
    const { namespace, name } = forecast.metadata;
    const path = resourcePath({ apiVersion: 'external.metrics.k8s.io/v1beta1', plural: 'predicted_demand', namespace });
    const read = async (): Promise<string> => {
      const { items } = await client.request<{ readonly items?: readonly { readonly value: string }[] }>({
        path,
        query: { labelSelector: `forecast=${name}` },
      });
      const [item] = items ?? [];
      if (item === undefined) throw new HeadstartError('BadResponse', `reading ${path}: got no item, want one`);
      return item.value;
    };
    const metric = await reading(async () => await timed(clock, read));
    onProgress('reading metrics', (done += 1), forecasts.length);
    return [keyOf(forecast), metric] as const;
  });
  return new Map(entries);
}

async function timed<T>(clock: Clock, act: () => Promise<T>): Promise<Timed<T>> {
  const startMs = clock.nowMs();
  const answer = await act();
  return { answer, milliseconds: clock.nowMs() - startMs };
}
