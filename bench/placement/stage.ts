// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { parse } from 'yaml';
import { ensureControlPlaneBinaries } from '../../hack/control-plane/build.ts';
import { systemClock } from '../../src/base/clock.ts';
import { readClone } from '../../src/capacity/clones/read-clone.ts';
import type { PodObject } from '../../src/capacity/clones/read-clone.ts';
import type { CloneView } from '../../src/capacity/clones/view.ts';
import { createHorizons, placedPods, readPlaced } from '../../src/extender/horizons.ts';
import { registerExtender } from '../../src/extender/routes.ts';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { resourcePath } from '../../src/kube/paths.ts';
import { createReflector } from '../../src/kube/reflector.ts';
import type { ObjectStore } from '../../src/kube/store.ts';
import { createServer } from '../../src/server/server.ts';
import { createAuthority } from '../../src/testing/certificates.ts';
import { startControlPlane } from '../../src/testing/control-plane.ts';
import type { ControlPlane } from '../../src/testing/control-plane.ts';
import { freePort } from '../../src/testing/ports.ts';
import { createProcessGroup } from '../../src/testing/process.ts';
import type { ProcessGroup } from '../../src/testing/process.ts';

/** A pod as the bench sees it. */
export interface BenchPod extends KubeObject {
  readonly clone: CloneView;
  /** A scheduler has found no node for it. */
  readonly isUnschedulable: boolean;
}

/** A control plane with three schedulers and the extender. */
export interface Stage {
  readonly cluster: ControlPlane;
  readonly client: KubeClient;
  /** All clones of all runs. */
  readonly pods: ObjectStore<BenchPod>;
  /** How long the extender took, ms. */
  readonly answersMs: number[];
  stop(): Promise<void>;
}

/** Time runs that many times as fast as in life: the score's unit, buckets, and what the bench waits for. */
export const speed = 20;

type SchedulerConfig = Readonly<Record<string, unknown>> & {
  readonly profiles: readonly Readonly<Record<string, unknown>>[];
  readonly extenders: readonly Readonly<Record<string, unknown>>[];
};

const logger = pino({ level: 'silent' });
const serverName = 'headstart-clones.headstart-system.svc';
const configPath = fileURLToPath(new URL('../../manifests/components/scheduler/config.yaml', import.meta.url));

/** Starts it all; the extender as the clones role has it, in this process. */
export async function createStage(log: (line: string) => void): Promise<Stage> {
  const cluster = await startControlPlane({ nodes: 1, podStartupMs: 100, log });
  const group = await createProcessGroup('placement');
  const client = createKubeClient({ kubeconfig: cluster.kubeconfigPath, timeoutMs: 30_000 });
  const ending = new AbortController();
  const watching = { client, clock: systemClock, random: Math.random, onError: (error: unknown) => log(String(error)) };
  const path = resourcePath({ apiVersion: 'v1', plural: 'pods' });
  const pods = createReflector<BenchPod>({
    ...watching,
    path,
    query: { labelSelector: 'headstart.dev/clone=true' },
    parse: readBenchPod,
  });
  const horizons = createHorizons({
    clones: () => pods.store.list().map(({ clone }) => clone),
    hasPlaced: () => placed.store.hasSynced(),
    clock: systemClock,
  });
  const placed = createReflector({
    ...watching,
    path,
    query: placedPods,
    parse: readPlaced,
    onChange: horizons.onPlaced,
  });
  const followed = [pods.run(ending.signal), placed.run(ending.signal)];
  await Promise.all([pods.whenSynced(ending.signal), placed.whenSynced(ending.signal)]);
  const answersMs: number[] = [];
  const extender = await startExtender(group, horizons.current, answersMs);
  // The node that the control plane comes with takes no clones.
  await cluster.kubectlOk(['cordon', 'node-0']);
  await startSchedulers(cluster, group, extender.url);
  return {
    cluster,
    client,
    pods: pods.store,
    answersMs,
    stop: async () => {
      ending.abort();
      await Promise.all(followed);
      await group.stop();
      await extender.stop();
      await cluster.stop();
    },
  };
}

function readBenchPod(pod: KubeObject): BenchPod {
  const { metadata, status } = pod as PodObject;
  const condition = (
    status?.conditions as readonly { readonly type: string; readonly reason?: string }[] | undefined
  )?.find(({ type }) => type === 'PodScheduled');
  return { metadata, clone: readClone(pod as PodObject), isUnschedulable: condition?.reason === 'Unschedulable' };
}

async function startExtender(
  group: ProcessGroup,
  horizons: () => ReadonlyMap<string, number> | undefined,
  answersMs: number[],
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const authority = await createAuthority('extender');
  const tls = await authority.issue({ commonName: 'extender', dnsNames: [serverName], usage: 'server' });
  await writeFile(join(group.dir, 'ca.crt'), authority.certPem);
  const server = createServer({ logger, clock: systemClock, tls, drainDelayMs: 0 });
  registerExtender(server.app, {
    horizons,
    clock: systemClock,
    unitSeconds: 60 / speed,
    onPrioritize: ({ seconds }) => void answersMs.push(seconds * 1000),
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url: `https://127.0.0.1:${port}/scheduler/v1`, stop: server.stop };
}

/**
 * The one of manifests/components/scheduler, the same without its extender, and one as it comes. What no node takes is
 * tried again each second, as time is fast: by default after up to ten.
 */
async function startSchedulers(cluster: ControlPlane, group: ProcessGroup, url: string): Promise<void> {
  const { scheduler } = await ensureControlPlaneBinaries(() => undefined);
  const shipped = parse(await readFile(configPath, 'utf8')) as SchedulerConfig;
  const tlsConfig = { caFile: join(group.dir, 'ca.crt'), serverName };
  const extenders = shipped.extenders.map((extender) => ({ ...extender, urlPrefix: url, tlsConfig }));
  const configs = {
    'headstart-scheduler': { ...shipped, extenders },
    'most-allocated': { ...shipped, extenders: [] },
    'as-it-comes': { apiVersion: shipped['apiVersion'], kind: shipped['kind'], profiles: [{}] },
  };
  for (const [name, config] of Object.entries(configs)) {
    const path = join(group.dir, `${name}.json`);
    const own = {
      leaderElection: { leaderElect: false },
      clientConnection: { kubeconfig: join(cluster.dir, 'scheduler.kubeconfig') },
      podInitialBackoffSeconds: 1,
      podMaxBackoffSeconds: 1,
      profiles: config.profiles.map((profile) => ({ ...profile, schedulerName: name })),
    };
    await writeFile(path, JSON.stringify({ ...config, ...own }));
    const args = [`--config=${path}`, '--bind-address=127.0.0.1', `--secure-port=${await freePort()}`];
    await group.start({ name, command: scheduler, args });
  }
}
