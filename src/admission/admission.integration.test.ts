// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { createReflector } from '../kube/reflector.ts';
import { createServer } from '../server/server.ts';
import type { Server } from '../server/server.ts';
import { startControlPlane } from '../testing/control-plane.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { freePort } from '../testing/ports.ts';
import { waitUntil } from '../testing/process.ts';
import type { CommandResult } from '../testing/process.ts';
import { registerAdmission } from './routes.ts';
import type { ReviewObservation } from './routes.ts';
import { createWebhookCertificates, webhookConfigurationName } from './webhook-configuration.ts';
import type { WebhookCertificates } from './webhook-configuration.ts';

const manifestsFolder = fileURLToPath(new URL('../../manifests', import.meta.url));
const namespace = 'headstart-system';
const account = 'headstart-clones';
const ttlKey = 'headstart.dev/ttl-seconds';
const image = 'registry.example/web';
const clone = 'headstart.dev/clone=true';
const ofWeb = `${clone},headstart.dev/pool=web`;

let cluster: ControlPlane;
let server: Server;
let certificates: WebhookCertificates;
/** As the clones role, with its ServiceAccount. */
let ours: KubeClient;
let port: number;
const stop = new AbortController();
const reviews: ReviewObservation[] = [];
const warnings: string[] = [];
/** Whether an answer ends its connection. */
let endsConnections = false;
let connections = 0;
/** What kube-apiserver had logged when the webhook was called for the first time. */
let logBefore = '';

/** What the clock of the certificates is ahead of the real one; the first certificate is 61 days old. */
let certificateClockMs = -61 * 86_400_000;
/** Looks four times a second, so that a test need not wait for the minute. */
const certificateClock: Clock = {
  nowMs: () => systemClock.nowMs() + certificateClockMs,
  sleep: async (ms, signal) => await systemClock.sleep(Math.min(ms, 250), signal),
};

interface Manifest {
  readonly kind: string;
  readonly webhooks?: readonly { readonly clientConfig: { readonly service: { port: number } } }[];
}

/** What the manifests have, with the port on which this process listens. */
async function manifests(): Promise<readonly Manifest[]> {
  const text = await readFile(`${manifestsFolder}/base/clone-admission.yaml`, 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  for (const { webhooks = [] } of objects) for (const { clientConfig } of webhooks) clientConfig.service.port = port;
  return objects;
}

async function apply(...items: readonly object[]): Promise<void> {
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

/** Kubectl as a developer, who may edit what is in the namespaces of this test. */
async function dev(args: readonly string[], input?: string): Promise<CommandResult> {
  return await cluster.kubectl(['--as=dev', '--namespace=shop', ...args], input);
}

async function devOk(args: readonly string[], input?: string): Promise<CommandResult> {
  const result = await dev(args, input);
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}

/** Pods of a new namespace are refused before the controller manager has made its account. */
async function takesPods(name: string): Promise<void> {
  const hasAccount = async (): Promise<boolean> =>
    (await cluster.kubectl([`--namespace=${name}`, 'get', 'serviceaccount', 'default'])).code === 0;
  await waitUntil(`${name} has a service account`, hasAccount, { timeoutMs: 30_000, intervalMs: 200 });
}

async function annotations(name: string): Promise<Record<string, string>> {
  const pod = await cluster.kubectlOk(['--namespace=shop', 'get', 'pod', name, '-o', 'json']);
  return (JSON.parse(pod) as KubeObject).metadata.annotations ?? {};
}

function pod(name: string, metadata: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', ...metadata },
    spec: { containers: [{ name: 'web', image }] },
  };
}

async function create(client: KubeClient, body: object, query: Record<string, string> = {}): Promise<KubeObject> {
  return await client.request<KubeObject>({ method: 'POST', path: '/api/v1/namespaces/shop/pods', body, query });
}

/** What the role of the clones may do, as far as it matters here. */
function accountObjects(): object[] {
  const rbac = 'rbac.authorization.k8s.io';
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'headstart-clones-certificate', namespace }, type: 'Opaque' },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: account },
      rules: [
        { apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'patch', 'delete'] },
        { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'update'] },
        { apiGroups: ['headstart.dev'], resources: ['clonepools'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: account },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: account },
      subjects,
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'dev' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'edit' },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'dev' }],
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: account, namespace },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  ];
}

