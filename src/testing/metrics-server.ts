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
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const namespace = 'headstart-system';
const deployment = 'headstart-metrics';
const apiServiceName = 'v1beta1.external.metrics.k8s.io';

/**
 * Applies manifests/base and starts one process of the metrics role as its Deployment says, in `group`, with the rights
 * of its ServiceAccount. The APIService leads straight to it.
 */
export async function startMetricsRole(
  cluster: ControlPlane,
  group: ProcessGroup,
  env: Readonly<Record<string, string>> = {},
): Promise<MetricsServer & { readonly operationsPort: number }> {
  const objects = await renderKustomization(cluster, `${root}manifests/base`);
  const port = await freePort();
  const operationsPort = await freePort();
  for (const object of objects) {
    if (object.kind === 'Service') object.spec = { type: 'ExternalName', externalName: 'localhost' };
    if (object.kind === 'APIService') Object.assign(object.spec?.['service'] ?? {}, { port });
  }
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await cluster.kubectlOk([
    'wait',
    '--for=condition=Established',
    'crd/demandforecasts.headstart.dev',
    '--timeout=30s',
  ]);
  const manifest = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment);
  if (manifest === undefined) throw new Error(`no Deployment ${deployment} in manifests/base`);
  const role = renderedRole(manifest, objects);
  const process_ = await group.start({
    name: deployment,
    command: process.execPath,
    args: role.command.slice(1),
    cwd: root,
    env: {
      ...role.env(0),
      KUBECONFIG: await cluster.kubeconfigForServiceAccount(namespace, role.serviceAccount),
      HEADSTART_BIND_ADDRESS: '127.0.0.1',
      HEADSTART_SECURE_PORT: String(port),
      HEADSTART_OPERATIONS_PORT: String(operationsPort),
      HEADSTART_SHUTDOWN_DELAY: '0s',
      ...env,
    },
  });
  const server = { name: 'headstart', port, serverName: `${deployment}.${namespace}.svc`, process: process_ };
  const ready = async (): Promise<boolean> => (await probe(server, '/readyz')) === 200;
  await waitUntil('the metrics role is ready', ready, { timeoutMs: 60_000, process: process_, intervalMs: 20 });
  return { ...server, operationsPort, caPem: await readAuthority(cluster) };
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
export async function probe(server: Pick<MetricsServer, 'port'>, path: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: server.port, path, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
