// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ensureControlPlaneBinaries } from '../../hack/control-plane/build.ts';
import type { ControlPlaneBinaries } from '../../hack/control-plane/build.ts';
import { createAuthority, createSigningKeyPair } from './certificates.ts';
import type { Authority, CertificateRequest } from './certificates.ts';
import { freePort } from './ports.ts';
import { run, waitUntil } from './process.ts';
import type { ProcessGroup } from './process.ts';

/** What the built control plane can be told. */
export interface BuiltOptions {
  readonly nodes: number;
  readonly hpaSyncPeriodSeconds: number;
  readonly podStartupMs: number;
  readonly podStartupJitterMs: number;
  readonly audit: boolean;
  readonly log: (line: string) => void;
}

interface Setup {
  readonly group: ProcessGroup;
  readonly binaries: ControlPlaneBinaries;
  readonly ports: { readonly etcd: number; readonly peer: number; readonly apiserver: number };
  /** The path of a file in the control plane's folder. */
  readonly file: (name: string) => string;
  readonly options: BuiltOptions;
}

/**
 * Starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok on loopback, in `group`, and creates the
 * nodes. Returns the paths of an administrator's kubeconfig and of kubectl.
 */
export async function startBuilt(
  group: ProcessGroup,
  options: BuiltOptions,
): Promise<{ readonly kubeconfigPath: string; readonly kubectlPath: string }> {
  const binaries = await ensureControlPlaneBinaries(options.log);
  const ports = { etcd: await freePort(), peer: await freePort(), apiserver: await freePort() };
  const setup: Setup = { group, binaries, ports, options, file: (name) => join(group.dir, name) };
  await writeCredentials(setup);
  await startEtcd(setup);
  await startApiserver(setup);
  await startControllers(setup);
  await createNodes(setup);
  return { kubeconfigPath: setup.file('admin.kubeconfig'), kubectlPath: binaries.kubectl };
}

/** Every key and kubeconfig; the front proxy has an authority of its own, as its word is taken for who a user is. */
async function writeCredentials(setup: Setup): Promise<void> {
  const ca = await createAuthority('kubernetes-ca');
  const frontProxyCa = await createAuthority('front-proxy-ca');
  const serviceAccountKeys = await createSigningKeyPair();
  await writeFile(setup.file('ca.crt'), ca.certPem);
  await writeFile(setup.file('front-proxy-ca.crt'), frontProxyCa.certPem);
  await writeFile(setup.file('service-account.key'), serviceAccountKeys.privatePem);
  await writeFile(setup.file('service-account.pub'), serviceAccountKeys.publicPem);
  await writePair(setup, 'apiserver', ca, {
    commonName: 'kube-apiserver',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1', '10.0.0.1'],
    usage: 'server',
  });
  await writePair(setup, 'front-proxy-client', frontProxyCa, { commonName: 'front-proxy-client', usage: 'client' });
  // For tests of who is not taken for a front proxy.
  await writePair(setup, 'front-proxy-stranger', frontProxyCa, { commonName: 'stranger', usage: 'client' });
  await writePair(setup, 'front-proxy-serving', frontProxyCa, { commonName: 'front-proxy-client', usage: 'server' });
  await writePair(setup, 'cluster-proxy', ca, { commonName: 'front-proxy-client', usage: 'client' });
  await writeClient(setup, ca, 'admin', { commonName: 'admin', organizations: ['system:masters'] });
  await writeClient(setup, ca, 'controller-manager', { commonName: 'system:kube-controller-manager' });
  await writeClient(setup, ca, 'scheduler', { commonName: 'system:kube-scheduler' });
}

async function writePair(setup: Setup, name: string, authority: Authority, request: CertificateRequest): Promise<void> {
  const pair = await authority.issue(request);
  await writeFile(setup.file(`${name}.crt`), pair.certPem);
  await writeFile(setup.file(`${name}.key`), pair.keyPem, { mode: 0o600 });
}

async function writeClient(
  setup: Setup,
  ca: Authority,
  name: string,
  subject: Omit<CertificateRequest, 'usage'>,
): Promise<void> {
  const pair = await ca.issue({ ...subject, usage: 'client' });
  const user = { 'client-certificate-data': base64(pair.certPem), 'client-key-data': base64(pair.keyPem) };
  const cluster = {
    server: `https://127.0.0.1:${setup.ports.apiserver}`,
    'certificate-authority-data': base64(ca.certPem),
  };
  await writeFile(setup.file(`${name}.kubeconfig`), kubeconfig(cluster, user), { mode: 0o600 });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** A kubeconfig of one cluster and one user; JSON, which is YAML. */
export function kubeconfig(cluster: Readonly<Record<string, string>>, user: Readonly<Record<string, string>>): string {
  const name = 'headstart';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

async function startEtcd({ group, binaries, ports, file }: Setup): Promise<void> {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.peer}`;
  const process = await group.start({
    name: 'etcd',
    command: binaries.etcd,
    args: [
      `--data-dir=${file('etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
  });
  const healthy = async (): Promise<boolean> => (await fetch(`${client}/health`)).ok;
  await waitUntil('etcd is healthy', healthy, { timeoutMs: 30_000, process });
  // For tests that compact it.
  await writeFile(file('etcd.url'), client);
}

/** Who did what to which object; no contents. Of a watch its beginning too. */
const auditPolicy = JSON.stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
});

