// SPDX-License-Identifier: Apache-2.0
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ensureControlPlaneBinaries } from '../hack/control-plane/build.ts';
import { startControlPlane } from '../src/testing/control-plane.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { freePort } from '../src/testing/ports.ts';
import { createProcessGroup } from '../src/testing/process.ts';
import type { ProcessGroup } from '../src/testing/process.ts';
import { renderKustomization } from '../src/testing/rendering.ts';
import type { Manifest } from '../src/testing/rendering.ts';

const manifests = fileURLToPath(new URL('../manifests/', import.meta.url));
const renderings = ['base', ...(await readdir(`${manifests}overlays`)).map((name) => `overlays/${name}`)];
const examples = await readdir(`${manifests}examples`);
let cluster: ControlPlane;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 3 });
  await cluster.kubectlOk(['apply', '-k', `${manifests}base`]);
});
afterAll(() => cluster?.stop());

function find(objects: readonly Manifest[], kind: string, name: string): Manifest | undefined {
  return objects.find((object) => object.kind === kind && object.metadata.name === name);
}

async function podsOf(component: string): Promise<{ name: string; node: string; ready: boolean }[]> {
  const selector = `app.kubernetes.io/component=${component}`;
  const text = await cluster.kubectlOk(['get', 'pods', '-n', 'headstart-system', '-l', selector, '-o', 'json']);
  const { items } = JSON.parse(text) as {
    items: {
      metadata: { name: string };
      spec: { nodeName?: string };
      status: { conditions?: { type: string; status: string }[] };
    }[];
  };
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    node: spec.nodeName ?? '',
    ready: status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
  }));
}

