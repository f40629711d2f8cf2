// SPDX-License-Identifier: Apache-2.0
import type { KubeClient } from '../../src/kube/client.ts';
import { resourcePath } from '../../src/kube/paths.ts';

/** What the nodes of one policy have cost. */
export interface NodeTimes {
  nodeSeconds: number;
  /** Of nodes that are less than half requested, or empty and not yet given back. */
  strandedSeconds: number;
  /** What the clones have requested, in nodes: less than that is not possible. */
  neededNodeSeconds: number;
  mostNodes: number;
  added: number;
}

/** How nodes come and go. */
export interface PoolOptions {
  readonly client: KubeClient;
  /** Nodes carry it as label `bench/policy`, and pods select it. */
  readonly policy: string;
  readonly maxNodes: number;
  readonly nodeCores: number;
  /** From the wish for a node to its being there. */
  readonly provisionSeconds: number;
  /** A node without pods for so long is given back. */
  readonly emptySeconds: number;
  /** What is before this is not counted. */
  readonly countFrom: number;
}

/** The nodes of one policy, and what they have cost. */
export interface NodePool {
  readonly times: NodeTimes;
  /**
   * Looks at what has changed since the last look: adds nodes for what no node takes, gives back those that have been
   * empty.
   */
  step(now: number, used: ReadonlyMap<string, number>, unplacedCores: number): Promise<void>;
}

interface Node {
  readonly name: string;
  readonly createdAt: number;
  emptySince: number | undefined;
  /** No pod is placed here any more; it goes at the next look, if none has been. */
  isCordoned: boolean;
}

const nodesPath = resourcePath({ apiVersion: 'v1', plural: 'nodes' });
const strandedBelow = 0.5;
/** kube-scheduler's longest pause between two tries is 10 s; the first is 1 s. */
const freshSeconds = 6;

/** An empty pool. */
export function createNodePool(options: PoolOptions): NodePool {
  const nodes: Node[] = [];
  let dueAt: number[] = [];
  let last: number | undefined;
  const times: NodeTimes = { nodeSeconds: 0, strandedSeconds: 0, neededNodeSeconds: 0, mostNodes: 0, added: 0 };

  const count = (seconds: number, used: ReadonlyMap<string, number>): void => {
    for (const { name } of nodes) {
      const share = (used.get(name) ?? 0) / options.nodeCores;
      times.nodeSeconds += seconds;
      times.neededNodeSeconds += share * seconds;
      if (share < strandedBelow) times.strandedSeconds += seconds;
    }
    times.mostNodes = Math.max(times.mostNodes, nodes.length);
  };
  const add = async (now: number, used: ReadonlyMap<string, number>, unplacedCores: number): Promise<void> => {
    const due = dueAt.filter((at) => at <= now);
    dueAt = dueAt.filter((at) => at > now);
    await Promise.all(due.map(async () => nodes.push(await createNode(options, now, (times.added += 1)))));
    // Pods that nobody could place are tried again after a while: room that has just come is not wished for again.
    const fresh = nodes.filter(({ createdAt }) => now - createdAt < freshSeconds);
    const room = fresh.reduce((sum, { name }) => sum + options.nodeCores - (used.get(name) ?? 0), 0);
    const coming = dueAt.length * options.nodeCores + room;
    const wanted = Math.ceil((unplacedCores - coming) / options.nodeCores);
    const allowed = options.maxNodes - nodes.length - dueAt.length;
    for (let index = 0; index < Math.min(wanted, allowed); index += 1) dueAt.push(now + options.provisionSeconds);
  };
  return {
    times,
    step: async (now, used, unplacedCores) => {
      if (last !== undefined && last >= options.countFrom) count(now - last, used);
      last = now;
      await giveBack(options, nodes, { now, used });
      await add(now, used, unplacedCores);
    },
  };
}

async function giveBack(
  { client, emptySeconds }: PoolOptions,
  nodes: Node[],
  { now, used }: { readonly now: number; readonly used: ReadonlyMap<string, number> },
): Promise<void> {
  for (const node of nodes.slice()) {
    const path = `${nodesPath}/${node.name}`;
    const isEmpty = (used.get(node.name) ?? 0) === 0;
    node.emptySince = isEmpty ? (node.emptySince ?? now) : undefined;
    const isOver = node.emptySince !== undefined && now - node.emptySince >= emptySeconds;
    if (isOver && node.isCordoned) {
      await client.request({ method: 'DELETE', path });
      nodes.splice(nodes.indexOf(node), 1);
    } else if (isOver !== node.isCordoned) {
      const body = { spec: { unschedulable: isOver } };
      await client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });
      node.isCordoned = isOver;
    }
  }
}

/** Registers it as a kubelet does, with its status: kwok leaves a node alone that is Ready. */
async function createNode(
  { client, policy, nodeCores }: PoolOptions,
  createdAt: number,
  number: number,
): Promise<Node> {
  const name = `${policy}-${number}`;
  const time = new Date().toISOString();
  const condition = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' };
  const room = { cpu: String(nodeCores), memory: '64Gi', pods: '110' };
  const body = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'bench/policy': policy } },
    status: {
      phase: 'Running',
      conditions: [{ ...condition, lastHeartbeatTime: time, lastTransitionTime: time }],
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      allocatable: room,
      capacity: room,
    },
  };
  await client.request({ method: 'POST', path: nodesPath, body });
  return { name, createdAt, emptySince: undefined, isCordoned: false };
}
