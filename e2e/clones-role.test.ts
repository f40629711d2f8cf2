// SPDX-License-Identifier: Apache-2.0
import { request } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startControlPlane } from '../src/testing/control-plane.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { installHeadstart } from '../src/testing/installation.ts';
import type { Installation } from '../src/testing/installation.ts';

let cluster: ControlPlane;
let headstart: Installation;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 3 });
  headstart = await installHeadstart(cluster, {
    prometheusUrl: 'http://127.0.0.1:9',
    env: { HEADSTART_SHUTDOWN_DELAY: '0s', HEADSTART_SCHEDULER_EXTENDER: 'on' },
  });
});
afterAll(async () => {
  await headstart?.stop();
  await cluster?.stop();
});

interface Pod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

function clone(name: string, annotations: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { 'headstart.dev/clone': 'true' }, annotations },
    spec: { containers: [{ name: 'app', image: 'app' }] },
  });
}

/** To the replicas that are ready, as through their Service. */
async function post(path: string, body: string): Promise<{ status: number | undefined; text: string }> {
  return await new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: headstart.clonesPort,
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      rejectUnauthorized: false,
    };
    const call = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

async function metricsOf(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

test('one replica of the clones role leads, and every cache is in contact with the apiserver', async () => {
  const replicas = headstart.replicas('headstart-clones');
  expect(replicas).toHaveLength(2);
  const leaders = async () => {
    const texts = await Promise.all(replicas.map(async ({ operationsPort }) => await metricsOf(operationsPort)));
    return texts.filter((text) => text.includes('headstart_leader{lease="headstart-clones"} 1')).length;
  };
  await expect.poll(leaders, { timeout: 30_000, interval: 500 }).toBe(1);
  const [text = ''] = await Promise.all(replicas.map(async ({ operationsPort }) => await metricsOf(operationsPort)));
  const followed = ['clonepools', 'clonetemplates', 'demandforecasts', 'horizontalpodautoscalers', 'clones', 'pods'];
  for (const resource of followed) {
    const [, value] = text.match(new RegExp(`last_contact_timestamp_seconds\\{resource="${resource}"\\} (\\S+)`)) ?? [];
    expect(Number(value)).toBeGreaterThan(1_700_000_000);
  }
});

test('a pod that somebody marks as a clone gets a time to live from the webhook, through its Service', async () => {
  await cluster.kubectlOk(['create', '-f', '-'], clone('stamped'));
  const pod = JSON.parse(await cluster.kubectlOk(['get', 'pod', 'stamped', '-o', 'json'])) as Pod;
  expect(pod.metadata.annotations).toMatchObject({ 'headstart.dev/ttl-seconds': '3600' });
  const texts = await Promise.all(
    headstart.replicas('headstart-clones').map(async ({ operationsPort }) => await metricsOf(operationsPort)),
  );
  expect(texts.filter((text) => text.includes('headstart_clone_reviews_total{outcome="Stamped"} 1'))).toHaveLength(1);
});

test('kube-scheduler gets a score for each node that it names', async () => {
  const body = JSON.stringify({
    Pod: { metadata: { name: 'web-1', namespace: 'default', labels: { 'headstart.dev/clone': 'true' } } },
    Nodes: null,
    NodeNames: ['node-0', 'node-1'],
  });
  const { status, text } = await post('/scheduler/v1/prioritize', body);
  expect(status).toBe(200);
  expect((JSON.parse(text) as { Host: string; Score: number }[]).map(({ Host }) => Host)).toEqual(['node-0', 'node-1']);
});

async function clonesOf(pool: string): Promise<{ readonly name: string; readonly ready: boolean }[]> {
  const text = await cluster.kubectlOk(['get', 'pods', '-l', `headstart.dev/pool=${pool}`, '-o', 'json']);
  const { items } = JSON.parse(text) as {
    items: { metadata: { name: string }; status: { conditions?: { type: string; status: string }[] } }[];
  };
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    ready: status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
  }));
}

test('clones come with kubectl scale, and go with it', async () => {
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'app' }] } };
  const web = { metadata: { name: 'web', namespace: 'default' } };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', ...web };
  const pool = { apiVersion: 'headstart.dev/v1alpha1', kind: 'ClonePool', ...web };
  const spec = { targetRef: { name: 'web' }, mode: 'Scale', maxReplicas: 5, lifetime: { maxSeconds: 600 } };
  const selector = { matchLabels: labels };
  await cluster.kubectlOk(
    ['create', '-f', '-'],
    JSON.stringify({ ...deployment, spec: { replicas: 2, selector, template } }),
  );
  await cluster.kubectlOk(['create', '-f', '-'], JSON.stringify({ ...pool, spec }));
  await cluster.kubectlOk(['scale', 'clonepool/web', '--replicas=3']);
  const ready = async () => (await clonesOf('web')).filter((clone) => clone.ready).length;
  await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe(3);
  const readiness = async () =>
    await cluster.kubectlOk(['get', 'clp', 'web', '-o', 'jsonpath={.status.readyReplicas} {.status.selector}']);
  await expect.poll(readiness, { timeout: 30_000, interval: 500 }).toBe('3 headstart.dev/pool=web');

  await cluster.kubectlOk(['scale', 'clonepool/web', '--replicas=0']);
  await expect.poll(async () => (await clonesOf('web')).length, { timeout: 120_000, interval: 500 }).toBe(0);
  const exits = async () =>
    await cluster.kubectlOk(['get', 'clp', 'web', '-o', 'jsonpath={.status.exits.Surplus} {.status.replicas}']);
  await expect.poll(exits, { timeout: 30_000, interval: 500 }).toBe('3 0');
  const conditions = '{.status.conditions[?(@.type=="PDBBlocked")].reason}';
  expect(await cluster.kubectlOk(['get', 'clp', 'web', '-o', `jsonpath=${conditions}`])).toBe('NotBlocked');
});

test('with the webhook down, a clone without an end is refused, one with an end is made', async () => {
  for (const { process } of headstart.replicas('headstart-clones')) process.kill('SIGKILL');
  await expect.poll(() => headstart.replicas('headstart-clones').length, { timeout: 10_000 }).toBe(0);
  const endless = await cluster.kubectl(['create', '-f', '-'], clone('endless'));
  expect(endless.code).not.toBe(0);
  expect(endless.stderr).toContain('headstart.dev/ttl-seconds');
  await cluster.kubectlOk(['create', '-f', '-'], clone('bounded', { 'headstart.dev/ttl-seconds': '600' }));
});

test('the role is refused nothing that it asks for', async () => {
  const logs = await headstart.logs();
  expect(logs).not.toContain('Forbidden');
});