async function startApiserver({ group, binaries, ports, file, options }: Setup): Promise<void> {
  await writeFile(file('audit-policy.yaml'), auditPolicy);
  const process = await group.start({
    name: 'kube-apiserver',
    command: binaries.apiserver,
    args: [
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      `--secure-port=${ports.apiserver}`,
      '--bind-address=127.0.0.1',
      // The endpoints of the Service `kubernetes` may not hold a loopback address.
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      `--client-ca-file=${file('ca.crt')}`,
      `--tls-cert-file=${file('apiserver.crt')}`,
      `--tls-private-key-file=${file('apiserver.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${file('service-account.pub')}`,
      `--service-account-signing-key-file=${file('service-account.key')}`,
      `--requestheader-client-ca-file=${file('front-proxy-ca.crt')}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${file('front-proxy-client.crt')}`,
      `--proxy-client-key-file=${file('front-proxy-client.key')}`,
      // Aggregator routing stays off: with it a Service of type ExternalName, the way to a process on this machine, is refused.
      '--enable-aggregator-routing=false',
      ...(options.audit
        ? [`--audit-policy-file=${file('audit-policy.yaml')}`, `--audit-log-path=${file('audit.log')}`]
        : []),
    ],
  });
  const ready = async (): Promise<boolean> => {
    const result = await run(binaries.kubectl, [`--kubeconfig=${file('admin.kubeconfig')}`, 'get', '--raw=/readyz']);
    if (result.code !== 0) throw new Error(result.stderr);
    return true;
  };
  await waitUntil('kube-apiserver is ready', ready, { timeoutMs: 60_000, intervalMs: 200, process });
}

async function startControllers({ group, binaries, file, options }: Setup): Promise<void> {
  await group.start({
    name: 'kube-controller-manager',
    command: binaries.controllerManager,
    args: [
      `--kubeconfig=${file('controller-manager.kubeconfig')}`,
      `--service-account-private-key-file=${file('service-account.key')}`,
      `--root-ca-file=${file('ca.crt')}`,
      '--use-service-account-credentials=true',
      `--horizontal-pod-autoscaler-sync-period=${options.hpaSyncPeriodSeconds}s`,
      '--leader-elect=false',
      '--secure-port=0',
      // At the default of 20 requests per second a jump by a hundred pods would take longer than their start-up.
      '--kube-api-qps=200',
      '--kube-api-burst=400',
      // It makes this folder, by default under /usr.
      `--flex-volume-plugin-dir=${file('flexvolume')}`,
      '--v=2',
    ],
  });
  await group.start({
    name: 'kube-scheduler',
    command: binaries.scheduler,
    args: [`--kubeconfig=${file('scheduler.kubeconfig')}`, '--leader-elect=false', '--secure-port=0'],
  });
  await writeFile(file('kwok-stages.yaml'), await stages(options));
  // kwok would otherwise read, and keep files in, the user's ~/.kwok.
  await mkdir(file('kwok'), { recursive: true });
  await group.start({
    name: 'kwok',
    command: binaries.kwok,
    args: [
      `--kubeconfig=${file('admin.kubeconfig')}`,
      `--config=${file('kwok-stages.yaml')}`,
      '--manage-all-nodes=true',
      '--node-lease-duration-seconds=40',
      '--node-ip=127.0.0.1',
    ],
    env: { KWOK_WORKDIR: file('kwok') },
  });
}

/** The stages with the pods' start-up time filled in; kwok draws it uniformly between the two delays. */
async function stages(options: BuiltOptions): Promise<string> {
  const path = join(import.meta.dirname, '../../hack/control-plane/kwok-stages.yaml');
  const documents = parseAllDocuments(await readFile(path, 'utf8'));
  for (const document of documents) {
    if (document.getIn(['metadata', 'name']) !== 'pod-ready') continue;
    document.setIn(['spec', 'delay', 'durationMilliseconds'], options.podStartupMs);
    document.setIn(['spec', 'delay', 'jitterDurationMilliseconds'], options.podStartupMs + options.podStartupJitterMs);
  }
  return documents.map(String).join('\n---\n');
}

async function createNodes({ binaries, file, options }: Setup): Promise<void> {
  const kubectl = async (args: string[], input?: string): Promise<boolean> => {
    const all = [`--kubeconfig=${file('admin.kubeconfig')}`, ...args];
    const result = await run(binaries.kubectl, all, input === undefined ? {} : { input });
    if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr.trim()}`);
    return true;
  };
  const items = Array.from({ length: options.nodes }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `node-${index}`,
      labels: { 'kubernetes.io/hostname': `node-${index}`, 'kubernetes.io/os': 'linux' },
    },
  }));
  await kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s']);
  // Pods of the namespace are refused before the controller manager has made its account.
  const hasAccount = async (): Promise<boolean> => await kubectl(['get', 'serviceaccount', 'default']);
  await waitUntil('the namespace default has a service account', hasAccount, { timeoutMs: 30_000, intervalMs: 200 });
}
