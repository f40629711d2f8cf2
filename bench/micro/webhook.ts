// SPDX-License-Identifier: Apache-2.0
// Latency of the webhook over TLS, as kube-apiserver calls it: connections that are kept alive, one review a request. The
// server has a thread of its own. Aim: p99 of at most 10 ms.
//
//   node bench/micro/webhook.ts [REVIEWS]      of each row, default 5000
import { Agent, request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { decideReview, renderReview } from '../../src/admission/mutate.ts';
import type { PoolReader } from '../../src/admission/mutate.ts';
import { parseReview } from '../../src/admission/review.ts';
import { mutatePath, registerAdmission } from '../../src/admission/routes.ts';
import type { ClonePool } from '../../src/api/v1alpha1/clone-pool.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createStore } from '../../src/kube/store.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { createServer } from '../../src/server/server.ts';
import type { TlsSettings } from '../../src/server/tls.ts';
import { createAuthority } from '../../src/testing/certificates.ts';

const serverName = 'headstart-clones.headstart-system.svc';
const pools = 1000;
const given = Number(process.argv[2] ?? 5000);

interface Target {
  readonly port: number;
  readonly caPem: string;
}

if (isMainThread) await measure();
else await serve(workerData as TlsSettings);

async function serve(tls: TlsSettings): Promise<void> {
  const server = createServer({ logger: pino({ level: 'warn' }), clock: systemClock, tls });
  registerAdmission(server.app, { pools: clonePools() });
  parentPort?.postMessage(await server.listen({ host: '127.0.0.1', port: 0 }));
}

function clonePools(): PoolReader {
  const store = createStore<ClonePool & KubeObject>();
  store.markSynced();
  for (let index = 0; index < pools; index += 1) {
    const pool: unknown = {
      metadata: { name: `pool-${index}`, namespace: 'shop' },
      spec: { lifetime: { maxSeconds: 1800 }, utilizationExit: { belowPercent: 15, sustainedSeconds: 180 } },
    };
    store.set(pool as ClonePool & KubeObject);
  }
  return store;
}

async function measure(): Promise<void> {
  const authority = await createAuthority('bench');
  const tls = await authority.issue({ commonName: serverName, dnsNames: [serverName], usage: 'server' });
  const worker = new Worker(new URL(import.meta.url), { workerData: tls });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve).once('error', reject);
  });
  const target = { port, caPem: authority.certPem };
  await run(target, { count: 2000, perSecond: Number.POSITIVE_INFINITY, connections: 10 });
  for (const perSecond of [50, 200, 500, Number.POSITIVE_INFINITY]) {
    const count = Math.min(given, perSecond * 20);
    const started = performance.now();
    const latencies = await run(target, { count, perSecond, connections: 10 });
    report(perSecond, latencies, (performance.now() - started) / 1000);
  }
  await worker.terminate();
  reportCpu();
}

/** What a review costs without the network, which is all that a busy machine cannot hide. */
function reportCpu(): void {
  const known = clonePools();
  const bodies = Array.from({ length: 1000 }, (_, index) => review(index));
  const work = (): void => {
    for (const body of bodies) {
      const parsed = parseReview(JSON.parse(body));
      JSON.stringify(renderReview(parsed.uid, decideReview(parsed, known)));
    }
  };
  work();
  const before = process.cpuUsage();
  for (let round = 0; round < 10; round += 1) work();
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(
    `parsing, deciding and rendering: ${((user + system) / (10 * bodies.length)).toFixed(0)} µs of CPU\n`,
  );
}

interface Load {
  readonly count: number;
  /** When requests are due does not depend on how fast answers come. */
  readonly perSecond: number;
  readonly connections: number;
}

/** Milliseconds of each request, from when it was due; without a rate, from when it was sent. */
async function run(target: Target, { count, perSecond, connections }: Load): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  const latencies: number[] = [];
  const send = async (index: number, dueMs: number): Promise<void> => {
    await post(target, agent, review(index));
    latencies.push(performance.now() - dueMs);
  };
  if (Number.isFinite(perSecond)) {
    const sent: Promise<void>[] = [];
    for (let index = 0; index < count; index += 1) {
      const dueMs = started + (index * 1000) / perSecond;
      await delay(Math.max(0, dueMs - performance.now()));
      sent.push(send(index, Math.max(dueMs, performance.now())));
    }
    await Promise.all(sent);
  } else {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) await send(index, performance.now());
    };
    await Promise.all(Array.from({ length: connections }, lane));
  }
  agent.destroy();
  return latencies;
}

async function post({ port, caPem }: Target, agent: Agent, body: string): Promise<void> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const path = `${mutatePath}?timeout=2s`;
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      agent,
      headers,
      servername: serverName,
      ca: caPem,
    };
    const sent = request(options, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
      response.on('end', () => resolve(answer));
    });
    sent.on('error', reject).end(body);
  });
  if (!text.includes('"patchType":"JSONPatch"')) throw new Error(`no patch: ${text}`);
}

/** About 5 kB, as a pod with a sidecar and some variables is. */
function review(index: number): string {
  const variables = Array.from({ length: 40 }, (_, at) => ({ name: `VARIABLE_${at}`, value: 'x'.repeat(40) }));
  const container = (name: string) => ({ name, image: `registry.example/${name}:1`, env: variables });
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: `uid-${index}`,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: { username: 'dev', groups: ['system:authenticated'] },
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `web-${index}`,
          labels: { 'headstart.dev/clone': 'true', 'headstart.dev/pool': `pool-${index % pools}` },
        },
        spec: { containers: [container('web'), container('proxy')] },
      },
      oldObject: null,
      dryRun: false,
    },
  });
}

function report(perSecond: number, latencies: number[], seconds: number): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(2);
  const what = Number.isFinite(perSecond) ? `${perSecond} a second` : '10 at a time';
  process.stdout.write(
    `${what}: ${sorted.length} reviews, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms; ` +
      `${(sorted.length / seconds).toFixed(0)} a second\n`,
  );
}
