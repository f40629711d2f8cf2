// SPDX-License-Identifier: Apache-2.0
import { cloneLabels } from '../../api/clone-labels.ts';
import { readClone } from '../../capacity/clones/read-clone.ts';
import type { PodObject } from '../../capacity/clones/read-clone.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { identityOf } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/client.ts';

/** A clone as a reflector keeps it: without anything that no decision needs, as there may be 100,000. */
export interface CloneObject extends KubeObject {
  readonly clone: CloneView;
}

/** Which pods to follow. */
export const cloneSelector = `${cloneLabels.clone}=true`;

/** Cuts a pod down to what is kept of it; for `parse` of a reflector of pods. */
export function parseClone(object: KubeObject): CloneObject {
  return {
    metadata: identityOf(object),
    clone: readClone(object as PodObject),
  };
}
