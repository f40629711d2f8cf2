// SPDX-License-Identifier: Apache-2.0
import type { CloneView } from '../capacity/clones/view.ts';

/** A clone of the pool `web` in `shop` that serves on no node in particular; its uid is made from its name. */
export function cloneView(changes: Partial<CloneView> & { readonly name: string }): CloneView {
  return {
    namespace: 'shop',
    uid: `uid-${changes.name}`,
    resourceVersion: '1',
    pool: 'web',
    owner: { uid: 'pool-web', isPool: true },
    createdAt: 1000,
    effectiveDeadline: 10_000,
    windowId: 'w1',
    revision: 'r1',
    node: undefined,
    state: 'Serving',
    isReady: true,
    readyAt: 1010,
    requests: { cpu: 1, memory: undefined },
    exitBelow: undefined,
    ...changes,
  };
}
