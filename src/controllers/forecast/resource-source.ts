// SPDX-License-Identifier: Apache-2.0
import { goDurationSeconds, parseDurationSeconds } from '../../base/duration.ts';
import { errorCode, HeadstartError } from '../../base/errors.ts';
import { parseQuantity } from '../../base/quantity.ts';
import { totalUsage } from '../../capacity/pod-usage.ts';
import type { PodState, PodUsage } from '../../capacity/pod-usage.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import type { MetricSource } from '../../sources/metrics/metric-source.ts';
import { createUsageSamples } from '../../sources/metrics/usage-samples.ts';
import type { UsageSamples } from '../../sources/metrics/usage-samples.ts';
import { demandKey } from './demand-source.ts';
import { loadUsage, storeUsage } from './usage-history.ts';
import type { UsageOwner } from './usage-history.ts';

/** The usage of every forecast that has a resource source; for the life of the process. */
export interface UsageRegistry {
  /** The source of a forecast, which asks with this selector. */
  open(owner: UsageOwner, selector: string): MetricSource;
  forget(namespace: string, name: string): void;
}

interface Context {
  readonly client: KubeClient;
  /** Told of a history that is discarded, or cannot be written. */
  readonly onProblem: (problem: { readonly namespace: string; readonly name: string; readonly error: unknown }) => void;
}

interface Entry {
  readonly uid: string;
  readonly demand: string;
  readonly samples: UsageSamples;
  isRestored: boolean;
  /** When the history is due to be written, in epoch seconds. */
  storeAt: number;
}

const storeEverySeconds = 3600;
/** A process that is replaced soon after its start loses little. */
const firstStoreSeconds = 600;

/** An empty registry. */
export function createUsageRegistry(context: Context): UsageRegistry {
  const entries = new Map<string, Entry>();
  const entryOf = ({ forecast }: UsageOwner): Entry => {
    const { namespace, name, uid } = forecast.metadata;
    const known = entries.get(`${namespace}/${name}`);
    const demand = demandKey(forecast);
    const windowSeconds = parseDurationSeconds(forecast.spec.history.window, 'spec.history.window');
    if (known?.uid === uid && known.demand === demand) {
      known.samples.setWindow(windowSeconds);
      return known;
    }
    const samples = createUsageSamples(windowSeconds);
    const entry = { uid, demand, samples, isRestored: false, storeAt: Number.NaN };
    entries.set(`${namespace}/${name}`, entry);
    return entry;
  };
  return {
    open: (owner, selector) => {
      const entry = entryOf(owner);
      return {
        latest: async ({ atSeconds, signal = AbortSignal.timeout(40_000) }) => {
          const value = await measure(context.client, owner, { selector, now: atSeconds, signal });
          entry.samples.add({ timestamp: atSeconds, value });
          await restore(context, owner, { entry, signal });
          await store(context, owner, { entry, now: atSeconds, signal });
          return { timestamp: atSeconds, value };
        },
        range: async ({ fromSeconds, toSeconds }) => {
          if (!entry.isRestored)
            throw new HeadstartError('Unavailable', 'the history that was kept has not been read yet');
          return entry.samples.range(fromSeconds, toSeconds);
        },
      };
    },
    forget: (namespace, name) => void entries.delete(`${namespace}/${name}`),
  };
}

interface Turn {
  readonly entry: Entry;
  readonly signal: AbortSignal;
}

/** What cannot be read for now is read later, and nothing is written over it until then. */
async function restore({ client, onProblem }: Context, owner: UsageOwner, { entry, signal }: Turn): Promise<void> {
  if (entry.isRestored) return;
  const { namespace, name } = owner.forecast.metadata;
  try {
    const kept = await loadUsage(client, owner, signal);
    if (kept !== undefined) entry.samples.restore(kept);
    entry.isRestored = true;
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    // What is not whole will not be whole later either.
    entry.isRestored = error.code === 'InvalidInput';
    const cause = entry.isRestored
      ? new HeadstartError('InvalidInput', 'the DemandHistory is discarded', { cause: error })
      : error;
    onProblem({ namespace, name, error: cause });
  }
}

async function store(
  { client, onProblem }: Context,
  owner: UsageOwner,
  { entry, now, signal }: Turn & { readonly now: number },
): Promise<void> {
  if (Number.isNaN(entry.storeAt)) entry.storeAt = now + firstStoreSeconds;
  const snapshots = entry.samples.snapshots(now);
  if (!entry.isRestored || now < entry.storeAt || snapshots === undefined) return;
  entry.storeAt = now + storeEverySeconds;
  try {
    await storeUsage(client, owner, { snapshots, signal });
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    entry.storeAt = now + firstStoreSeconds;
    const { namespace, name } = owner.forecast.metadata;
    onProblem({ namespace, name, error });
  }
}

interface PodMetrics extends KubeObject {
  readonly timestamp?: string;
  readonly window?: string;
  readonly containers?: readonly { readonly usage?: Readonly<Record<string, string>> }[];
}

interface Pod extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

/** @throws HeadstartError NoData when the total is unknown; as KubeClient.request */
async function measure(
  client: KubeClient,
  { forecast, resource }: UsageOwner,
  { selector, now, signal }: { readonly selector: string; readonly now: number; readonly signal: AbortSignal },
): Promise<number> {
  const { namespace } = forecast.metadata;
  const query = { labelSelector: selector };
  const list = async <T>(apiVersion: string, more: Record<string, string>): Promise<readonly T[]> => {
    const path = resourcePath({ apiVersion, plural: 'pods', namespace });
    return (await client.request<{ items?: readonly T[] }>({ path, query: { ...query, ...more }, signal })).items ?? [];
  };
  // Any copy of the pods will do; it need not be asked of etcd.
  const [pods, metrics] = await Promise.all([
    list<Pod>('v1', { resourceVersion: '0' }),
    list<PodMetrics>('metrics.k8s.io/v1beta1', {}).catch(withHint),
  ]);
  const usages = metrics.flatMap((item) => usageOf(item, resource));
  const total = totalUsage(resource, { pods: pods.map(stateOf), usages }, now);
  if (total.kind === 'unknown') throw new HeadstartError('NoData', total.message);
  return total.value;
}

function withHint(error: unknown): never {
  if (errorCode(error) !== 'NotFound') throw error;
  throw new HeadstartError('Unavailable', 'not served; is metrics-server installed?');
}

/** Nothing for a pod that was measured in part only. */
function usageOf({ metadata, timestamp, window, containers = [] }: PodMetrics, resource: string): PodUsage[] {
  const texts = containers.map(({ usage }) => usage?.[resource]);
  if (texts.length === 0 || texts.includes(undefined)) return [];
  const value = texts.reduce((sum, text) => sum + parseQuantity(text ?? '', `usage of pod ${metadata.name}`), 0);
  const windowSeconds = goDurationSeconds(window ?? '') || 0;
  return [{ name: metadata.name, timestamp: Date.parse(timestamp ?? '') / 1000, windowSeconds, value }];
}

function stateOf({ metadata, status }: Pod): PodState {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return {
    name: metadata.name,
    phase: status?.phase ?? '',
    isDeleted: metadata.deletionTimestamp !== undefined,
    startSeconds: Date.parse(status?.startTime ?? '') / 1000,
    ready: ready && {
      isTrue: ready.status === 'True',
      sinceSeconds: Date.parse(ready.lastTransitionTime ?? '') / 1000,
    },
  };
}
