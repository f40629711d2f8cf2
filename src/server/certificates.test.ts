// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { KubeRequest } from '../kube/client.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import type { FakeClock } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { createCertificateManager } from './certificates.ts';
import type { CertificateManager } from './certificates.ts';

const dayMs = 86_400_000;
const apiServiceName = 'v1beta1.external.metrics.k8s.io';
const secretPath = '/api/v1/namespaces/headstart-system/secrets/headstart-serving-certificate';
const apiServicePath = `/apis/apiregistration.k8s.io/v1/apiservices/${apiServiceName}`;
const rolePath = '/apis/rbac.authorization.k8s.io/v1/clusterroles/headstart-metrics';
const ours = { namespace: 'headstart-system', name: 'headstart-metrics' };
const ownerReference = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  name: 'headstart-metrics',
  uid: 'uid-of-role',
};

interface Stored {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** An apiserver that holds the Secret and the APIService, with versions. */
function createApiserver() {
  const objects = new Map<string, Stored>();
  const failures = new Map<string, ErrorCode>();
  let version = 1;
  const put = (path: string, object: Stored): void => {
    version += 1;
    objects.set(path, { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
  };
  const write = ({ method, path, body, contentType, query }: KubeRequest): unknown => {
    const sent = body as Stored;
    const standing = objects.get(path);
    if (contentType === 'application/apply-patch+yaml') {
      if (standing !== undefined || query?.['force'] !== 'false') throw new HeadstartError('Conflict', path);
      put(path, sent);
      return objects.get(path);
    }
    if (standing === undefined) throw new HeadstartError('NotFound', path);
    const isOld = sent.metadata['resourceVersion'] !== standing.metadata['resourceVersion'];
    if (isOld) throw new HeadstartError('Conflict', path);
    const spec = { ...(standing['spec'] as object | undefined), ...(sent['spec'] as object | undefined) };
    const metadata = { ...standing.metadata, ...sent.metadata };
    put(path, { ...standing, ...sent, metadata, ...(method === 'PATCH' ? { spec } : {}) });
    return objects.get(path);
  };
  const answer = async (request: KubeRequest): Promise<unknown> => {
    const { method = 'GET', path, body } = request;
    const failure = failures.get(`${method} ${path}`);
    if (failure !== undefined) throw new HeadstartError(failure, `${method} ${path}`);
    const standing = objects.get(path);
    await settle();
    if (method !== 'GET' && method !== 'POST') return write(request);
    if (method === 'GET' && standing === undefined) throw new HeadstartError('NotFound', path);
    if (method === 'GET') return standing;
    const created = `${path}/${String((body as Stored).metadata['name'])}`;
    if (objects.has(created)) throw new HeadstartError('AlreadyExists', created);
    put(created, body as Stored);
    return objects.get(created);
  };
  const apiService = (spec: object = { service: { ...ours, port: 443 } }, metadata: object = {}): void =>
    put(apiServicePath, { metadata: { name: apiServiceName, ...metadata }, spec });
  const caBundle = (): string => {
    const spec = objects.get(apiServicePath)?.['spec'] as { caBundle?: string } | undefined;
    return Buffer.from(spec?.caBundle ?? '', 'base64').toString('utf8');
  };
  return { objects, failures, answer, apiService, caBundle, put };
}

type Apiserver = ReturnType<typeof createApiserver>;

interface Replica {
  readonly manager: CertificateManager;
  readonly requests: readonly KubeRequest[];
  readonly served: string[];
  readonly log: readonly { readonly msg: string; readonly reason?: string; readonly level: number }[];
  stop(): void;
}

/** Months go by in no time: `jump` moves the wall clock and wakes nobody. */
function createCalendar(): FakeClock & { jump(ms: number): void } {
  const clock = createFakeClock();
  let offsetMs = 0;
  return { ...clock, nowMs: () => clock.nowMs() + offsetMs, jump: (ms) => void (offsetMs += ms) };
}

/** Moves on minute by minute; each time until every replica has done its work and sleeps again. */
async function minutes(clock: FakeClock, count: number, replicas = 1): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) {
    await clock.advance(60_000);
    while (clock.sleepers() < replicas) await settle();
  }
}

function createReplica(
  apiserver: Apiserver,
  clock: FakeClock,
  isKept = true,
): Replica & { readonly findings: readonly string[]; start(): Promise<void> } {
  const findings: string[] = [];
  const client = createFakeKubeClient(apiserver.answer);
  const log: { msg: string; reason?: string; level: number }[] = [];
  const manager = createCertificateManager({
    client,
    clock,
    random: () => 0.5,
    logger: pino({}, { write: (line: string) => void log.push(JSON.parse(line) as (typeof log)[number]) }),
    secret: { namespace: 'headstart-system', name: 'headstart-serving-certificate' },
    service: ours,
    ...(isKept ? { apiService: { name: apiServiceName, port: 443, ownerClusterRole: 'headstart-metrics' } } : {}),
    onApiService: ({ state }) => void findings.push(state),
  });
  const served: string[] = [];
  manager.onChange(({ certPem }) => served.push(certPem));
  const stop = new AbortController();
  return {
    manager,
    requests: client.requests,
    served,
    log,
    findings,
    stop: () => stop.abort(new Error('stopped')),
    start: async () => await manager.start(stop.signal),
  };
}

async function startReplica(apiserver: Apiserver, clock: FakeClock): Promise<Replica> {
  const replica = createReplica(apiserver, clock);
  await replica.start();
  return replica;
}

function setUp() {
  const apiserver = createApiserver();
  apiserver.put(secretPath, {
    metadata: { name: 'headstart-serving-certificate', namespace: 'headstart-system', labels: { a: 'b' } },
    type: 'Opaque',
  });
  apiserver.put(rolePath, { metadata: { name: 'headstart-metrics', uid: 'uid-of-role' } });
  apiserver.apiService();
  return { apiserver, clock: createCalendar() };
}

/** What the aggregator checks: the name of the Service, and a path to the caBundle. */
function isTrusted(certPem: string, caBundlePem: string, nowMs: number): boolean {
  const certificate = new X509Certificate(certPem);
  const authorities = caBundlePem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return (
    certificate.checkHost('headstart-metrics.headstart-system.svc') !== undefined &&
    certificate.validFromDate.getTime() <= nowMs &&
    nowMs < certificate.validToDate.getTime() &&
    authorities.some((pem) => {
      const ca = new X509Certificate(pem);
      return ca.ca && certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
    })
  );
}

describe('the first certificate', () => {
  test('fills the Secret that was shipped empty, and the APIService', async () => {
    const { apiserver, clock } = setUp();
    const { manager, stop } = await startReplica(apiserver, clock);
    const { certPem, keyPem, caBundlePem } = manager.current();
    expect(isTrusted(certPem, apiserver.caBundle(), clock.nowMs())).toBe(true);
    expect(apiserver.caBundle()).toBe(caBundlePem);
    expect(new X509Certificate(certPem).subjectAltName).toBe(
      'DNS:headstart-metrics, DNS:headstart-metrics.headstart-system, DNS:headstart-metrics.headstart-system.svc, DNS:headstart-metrics.headstart-system.svc.cluster.local',
    );
    expect(apiserver.objects.get(secretPath)).toMatchObject({ type: 'Opaque', metadata: { labels: { a: 'b' } } });
    expect(keyPem).toContain('PRIVATE KEY');
    expect(manager.apiService()?.state).toBe('Owned');
    stop();
  });
  test('makes the Secret where there is none', async () => {
    const { apiserver, clock } = setUp();
    apiserver.objects.delete(secretPath);
    const { manager, stop } = await startReplica(apiserver, clock);
    expect(apiserver.objects.has(secretPath)).toBe(true);
    expect(isTrusted(manager.current().certPem, apiserver.caBundle(), clock.nowMs())).toBe(true);
    stop();
  });
  test.each([
    ['empty'],
    ['missing'],
  ])('is the same for replicas that start together, with the Secret %s', async (state) => {
    const { apiserver, clock } = setUp();
    if (state === 'missing') apiserver.objects.delete(secretPath);
    const replicas = await Promise.all([1, 2, 3].map(async () => await startReplica(apiserver, clock)));
    const served = new Set(replicas.map(({ manager }) => manager.current().certPem));
    expect(served.size).toBe(1);
    for (const { stop } of replicas) stop();
  });
  test('is found by a replica that starts later', async () => {
    const { apiserver, clock } = setUp();
    const first = await startReplica(apiserver, clock);
    const second = await startReplica(apiserver, clock);
    expect(second.manager.current()).toEqual(first.manager.current());
    expect(second.requests.filter(({ method = 'GET' }) => method !== 'GET')).toEqual([]);
    first.stop();
    second.stop();
  });
  test.each([
    ['garbage', { 'tls.crt': 'x', 'tls.key': 'y', 'ca.crt': 'z' }],
    ['half a pair', { 'tls.crt': 'x' }],
    ['not base64', { 'tls.crt': '%%%', 'tls.key': '%%%' }],
  ])('replaces %s', async (_what, data) => {
    const { apiserver, clock } = setUp();
    const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
    apiserver.put(secretPath, { metadata: {}, data: Object.fromEntries(encoded) });
    const { manager, stop } = await startReplica(apiserver, clock);
    expect(isTrusted(manager.current().certPem, apiserver.caBundle(), clock.nowMs())).toBe(true);
    stop();
  });
  test('replaces one whose key is another one’s', async () => {
    const { apiserver, clock } = setUp();
    const first = await startReplica(apiserver, clock);
    const other = createApiserver();
    other.apiService();
    const second = await startReplica(other, clock);
    const data = { ...(apiserver.objects.get(secretPath)?.['data'] as Record<string, string>) };
    data['tls.key'] = Buffer.from(second.manager.current().keyPem).toString('base64');
    apiserver.put(secretPath, { metadata: {}, data });
    const third = await startReplica(apiserver, clock);
    expect(third.manager.current().certPem).not.toBe(first.manager.current().certPem);
    for (const { stop } of [first, second, third]) stop();
  });
});

describe('rotation', () => {
  test('at every minute of 200 days each replica serves what the aggregator trusts', async () => {
    const { apiserver, clock } = setUp();
    const replicas = [await startReplica(apiserver, clock), await startReplica(apiserver, clock)];
    const seen = new Set<string>();
    const bundles = new Set<number>();
    const isGood = (): boolean =>
      replicas.every(({ manager }) => {
        seen.add(manager.current().certPem);
        return isTrusted(manager.current().certPem, apiserver.caBundle(), clock.nowMs());
      });
    const good: boolean[] = [];
    for (let visit = 0; visit < 40; visit += 1) {
      clock.jump(5 * dayMs);
      for (let minute = 0; minute < 15; minute += 1) {
        await minutes(clock, 1, 2);
        good.push(isGood());
        bundles.add(apiserver.caBundle().split('BEGIN').length - 1);
      }
    }
    expect(good.every(Boolean)).toBe(true);
    expect(seen.size).toBe(4);
    expect(Math.max(...bundles)).toBe(2);
    expect(replicas.map(({ served }) => new Set(served).size)).toEqual([4, 4]);
    for (const { stop } of replicas) stop();
  });
  test('the next authority is known for ten minutes before a certificate of it is served', async () => {
    const { apiserver, clock } = setUp();
    const { manager, served, stop } = await startReplica(apiserver, clock);
    const first = manager.current();
    clock.jump(60 * dayMs);
    await minutes(clock, 1);
    expect(manager.current().certPem).toBe(first.certPem);
    expect(apiserver.caBundle()).toBe(manager.current().caBundlePem);
    expect(apiserver.caBundle().split('BEGIN')).toHaveLength(3);
    expect(apiserver.caBundle().endsWith(first.caBundlePem)).toBe(true);
    await minutes(clock, 9);
    expect(manager.current().certPem).toBe(first.certPem);
    await minutes(clock, 1);
    expect(manager.current().certPem).not.toBe(first.certPem);
    expect(isTrusted(first.certPem, apiserver.caBundle(), clock.nowMs())).toBe(true);
    expect(served.at(-1)).toBe(manager.current().certPem);
    expect(Object.keys(apiserver.objects.get(secretPath)?.['data'] as object)).toEqual([
      'tls.crt',
      'tls.key',
      'ca.crt',
    ]);
    stop();
  });
  test('a certificate that ran out while nobody looked is replaced at once', async () => {
    const { apiserver, clock } = setUp();
    const first = await startReplica(apiserver, clock);
    const old = first.manager.current().certPem;
    first.stop();
    clock.jump(91 * dayMs);
    const second = await startReplica(apiserver, clock);
    expect(second.manager.current().certPem).not.toBe(old);
    expect(isTrusted(second.manager.current().certPem, apiserver.caBundle(), clock.nowMs())).toBe(true);
    expect(apiserver.caBundle().split('BEGIN')).toHaveLength(2);
    second.stop();
  });
  test('a Secret that was emptied or deleted gets back what is served', async () => {
    const { apiserver, clock } = setUp();
    const { manager, stop } = await startReplica(apiserver, clock);
    const before = manager.current();
    apiserver.put(secretPath, { metadata: {} });
    await minutes(clock, 1);
    apiserver.objects.delete(secretPath);
    await minutes(clock, 1);
    expect(manager.current()).toEqual(before);
    const later = await startReplica(apiserver, clock);
    expect(later.manager.current()).toEqual(before);
    stop();
    later.stop();
  });
  test('an apiserver that is away changes nothing', async () => {
    const { apiserver, clock } = setUp();
    const { manager, stop, log } = await startReplica(apiserver, clock);
    const before = manager.current();
    apiserver.failures.set(`GET ${secretPath}`, 'Unavailable');
    await minutes(clock, 3);
    expect(manager.current()).toEqual(before);
    expect(log.at(-1)).toMatchObject({
      level: 40,
      code: 'Unavailable',
      msg: `keeping certificates: GET ${secretPath}`,
    });
    stop();
  });
});

describe('the APIService', () => {
  test.each([
    [
      'of another adapter',
      { service: { name: 'keda-metrics-apiserver', namespace: 'keda' }, caBundle: 'S0VEQQ==' },
      {},
      'Foreign',
      `APIService ${apiServiceName} belongs to Service keda/keda-metrics-apiserver and is left alone: HPAs read external metrics there, not from headstart-system/headstart-metrics; remove that adapter (Headstart creates the APIService when it is gone), or read Headstart's metrics through it`,
    ],
    [
      'of the same name in another namespace',
      { service: { ...ours, namespace: 'other' } },
      {},
      'Foreign',
      'other/headstart-metrics',
    ],
    ['that is served locally', { service: null }, {}, 'Foreign', 'belongs to Service /'],
    ['without a spec', {}, {}, 'Foreign', 'belongs to Service /'],
    [
      'that verifies nothing',
      { service: ours, insecureSkipTLSVerify: true },
      {},
      'NotManaged',
      'insecureSkipTLSVerify is set',
    ],
    [
      'that cert-manager fills',
      { service: ours },
      { annotations: { 'cert-manager.io/inject-ca-from-secret': 'a/b' } },
      'NotManaged',
      'cert-manager.io/inject-ca-from-secret gives it to cert-manager',
    ],
  ])('%s is left alone and reported once', async (...[, spec, metadata, state, message]) => {
    const { apiserver, clock } = setUp();
    apiserver.apiService(spec, metadata);
    const before = apiserver.objects.get(apiServicePath);
    const { manager, stop, log } = await startReplica(apiserver, clock);
    await minutes(clock, 3);
    expect(apiserver.objects.get(apiServicePath)).toEqual(before);
    expect(manager.apiService()?.state).toBe(state);
    expect(manager.apiService()?.message).toContain(message);
    expect(log.filter(({ reason, level }) => reason === state && level === 40)).toHaveLength(1);
    stop();
  });
  test('that is not there is created, owned by the ClusterRole, and made again when somebody deletes it', async () => {
    const { apiserver, clock } = setUp();
    apiserver.objects.delete(apiServicePath);
    const { manager, stop } = await startReplica(apiserver, clock);
    for (let time = 0; time < 2; time += 1) {
      expect(apiserver.objects.get(apiServicePath)).toMatchObject({
        metadata: { ownerReferences: [ownerReference] },
        spec: {
          group: 'external.metrics.k8s.io',
          version: 'v1beta1',
          groupPriorityMinimum: 100,
          versionPriority: 100,
          service: { ...ours, port: 443 },
        },
      });
      expect(apiserver.caBundle()).toBe(manager.current().caBundlePem);
      expect(manager.apiService()?.state).toBe('Owned');
      apiserver.objects.delete(apiServicePath);
      await minutes(clock, 1);
    }
    stop();
  });
  test('is created once by replicas that start together', async () => {
    const { apiserver, clock } = setUp();
    apiserver.objects.delete(apiServicePath);
    const replicas = await Promise.all([1, 2, 3].map(async () => await startReplica(apiserver, clock)));
    await minutes(clock, 1, 3);
    expect(replicas.map(({ manager }) => manager.apiService()?.state)).toEqual(['Owned', 'Owned', 'Owned']);
    expect(apiserver.caBundle()).toBe(replicas[0]?.manager.current().caBundlePem);
    for (const { stop } of replicas) stop();
  });
  test.each([
    ['is not there', undefined],
    ['is being deleted', { name: 'headstart-metrics', uid: 'u', deletionTimestamp: '2026-09-01T00:00:00Z' }],
  ])('is not created while the ClusterRole that is to own it %s', async (_what, metadata) => {
    const { apiserver, clock } = setUp();
    apiserver.objects.delete(apiServicePath);
    apiserver.objects.delete(rolePath);
    if (metadata !== undefined) apiserver.put(rolePath, { metadata });
    const { manager, stop } = await startReplica(apiserver, clock);
    await minutes(clock, 1);
    expect(apiserver.objects.has(apiServicePath)).toBe(false);
    expect(manager.apiService()).toEqual({
      state: 'Missing',
      message: `there is no APIService ${apiServiceName}: HPAs cannot read metrics from headstart-system/headstart-metrics; it is not created, as ClusterRole headstart-metrics, which is to own it, is not there: apply the manifests`,
    });
    stop();
  });
  test('that another adapter took over loses our owner reference and keeps those of others', async () => {
    const { apiserver, clock } = setUp();
    const others = [{ apiVersion: 'v1', kind: 'Namespace', name: 'keda', uid: 'k' }];
    const spec = { service: { name: 'keda', namespace: 'keda' }, caBundle: 'S0VEQQ==' };
    apiserver.apiService(spec, { ownerReferences: [...others, ownerReference] });
    const { stop } = await startReplica(apiserver, clock);
    await minutes(clock, 2);
    expect(apiserver.objects.get(apiServicePath)).toMatchObject({ spec, metadata: { ownerReferences: others } });
    stop();
  });
  test('is neither read nor written when it is not to be looked after', async () => {
    const { apiserver, clock } = setUp();
    const { manager, requests, findings, start, stop } = createReplica(apiserver, clock, false);
    await start();
    await minutes(clock, 2);
    expect(requests.filter(({ path }) => path !== secretPath)).toEqual([]);
    expect(manager.apiService()).toBeUndefined();
    expect(findings).toEqual([]);
    stop();
  });
  test('is told of at each look', async () => {
    const { apiserver, clock } = setUp();
    const { findings, start, stop } = createReplica(apiserver, clock);
    await start();
    apiserver.apiService({ service: { name: 'keda', namespace: 'keda' } });
    await minutes(clock, 1);
    expect(findings).toEqual(['Owned', 'Foreign']);
    stop();
  });
  test('that changes hands while we look is not touched', async () => {
    const { apiserver, clock } = setUp();
    const answer = apiserver.answer;
    apiserver.answer = async (request) => {
      const given = await answer(request);
      if ((request.method ?? 'GET') === 'GET' && request.path === apiServicePath)
        apiserver.apiService({ service: { name: 'keda', namespace: 'keda' } });
      return given;
    };
    const racing = createReplica(apiserver, clock);
    await racing.start();
    expect(apiserver.caBundle()).toBe('');
    expect(racing.log.at(-1)).toMatchObject({ code: 'Conflict' });
    racing.stop();
  });
  test('that we may not read does not stop us from serving', async () => {
    const { apiserver, clock } = setUp();
    apiserver.failures.set(`GET ${apiServicePath}`, 'Forbidden');
    const { manager, stop } = await startReplica(apiserver, clock);
    expect(manager.current().certPem).toContain('CERTIFICATE');
    expect(manager.apiService()).toBeUndefined();
    stop();
  });
});

describe('starting', () => {
  test('without the right to the Secret fails, and says so', async () => {
    const { apiserver, clock } = setUp();
    apiserver.failures.set(`GET ${secretPath}`, 'Forbidden');
    const { manager, start } = createReplica(apiserver, clock);
    expect(() => manager.current()).toThrow('there is no serving certificate yet');
    await expect(start()).rejects.toThrow(`GET ${secretPath}`);
  });
  test('waits for the apiserver', async () => {
    const { apiserver, clock } = setUp();
    apiserver.failures.set(`GET ${secretPath}`, 'Unavailable');
    const { manager, start, stop } = createReplica(apiserver, clock);
    const started = start();
    await clock.advance(5000);
    apiserver.failures.clear();
    await clock.advance(10_000);
    await started;
    expect(manager.current().certPem).toContain('CERTIFICATE');
    stop();
  });
});
