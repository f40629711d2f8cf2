// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { cloneAnnotations, cloneLabels } from '../../src/api/clone-labels.ts';
import { errorCode } from '../../src/base/errors.ts';
import { resourcePath } from '../../src/kube/paths.ts';
import { createNodePool } from './pool.ts';
import type { NodePool, NodeTimes } from './pool.ts';
import type { Policy } from './policies.ts';
import { speed } from './stage.ts';
import type { Stage } from './stage.ts';
import type { PlannedClone } from './trace.ts';

/** What a trace has cost under one policy. */
export interface Outcome extends NodeTimes {
  /** From creation to being on a node, seconds, of each clone that got there. */
  readonly waits: readonly number[];
  /** Clones that no node took before they had to end. */
  readonly neverPlaced: number;
  /** From the first to the last deadline of the clones of a node, seconds, when it has its most; one entry a node. */
  readonly spreads: readonly number[];
}

/** The nodes: see `PoolOptions`. */
export const nodes = { maxNodes: 50, nodeCores: 8, provisionSeconds: 3, emptySeconds: 10 } as const;

const lookMs = 250;

/** What to replay; times in seconds from the start. */
export interface ReplayInput {
  readonly trace: readonly PlannedClone[];
  readonly seed: number;
  /** Before this the nodes fill. */
  readonly countFrom: number;
  readonly end: number;
}

/** Everything that happens under one policy; several run side by side on nodes of their own. */
interface Run {
  readonly stage: Stage;
  readonly policy: Policy;
  readonly namespace: string;
  readonly pool: NodePool;
  readonly startMs: number;
  readonly clones: readonly Running[];
  readonly signal: AbortSignal;
}

interface Running extends PlannedClone {
  readonly name: string;
  placedAt: number | undefined;
}

/**
 * Makes the clones of the trace when their time comes, ends them at their deadline, and keeps the nodes, until the end;
 * what is left then is taken away.
 */
export async function replay(
  stage: Stage,
  policy: Policy,
  { trace, seed, countFrom, end }: ReplayInput,
): Promise<Outcome> {
  const { client } = stage;
  const namespace = `${policy.name}-${seed}`;
  await prepare(stage, namespace);
  const pool = createNodePool({ client, policy: namespace, ...nodes, countFrom });
  const clones = trace.map((planned, index) => ({ ...planned, name: `c-${index}`, placedAt: undefined }));
  const ending = new AbortController();
  const run: Run = { stage, policy, namespace, pool, startMs: Date.now(), clones, signal: ending.signal };
  const living = Promise.all(clones.map(async (clone) => await live(run, clone)));
  const spreads = new Map<string, number>();
  for (let now = 0; now < end; await delay(lookMs)) now = await look(run, spreads);
  ending.abort();
  await living;
  await clear(stage, namespace);
  const counted = clones.filter(({ at, deadline }) => at >= countFrom && deadline < end);
  const waits = counted.flatMap(({ placedAt, at }) => (placedAt === undefined ? [] : [placedAt - at]));
  return { ...pool.times, waits, neverPlaced: counted.length - waits.length, spreads: [...spreads.values()] };
}

/** A Service selects the clones, as it does in life: kube-scheduler's default spreads what a Service has. */
async function prepare({ cluster }: Stage, namespace: string): Promise<void> {
  await cluster.kubectlOk(['create', 'namespace', namespace]);
  await cluster.kubectlOk(['create', 'service', 'clusterip', 'web', '--tcp=80', '-n', namespace]);
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await cluster.kubectl(['get', 'serviceaccount', 'default', '-n', namespace])).code === 0) return;
    await delay(200);
  }
  throw new Error(`namespace ${namespace}: no service account`);
}

