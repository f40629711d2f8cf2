// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlPlane } from './control-plane.ts';
import { freePort } from './ports.ts';
import { waitUntil } from './process.ts';
import type { ProcessGroup, RunningProcess } from './process.ts';
import { renderedRole, renderKustomization } from './rendering.ts';

/** A server of external.metrics.k8s.io that runs on this machine. */
export interface MetricsServer {
  readonly name: string;
  readonly port: number;
  /** The name that its certificate is for, `<service>.<namespace>.svc`. */
  readonly serverName: string;
  /** What its certificate is verified against. */
  readonly caPem: string;
  readonly process: RunningProcess;
  /** From the start of the process until its readiness probe passed. */
  readonly readyMs: number;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const namespace = 'headstart-system';
const deployment = 'headstart-metrics';
const apiServiceName = 'v1beta1.external.metrics.k8s.io';

type Deployment = 'headstart-metrics' | 'headstart-forecaster';

/** Headstart's manifests, applied; each role runs as one process of this machine. */
export interface Roles {
  /** Of the external metrics API. */
  readonly port: number;
  /** Of /metrics of each role. */
  readonly operationsPorts: Readonly<Record<Deployment, number>>;
  /** Starts a process as its Deployment says, with the rights of its ServiceAccount. */
  start(group: ProcessGroup, name: Deployment, env?: Readonly<Record<string, string>>): Promise<RunningProcess>;
}

/** Applies manifests/base; the APIService leads straight to the one process of the metrics role that may be started. */
export async function installRoles(cluster: ControlPlane): Promise<Roles> {
  const objects = await renderKustomization(cluster, `${root}manifests/base`);
  const port = await freePort();
  const operationsPorts = { 'headstart-metrics': await freePort(), 'headstart-forecaster': await freePort() };
  for (const object of objects) {
    if (object.kind === 'Service') object.spec = { type: 'ExternalName', externalName: 'localhost' };
    if (object.kind === 'APIService') Object.assign(object.spec?.['service'] ?? {}, { port });
  }
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  const established = ['--for=condition=Established', 'crd/demandforecasts.headstart.dev', '--timeout=30s'];
  await cluster.kubectlOk(['wait', ...established]);
  const kubeconfigs = {
    'headstart-metrics': await cluster.kubeconfigForServiceAccount(namespace, 'headstart-metrics'),
    'headstart-forecaster': await cluster.kubeconfigForServiceAccount(namespace, 'headstart-forecaster'),
  };
  return {
    port,
    operationsPorts,
    start: async (group, name, env = {}) => {
      const manifest = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
      if (manifest === undefined) throw new Error(`no Deployment ${name} in manifests/base`);
      const role = renderedRole(manifest, objects);
      return await group.start({
        name,
        command: process.execPath,
        args: role.command.slice(1),
        cwd: root,
        env: {
          ...role.env(0),
          KUBECONFIG: kubeconfigs[name],
          HEADSTART_BIND_ADDRESS: '127.0.0.1',
          HEADSTART_SECURE_PORT: String(port),
          HEADSTART_OPERATIONS_PORT: String(operationsPorts[name]),
          HEADSTART_SHUTDOWN_DELAY: '0s',
          ...env,
        },
      });
    },
  };
}

/** Starts the metrics role and waits until it is ready and the APIService knows its authority. */
export async function startMetricsRole(
  cluster: ControlPlane,
  group: ProcessGroup,
  { roles, env }: { readonly roles?: Roles; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<MetricsServer> {
  const { port, start } = roles ?? (await installRoles(cluster));
  const startMs = performance.now();
  const process = await start(group, deployment, env);
  const server = { name: 'headstart', port, serverName: `${deployment}.${namespace}.svc`, process };
  await whenReady(server);
  const readyMs = performance.now() - startMs;
  return { ...server, readyMs, caPem: await readAuthority(cluster) };
}

/** Waits for the readiness probe, looking every 10 ms. */
export async function whenReady(server: Pick<MetricsServer, 'name' | 'port' | 'process'>): Promise<void> {
  const ready = async (): Promise<boolean> => (await probe(server, '/readyz')) === 200;
  const wait = { timeoutMs: 60_000, intervalMs: 10, process: server.process };
  await waitUntil(`${server.name} is ready`, ready, wait);
}

/** What Headstart has written into the APIService for the aggregator. */
async function readAuthority(cluster: ControlPlane): Promise<string> {
  const read = async (): Promise<string | false> => {
    const args = ['get', 'apiservice', apiServiceName, '-o', 'jsonpath={.spec.caBundle}'];
    const bundle = await cluster.kubectlOk(args);
    return bundle !== '' && bundle;
  };
  const bundle = await waitUntil('the APIService has a caBundle', read, { timeoutMs: 30_000 });
  return Buffer.from(bundle, 'base64').toString('utf8');
}

/** A certificate and its key, PEM. */
export interface ClientIdentity {
  readonly cert: string;
  readonly key: string;
}

/**
 * A client certificate of a `built` control plane: `front-proxy-client`, with which kube-apiserver presents itself to
 * extension servers, or one that is to be refused.
 */
export async function clientIdentity(cluster: ControlPlane, name: string): Promise<ClientIdentity> {
  const [cert = '', key = ''] = await Promise.all(
    [`${name}.crt`, `${name}.key`].map((file) => readFile(join(cluster.dir, file), 'utf8')),
  );
  return { cert, key };
}

/** The status code of a GET, as a kubelet probes: the certificate is not verified. */
async function probe(server: Pick<MetricsServer, 'port'>, path: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: server.port, path, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
