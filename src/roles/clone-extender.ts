// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance } from 'fastify';
import type { CloneObject } from '../controllers/clone/clone-object.ts';
import { createHorizons, placedPods, readPlaced } from '../extender/horizons.ts';
import type { PlacedPod } from '../extender/horizons.ts';
import { registerExtender } from '../extender/routes.ts';
import type { ServerTime } from '../kube/server-time.ts';
import type { ReadinessCheck } from '../server/probes.ts';
import { clock } from './shared.ts';
import type { Followed, Shared } from './shared.ts';

/** The scheduler extender, and what it waits for. */
export interface CloneExtender {
  readonly check: ReadinessCheck;
  /** Registers its routes. */
  register(app: FastifyInstance): void;
}

/** The scheduler extender; it alone needs the pods that are no clones. */
export function createCloneExtender(
  { follow, metrics }: Shared,
  { clones, time }: { readonly clones: Followed<CloneObject>; readonly time: ServerTime },
): CloneExtender {
  const placed = follow<PlacedPod>({ apiVersion: 'v1', plural: 'pods', query: placedPods, parse: readPlaced });
  // The local clock is a better answer than none, for an order of nodes.
  const serverClock = { ...clock, nowMs: () => (time.now() ?? clock.nowMs() / 1000) * 1000 };
  const horizons = createHorizons({
    clones: () => (clones.store.hasSynced() ? clones.store.list().map(({ clone }) => clone) : undefined),
    hasPlaced: () => placed.store.hasSynced(),
    clock: serverClock,
  });
  placed.onChange(horizons.onPlaced);
  return {
    check: placed.check,
    register: (app) =>
      registerExtender(app, {
        horizons: horizons.current,
        clock: serverClock,
        onPrioritize: ({ nodes }) => metrics.prioritized(nodes),
      }),
  };
}