async function serve(): Promise<void> {
  const clock = systemClock;
  const random = Math.random;
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  ours = createKubeClient({ kubeconfig: await cluster.kubeconfigForServiceAccount(namespace, account) });
  certificates = createWebhookCertificates({
    client: ours,
    clock: certificateClock,
    random,
    logger,
    secret: { namespace, name: 'headstart-clones-certificate' },
    service: { namespace, name: account },
  });
  const pools = createReflector<ClonePool & KubeObject>({
    client: ours,
    clock,
    random,
    path: '/apis/headstart.dev/v1alpha1/clonepools',
    onError: (error) => logger.warn(String(error)),
  });
  void pools.run(stop.signal);
  await Promise.all([certificates.start(stop.signal), pools.whenSynced(stop.signal)]);
  server = createServer({ logger, clock, tls: certificates.current(), drainDelayMs: 0 });
  certificates.onChange((certificate) => server.rotate(certificate));
  server.app.server.on('secureConnection', () => (connections += 1));
  server.app.addHook('onSend', async (_request, reply) => {
    if (endsConnections) reply.header('connection', 'close');
  });
  registerAdmission(server.app, { pools: pools.store, onReview: (review) => void reviews.push(review) });
  await server.listen({ host: '127.0.0.1', port });
}

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1 });
  port = await freePort();
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  await cluster.kubectlOk(['create', 'namespace', 'shop']);
  await cluster.kubectlOk(['apply', '-f', `${manifestsFolder}/crds/headstart.dev_clonepools.yaml`]);
  await apply(...accountObjects());
  await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd/clonepools.headstart.dev', '--timeout=30s']);
  await apply({
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      targetRef: { name: 'web' },
      mode: 'Scale',
      maxReplicas: 10,
      lifetime: { maxSeconds: 1800 },
      utilizationExit: { belowPercent: 20 },
    },
  });
  await takesPods('shop');
  // From before the policy, and with a finalizer.
  const old = { labels: { 'headstart.dev/clone': 'true' }, finalizers: ['example.com/hold'] };
  await apply(pod('old', old));
  await apply(...(await manifests()));
  await serve();
  const admin = createKubeClient({ kubeconfig: cluster.kubeconfigPath });
  const probe = pod('probe', { labels: { 'headstart.dev/clone': 'true' } });
  const isStamped = async (): Promise<boolean> =>
    (await create(admin, probe, { dryRun: 'All' })).metadata.annotations?.[ttlKey] === '3600';
  await waitUntil('the webhook is called', isStamped, { timeoutMs: 30_000, intervalMs: 200 });
  logBefore = await cluster.componentLog('kube-apiserver');
  const isRefused = async (): Promise<boolean> =>
    await create(ours, probe, { dryRun: 'All' }).then(
      () => false,
      () => true,
    );
  await waitUntil('the policy holds', isRefused, { timeoutMs: 30_000, intervalMs: 200 });
}, 120_000);

afterAll(async () => {
  stop.abort();
  await server?.stop();
  await cluster?.stop();
});

