// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kubeconfig, startBuilt } from './control-plane-built.ts';
import { startKind } from './control-plane-kind.ts';
import { createProcessGroup, run } from './process.ts';
import type { CommandResult, ProcessGroup } from './process.ts';

/**
 * Where the control plane comes from: `built` from the Go module proxy (pods are simulated), `kind` in Docker, or
 * `existing`, the one that KUBECONFIG names (pods are containers).
 */
export type ControlPlaneKind = 'built' | 'kind' | 'existing';

/** How to start a control plane. What `built` alone honours is marked. */
export interface ControlPlaneOptions {
  /** `built` when left out, so that a test never touches a cluster by accident. */
  readonly kind?: ControlPlaneKind;
  /** 3 when left out (built). */
  readonly nodes?: number;
  /** 15, as in Kubernetes, when left out (built, kind). */
  readonly hpaSyncPeriodSeconds?: number;
  /** The least time from a pod's scheduling to Ready; 1000 when left out (built). */
  readonly podStartupMs?: number;
  /** What is added to it at most, uniformly; 0 when left out (built). */
  readonly podStartupJitterMs?: number;
  /** Every request goes into `<dir>/audit.log`, without its contents; no when left out (built). */
  readonly audit?: boolean;
  /** Told what takes long; says nothing when left out. */
  readonly log?: (line: string) => void;
}

/** The parts of a control plane that log. */
type ControlPlaneComponent = 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

/** A Kubernetes control plane that runs. */
export interface ControlPlane {
  readonly kind: ControlPlaneKind;
  /** An administrator's kubeconfig, in `dir`. */
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  /** `https://host:port`. */
  readonly server: string;
  /** What `server`'s certificate is verified against. */
  readonly caPem: string;
  /** Temporary folder, gone after `stop`. For `built` it holds the keys (`ca.crt`, `front-proxy-client.{crt,key}`, …). */
  readonly dir: string;
  /** The cluster's name for `kind load docker-image`; only for `kind`. */
  readonly kindClusterName?: string;
  /** Runs kubectl as administrator; a failing command gives its code. */
  kubectl(args: readonly string[], input?: string): Promise<CommandResult>;
  /**
   * The standard output of a kubectl command run as administrator.
   * @throws Error with what kubectl said when it fails
   */
  kubectlOk(args: readonly string[], input?: string): Promise<string>;
  /** A token of the service account for an hour (TokenRequest). */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** The path of a kubeconfig with such a token. */
  kubeconfigForServiceAccount(namespace: string, name: string): Promise<string>;
  /** What a component has logged so far; empty where it cannot be seen. */
  componentLog(component: ControlPlaneComponent): Promise<string>;
  /** Ends what was started here; an existing cluster is left alone. */
  stop(): Promise<void>;
}

/** KUBECONFIG when it is set, else kind when it is installed and Docker answers, else built. */
export async function chooseControlPlane(env: Readonly<Record<string, string | undefined>>): Promise<ControlPlaneKind> {
  if (env['KUBECONFIG']) return 'existing';
  for (const command of [['kind', 'version'] as const, ['docker', 'info'] as const]) {
    const result = await run(command[0], command.slice(1)).catch(() => undefined);
    if (result?.code !== 0) return 'built';
  }
  return 'kind';
}

/**
 * Starts a control plane: about 10 s for `built` once its programs are in the cache, a minute or two for `kind`.
 * @throws Error naming the step that failed, with the end of the log; nothing is left running
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const kind = options.kind ?? 'built';
  const group = await createProcessGroup('control-plane');
  const started = await start(kind, group, options).catch(async (error: unknown) => {
    await group.stop();
    throw error;
  });
  const access = { ...started, dir: group.dir };
  const stop = async (): Promise<void> => {
    await started.stop?.();
    await group.stop();
  };
  return { kind, ...access, ...(await describeCluster(access)), ...helpers(kind, access), stop };
}

/** What `startBuilt` and its siblings give. */
interface Started {
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  readonly kindClusterName?: string;
  readonly stop?: () => Promise<void>;
}

