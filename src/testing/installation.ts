// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBalancer } from './balancer.ts';
import type { Balancer } from './balancer.ts';
import type { ControlPlane } from './control-plane.ts';
import { freePort } from './ports.ts';
import { createProcessGroup, run, waitUntil } from './process.ts';
import type { ProcessGroup, RunningProcess } from './process.ts';
import { renderedRole, renderKustomization } from './rendering.ts';
import type { Manifest, RenderedRole } from './rendering.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const image = 'headstart:0.1.0';

/** What differs from the manifests, as a user would change it. */
export interface InstallationOptions {
  readonly prometheusUrl: string;
  /** `60s`, as in the manifests, when left out. */
  readonly syncPeriod?: string;
  /** The folder in manifests/ that is rendered; `base` when left out. */
  readonly manifests?: string;
  /**
   * What to wait for: that the APIService is available, or that every metrics replica is ready, for where the
   * APIService is another's. The APIService when left out.
   */
  readonly until?: 'APIService' | 'replicas';
  /** Added to the environment of every role's process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly log?: (line: string) => void;
}

/** One process of a role; only where pods are simulated. */
export interface Replica {
  readonly name: string;
  /** Of its pod's name, which it keeps when it is started again. */
  readonly index: number;
  readonly role: RenderedRole;
  readonly process: RunningProcess;
  /** Port of the external metrics API; only the metrics role listens on it. */
  readonly securePort: number;
  /** Port of the webhook and the scheduler extender; only the clones role listens on it. */
  readonly webhookPort: number;
  readonly operationsPort: number;
  /** Its emptyDir for what was learnt: there again when the container is started anew. Only the forecaster has one. */
  readonly stateDir: string;
}

/** How one process differs from the others of its Deployment. */
interface ReplicaChange {
  readonly index?: number;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Headstart, as its manifests install it. */
export interface Installation {
  /** The objects that were applied. */
  readonly objects: readonly Manifest[];
  /** The running processes of a Deployment; empty where pods are containers. */
  replicas(deployment: 'headstart-metrics' | 'headstart-forecaster' | 'headstart-clones'): readonly Replica[];
  /**
   * The port of this machine behind which the ready replicas of the clones role are, as behind their Service; undefined
   * where pods are containers.
   */
  readonly clonesPort: number | undefined;
  /** Starts one more process of a Deployment; with `index`, the container of that pod anew, as the kubelet does. */
  startReplica(deployment: string, change?: ReplicaChange): Promise<Replica>;
  /** What the processes have logged, all together. */
  logs(): Promise<string>;
  /** Deletes what the manifests created, as `kubectl delete -k` does; the processes end first. */
  uninstall(): Promise<void>;
  /** Ends the processes; the objects stay. */
  stop(): Promise<void>;
}

/**
 * Applies the manifests and waits until the external metrics API is available. Where pods are containers they run
 * Headstart; where pods are simulated each role runs as a process of this machine, started from its Deployment's
 * command, args and env, with a token of its ServiceAccount.
 */
export async function installHeadstart(
  controlPlane: ControlPlane,
  options: InstallationOptions,
): Promise<Installation> {
  const objects = await renderKustomization(controlPlane, `${root}manifests/${options.manifests ?? 'base'}`);
  const config = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'headstart-forecaster');
  if (config === undefined) throw new Error('ConfigMap headstart-forecaster is not in the manifests');
  config.data = {
    ...config.data,
    HEADSTART_PROMETHEUS_SERVERS: `default=${options.prometheusUrl}`,
    ...(options.syncPeriod === undefined ? {} : { HEADSTART_SYNC_PERIOD: options.syncPeriod }),
  };
  return controlPlane.kind === 'built'
    ? await installProcesses(controlPlane, objects, options)
    : await installContainers(controlPlane, objects, options);
}

async function apply(controlPlane: ControlPlane, objects: readonly Manifest[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  await controlPlane.kubectlOk(['apply', '-f', '-'], list);
}

async function uninstall(controlPlane: ControlPlane, objects: readonly Manifest[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  await controlPlane.kubectlOk(['delete', '--ignore-not-found', '--timeout=60s', '-f', '-'], list);
}

async function whenAvailable(controlPlane: ControlPlane): Promise<void> {
  const condition = '{.status.conditions[?(@.type=="Available")].status}';
  const name = 'apiservice/v1beta1.external.metrics.k8s.io';
  await waitUntil(
    'the external metrics API becomes available',
    async () => (await controlPlane.kubectlOk(['get', name, '-o', `jsonpath=${condition}`])) === 'True',
    { timeoutMs: 90_000, intervalMs: 500 },
  );
}

async function installContainers(
  controlPlane: ControlPlane,
  objects: readonly Manifest[],
  options: InstallationOptions,
): Promise<Installation> {
  if (controlPlane.kindClusterName !== undefined) {
    options.log?.('building the image');
    for (const [program, ...args] of [
      ['docker', 'build', '--tag', image, root],
      ['kind', 'load', 'docker-image', image, '--name', controlPlane.kindClusterName],
    ]) {
      const { code, stderr } = await run(program ?? '', args);
      if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`);
    }
  }
  await apply(controlPlane, objects);
  await (options.until === 'replicas'
    ? controlPlane.kubectlOk(['rollout', 'status', '-n', 'headstart-system', 'deployment/headstart-metrics'])
    : whenAvailable(controlPlane));
  return {
    objects,
    replicas: () => [],
    clonesPort: undefined,
    startReplica: () => Promise.reject(new Error('pods are containers here: scale the Deployment')),
    logs: () =>
      controlPlane.kubectlOk(['logs', '-n', 'headstart-system', '-l', 'app.kubernetes.io/name=headstart', '--tail=-1']),
    uninstall: () => uninstall(controlPlane, objects),
    stop: () => Promise.resolve(),
  };
}

async function installProcesses(
  controlPlane: ControlPlane,
  objects: readonly Manifest[],
  options: InstallationOptions,
): Promise<Installation> {
  const balancerPort = await freePort();
  const clonesPort = await freePort();
  pointAtThisMachine(objects, clonesPort);
  await apply(controlPlane, objects);
  const roles = objects.filter(({ kind }) => kind === 'Deployment').map((object) => renderedRole(object, objects));
  const group = await createProcessGroup('installation');
  const started: Replica[] = [];
  const startReplica = async (deployment: string, change: ReplicaChange = {}): Promise<Replica> => {
    const role = roles.find((candidate) => candidate.deployment === deployment);
    if (role === undefined) throw new Error(`no Deployment ${deployment} in the manifests`);
    const { index = started.length } = change;
    const env = { ...options.env, ...change.env };
    const replica = await startProcess({ controlPlane, group, env, balancerPort }, role, index);
    started.push(replica);
    return replica;
  };
  for (const role of roles) {
    for (let index = 0; index < role.replicas; index += 1) await startReplica(role.deployment);
  }
  const running = (deployment: string): readonly Replica[] =>
    started.filter(({ role, process }) => role.deployment === deployment && process.isRunning());
  const endpoints = await Promise.all([
    startEndpoints(balancerPort, () => running('headstart-metrics').map(({ securePort }) => securePort)),
    startEndpoints(clonesPort, () => running('headstart-clones').map(({ webhookPort }) => webhookPort)),
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all(endpoints.map(async (balancer) => await balancer.close()));
    await Promise.all(started.map(({ process }) => process.stop()));
    await group.stop();
  };
  const metricsPorts = running('headstart-metrics').map(({ securePort }) => securePort);
  const clonesPorts = running('headstart-clones').map(({ webhookPort }) => webhookPort);
  const up = Promise.all([
    options.until === 'replicas' ? whenReady('metrics', metricsPorts) : whenAvailable(controlPlane),
    whenReady('clones', clonesPorts),
  ]);
  await up.catch(async (cause: unknown) => {
    const logs = await allLogs(started);
    await stop();
    throw new Error(`headstart does not come up:\n${logs.slice(-4000)}`, { cause });
  });
  return {
    objects,
    replicas: running,
    clonesPort,
    startReplica,
    logs: () => allLogs(started),
    uninstall: async () => {
      await stop();
      await uninstall(controlPlane, objects);
    },
    stop,
  };
}

/**
 * Services of type ExternalName: with the balancer's port in the APIService and in the webhook's configuration the
 * apiserver dials this machine.
 */
function pointAtThisMachine(objects: readonly Manifest[], clonesPort: number): void {
  for (const object of objects) {
    if (object.kind === 'Service') object.spec = { type: 'ExternalName', externalName: 'localhost' };
    for (const { clientConfig } of object.webhooks ?? []) clientConfig.service.port = clonesPort;
  }
}

interface Shell {
  readonly controlPlane: ControlPlane;
  readonly group: ProcessGroup;
  readonly env: Readonly<Record<string, string>>;
  readonly balancerPort: number;
}

async function startProcess(shell: Shell, role: RenderedRole, index: number): Promise<Replica> {
  const securePort = await freePort();
  const webhookPort = await freePort();
  const operationsPort = await freePort();
  const stateDir = join(shell.group.dir, `${role.deployment}-${index}-state`);
  const [program = '', ...args] = role.command;
  const process_ = await shell.group.start({
    name: `${role.deployment}-${index}`,
    command: program === 'node' ? process.execPath : program,
    args,
    cwd: root,
    env: {
      ...role.env(index),
      KUBECONFIG: await shell.controlPlane.kubeconfigForServiceAccount(role.namespace, role.serviceAccount),
      HEADSTART_BIND_ADDRESS: '127.0.0.1',
      HEADSTART_SERVICE_PORT: String(shell.balancerPort),
      HEADSTART_SECURE_PORT: String(securePort),
      HEADSTART_WEBHOOK_PORT: String(webhookPort),
      HEADSTART_OPERATIONS_PORT: String(operationsPort),
      // A folder that the manifests do not give to a role is none of its.
      ...('HEADSTART_STATE_DIR' in role.env(index) ? { HEADSTART_STATE_DIR: stateDir } : {}),
      ...shell.env,
    },
  });
  return { name: process_.name, index, role, process: process_, securePort, webhookPort, operationsPort, stateDir };
}

/** The balancer over the replicas whose readiness probe passes, asked twice a second as the kubelet would. */
async function startEndpoints(port: number, replicaPorts: () => readonly number[]): Promise<Balancer> {
  let ready: readonly number[] = [];
  const probe = async (): Promise<void> => {
    const answers = await Promise.all(
      replicaPorts().map(async (replicaPort) => ({ replicaPort, ok: await isReady(replicaPort) })),
    );
    ready = answers.filter(({ ok }) => ok).map(({ replicaPort }) => replicaPort);
  };
  const timer = setInterval(() => void probe(), 500);
  const balancer = await startBalancer(port, () => ready);
  return {
    port,
    close: async () => {
      clearInterval(timer);
      await balancer.close();
    },
  };
}

async function isReady(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    // The kubelet does not verify the certificate of a probe either.
    const probe = request(
      { host: '127.0.0.1', port, path: '/readyz', rejectUnauthorized: false, timeout: 1000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    probe.once('error', () => resolve(false));
    probe.once('timeout', () => probe.destroy());
    probe.end();
  });
}

async function whenReady(role: string, ports: readonly number[]): Promise<void> {
  const areReady = async (): Promise<boolean> =>
    (await Promise.all(ports.map(async (port) => await isReady(port)))).every(Boolean);
  await waitUntil(`the ${role} replicas become ready`, areReady, { timeoutMs: 90_000, intervalMs: 500 });
}

async function allLogs(replicas: readonly Replica[]): Promise<string> {
  // A container that was started again goes on in the same log.
  const paths = new Map(replicas.map(({ name, process }) => [name, process.logPath]));
  const texts = await Promise.all(
    [...paths].map(async ([name, path]) => `== ${name}\n${await readFile(path, 'utf8').catch(() => '')}`),
  );
  return texts.join('\n');
}