describe('a pod that somebody marks as a clone', () => {
  const stamped = { [ttlKey]: '1800', 'headstart.dev/exit-below': 'cpu=20%/180s' };

  test('is given what its pool says, the second time the same', async () => {
    for (const name of ['first', 'second']) {
      const { stderr } = await devOk(['run', name, `--image=${image}`, `--labels=${ofWeb}`]);
      expect(stderr).toBe('');
      expect(await annotations(name)).toEqual(stamped);
    }
  });
  test('that has been here is not changed again', async () => {
    const before = reviews.length;
    const metadata = { labels: { 'headstart.dev/clone': 'true', 'headstart.dev/pool': 'web' }, annotations: stamped };
    await devOk(['create', '-f', '-'], JSON.stringify(pod('third', metadata)));
    expect(await annotations('third')).toEqual(stamped);
    expect(reviews.slice(before).map(({ outcome }) => outcome)).toEqual(['Unchanged']);
  });
  test('may be without a name of its own', async () => {
    const metadata = { name: undefined, generateName: 'nameless-', labels: { 'headstart.dev/clone': 'true' } };
    const { stdout } = await devOk(['create', '-o', 'json', '-f', '-'], JSON.stringify(pod('', metadata)));
    expect((JSON.parse(stdout) as KubeObject).metadata.annotations).toEqual({ [ttlKey]: '3600' });
  });
  test('of a pool that is not there gets an hour, and its owner a warning', async () => {
    const { stderr } = await devOk([
      'run',
      'poolless',
      `--image=${image}`,
      `--labels=${clone},headstart.dev/pool=none`,
    ]);
    expect(stderr).toContain('Warning: headstart.dev/pool: there is no ClonePool none');
    expect(await annotations('poolless')).toEqual({ [ttlKey]: '3600' });
  });
  test('gets no longer a life than its pool allows, and its owner a warning', async () => {
    const run = ['run', 'greedy', `--image=${image}`, `--labels=${ofWeb}`, `--annotations=${ttlKey}=99999`];
    expect((await devOk(run)).stderr).toContain(`Warning: ${ttlKey}: 99999 becomes 1800; allowed are 60 to 1800`);
    expect((await annotations('greedy'))[ttlKey]).toBe('1800');
  });
  test('is refused with a time to live that cannot be read', async () => {
    const run = ['run', 'odd', `--image=${image}`, `--labels=${ofWeb}`, `--annotations=${ttlKey}=1h`];
    const { code, stderr } = await dev(run);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`metadata.annotations[${ttlKey}]: got "1h", want whole seconds, 60 to 1800`);
  });
  test('is refused with a deadline that cannot be read', async () => {
    const run = ['run', 'odd', `--image=${image}`, `--labels=${ofWeb}`, '--annotations=headstart.dev/deadline=forever'];
    const { code, stderr } = await dev(run);
    expect(code).not.toBe(0);
    expect(stderr).toContain('metadata.annotations[headstart.dev/deadline]: got "forever", want a time in UTC');
  });
  test('is refused where a ReplicaSet would make it again, with the way out', async () => {
    const labels = { app: 'looping', 'headstart.dev/clone': 'true' };
    const replicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'looping', namespace: 'shop' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod('').spec } },
    };
    await apply(replicaSet);
    const message = async (): Promise<string> =>
      (await devOk(['get', 'rs', 'looping', '-o', 'jsonpath={.status.conditions[*].message}'])).stdout;
    await expect
      .poll(message, { timeout: 30_000, interval: 200 })
      .toContain(
        'got a pod of ReplicaSet looping, which would make it again whenever it ends; remove the label from the pod template, and use a ClonePool',
      );
    await devOk(['delete', 'rs', 'looping']);
  });
  test('is shown as it would be by a dry run, which makes nothing', async () => {
    const run = ['run', 'dry', `--image=${image}`, `--labels=${ofWeb}`, '--dry-run=server', '-o', 'json'];
    expect((JSON.parse((await devOk(run)).stdout) as KubeObject).metadata.annotations).toEqual(stamped);
    expect((await dev(['get', 'pod', 'dry'])).stderr).toContain('NotFound');
  });
});

