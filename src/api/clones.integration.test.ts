// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startControlPlane } from '../testing/control-plane.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { apiVersion } from './labels.ts';

const crds = fileURLToPath(new URL('../../manifests/crds/', import.meta.url));
const namespace = 'shop';
let cluster: ControlPlane;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1 });
  await cluster.kubectlOk(['apply', '-k', crds]);
  const established = ['--for=condition=Established', '--timeout=30s', 'crd', 'clonepools.headstart.dev'];
  await cluster.kubectlOk(['wait', ...established, 'clonetemplates.headstart.dev']);
  await cluster.kubectlOk(['create', 'namespace', namespace]);
});
afterAll(() => cluster?.stop());

type Fields = Readonly<Record<string, unknown>>;

const leastPool = {
  targetRef: { name: 'web' },
  forecastRef: { name: 'web' },
  maxReplicas: 10,
  lifetime: { maxSeconds: 3600 },
};

/** Without the fields that are null. */
function object(kind: 'ClonePool' | 'CloneTemplate', spec: Fields, name = 'web'): string {
  const given = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== null));
  return JSON.stringify({ apiVersion, kind, metadata: { name, namespace }, spec: given });
}

async function create(text: string): Promise<{ code: number; stderr: string }> {
  return await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], text);
}

async function stored<T>(text: string): Promise<T> {
  return JSON.parse(await cluster.kubectlOk(['create', '--dry-run=server', '-o', 'json', '-f', '-'], text)) as T;
}

test('the apiserver finds nothing wrong with the schemas', async () => {
  for (const plural of ['clonepools', 'clonetemplates']) {
    const path = '{.status.conditions[?(@.type=="NonStructuralSchema")].message}';
    const args = ['get', 'crd', `${plural}.headstart.dev`, '-o', `jsonpath=${path}`];
    expect(await cluster.kubectlOk(args)).toBe('');
  }
});

