// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { readCarrying } from '../capacity/clones/hand-off.ts';
import type { Carrying } from '../capacity/clones/hand-off.ts';
import type { KubeObject } from '../kube/client.ts';
import type { Change } from '../kube/store.ts';

/** Says what clones carry of the demand that a forecast is about; asks nobody. */
export interface CarryingReader {
  /** Of the pools that name the forecast, clone its target and are not being deleted. */
  carryingFor(forecast: DemandForecast): readonly Carrying[];
}

/** What is kept of a ClonePool. */
export interface PoolCarrying extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly namespace: string };
  readonly forecast: string | undefined;
  /** Kind and name of what is cloned. */
  readonly target: string;
  readonly carrying: Carrying | undefined;
}

/** ClonePools by the forecast that they name, so that a request looks at its own alone. */
export interface CarryingIndex extends CarryingReader {
  changed(change: Pick<Change<PoolCarrying>, 'type' | 'object'>): void;
}

/** Cuts a ClonePool down; what cannot be read of `status.carrying` takes nothing off. */
export function readPool({ metadata, spec, status }: ClonePool): PoolCarrying {
  const { namespace, name, uid, resourceVersion, deletionTimestamp } = metadata;
  return {
    metadata: { namespace, name, uid, resourceVersion },
    forecast: spec.forecastRef?.name,
    target: targetOf(spec.targetRef),
    carrying: deletionTimestamp === undefined ? readCarrying(status?.carrying) : undefined,
  };
}

/** An index without any pool. */
export function createCarryingIndex(): CarryingIndex {
  const pools = new Map<string, Map<string, PoolCarrying>>();
  /** Under which forecast a pool stands: the last state of a deleted one may name another. */
  const places = new Map<string, string>();
  const remove = (pool: string): void => {
    const place = places.get(pool) ?? '';
    const named = pools.get(place);
    named?.delete(pool);
    if (named?.size === 0) pools.delete(place);
    places.delete(pool);
  };
  return {
    changed: ({ type, object }) => {
      const { metadata, forecast, carrying } = object;
      const pool = keyOf(metadata.namespace, metadata.name);
      remove(pool);
      if (type === 'deleted' || carrying === undefined || forecast === undefined) return;
      const place = keyOf(metadata.namespace, forecast);
      pools.set(place, (pools.get(place) ?? new Map<string, PoolCarrying>()).set(pool, object));
      places.set(pool, place);
    },
    carryingFor: ({ metadata, spec }) => {
      const named = pools.get(keyOf(metadata.namespace, metadata.name));
      if (named === undefined) return [];
      const target = targetOf(spec.scaleTargetRef);
      return [...named.values()].flatMap((pool) =>
        pool.target === target && pool.carrying !== undefined ? [pool.carrying] : [],
      );
    },
  };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function targetOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind}/${name}`;
}