interface Access extends Started {
  readonly dir: string;
}

async function start(kind: ControlPlaneKind, group: ProcessGroup, options: ControlPlaneOptions): Promise<Started> {
  const log = options.log ?? (() => undefined);
  const hpaSyncPeriodSeconds = options.hpaSyncPeriodSeconds ?? 15;
  switch (kind) {
    case 'built':
      return await startBuilt(group, {
        nodes: options.nodes ?? 3,
        hpaSyncPeriodSeconds,
        podStartupMs: options.podStartupMs ?? 1000,
        podStartupJitterMs: options.podStartupJitterMs ?? 0,
        audit: options.audit ?? false,
        log,
      });
    case 'kind':
      return await startKind(group.dir, { hpaSyncPeriodSeconds, log });
    case 'existing':
      return await useExisting(group.dir);
  }
}

/** A copy of the current context, so that what the user's kubectl does later changes nothing here. */
async function useExisting(dir: string): Promise<Started> {
  const view = await run('kubectl', ['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json']);
  if (view.code !== 0) throw new Error(`KUBECONFIG: kubectl config view failed: ${view.stderr.trim()}`);
  const kubeconfigPath = join(dir, 'admin.kubeconfig');
  await writeFile(kubeconfigPath, view.stdout, { mode: 0o600 });
  return { kubeconfigPath, kubectlPath: 'kubectl' };
}

/** How this process runs kubectl; its own cache, as ports are used again by clusters with other resources. */
async function kubectl(access: Access, args: readonly string[], input?: string): Promise<CommandResult> {
  return await run(access.kubectlPath, args, {
    env: { KUBECONFIG: access.kubeconfigPath, KUBECACHEDIR: join(access.dir, 'kube-cache') },
    ...(input === undefined ? {} : { input }),
  });
}

async function kubectlOk(access: Access, args: readonly string[], input?: string): Promise<string> {
  const result = await kubectl(access, args, input);
  if (result.code === 0) return result.stdout;
  throw new Error(`kubectl ${args.join(' ')} (code ${result.code}): ${result.stderr.trim()}`);
}

async function describeCluster(access: Access): Promise<{ readonly server: string; readonly caPem: string }> {
  const view = await kubectlOk(access, ['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json']);
  const config = JSON.parse(view) as { clusters: { cluster: Record<string, string> }[] };
  const cluster = config.clusters[0]?.cluster ?? {};
  return {
    server: cluster['server'] ?? '',
    caPem: Buffer.from(cluster['certificate-authority-data'] ?? '', 'base64').toString('utf8'),
  };
}

type Helpers = Pick<
  ControlPlane,
  'kubectl' | 'kubectlOk' | 'serviceAccountToken' | 'kubeconfigForServiceAccount' | 'componentLog'
>;

function helpers(kind: ControlPlaneKind, access: Access): Helpers {
  const serviceAccountToken = async (namespace: string, name: string): Promise<string> =>
    (await kubectlOk(access, ['create', 'token', '--namespace', namespace, name, '--duration', '1h'])).trim();
  return {
    kubectl: async (args, input) => await kubectl(access, args, input),
    kubectlOk: async (args, input) => await kubectlOk(access, args, input),
    serviceAccountToken,
    kubeconfigForServiceAccount: async (namespace, name) => {
      const { server, caPem } = await describeCluster(access);
      const cluster = { server, 'certificate-authority-data': Buffer.from(caPem).toString('base64') };
      const path = join(access.dir, `${namespace}-${name}.kubeconfig`);
      await writeFile(path, kubeconfig(cluster, { token: await serviceAccountToken(namespace, name) }), {
        mode: 0o600,
      });
      return path;
    },
    componentLog: async (component) => {
      if (kind === 'built') return await readFile(join(access.dir, `${component}.log`), 'utf8');
      const args = ['logs', '--namespace=kube-system', `--selector=component=${component}`, '--tail=-1'];
      return (await kubectl(access, args)).stdout;
    },
  };
}
