// SPDX-License-Identifier: Apache-2.0
// How long the scheduler extender takes to score nodes, over TLS, as kube-scheduler asks.
//
//   node bench/micro/extender.ts [NODES…]      default 1000 5000
import { Agent, request } from 'node:https';
import { pino } from 'pino';
import { cloneAnnotations, cloneLabels } from '../../src/api/clone-labels.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { CloneView } from '../../src/capacity/clones/view.ts';
import { createHorizons, readPlaced } from '../../src/extender/horizons.ts';
import { prioritizePath, registerExtender } from '../../src/extender/routes.ts';
import { createServer } from '../../src/server/server.ts';
import { createAuthority } from '../../src/testing/certificates.ts';

const clonesPerNode = 2;
const questions = 1000;
const given = process.argv.slice(2).map(Number);

const authority = await createAuthority('bench');
const certificate = await authority.issue({ commonName: 'extender', dnsNames: ['localhost'], usage: 'server' });

for (const nodes of given.length > 0 ? given : [1000, 5000]) {
  const server = createServer({ logger: pino({ level: 'silent' }), clock: systemClock, tls: certificate });
  const own: number[] = [];
  registerExtender(server.app, {
    horizons: horizonsOf(nodes),
    clock: systemClock,
    onPrioritize: ({ seconds }) => void own.push(seconds * 1000),
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.certPem });
  const body = JSON.stringify(question(nodes));
  // By then the code is compiled.
  for (let index = 0; index < 100; index += 1) await ask(port, agent, body);
  own.length = 0;
  const times: number[] = [];
  const before = process.cpuUsage();
  for (let index = 0; index < questions; index += 1) times.push(await ask(port, agent, body));
  const { user, system } = process.cpuUsage(before);
  agent.destroy();
  await server.app.close();
  const kib = (Buffer.byteLength(body) / 1024).toFixed(0);
  process.stdout.write(
    `${nodes} nodes, ${nodes * clonesPerNode} clones, ${questions} questions of ${kib} KiB, one after the other:\n` +
      `  until the answer is there          ${spread(times)}\n` +
      `  of which in the extender           ${spread(own)}\n` +
      `  CPU, extender and client together  ${((user + system) / 1000 / questions).toFixed(2)} ms\n`,
  );
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1 - 1 / sorted.length)} ms`;
}

/** As in the clones role: clones on each node, and on every other node a pod that is none. */
function horizonsOf(nodes: number): () => ReadonlyMap<string, number> | undefined {
  const now = systemClock.nowMs() / 1000;
  const clones = Array.from({ length: nodes * clonesPerNode }, (_, index) => clone(index, nodes, now));
  const horizons = createHorizons({ clones: () => clones, hasPlaced: () => true, clock: systemClock });
  for (let index = 0; index < nodes; index += 2) {
    const pod = { metadata: { name: `web-${index}`, uid: `u${index}` }, spec: { nodeName: nodeName(index) } };
    horizons.onPlaced({ type: 'added', object: readPlaced(pod) });
  }
  return horizons.current;
}

function clone(index: number, nodes: number, now: number): CloneView {
  return {
    namespace: 'shop',
    name: `web-${index}`,
    uid: `c${index}`,
    resourceVersion: '1',
    pool: 'web',
    owner: { uid: 'p', isPool: true },
    createdAt: now,
    effectiveDeadline: now + 60 + (index % 3600),
    windowId: undefined,
    revision: undefined,
    node: nodeName(index % nodes),
    state: 'Serving',
    isReady: true,
    readyAt: now,
    requests: { cpu: 1, memory: undefined },
    exitBelow: undefined,
  };
}

/** As long as the names of a cloud's nodes are. */
function nodeName(index: number): string {
  return `ip-10-0-${index >> 8}-${index & 255}.eu-central-1.compute.internal`;
}

function question(nodes: number): unknown {
  const deadline = new Date(systemClock.nowMs() + 1_800_000).toISOString();
  const metadata = {
    name: 'web-a1b2c3-7',
    namespace: 'shop',
    creationTimestamp: new Date(systemClock.nowMs()).toISOString(),
    labels: { [cloneLabels.clone]: 'true', [cloneLabels.pool]: 'web' },
    annotations: { [cloneAnnotations.deadline]: deadline, [cloneAnnotations.ttlSeconds]: '3600' },
  };
  const names = Array.from({ length: nodes }, (_, index) => nodeName(index));
  return { Pod: { metadata, spec: { containers: [] } }, Nodes: null, NodeNames: names };
}

/** Milliseconds until the whole answer is there. */
async function ask(port: number, agent: Agent, body: string): Promise<number> {
  const startMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(
      { host: 'localhost', port, path: prioritizePath, method: 'POST', agent, headers },
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`the extender answered ${response.statusCode}`));
        response.resume().on('end', resolve).on('error', reject);
      },
    );
    sent.on('error', reject).end(body);
  });
  return performance.now() - startMs;
}