describe('what the webhook never sees', () => {
  test('a pod without the label, an update, and what the clones role makes', async () => {
    await devOk(['run', 'changed', `--image=${image}`, `--labels=${clone}`]);
    const before = reviews.length;
    await devOk(['run', 'plain', `--image=${image}`, '--labels=app=web']);
    await devOk(['create', 'deployment', 'plain', `--image=${image}`, '--replicas=2']);
    await devOk(['rollout', 'status', 'deployment/plain', '--timeout=30s']);
    await devOk(['label', 'pod', 'changed', 'tier=front']);
    await devOk(['delete', 'pod', 'changed', '--wait=false']);
    const metadata = { labels: { 'headstart.dev/clone': 'true' }, annotations: { [ttlKey]: '600' } };
    await create(ours, pod('made', metadata));
    expect(reviews.slice(before)).toEqual([]);
    expect(await annotations('made')).toEqual({ [ttlKey]: '600' });
  });
  test('namespaces that do not want it, where the policy still holds', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'apart']);
    await cluster.kubectlOk(['label', 'namespace', 'apart', 'headstart.dev/ignore=']);
    const before = reviews.length;
    for (const apart of ['apart', 'kube-system', namespace]) {
      const run = ['run', 'x', `--image=${image}`, `--labels=${clone}`, '--dry-run=server'];
      const { code, stderr } = await cluster.kubectl([`--namespace=${apart}`, ...run]);
      expect(code).not.toBe(0);
      expect(stderr).toContain(`metadata.annotations[${ttlKey}]: got "", want whole seconds, from 60 to 86400`);
    }
    expect(reviews.slice(before)).toEqual([]);
  });
});

describe('the policy', () => {
  test('has no expression that its kind of object could not have', async () => {
    const status = async (): Promise<unknown> => {
      const policy = await cluster.kubectlOk([
        'get',
        'validatingadmissionpolicy',
        'headstart-clone-guard',
        '-o',
        'json',
      ]);
      return (JSON.parse(policy) as { status?: unknown }).status;
    };
    await expect.poll(status, { timeout: 30_000, interval: 200 }).toEqual({ observedGeneration: 1, typeChecking: {} });
  });
});

