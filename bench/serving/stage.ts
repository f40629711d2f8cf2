// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { DemandForecast } from '../../src/api/v1alpha1/demand-forecast.ts';
import { startControlPlane } from '../../src/testing/control-plane.ts';
import type { ControlPlane } from '../../src/testing/control-plane.ts';
import { clientIdentity, installRoles } from '../../src/testing/metrics-server.ts';
import type { ClientIdentity, MetricsServer, Roles } from '../../src/testing/metrics-server.ts';
import { createProcessGroup, waitUntil } from '../../src/testing/process.ts';
import type { ProcessGroup } from '../../src/testing/process.ts';
import { installReferenceAdapter } from '../../src/testing/reference-adapter.ts';
import type { ReferenceAdapter } from '../../src/testing/reference-adapter.ts';
import type { Target } from './load.ts';

/** A control plane with both servers' rights and certificates; neither runs yet. */
export interface Stage {
  readonly cluster: ControlPlane;
  readonly group: ProcessGroup;
  readonly roles: Roles;
  /** For every process of Headstart: what the image sets. */
  readonly env: Readonly<Record<string, string>>;
  readonly reference: ReferenceAdapter;
  /** The front proxy's certificate. */
  readonly proxy: ClientIdentity;
  /** A token of the HPA controller. */
  readonly token: string;
  stop(): Promise<void>;
}

type Log = (line: string) => void;

const namespace = 'bench';
const groupVersion = '/apis/external.metrics.k8s.io/v1beta1';
const prefix = `${groupVersion}/namespaces/${namespace}`;
const apiServiceName = 'v1beta1.external.metrics.k8s.io';
const user = 'system:serviceaccount:kube-system:horizontal-pod-autoscaler';
const groups = ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'];
const accept = 'application/vnd.kubernetes.protobuf, */*';

/** Starts the control plane, and installs what is to be compared. */
export async function createStage(log: Log): Promise<Stage> {
  const cluster = await startControlPlane({ nodes: 1, log });
  const group = await createProcessGroup('bench');
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  return {
    cluster,
    group,
    env: { NODE_ENV: 'production', NODE_COMPILE_CACHE: join(group.dir, 'compile-cache') },
    roles: await installRoles(cluster),
    reference: await installReferenceAdapter(cluster, log),
    proxy: await clientIdentity(cluster, 'front-proxy-client'),
    token: await cluster.serviceAccountToken('kube-system', 'horizontal-pod-autoscaler'),
    stop: async () => {
      await group.stop();
      await cluster.stop();
    },
  };
}

/** The path of request number `index`, to either server: the requests go round the DemandForecasts. */
function pathOf(forecasts: number): (index: number) => string {
  return (index) => `${prefix}/predicted_demand?labelSelector=forecast%3Dweb-${index % forecasts}`;
}

/** Straight to a server over TLS, as kube-apiserver calls it for the HPA controller. */
export function directTarget({ proxy }: Stage, server: MetricsServer, forecasts: number): Target {
  return {
    origin: `https://127.0.0.1:${server.port}`,
    path: pathOf(forecasts),
    headers: { accept, 'x-remote-user': user, 'x-remote-group': groups },
    tls: { ca: server.caPem, servername: server.serverName, ...proxy },
  };
}

/** Through kube-apiserver, as the HPA controller calls it. */
export function aggregatedTarget({ cluster, token }: Stage, forecasts: number): Target {
  return {
    origin: cluster.server,
    path: pathOf(forecasts),
    headers: { accept, authorization: `Bearer ${token}` },
    tls: { ca: cluster.caPem },
  };
}

/** Lets the APIService lead to a server, and waits until kube-apiserver sends requests there. */
export async function route({ cluster }: Stage, server: MetricsServer): Promise<void> {
  const [name, serverNamespace] = server.serverName.split('.');
  const service = { name, namespace: serverNamespace, port: server.port };
  const spec = { service, caBundle: Buffer.from(server.caPem).toString('base64') };
  await cluster.kubectlOk(['patch', 'apiservice', apiServiceName, '--type=merge', '-p', JSON.stringify({ spec })]);
  // Both serve the same metrics, and only one of them says so in discovery.
  const arrives = async (): Promise<boolean> => {
    const { code, stdout } = await cluster.kubectl(['get', '--raw', groupVersion]);
    return code === 0 && stdout.includes('"predicted_demand"') === (server.name === 'headstart');
  };
  await waitUntil(`the APIService leads to ${server.name}`, arrives, { timeoutMs: 60_000, intervalMs: 200 });
}

/** DemandForecasts `web-0`, `web-1` … in mode Auto, each with a Deployment that has no pods. */
export async function createForecasts({ cluster }: Stage, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `web-${index}`);
  const items = names.flatMap((name) => [
    {
      apiVersion: 'headstart.dev/v1alpha1',
      kind: 'DemandForecast',
      metadata: { name, namespace },
      spec: {
        scaleTargetRef: { kind: 'Deployment', name },
        source: { prometheus: { query: `demand{app="${name}"}` } },
        capacityPerReplica: '50',
        mode: 'Auto',
        gate: { override: true },
        lead: '3m',
        history: { window: '24h' },
        // So that all of them have an answer while the forecaster rests.
        staleAfter: '1h',
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: 'none' }] } },
      },
    },
  ]);
  await cluster.kubectlOk(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

/** All of them, as they are now. */
export async function readForecasts({ cluster }: Stage): Promise<readonly DemandForecast[]> {
  const text = await cluster.kubectlOk(['get', 'demandforecasts', '-n', namespace, '-o', 'json']);
  return (JSON.parse(text) as { items: DemandForecast[] }).items;
}