/** At once, so that the next seed finds nothing of this one: a namespace takes a minute to go. */
async function clear({ client, cluster }: Stage, namespace: string): Promise<void> {
  const pods = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace });
  await client.request({ method: 'DELETE', path: pods, body: { gracePeriodSeconds: 0 }, timeoutMs: 60_000 });
  await cluster.kubectlOk(['delete', 'nodes', '-l', `bench/policy=${namespace}`, '--wait=false']);
  await cluster.kubectlOk(['delete', 'namespace', namespace, '--wait=false']);
}

/** From its start to its deadline, or to the end of the run. */
async function live(run: Run, clone: Running): Promise<void> {
  const { client } = run.stage;
  const collection = resourcePath({ apiVersion: 'v1', plural: 'pods', namespace: run.namespace });
  if (!(await isTime(run, clone.at))) return;
  await client.request({ method: 'POST', path: collection, body: podOf(run, clone) });
  if (!(await isTime(run, clone.deadline))) return;
  await client
    .request({ method: 'DELETE', path: `${collection}/${clone.name}`, body: { gracePeriodSeconds: 0 } })
    .catch((error: unknown) => {
      if (errorCode(error) !== 'NotFound') throw error;
    });
}

/** Waits for a time of the run; false when the run ends before. */
async function isTime({ startMs, signal }: Run, at: number): Promise<boolean> {
  const waited = delay(Math.max(0, startMs + at * 1000 - Date.now()), true, { signal });
  return await waited.catch(() => false);
}

function podOf({ policy, namespace, startMs }: Run, { name, cores, deadline }: Running): unknown {
  const deadlineMs = startMs + deadline * 1000;
  const bucket = Math.floor(deadlineMs / 1000 / (300 / speed));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: {
        app: 'web',
        [cloneLabels.clone]: 'true',
        [cloneLabels.pool]: 'web',
        [cloneLabels.expiryBucket]: String(bucket),
      },
      annotations: {
        [cloneAnnotations.deadline]: new Date(deadlineMs).toISOString(),
        [cloneAnnotations.ttlSeconds]: '600',
      },
    },
    spec: {
      schedulerName: policy.schedulerName,
      automountServiceAccountToken: false,
      nodeSelector: { 'bench/policy': namespace },
      // Which a node has until a controller has looked at it.
      tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists' }],
      ...(policy.affinity === undefined ? {} : { affinity: policy.affinity(bucket) }),
      containers: [
        { name: 'web', image: 'web', resources: { requests: { cpu: String(cores), memory: `${cores}Gi` } } },
      ],
    },
  };
}

/** One look at the pods; gives its time. */
async function look(run: Run, spreads: Map<string, number>): Promise<number> {
  const now = (Date.now() - run.startMs) / 1000;
  const { onNodes, unplacedCores } = whereabouts(run, now);
  for (const [node, { deadlines }] of onNodes) {
    spreads.set(node, Math.max(spreads.get(node) ?? 0, Math.max(...deadlines) - Math.min(...deadlines)));
  }
  const used = new Map([...onNodes].map(([node, { cores }]) => [node, cores]));
  await run.pool.step(now, used, unplacedCores);
  return now;
}

interface Load {
  readonly cores: number;
  readonly deadlines: readonly number[];
}

/** What is on which node, and how many cores those clones want that no node takes. */
function whereabouts({ stage, namespace, clones }: Run, now: number) {
  const onNodes = new Map<string, Load>();
  let unplacedCores = 0;
  for (const clone of clones) {
    const pod = stage.pods.get(namespace, clone.name);
    if (pod === undefined) continue;
    const { node } = pod.clone;
    if (node === undefined) {
      unplacedCores += pod.isUnschedulable ? clone.cores : 0;
      continue;
    }
    clone.placedAt ??= now;
    const { cores, deadlines } = onNodes.get(node) ?? { cores: 0, deadlines: [] };
    onNodes.set(node, { cores: cores + clone.cores, deadlines: [...deadlines, clone.deadline] });
  }
  return { onNodes, unplacedCores };
}
