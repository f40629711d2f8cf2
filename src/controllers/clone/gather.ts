// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { Finders } from '../../capacity/clones/labels.ts';
import type { TargetDeployment } from '../../capacity/clones/target.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { LabelSelector } from '../../capacity/label-selector.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import type { ResourceRef } from '../../kube/paths.ts';
import type { ObjectStore } from '../../kube/store.ts';
import type { CloneObject } from './clone-object.ts';
import type { Reading, Snapshot } from './snapshot.ts';

/** Whom to ask. */
export interface GatherContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly pools: ObjectStore<ClonePool>;
  /** Every pod with the label of clones. */
  readonly clones: ObjectStore<CloneObject>;
  readonly templates: ObjectStore<CloneTemplate>;
  readonly forecasts: ObjectStore<DemandForecast>;
  readonly hpas: ObjectStore<HorizontalPodAutoscaler & KubeObject>;
  /** What finds pods by labels, by namespace, and when reading it began. */
  readonly finders: Map<string, { readonly finders: Finders; readonly readAtMs: number }>;
  /** When each version of a pool was first looked at. */
  readonly firstSeenMs: WeakMap<ClonePool, number>;
}

/** Services, NetworkPolicies and budgets change seldom, and a list of each costs more than a look. */
const findersMs = 60_000;
/**
 * Clones keep the labels that they are made with: those who make some go by what is so now, and never by what was read
 * before the pool became what it is. A Service that is applied together with a pool, or before it is scaled, finds them.
 */
const freshMs = 2_000;

/**
 * Reads everything that a decision needs. What cannot be read is part of the answer.
 * @throws only what no condition has a word for
 */
export async function gather(
  context: GatherContext,
  pool: ClonePool,
  signal: AbortSignal,
): Promise<Omit<Snapshot, 'memory'>> {
  const { namespace } = pool.metadata;
  const { targetRef, forecastRef, serving } = pool.spec;
  const { apiVersion, name } = targetRef;
  if (!context.firstSeenMs.has(pool)) context.firstSeenMs.set(pool, context.clock.nowMs());
  const [target, finders] = await Promise.all([
    read<TargetDeployment>(context, { apiVersion, plural: 'deployments', namespace, name }, signal),
    serving === 'Hidden' ? noFinders : readFinders(context, namespace, signal),
  ]);
  return {
    pool,
    target,
    template: readTemplate(context, pool),
    forecast: forecastRef === undefined ? undefined : context.forecasts.get(namespace, forecastRef.name),
    hpas: context.hpas.hasSynced() ? context.hpas.list(namespace) : undefined,
    finders,
    pods: context.clones.list(namespace).flatMap(({ clone }) => (clone.pool === pool.metadata.name ? [clone] : [])),
  };
}

/** Forgets what finds pods by their labels if it is not fresh. True when it is to be read again. */
export function forgetOldFinders({ clock, finders, firstSeenMs }: GatherContext, pool: ClonePool): boolean {
  const { namespace } = pool.metadata;
  const known = finders.get(namespace);
  const since = Math.max(clock.nowMs() - freshMs, firstSeenMs.get(pool) ?? Number.POSITIVE_INFINITY);
  if ((known !== undefined && known.readAtMs >= since) || pool.spec.serving === 'Hidden') return false;
  return finders.delete(namespace);
}

const noFinders: Finders = { services: [], networkPolicies: [], pdbs: [] };

function readTemplate({ templates }: GatherContext, { metadata, spec }: ClonePool): Snapshot['template'] {
  if (spec.templateRef === undefined) return undefined;
  const template = templates.get(metadata.namespace, spec.templateRef.name);
  if (template !== undefined) return { kind: 'found', value: template.spec };
  return templates.hasSynced() ? { kind: 'missing' } : { kind: 'unreadable', message: 'not read yet' };
}

async function read<T>({ client }: GatherContext, ref: ResourceRef, signal: AbortSignal): Promise<Reading<T>> {
  try {
    return { kind: 'found', value: await client.request<T>({ path: resourcePath(ref), signal }) };
  } catch (error) {
    if (signal.aborted || !(error instanceof HeadstartError)) throw error;
    if (error.code === 'NotFound') return { kind: 'missing' };
    return { kind: 'unreadable', message: errorMessage(error) };
  }
}

interface Service {
  readonly spec?: { readonly selector?: Readonly<Record<string, string>> };
}

interface Peers {
  readonly from?: readonly { readonly podSelector?: LabelSelector }[];
  readonly to?: readonly { readonly podSelector?: LabelSelector }[];
}

interface NetworkPolicy {
  readonly spec?: {
    readonly podSelector?: LabelSelector;
    readonly ingress?: readonly Peers[];
    readonly egress?: readonly Peers[];
  };
}

interface Budget {
  readonly spec?: { readonly selector?: LabelSelector };
}

/** Undefined when any of it cannot be read. */
async function readFinders(
  context: GatherContext,
  namespace: string,
  signal: AbortSignal,
): Promise<Finders | undefined> {
  const known = context.finders.get(namespace);
  const readAtMs = context.clock.nowMs();
  if (known !== undefined && known.readAtMs + findersMs > readAtMs) return known.finders;
  const list = async <T>(version: string, plural: string): Promise<readonly T[]> => {
    const path = resourcePath({ apiVersion: version, plural, namespace });
    return (await context.client.request<{ readonly items?: readonly T[] }>({ path, signal })).items ?? [];
  };
  try {
    const [services, policies, budgets] = await Promise.all([
      list<Service>('v1', 'services'),
      list<NetworkPolicy>('networking.k8s.io/v1', 'networkpolicies'),
      list<Budget>('policy/v1', 'poddisruptionbudgets'),
    ]);
    const finders = {
      services: services.map(({ spec }) => spec?.selector),
      networkPolicies: policies.flatMap(podSelectors),
      pdbs: budgets.map(({ spec }) => spec?.selector),
    };
    context.finders.set(namespace, { finders, readAtMs });
    return finders;
  } catch (error) {
    if (signal.aborted || !(error instanceof HeadstartError)) throw error;
    return undefined;
  }
}

function podSelectors({ spec = {} }: NetworkPolicy): LabelSelector[] {
  const { podSelector, ingress = [], egress = [] } = spec;
  const peers = [...ingress, ...egress].flatMap(({ from = [], to = [] }) => [...from, ...to]);
  return [podSelector, ...peers.map((peer) => peer.podSelector)].filter((selector) => selector !== undefined);
}