describe('ClonePool', () => {
  const exit = { belowPercent: 15, clearAbovePercent: 25 };
  const window = { id: 'w1', startTime: '2026-09-01T10:00:00Z', endTime: '2026-09-01T10:30:00Z', replicas: 3 };

  test.each<[string, Fields]>([
    ['the least that a pool needs', {}],
    ['fewer allowed than the controller wrote down', { replicas: 11 }],
    ['no forecast in mode Scale', { mode: 'Scale', forecastRef: null, replicas: 4 }],
    ['windows of mode Predictive', { windows: [window, { ...window, id: 'w2' }] }],
    ['an exit by CPU', { utilizationExit: { resource: 'cpu' } }],
    ['an exit by a query', { utilizationExit: { query: 'rate(requests_total[1m])', serverRef: 'other' } }],
    ['a capacity as an integer', { capacityPerClone: 50 }],
    ['a capacity as a quantity', { capacityPerClone: '500m' }],
    [
      'everything',
      {
        templateRef: { name: 'cheap' },
        serving: 'Hidden',
        onTargetChange: 'Keep',
        suspend: true,
        termination: { policy: 'Delete', evictTimeoutSeconds: 0, maxPerMinute: 600 },
        placement: { strategy: 'Scheduler', bucketSeconds: 60 },
      },
    ],
  ])('accepts %s', async (_, spec) => {
    const { code, stderr } = await create(object('ClonePool', { ...leastPool, ...spec }));
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  test('fills in what is left out, so that the type says what is there', async () => {
    const pool = await stored<{ spec: Fields }>(
      object('ClonePool', { ...leastPool, utilizationExit: {}, termination: { maxPerMinute: 600 } }),
    );
    expect(pool.spec).toMatchObject({
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minBurstReplicas: 2,
      maxBurstSeconds: 3600,
      mode: 'Predictive',
      replicas: 0,
      suspend: false,
      lifetime: { maxSeconds: 3600, marginSeconds: 300, startupBudgetSeconds: 180 },
      utilizationExit: { ...exit, sustainedSeconds: 180, minSamples: 5, warmupSeconds: 120, poolGuardPercent: 70 },
      serving: 'ServiceLabels',
      onTargetChange: 'Retire',
      termination: { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 600 },
      placement: { strategy: 'Affinity', bucketSeconds: 300 },
    });
  });

  test.each<[string, Fields, string]>([
    ['no target', { targetRef: null }, 'spec.targetRef: Required value'],
    ['a StatefulSet', { targetRef: { kind: 'StatefulSet', name: 'db' } }, 'spec.targetRef.kind: Unsupported value'],
    ['a target without a name', { targetRef: {} }, 'spec.targetRef.name: Required value'],
    ['no upper bound', { maxReplicas: null }, 'spec.maxReplicas: Required value'],
    ['an upper bound of 0', { maxReplicas: 0 }, 'spec.maxReplicas: Invalid value'],
    ['an upper bound of 5001', { maxReplicas: 5001 }, 'spec.maxReplicas: Invalid value'],
    ['more wanted than allowed', { mode: 'Scale', forecastRef: null, replicas: 11 }, 'spec.replicas: Invalid value'],
    ['fewer than none wanted', { replicas: -1 }, 'spec.replicas: Invalid value'],
    ['a fraction of a clone', { replicas: 1.5 }, 'spec.replicas: Invalid value'],
    ['no lifetime', { lifetime: null }, 'spec.lifetime: Required value'],
    ['a lifetime without an end', { lifetime: {} }, 'spec.lifetime.maxSeconds: Required value'],
    ['a lifetime of 59 s', { lifetime: { maxSeconds: 59 } }, 'spec.lifetime.maxSeconds: Invalid value'],
    ['a lifetime of more than a day', { lifetime: { maxSeconds: 86_401 } }, 'spec.lifetime.maxSeconds: Invalid value'],
    ['Predictive without a forecast', { forecastRef: null }, 'spec.mode: Invalid value'],
    ['an unknown mode', { mode: 'Manual' }, 'spec.mode: Unsupported value'],
    ['windows in mode Scale', { mode: 'Scale', windows: [window] }, 'spec.windows: Invalid value'],
    ['a window twice', { windows: [window, window] }, 'spec.windows[1]: Duplicate value'],
    ['a window of 0 clones', { windows: [{ ...window, replicas: 0 }] }, 'spec.windows[0].replicas: Invalid value'],
    [
      'a window that ends before it starts',
      { windows: [{ ...window, endTime: '2026-09-01T09:59:59Z' }] },
      'spec.windows[0]: Invalid value: endTime must be after startTime',
    ],
    [
      'a window at no time',
      { windows: [{ ...window, startTime: 'soon' }] },
      'spec.windows[0].startTime: Invalid value',
    ],
    [
      'a band without room',
      { utilizationExit: { belowPercent: 30 } },
      'spec.utilizationExit.clearAbovePercent: Invalid value',
    ],
    ['two measures', { utilizationExit: { resource: 'cpu', query: 'up' } }, 'spec.utilizationExit: Invalid value'],
    ['an unknown resource', { utilizationExit: { resource: 'disk' } }, 'spec.utilizationExit.resource: Unsupported'],
    [
      'an exit that cannot come',
      { lifetime: { maxSeconds: 300 }, utilizationExit: {} },
      'spec.utilizationExit: Invalid',
    ],
    ['a negative capacity', { capacityPerClone: '-1' }, 'spec.capacityPerClone: Invalid value'],
    ['a capacity of 0', { capacityPerClone: '0' }, 'spec.capacityPerClone: Invalid value'],
    ['an unknown policy', { termination: { policy: 'Kill' } }, 'spec.termination.policy: Unsupported value'],
    ['an unknown placement', { placement: { strategy: 'Pack' } }, 'spec.placement.strategy: Unsupported value'],
    ['a misspelt field', { maxReplica: 3 }, 'unknown field "spec.maxReplica"'],
    ['a misspelt field deeper down', { lifetime: { maxSeconds: 90, ttl: 5 } }, 'unknown field "spec.lifetime.ttl"'],
    ['a forecast of no valid name', { forecastRef: { name: 'Web' } }, 'spec.forecastRef.name: Invalid value'],
  ])('refuses %s, and names the field', async (_, spec, field) => {
    const { code, stderr } = await create(object('ClonePool', { ...leastPool, ...spec }));
    expect(code).not.toBe(0);
    expect(stderr).toContain(field);
  });

  test('refuses a name that pods could not be named after', async () => {
    const { stderr } = await create(object('ClonePool', leastPool, 'w'.repeat(51)));
    expect(stderr).toContain('metadata.name must be no longer than 50 characters');
    expect((await create(object('ClonePool', leastPool, 'w'.repeat(50)))).code).toBe(0);
  });

  test('/scale reads and writes the clones that are wanted, within bounds; another target is refused', async () => {
    const { kubectl, kubectlOk } = cluster;
    await kubectlOk(['create', '-f', '-'], object('ClonePool', { ...leastPool, mode: 'Scale', forecastRef: null }));
    const scale = (replicas: number) => ['scale', '-n', namespace, 'clonepool/web', `--replicas=${replicas}`];
    const scalePath = `/apis/headstart.dev/v1alpha1/namespaces/${namespace}/clonepools/web/scale`;
    const standing = async () => JSON.parse(await kubectlOk(['get', '--raw', scalePath])) as Fields;
    expect(await standing()).toMatchObject({ spec: {}, status: { replicas: 0 } });

    await kubectlOk(scale(7));
    expect(await standing()).toMatchObject({ spec: { replicas: 7 }, status: { replicas: 0 } });
    const beyond = await kubectl(scale(11));
    expect(beyond.code).not.toBe(0);
    expect(beyond.stderr).toContain('replicas must not be greater than maxReplicas');

    const patch = ['patch', 'clp', 'web', '-n', namespace, '--type=merge'];
    const other = await kubectl([...patch, '-p', '{"spec":{"targetRef":{"name":"api"}}}']);
    expect(other.stderr).toContain('spec.targetRef: Invalid value');
    expect(other.stderr).toContain('targetRef is immutable');

    const status = {
      replicas: 6,
      readyReplicas: 5,
      retiringReplicas: 1,
      selector: 'headstart.dev/pool=web',
      nextDeadline: '2026-09-01T10:30:00Z',
      exits: { Expired: 12 },
      carrying: {
        time: '2026-09-01T10:00:00Z',
        perClone: '50000m',
        ready: 5,
        steps: [{ until: '2026-09-01T10:30:00Z', replicas: 5 }],
      },
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'ClonesStarting',
          message: '5 of 7',
          observedGeneration: 2,
          lastTransitionTime: '2026-09-01T10:00:00Z',
        },
      ],
    };
    await kubectlOk([...patch, '--subresource=status', '-p', JSON.stringify({ status })]);
    expect(await standing()).toMatchObject({
      spec: { replicas: 7 },
      status: { replicas: 6, selector: 'headstart.dev/pool=web' },
    });
    const lines = (await kubectlOk(['get', 'clp', '-n', namespace])).trim().split('\n');
    const [head, row] = lines.map((line) => line.trim().split(/\s+/));
    expect(head).toEqual(['NAME', 'TARGET', 'DESIRED', 'LIVE', 'READY', 'RETIRING', 'NEXT-EXPIRY', 'STATUS', 'AGE']);
    expect(row?.slice(0, -1)).toEqual(['web', 'web', '7', '6', '5', '1', '2026-09-01T10:30:00Z', 'ClonesStarting']);
  });
});

