// SPDX-License-Identifier: Apache-2.0
import { readAudit } from './audit.ts';
import type { AuditEvent } from './audit.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Installation } from './installation.ts';
import { waitUntil } from './process.ts';

/** A burst that one ClonePool carries. */
export interface BurstOptions {
  /** Of the pool and of its Deployment, in the namespace `default`. */
  readonly name: string;
  readonly clones: number;
  /** From the pool's creation until all clones expire, in one second; a clone needs more than a minute to be made. */
  readonly lifeSeconds: number;
  readonly maxPerMinute: number;
}

/** What became of it; seconds are by the apiserver's audit log. */
export interface Burst {
  /** From the pool's creation until its last clone was made. */
  readonly createdSeconds: number;
  /** Until all of them were Ready, to a second. */
  readonly readySeconds: number;
  /** From the deadline until the last clone was evicted. */
  readonly retiredSeconds: number;
  /** What all replicas of the clones role asked of the apiserver meanwhile, by verb; for the Lease and the time too. */
  readonly requests: Readonly<Record<string, number>>;
  /** What they asked of it about the pool and its pods. */
  readonly ownRequests: number;
  /** When each clone ended, epoch seconds, in order. */
  readonly endedAt: readonly number[];
}

const user = 'system:serviceaccount:headstart-system:headstart-clones';

/** Was a pod made by Headstart? */
export function isCreation(event: AuditEvent): boolean {
  return isDone(event) && event.verb === 'create' && event.objectRef?.subresource === undefined;
}

/** Was a pod ended by Headstart? */
export function isEnd(event: AuditEvent): boolean {
  const isEviction = event.verb === 'create' && event.objectRef?.subresource === 'eviction';
  return isDone(event) && (isEviction || event.verb === 'delete');
}

/** Did Headstart do something with a pod? */
function isDone({ user: { username }, objectRef, responseStatus }: AuditEvent): boolean {
  return username === user && objectRef?.resource === 'pods' && (responseStatus?.code ?? 500) < 300;
}

/** Epoch seconds. */
export function answeredAt({ stageTimestamp }: AuditEvent): number {
  return Date.parse(stageTimestamp) / 1000;
}

/** A Deployment of one pod. */
export function burstTarget(name: string): object {
  const labels = { app: name };
  const template = {
    metadata: { labels },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'registry.k8s.io/pause:3.10' }] },
  };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' }, spec };
}

/** A pool with one window that begins now. */
export function burstPool({ name, clones, lifeSeconds, maxPerMinute }: BurstOptions): object {
  const now = Math.floor(Date.now() / 1000);
  const at = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: { name, namespace: 'default' },
    spec: {
      targetRef: { name },
      // There is none of that name: the window stands as it is.
      forecastRef: { name },
      maxReplicas: clones,
      lifetime: { maxSeconds: 3600 },
      termination: { maxPerMinute },
      windows: [{ id: 'w1', startTime: at(now), endTime: at(now + lifeSeconds), replicas: clones }],
    },
  };
}

/** Makes a Deployment and a pool, and waits until the last clone has come and gone; needs a control plane with `audit`. */
export async function runBurst(
  controlPlane: ControlPlane,
  headstart: Installation,
  options: BurstOptions,
): Promise<Burst> {
  const { name, clones, lifeSeconds } = options;
  const create = async (object: object): Promise<unknown> =>
    await controlPlane.kubectlOk(['create', '-f', '-'], JSON.stringify(object));
  const waits = { timeoutMs: 240_000, intervalMs: 1000 };
  await create(burstTarget(name));
  const before = await requestsOf(headstart);
  const startMs = Date.now();
  await create(burstPool(options));
  await waitUntil(
    `${clones} clones are Ready`,
    async () => (await countClones(controlPlane, name)).ready === clones,
    waits,
  );
  const readySeconds = (Date.now() - startMs) / 1000;
  await waitUntil('the clones are gone', async () => (await countClones(controlPlane, name)).present === 0, {
    ...waits,
    timeoutMs: waits.timeoutMs + lifeSeconds * 1000,
  });
  const after = await requestsOf(headstart);
  const events = (await readAudit(controlPlane)).filter((event) => isAbout(event, name, startMs));
  const endedAt = events
    .filter(isEnd)
    .map(answeredAt)
    .toSorted((a, b) => a - b);
  // As burstPool counts.
  const deadline = Math.floor(startMs / 1000) + lifeSeconds;
  const created = events.filter(isCreation).map(answeredAt);
  return {
    createdSeconds: Math.max(...created) - startMs / 1000,
    readySeconds,
    retiredSeconds: (endedAt.at(-1) ?? Number.NaN) - deadline,
    requests: Object.fromEntries([...after].map(([verb, count]) => [verb, count - (before.get(verb) ?? 0)])),
    ownRequests: events.filter(({ user: { username } }) => username === user).length,
    endedAt,
  };
}

/** Creations are to `pods`, with the name of the pod only where the apiserver notes it. */
function isAbout({ objectRef, stageTimestamp }: AuditEvent, name: string, startMs: number): boolean {
  const isNamed = objectRef?.name === name || objectRef?.name?.startsWith(`${name}-`) === true;
  return isNamed && Date.parse(stageTimestamp) >= startMs;
}

/** Pods of a pool that are there, and how many of them are Ready. */
export async function countClones(
  controlPlane: ControlPlane,
  pool: string,
): Promise<{ readonly present: number; readonly ready: number }> {
  // As a table, which is much less than 500 pods.
  const args = ['get', 'pods', '-l', `headstart.dev/pool=${pool}`, '--no-headers', '--ignore-not-found'];
  const lines = (await controlPlane.kubectlOk(args)).split('\n').filter((line) => line !== '');
  return { present: lines.length, ready: lines.filter((line) => /\s1\/1\s+Running\s/.test(line)).length };
}

/** Requests to the apiserver of all replicas of the clones role, by verb. */
async function requestsOf(headstart: Installation): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { operationsPort } of headstart.replicas('headstart-clones')) {
    const text = await (await fetch(`http://127.0.0.1:${operationsPort}/metrics`)).text();
    const series = /^headstart_kube_request_duration_seconds_count\{verb="(\w+)",[^}]*\} (\d+)$/gm;
    for (const [, verb = '', count] of text.matchAll(series)) counts.set(verb, (counts.get(verb) ?? 0) + Number(count));
  }
  return counts;
}