test.each(renderings)('the apiserver takes every object of %s, and warns of nothing', async (rendering) => {
  const { code, stderr } = await cluster.kubectl(['apply', '--dry-run=server', '-k', manifests + rendering]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test.each(examples)('the apiserver takes every object of examples/%s', async (example) => {
  const { code, stderr } = await cluster.kubectl([
    'apply',
    '--dry-run=server',
    '-f',
    `${manifests}examples/${example}`,
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('the pods of every role run under the restricted pod security standard, which refuses others', async () => {
  const labels = await cluster.kubectlOk(['get', 'namespace', 'headstart-system', '-o', 'jsonpath={.metadata.labels}']);
  expect(labels).toContain('"pod-security.kubernetes.io/enforce":"restricted"');
  for (const component of ['metrics', 'forecaster', 'clones']) {
    const ready = async () => (await podsOf(component)).filter((pod) => pod.ready).length;
    await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe(2);
  }
  const privileged = ['run', 'other', '-n', 'headstart-system', '--image=busybox:1.37'];
  const { code, stderr } = await cluster.kubectl(privileged);
  expect(code).not.toBe(0);
  expect(stderr).toContain('violates PodSecurity "restricted');
});

test('every pod has probes, limits, a read-only root file system and no right to more', async () => {
  for (const rendering of renderings) {
    const objects = await renderKustomization(cluster, manifests + rendering);
    for (const { spec } of objects.filter(({ kind }) => kind === 'Deployment')) {
      const { containers } = (spec as { template: { spec: { containers: Record<string, unknown>[] } } }).template.spec;
      expect(containers).toHaveLength(1);
      expect(containers[0]).toMatchObject({
        readinessProbe: { httpGet: { path: '/readyz' } },
        livenessProbe: { httpGet: { path: '/livez' } },
        resources: { requests: { memory: expect.any(String) }, limits: { memory: expect.any(String) } },
        securityContext: {
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
      });
    }
  }
});

test.each<[role: string, can: boolean]>([
  ['view', false],
  ['edit', true],
  ['admin', true],
])('%s: may look at clones; may change them: %s', async (role, can) => {
  await cluster.kubectl(['create', 'rolebinding', role, '-n', 'default', `--clusterrole=${role}`, `--user=${role}`]);
  const may = async (verb: string, resource: string): Promise<boolean> =>
    (await cluster.kubectl(['auth', 'can-i', verb, resource, '-n', 'default', `--as=${role}`])).code === 0;
  const isAggregated = async () => await may('list', 'clonepools.headstart.dev');
  await expect.poll(isAggregated, { timeout: 30_000, interval: 500 }).toBe(true);
  expect(await may('watch', 'clonetemplates.headstart.dev')).toBe(true);
  for (const verb of ['create', 'update', 'patch', 'delete']) {
    expect(await may(verb, 'clonepools.headstart.dev')).toBe(can);
    expect(await may(verb, 'clonetemplates.headstart.dev')).toBe(can);
  }
  expect(await may('update', 'clonepools.headstart.dev/scale')).toBe(can);
  // What Headstart says about clones is nobody else's to write.
  expect(await may('patch', 'clonepools.headstart.dev/status')).toBe(false);
});

test('no rendering holds the APIService: kubectl would take it over from another adapter', async () => {
  for (const rendering of renderings) {
    const objects = await renderKustomization(cluster, manifests + rendering);
    expect(objects.filter(({ kind }) => kind === 'APIService')).toEqual([]);
  }
});

test('a drain takes one replica at a time', async () => {
  for (const name of ['headstart-metrics', 'headstart-forecaster', 'headstart-clones']) {
    const allowed = async () =>
      await cluster.kubectlOk([
        'get',
        'pdb',
        name,
        '-n',
        'headstart-system',
        '-o',
        'jsonpath={.status.disruptionsAllowed}',
      ]);
    await expect.poll(allowed, { timeout: 60_000, interval: 500 }).toBe('1');
  }
});

test('without the APIService: no right to it, and the process is told', async () => {
  const objects = await renderKustomization(cluster, `${manifests}overlays/without-apiservice`);
  const roles = JSON.stringify(objects.filter(({ kind }) => ['ClusterRole', 'Role'].includes(kind)));
  expect(roles).not.toContain('apiregistration.k8s.io');
  expect(JSON.stringify(objects)).not.toContain('headstart-metrics-apiservice');
  const metrics = JSON.stringify(find(objects, 'Deployment', 'headstart-metrics'));
  expect(metrics).toContain('{"name":"HEADSTART_API_SERVICE","value":"never"}');
});

test('high availability: three metrics replicas on three nodes, replaced without a fourth node', async () => {
  await cluster.kubectlOk(['apply', '-k', `${manifests}overlays/high-availability`]);
  const nodes = async () => {
    const pods = (await podsOf('metrics')).filter(({ ready }) => ready);
    return new Set(pods.map(({ node }) => node)).size * 10 + pods.length;
  };
  await expect.poll(nodes, { timeout: 120_000, interval: 1000 }).toBe(33);
  await cluster.kubectlOk(['rollout', 'restart', '-n', 'headstart-system', 'deployment/headstart-metrics']);
  const rollout = ['rollout', 'status', '-n', 'headstart-system', 'deployment/headstart-metrics', '--timeout=120s'];
  expect(await cluster.kubectlOk(rollout)).toContain('successfully rolled out');
  const allowed = ['get', 'pdb', 'headstart-metrics', '-n', 'headstart-system', '-o'];
  expect(await cluster.kubectlOk([...allowed, 'jsonpath={.status.disruptionsAllowed}'])).toBe('1');
});

describe('the second kube-scheduler', () => {
  let group: ProcessGroup;

  beforeAll(async () => {
    group = await createProcessGroup('scheduler');
    await cluster.kubectlOk(['apply', '-k', `${manifests}overlays/scheduler`]);
  });
  afterAll(async () => await group?.stop());

  test('leads and places clones with its configuration and its rights, also while nobody serves the extender', async () => {
    const objects = await renderKustomization(cluster, `${manifests}overlays/scheduler`);
    const config = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['config.yaml'] !== undefined);
    const parsed = parse(config?.data?.['config.yaml'] ?? '') as { extenders: { tlsConfig: object }[] };
    expect(parsed.extenders).toHaveLength(1);
    const path = join(group.dir, 'config.yaml');
    const kubeconfig = await cluster.kubeconfigForServiceAccount('headstart-system', 'headstart-scheduler');
    const tlsConfig = { caFile: join(cluster.dir, 'ca.crt') };
    const extenders = parsed.extenders.map((extender) => ({ ...extender, tlsConfig }));
    await writeFile(path, JSON.stringify({ ...parsed, extenders, clientConnection: { kubeconfig } }));
    const { scheduler } = await ensureControlPlaneBinaries(() => undefined);
    const args = [`--config=${path}`, '--bind-address=127.0.0.1', `--secure-port=${await freePort()}`];
    const started = await group.start({ name: 'headstart-scheduler', command: scheduler, args });
    const leader = [
      'get',
      'lease',
      'headstart-scheduler',
      '-n',
      'headstart-system',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ];
    await expect.poll(async () => await cluster.kubectlOk(leader), { timeout: 60_000, interval: 500 }).not.toBe('');
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'placed',
        namespace: 'default',
        labels: { 'headstart.dev/clone': 'true' },
        annotations: { 'headstart.dev/ttl-seconds': '600' },
      },
      spec: { schedulerName: 'headstart-scheduler', containers: [{ name: 'web', image: 'web' }] },
    };
    await cluster.kubectlOk(['create', '-f', '-'], JSON.stringify(pod));
    const node = ['get', 'pod', 'placed', '-o', 'jsonpath={.spec.nodeName}'];
    await expect.poll(async () => await cluster.kubectlOk(node), { timeout: 60_000, interval: 500 }).toMatch(/^node-/);
    expect(started.isRunning()).toBe(true);
    expect(await readFile(started.logPath, 'utf8')).not.toMatch(/forbidden|unauthorized/i);
  });

  test('has an extender to ask: the clones role is told to serve it', async () => {
    const objects = await renderKustomization(cluster, `${manifests}overlays/scheduler`);
    const clones = JSON.stringify(find(objects, 'Deployment', 'headstart-clones'));
    expect(clones).toContain('{"name":"HEADSTART_SCHEDULER_EXTENDER","value":"on"}');
  });

  test('sees of the certificate the authority alone', async () => {
    const objects = await renderKustomization(cluster, `${manifests}overlays/scheduler`);
    const { spec } = find(objects, 'Deployment', 'headstart-scheduler') as unknown as {
      spec: { template: { spec: { volumes: { secret?: { items?: unknown } }[] } } };
    };
    const secrets = spec.template.spec.volumes.flatMap(({ secret }) => (secret === undefined ? [] : [secret.items]));
    expect(secrets).toEqual([[{ key: 'ca.crt', path: 'ca.crt' }]]);
  });

  test('is of the minor version of the control plane that these tests run', async () => {
    const objects = await renderKustomization(cluster, `${manifests}overlays/scheduler`);
    const image = JSON.stringify(find(objects, 'Deployment', 'headstart-scheduler')?.spec);
    const version = JSON.parse(await cluster.kubectlOk(['version', '-o', 'json'])) as {
      serverVersion: { gitVersion: string };
    };
    expect(image).toContain(`registry.k8s.io/kube-scheduler:${version.serverVersion.gitVersion}`);
  });
});
