// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { chooseControlPlane, startControlPlane } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';
import { run, waitUntil } from './process.ts';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime: string;
}

interface PodList {
  readonly items: readonly {
    readonly status: { readonly startTime: string; readonly conditions: readonly Condition[] };
  }[];
}

let cluster: ControlPlane;

/** Seconds from the start of each pod of a Deployment to Ready. */
async function startupSeconds(app: string): Promise<number[]> {
  const pods = JSON.parse(await cluster.kubectlOk(['get', 'pods', `--selector=app=${app}`, '-o', 'json'])) as PodList;
  return pods.items.map(({ status }) => {
    const ready = status.conditions.find((condition) => condition.type === 'Ready' && condition.status === 'True');
    return (Date.parse(ready?.lastTransitionTime ?? '') - Date.parse(status.startTime)) / 1000;
  });
}

function deployment(name: string, annotations: Readonly<Record<string, string>>): string {
  const labels = { app: name };
  const spec = { containers: [{ name: 'main', image: 'none' }] };
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 3, selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec } },
  });
}

beforeAll(async () => {
  cluster = await startControlPlane({ podStartupMs: 2000, podStartupJitterMs: 1000, hpaSyncPeriodSeconds: 1 });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await cluster?.stop();
  expect(existsSync(cluster.dir)).toBe(false);
});

describe('the built control plane', () => {
  test('has the version that it was built from, and Ready nodes', async () => {
    expect(await cluster.kubectlOk(['version'])).toMatch(/Server Version: v1\.36\.\d+/);
    expect(await cluster.kubectlOk(['get', 'nodes', '--no-headers'])).toMatch(/^(node-\d\s+Ready\s.*\n){3}$/);
  });

  test('makes the pods of a Deployment Ready after the start-up time', async () => {
    await cluster.kubectlOk(['apply', '-f', '-'], deployment('plain', {}));
    await cluster.kubectlOk(['rollout', 'status', 'deployment/plain', '--timeout=30s']);
    // Kubernetes keeps whole seconds.
    for (const seconds of await startupSeconds('plain')) expect(seconds).toSatisfy((s: number) => s >= 1 && s <= 5);
  });

  test('gives the pods with annotations their own start-up time', async () => {
    const annotations = {
      'pod-ready.stage.kwok.x-k8s.io/delay': '6s',
      'pod-ready.stage.kwok.x-k8s.io/jitter-delay': '7s',
    };
    await cluster.kubectlOk(['apply', '-f', '-'], deployment('slow', annotations));
    await cluster.kubectlOk(['rollout', 'status', 'deployment/slow', '--timeout=30s']);
    for (const seconds of await startupSeconds('slow')) expect(seconds).toSatisfy((s: number) => s >= 5 && s <= 9);
  });

  test('runs the HPA controller', async () => {
    await cluster.kubectlOk(['autoscale', 'deployment/plain', '--min=4', '--max=5', '--cpu=50%']);
    const scaled = async (): Promise<boolean> =>
      (await cluster.kubectlOk(['get', 'deployment', 'plain', '-o', 'jsonpath={.spec.replicas}'])) === '4';
    expect(await waitUntil('the HPA raises replicas to its minimum', scaled, { timeoutMs: 30_000 })).toBe(true);
  });

  test('lists its resources without complaint', async () => {
    const result = await cluster.kubectl(['api-resources']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('horizontalpodautoscalers');
  });

  test('gives a service account what RBAC allows, and no more', async () => {
    await cluster.kubectlOk(['create', 'serviceaccount', 'reader']);
    await cluster.kubectlOk(['create', 'role', 'reader', '--verb=list', '--resource=pods']);
    await cluster.kubectlOk(['create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=default:reader']);
    const flag = `--kubeconfig=${await cluster.kubeconfigForServiceAccount('default', 'reader')}`;
    expect(await cluster.kubectlOk(['get', 'pods', flag])).toContain('plain-');
    const refused = await cluster.kubectl(['get', 'secrets', flag]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('User "system:serviceaccount:default:reader" cannot list resource "secrets"');
  });

  test('publishes what an aggregated API server authenticates by', async () => {
    const args = ['get', 'configmap', 'extension-apiserver-authentication', '--namespace=kube-system', '-o', 'json'];
    const { data } = JSON.parse(await cluster.kubectlOk(args)) as { data: Record<string, string> };
    expect(data['requestheader-client-ca-file']).toContain('BEGIN CERTIFICATE');
    expect(data['requestheader-client-ca-file']).not.toBe(data['client-ca-file']);
    expect(data['requestheader-allowed-names']).toBe('["front-proxy-client"]');
  });

  test('can be used as the existing cluster that KUBECONFIG names, and outlives that', async () => {
    vi.stubEnv('KUBECONFIG', cluster.kubeconfigPath);
    vi.stubEnv('PATH', `${dirname(cluster.kubectlPath)}${delimiter}${process.env['PATH']}`);
    const kind = await chooseControlPlane(process.env);
    expect(kind).toBe('existing');
    const existing = await startControlPlane({ kind });
    expect(existing).toMatchObject({ server: cluster.server, caPem: cluster.caPem });
    expect(await existing.kubectlOk(['get', 'nodes', '-o', 'name'])).toContain('node/node-0');
    await existing.stop();
    expect(existsSync(existing.dir)).toBe(false);
    expect(await cluster.kubectlOk(['get', 'nodes', '-o', 'name'])).toContain('node/node-0');
  });

  test('is known by its authority, its log and an error that names the command', async () => {
    expect(cluster.caPem).toContain('BEGIN CERTIFICATE');
    expect(cluster.server).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await cluster.componentLog('kube-apiserver')).not.toBe('');
    await expect(cluster.kubectlOk(['get', 'nothing'])).rejects.toThrow(/kubectl get nothing \(code 1\)/);
  });
});

test('servers and their folder are gone soon after the process that started them is killed', async () => {
  const script = `
    import { createProcessGroup } from ${JSON.stringify(new URL('process.ts', import.meta.url).href)};
    const group = await createProcessGroup('killed');
    const server = await group.start({ name: 'sleep', command: 'sleep', args: ['600'] });
    console.log(JSON.stringify({ dir: group.dir, pid: server.pid }));
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) =>
    owner.stdout.once('data', (data: Buffer) => resolve(data.toString())),
  );
  const { dir, pid } = JSON.parse(line) as { dir: string; pid: number };
  expect(existsSync(dir)).toBe(true);
  owner.kill('SIGKILL');
  await waitUntil('the folder is gone', () => !existsSync(dir), { timeoutMs: 10_000 });
  // Gone, or killed and not yet collected by its new parent.
  expect((await run('ps', ['-o', 'stat=', '-p', String(pid)])).stdout.trim()).toMatch(/^(Z.*)?$/);
});