describe('the life of a clone', () => {
  const [labels, annotation] = ['metadata.labels', 'metadata.annotations'].map((map) => `${map}[headstart.dev`);
  const refusedTo = [
    [
      'is set another deadline',
      ['annotate', '--overwrite', 'headstart.dev/deadline=2099-01-01T00:00:00Z'],
      `${annotation}/deadline]`,
    ],
    [
      'is set a deadline that cannot be read',
      ['annotate', '--overwrite', 'headstart.dev/deadline=never'],
      `${annotation}/deadline]`,
    ],
    ['loses its deadline', ['annotate', 'headstart.dev/deadline-'], `${annotation}/deadline]`],
    ['gets a longer time to live', ['annotate', '--overwrite', `${ttlKey}=86400`], `${annotation}/ttl-seconds]`],
    [
      'loses its times',
      ['annotate', `${ttlKey}-`, 'headstart.dev/deadline-'],
      `${annotation}/ttl-seconds], ${annotation}/deadline]`,
    ],
    ['is marked as ending', ['annotate', 'headstart.dev/state=Retiring'], `${annotation}/state]`],
    ['loses the label', ['label', 'headstart.dev/clone-'], `${labels}/clone]`],
    ['gets another value of the label', ['label', '--overwrite', 'headstart.dev/clone=false'], `${labels}/clone]`],
    ['gets another pool', ['label', '--overwrite', 'headstart.dev/pool=other'], `${labels}/pool]`],
  ] as const;
  const deadline = '2098-01-01T00:00:00Z';

  beforeAll(async () => {
    const labels = { 'headstart.dev/clone': 'true', 'headstart.dev/pool': 'web' };
    await create(
      ours,
      pod('guarded', { labels, annotations: { [ttlKey]: '600', 'headstart.dev/deadline': deadline } }),
    );
    await devOk(['run', 'ordinary', `--image=${image}`, '--labels=app=web']);
  });

  test.each(refusedTo)('%s only by Headstart', async (_what, [verb, ...args], where) => {
    const { code, stderr } = await dev([verb, 'pod', 'guarded', ...args]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('ValidatingAdmissionPolicy');
    expect(stderr).toContain(`${where}: only Headstart changes this of a clone; delete the clone, and make another`);
    expect((await annotations('guarded'))['headstart.dev/deadline']).toBe(deadline);
  });
  test('begins when it is made: no other pod becomes a clone', async () => {
    const { code, stderr } = await dev(['label', 'pod', 'ordinary', clone]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('metadata.labels[headstart.dev/clone]: only Headstart changes this');
  });
  test('is changed by the clones role, to what can be read', async () => {
    const patch = async (annotation: Record<string, string>): Promise<unknown> =>
      await ours.request({
        method: 'PATCH',
        path: '/api/v1/namespaces/shop/pods/guarded',
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: annotation } },
      });
    await patch({ 'headstart.dev/deadline': '2097-01-01T00:00:00Z', 'headstart.dev/state': 'Retiring' });
    expect((await annotations('guarded'))['headstart.dev/deadline']).toBe('2097-01-01T00:00:00Z');
    await expect(patch({ 'headstart.dev/deadline': 'soon' })).rejects.toThrow('got "soon", want a time in UTC');
    await expect(patch({ [ttlKey]: '5' })).rejects.toThrow('got "5", want whole seconds');
    await patch({ 'headstart.dev/deadline': deadline });
  });
  test('is no business of the policy in anything else', async () => {
    await devOk(['label', 'pod', 'guarded', 'tier=front']);
    await devOk(['annotate', 'pod', 'guarded', 'note=x']);
    await devOk(['set', 'image', 'pod/guarded', `web=${image}:2`]);
    expect(await annotations('guarded')).toMatchObject({ note: 'x', 'headstart.dev/deadline': deadline });
  });
  test('goes on when its owner is deleted as an orphan’s', async () => {
    await devOk(['create', 'configmap', 'owner']);
    const uid = (await devOk(['get', 'configmap', 'owner', '-o', 'jsonpath={.metadata.uid}'])).stdout;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid, controller: true }];
    const labels = { 'headstart.dev/clone': 'true' };
    await create(ours, pod('orphan', { labels, annotations: { [ttlKey]: '600' }, ownerReferences }));
    await devOk(['delete', 'configmap', 'owner', '--cascade=orphan']);
    const owners = async (): Promise<string> =>
      (await devOk(['get', 'pod', 'orphan', '-o', 'jsonpath={.metadata.ownerReferences}'])).stdout;
    await expect.poll(owners, { timeout: 30_000, interval: 200 }).toBe('');
  });
  test('from before the policy can be changed, and be deleted', async () => {
    await devOk(['annotate', 'pod', 'old', 'note=x']);
    await devOk(['patch', 'pod', 'old', '--type=json', '-p', '[{"op":"remove","path":"/metadata/finalizers"}]']);
    await devOk(['delete', 'pod', 'old', '--timeout=30s']);
    expect((await dev(['get', 'pod', 'old'])).stderr).toContain('NotFound');
  });
  test('ends with its namespace', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'brief']);
    await takesPods('brief');
    await cluster.kubectlOk(['--namespace=brief', 'run', 'x', `--image=${image}`, `--labels=${clone}`]);
    await cluster.kubectlOk(['delete', 'namespace', 'brief', '--timeout=60s']);
    expect((await cluster.kubectl(['get', 'namespace', 'brief'])).stderr).toContain('NotFound');
  }, 90_000);
});

