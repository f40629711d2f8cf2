// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations, exitReasons } from '../../api/clone-labels.ts';
import type { ExitReason } from '../../api/clone-labels.ts';
import { parseQuantity } from '../../base/quantity.ts';
import type { MeasuredContainer, MeasuredPod } from '../../capacity/clones/utilization.ts';
import type { KubeObject } from '../../kube/client.ts';
import { parseClone } from '../clone/clone-object.ts';
import type { CloneObject } from '../clone/clone-object.ts';

/** A clone with what the sweeper needs of its pod besides; still slim. */
export interface SweptClone extends CloneObject {
  readonly measured: MeasuredPod;
  /** When it stopped being Ready; undefined while it is Ready, and when it has never been. */
  readonly lostReadinessAt: number | undefined;
  /** What was written when its end was decided. */
  readonly exitReason: ExitReason | undefined;
}

interface Resources {
  readonly requests?: Readonly<Record<string, string | number>>;
}

interface Container {
  readonly name?: string;
  readonly restartPolicy?: string;
  readonly resources?: Resources;
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount?: number;
  readonly state?: { readonly running?: unknown };
}

interface Pod extends KubeObject {
  readonly spec?: {
    readonly resources?: Resources;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

/** kube-controller-manager: --horizontal-pod-autoscaler-initial-readiness-delay. */
const initialReadinessSeconds = 30;

/** Cuts a pod down to what is kept of it; for `parse` of the reflector of clones. Never throws. */
export function parseSweptClone(object: KubeObject): SweptClone {
  const pod = object as Pod;
  const { spec, status } = pod;
  const containers = [
    ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'),
    ...(spec?.containers ?? []),
  ];
  const statuses = new Map(
    [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].map((item) => [item.name, item]),
  );
  return {
    ...parseClone(object),
    measured: {
      containers: containers.map((container) => readContainer(container, statuses.get(container.name ?? ''))),
      cpu: readRequest(spec?.resources, 'cpu'),
      memory: readRequest(spec?.resources, 'memory'),
    },
    lostReadinessAt: readLostReadiness(pod),
    exitReason: exitReasons.find((reason) => reason === pod.metadata.annotations?.[cloneAnnotations.exitReason]),
  };
}

function readContainer(container: Container, status: ContainerStatus | undefined): MeasuredContainer {
  return {
    name: container.name ?? '',
    isRunning: status?.state?.running !== undefined,
    restarts: status?.restartCount ?? 0,
    cpu: readRequest(container.resources, 'cpu'),
    memory: readRequest(container.resources, 'memory'),
  };
}

function readRequest(resources: Resources | undefined, resource: 'cpu' | 'memory'): number | undefined {
  const given = resources?.requests?.[resource];
  try {
    return given === undefined ? undefined : parseQuantity(String(given), 'requests');
  } catch {
    return undefined;
  }
}

/**
 * A pod is unready from its start on until it becomes Ready; unready since much later, it was Ready in between (as
 * pkg/controller/podautoscaler/replica_calculator.go tells them apart).
 */
function readLostReadiness({ status }: Pod): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const since = Date.parse(ready?.lastTransitionTime ?? '') / 1000;
  const start = Date.parse(status?.startTime ?? '') / 1000;
  return ready?.status === 'False' && since >= start + initialReadinessSeconds ? since : undefined;
}