describe('CloneTemplate', () => {
  const everything = {
    containers: [
      {
        name: 'app',
        resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: 1, 'example.com/gpu': 2 } },
        env: [
          { name: 'BURST', value: 'yes' },
          { name: 'EMPTY' },
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'api.key', optional: true } } },
          { name: 'ROOM', valueFrom: { configMapKeyRef: { name: 'rooms', key: 'first' } } },
          { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        ],
      },
      { name: 'proxy' },
    ],
    nodeSelector: { 'node.kubernetes.io/lifecycle': 'spot' },
    tolerations: [
      { key: 'spot', operator: 'Exists', effect: 'NoSchedule' },
      { operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
      { key: 'team', value: 'shop' },
    ],
    priorityClassName: 'low',
    labels: { tier: 'burst', 'example.com/kind': '' },
    annotations: { 'example.com/note': 'any text: {"a": 1}' },
    terminationGracePeriodSeconds: 10,
  };

  test.each<[string, Fields]>([
    ['one that changes nothing', {}],
    ['one that changes everything', everything],
    ['the longest key that there may be', { labels: { [`${'a'.repeat(253)}/${'b'.repeat(63)}`]: 'c'.repeat(63) } }],
  ])('accepts %s', async (_, spec) => {
    const { code, stderr } = await create(object('CloneTemplate', spec));
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  test('is stored as it was given, with operators filled in', async () => {
    const { spec } = await stored<{ spec: Fields }>(object('CloneTemplate', everything));
    const [spot, all, team] = everything.tolerations;
    expect(spec).toEqual({ ...everything, tolerations: [spot, all, { ...team, operator: 'Equal' }] });
  });

  const app = (fields: Fields): Fields => ({ containers: [{ name: 'app', ...fields }] });
  test.each<[string, Fields, string]>([
    ['a whole pod template', { template: {} }, 'unknown field "spec.template"'],
    ['a container without a name', { containers: [{ env: [] }] }, 'spec.containers[0].name: Required value'],
    ['a container twice', { containers: [{ name: 'a' }, { name: 'a' }] }, 'spec.containers[1]: Duplicate value'],
    ['another image', app({ image: 'other:1' }), 'unknown field "spec.containers[0].image"'],
    ['another node', { nodeName: 'node-1' }, 'unknown field "spec.nodeName"'],
    [
      'more than its limit',
      app({ resources: { requests: { cpu: 2 }, limits: { cpu: '1500m' } } }),
      'requests: Invalid',
    ],
    ['a negative request', app({ resources: { requests: { cpu: -1 } } }), 'resources.requests.cpu: Invalid value'],
    ['no quantity', app({ resources: { limits: { memory: '1 GB' } } }), 'resources.limits.memory: Invalid value'],
    ['a resource of no valid name', app({ resources: { limits: { '-x': '1' } } }), 'resources.limits: Invalid value'],
    ['a variable twice', app({ env: [{ name: 'A' }, { name: 'A' }] }), 'spec.containers[0].env[1]: Duplicate value'],
    ['a variable of no valid name', app({ env: [{ name: 'A B' }] }), 'spec.containers[0].env[0].name: Invalid value'],
    [
      'a variable with two values',
      app({ env: [{ name: 'A', value: '', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }),
      'spec.containers[0].env[0]: Invalid value',
    ],
    ['a value from nowhere', app({ env: [{ name: 'A', valueFrom: {} }] }), 'env[0].valueFrom: Invalid value'],
    ["Headstart's labels", { labels: { 'headstart.dev/clone': 'false' } }, 'spec.labels: Invalid value'],
    ["a ReplicaSet's label", { labels: { 'pod-template-hash': 'abc' } }, 'spec.labels: Invalid value'],
    ["a StatefulSet's label", { labels: { 'statefulset.kubernetes.io/pod-name': 'a' } }, 'spec.labels: Invalid value'],
    ['a label of no valid name', { labels: { 'a/b/c': 'a' } }, 'spec.labels: Invalid value'],
    ['a label of a long name', { labels: { ['a'.repeat(64)]: 'a' } }, 'spec.labels: Invalid value'],
    ['a label of no valid value', { labels: { tier: 'a b' } }, 'spec.labels.tier: Invalid value'],
    ['a deadline', { annotations: { 'headstart.dev/deadline': 'never' } }, 'spec.annotations: Invalid value'],
    ['a longer protection', { annotations: { 'karpenter.sh/do-not-disrupt': 'true' } }, 'spec.annotations: Invalid'],
    ['a mirror', { annotations: { 'kubernetes.io/config.mirror': 'x' } }, 'spec.annotations: Invalid value'],
    ['a selector of no valid name', { nodeSelector: { 'zone=': 'a' } }, 'spec.nodeSelector: Invalid value'],
    ['a toleration of nothing', { tolerations: [{ effect: 'NoExecute' }] }, 'spec.tolerations[0].operator: Invalid'],
    [
      'a value that is not compared',
      { tolerations: [{ key: 'a', operator: 'Exists', value: 'b' }] },
      'spec.tolerations[0].value: Invalid value',
    ],
    [
      'seconds for another effect',
      { tolerations: [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 3 }] },
      'spec.tolerations[0].tolerationSeconds: Invalid value',
    ],
    ['the highest priority', { priorityClassName: 'system-node-critical' }, 'spec.priorityClassName: Invalid value'],
    ['no time to end', { terminationGracePeriodSeconds: 0 }, 'spec.terminationGracePeriodSeconds: Invalid value'],
    ['two hours to end', { terminationGracePeriodSeconds: 7200 }, 'spec.terminationGracePeriodSeconds: Invalid value'],
  ])('refuses %s, and names the field', async (_, spec, field) => {
    const { code, stderr } = await create(object('CloneTemplate', spec));
    expect(code).not.toBe(0);
    expect(stderr).toContain(field);
  });

  test('kubectl get clt shows the priority', async () => {
    await cluster.kubectlOk(['create', '-f', '-'], object('CloneTemplate', everything));
    const lines = (await cluster.kubectlOk(['get', 'clt', '-n', namespace])).trim().split('\n');
    const [head, row] = lines.map((line) => line.trim().split(/\s+/));
    expect(head).toEqual(['NAME', 'PRIORITY', 'AGE']);
    expect(row?.slice(0, -1)).toEqual(['web', 'low']);
  });
});
