// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import { cloneAnnotations, cloneLabels } from '../../api/clone-labels.ts';
import { apiVersion } from '../../api/labels.ts';
import { clonePoolCrd } from '../../api/v1alpha1/clone-pool.ts';
import type { ClonePool, ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { errorCode } from '../../base/errors.ts';
import type { Extension } from '../../capacity/clones/population.ts';
import { apply, applyStatus } from '../../kube/apply.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import type { Decision } from './decide.ts';
import type { Snapshot } from './snapshot.ts';

/** Owns what is applied to ClonePools. */
const fieldManager = 'headstart-clones';
const { kind, plural } = clonePoolCrd;
/** `status.carrying` is believed for two minutes by those who read it. */
const refreshSeconds = 40;
/** Patches at a time. */
const concurrency = 8;

interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/**
 * Writes what was decided of the spec, and the Deployment as an owner, so that a pool goes with its target.
 * @returns the pool as it is then; undefined when it is gone
 */
export async function writeSpec(
  client: KubeClient,
  { pool, target }: Snapshot,
  { spec }: Decision,
  signal: AbortSignal,
): Promise<ClonePool | undefined> {
  const standing = (pool.metadata as { ownerReferences?: readonly OwnerReference[] }).ownerReferences ?? [];
  const owner = ownerOf(target);
  const isOwned = owner === undefined || standing.some(({ uid }) => uid === owner.uid);
  if (isOwned && (spec === undefined || isAsWritten(pool, spec))) return pool;
  const owners = owner === undefined ? standing.filter((item) => item.kind === 'Deployment') : [owner];
  const { namespace, name, uid } = pool.metadata;
  const body = {
    kind,
    metadata: { uid, ...(owners.length === 0 ? {} : { ownerReferences: owners }) },
    ...(spec === undefined ? {} : { spec }),
  };
  try {
    const written = await apply(client, { apiVersion, plural, namespace, name }, body, {
      fieldManager,
      force: true,
      signal,
    });
    return written as ClonePool & KubeObject;
  } catch (error) {
    // It is gone, or another one has its name: that comes as a change of its own.
    if (['NotFound', 'Conflict'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

function ownerOf(target: Snapshot['target']): OwnerReference | undefined {
  if (target.kind !== 'found') return undefined;
  const { name, uid, deletionTimestamp } = target.value.metadata;
  if (uid === undefined || deletionTimestamp !== undefined) return undefined;
  return { apiVersion: 'apps/v1', kind: 'Deployment', name, uid };
}

function isAsWritten({ spec }: ClonePool, { windows, replicas }: NonNullable<Decision['spec']>): boolean {
  return spec.replicas === replicas && isDeepStrictEqual(spec.windows ?? [], windows);
}

/** Applies the status where it says something new, or what it says would be too old soon. False when the pool is gone. */
export async function writeStatus(
  client: KubeClient,
  pool: ClonePool,
  { status, now }: { readonly status: ClonePoolStatus; readonly now: number },
  signal: AbortSignal,
): Promise<boolean> {
  if (isSaid(pool.status, status, now)) return true;
  const { namespace, name } = pool.metadata;
  try {
    await applyStatus(
      client,
      { apiVersion, plural, namespace, name },
      { kind, status },
      { fieldManager, force: true, signal },
    );
    return true;
  } catch (error) {
    if (errorCode(error) === 'NotFound') return false;
    throw error;
  }
}

function isSaid(standing: ClonePoolStatus | undefined, status: ClonePoolStatus, now: number): boolean {
  if (standing === undefined || !isDeepStrictEqual(comparable(standing, status), comparable(status, status)))
    return false;
  const { carrying } = standing;
  if (carrying === undefined || carrying.ready === 0) return true;
  return now - parseTimestamp(carrying.time, 'status.carrying.time') < refreshSeconds;
}

/** What this controller writes, without the time at which it was seen, and conditions in whatever order. */
function comparable({ exits: _exits, carrying, conditions = [], ...rest }: ClonePoolStatus, own: ClonePoolStatus) {
  const types = new Set<string>((own.conditions ?? []).map(({ type }) => type));
  const mine = conditions.filter(({ type }) => types.has(type));
  return {
    ...rest,
    carrying: carrying === undefined ? undefined : { ...carrying, time: '' },
    conditions: new Map<string, unknown>(mine.map((condition) => [condition.type, condition])),
  };
}

/** Moves deadlines to a later time; whoever has changed, or is gone, is left to the next look. */
export async function writeDeadlines(
  client: KubeClient,
  extensions: readonly Extension[],
  signal: AbortSignal,
): Promise<void> {
  for (let start = 0; start < extensions.length; start += concurrency) {
    await Promise.all(
      extensions.slice(start, start + concurrency).map(async (item) => await extend(client, item, signal)),
    );
  }
}

async function extend(client: KubeClient, { clone, deadline, bucket }: Extension, signal: AbortSignal): Promise<void> {
  const { namespace, name, uid, resourceVersion } = clone;
  // Whoever has been marked as Retiring since does not come back.
  const metadata = {
    uid,
    resourceVersion,
    labels: { [cloneLabels.expiryBucket]: String(bucket) },
    annotations: { [cloneAnnotations.deadline]: formatRfc3339(deadline) },
  };
  try {
    await client.request({
      method: 'PATCH',
      path: resourcePath({ apiVersion: 'v1', plural: 'pods', namespace, name }),
      query: { fieldManager },
      body: { metadata },
      contentType: 'application/merge-patch+json',
      signal,
    });
  } catch (error) {
    if (!['NotFound', 'Conflict'].includes(errorCode(error))) throw error;
  }
}