describe('the certificate', () => {
  async function caBundle(): Promise<string> {
    const path = 'jsonpath={.webhooks[0].clientConfig.caBundle}';
    const args = ['get', 'mutatingwebhookconfiguration', webhookConfigurationName, '-o', path];
    return Buffer.from(await cluster.kubectlOk(args), 'base64').toString('utf8');
  }

  test('changes under load without a request that fails', async () => {
    const admin = createKubeClient({ kubeconfig: cluster.kubeconfigPath });
    const first = certificates.current();
    const done = new AbortController();
    let made = 0;
    // A failed call of the webhook is ignored; the policy then refuses the pod, as it has no time to live.
    const load = async (name: string): Promise<void> => {
      while (!done.signal.aborted) {
        const labels = { 'headstart.dev/clone': 'true' };
        await create(admin, pod(name, { labels }), { dryRun: 'All' });
        made += 1;
      }
    };
    const loads = Promise.allSettled(['a', 'b', 'c'].map(load));
    await waitUntil('the load has its connections', () => made > 50, { timeoutMs: 30_000 });
    const connectionsBefore = connections;
    certificateClockMs = 0;
    const knowsBoth = (): boolean => certificates.current().caBundlePem.split('BEGIN').length === 3;
    await waitUntil('the next authority is known', knowsBoth, { timeoutMs: 10_000 });
    const isPublished = async (): Promise<boolean> => (await caBundle()) === certificates.current().caBundlePem;
    await waitUntil('the next authority is published', isPublished, { timeoutMs: 10_000 });
    expect(certificates.current().certPem).toBe(first.certPem);
    // With another caBundle kube-apiserver connects anew.
    const isSeen = (): boolean => connections > connectionsBefore;
    await waitUntil('kube-apiserver knows it', isSeen, { timeoutMs: 30_000 });
    certificateClockMs = 600_000;
    const isNext = (): boolean => certificates.current().certPem !== first.certPem;
    await waitUntil('the next certificate is served', isNext, { timeoutMs: 10_000 });
    // New connections meet the new certificate.
    endsConnections = true;
    const before = made;
    await waitUntil('more pods', () => made > before + 200, { timeoutMs: 30_000 });
    endsConnections = false;
    done.abort();
    expect((await loads).filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(connections).toBeGreaterThan(connectionsBefore + 100);
    expect(reviews.filter(({ outcome }) => outcome === 'Stamped').length).toBeGreaterThan(made);
  }, 90_000);
  test('is trusted again soon after somebody takes the caBundle away', async () => {
    const patch = '[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]';
    const args = ['patch', 'mutatingwebhookconfiguration', webhookConfigurationName, '--type=json', '-p', patch];
    await cluster.kubectlOk(args);
    await expect.poll(caBundle, { timeout: 10_000, interval: 200 }).toBe(certificates.current().caBundlePem);
    await devOk(['run', 'trusted', `--image=${image}`, `--labels=${clone}`]);
    expect(certificates.webhook()?.state).toBe('Kept');
  });
  test('outlives the manifests being applied again', async () => {
    await apply(...(await manifests()));
    expect(await caBundle()).toBe(certificates.current().caBundlePem);
  });
  test('has led to no complaint, neither here nor in kube-apiserver', async () => {
    expect(warnings.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([]);
    const log = (await cluster.componentLog('kube-apiserver')).slice(logBefore.length);
    expect(log.split('\n').filter((line) => /^[EW]\d{4}/.test(line) && line.includes('headstart'))).toEqual([]);
  });
});

describe('with nobody serving the webhook', () => {
  const labels = { 'headstart.dev/clone': 'true' };
  beforeAll(async () => {
    await server.stop();
  });

  test('the clones role still makes clones', async () => {
    await create(ours, pod('alone', { labels, annotations: { [ttlKey]: '600' } }));
    expect(await annotations('alone')).toEqual({ [ttlKey]: '600' });
  });
  test.each([
    ['no time to live', {}, ''],
    ['less than a minute', { [ttlKey]: '59' }, '59'],
    ['more than a day', { [ttlKey]: '86401' }, '86401'],
    ['one that cannot be read', { [ttlKey]: '1h' }, '1h'],
  ])('nobody makes one with %s, not even that role', async (_what, given, got) => {
    const message = `metadata.annotations[${ttlKey}]: got "${got}", want whole seconds, from 60 to 86400`;
    await expect(create(ours, pod('bad', { labels, annotations: given }))).rejects.toThrow(message);
    const { code, stderr } = await dev(
      ['create', '-f', '-'],
      JSON.stringify(pod('bad', { labels, annotations: given })),
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });
  test('nobody makes one that a ReplicaSet owns', async () => {
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'x', controller: true }];
    const bad = pod('bad', { labels, annotations: { [ttlKey]: '600' }, ownerReferences });
    await expect(create(ours, bad)).rejects.toThrow('got a pod of ReplicaSet rs, which would make it again');
  });
  test('others make them, if they say how long they live', async () => {
    await devOk(['run', 'careful', `--image=${image}`, `--labels=${clone}`, `--annotations=${ttlKey}=600`]);
    await devOk(['run', 'unmarked', `--image=${image}`]);
    expect(await annotations('careful')).toEqual({ [ttlKey]: '600' });
  });
});
