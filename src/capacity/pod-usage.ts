// SPDX-License-Identifier: Apache-2.0

/** What is known of one pod. Times are epoch seconds, NaN when they are not known. */
export interface PodState {
  readonly name: string;
  readonly phase: string;
  readonly isDeleted: boolean;
  readonly startSeconds: number;
  /** The condition Ready; undefined while there is none. */
  readonly ready: { readonly isTrue: boolean; readonly sinceSeconds: number } | undefined;
}

/** What one pod used over the window before `timestamp`: cores or bytes. */
export interface PodUsage {
  readonly name: string;
  readonly timestamp: number;
  readonly windowSeconds: number;
  readonly value: number;
}

/** The total, or why there is none. */
export type TotalUsage =
  | { readonly kind: 'total'; readonly value: number; readonly pods: number }
  | { readonly kind: 'unknown'; readonly message: string };

/** Defaults of kube-controller-manager: --horizontal-pod-autoscaler-cpu-initialization-period, --…-initial-readiness-delay. */
const cpuInitializationSeconds = 300;
const initialReadinessSeconds = 30;
/** Of the pods that count, those whose usage may be missing; the mean of the others stands in for them. */
const mayBeMissing = 0.2;

/**
 * What the pods use in all. As the HPA does, deleted, failed and pending pods are left out, and for cpu also pods in
 * their initial period (pkg/controller/podautoscaler/replica_calculator.go, groupPods): starting takes CPU that no user asked for. A pod
 * that has no usage yet is left out as long as it is as young. Where the usage of more than a fifth of the others is missing the total is
 * unknown.
 */
export function totalUsage(
  resource: 'cpu' | 'memory',
  { pods, usages }: { readonly pods: readonly PodState[]; readonly usages: readonly PodUsage[] },
  now: number,
): TotalUsage {
  const usageOf = new Map(usages.map((usage) => [usage.name, usage]));
  const running = pods.filter(({ isDeleted, phase }) => !isDeleted && phase !== 'Failed' && phase !== 'Pending');
  const counted = running.filter((pod) => isCounted(resource, { pod, usage: usageOf.get(pod.name), now }));
  const values = counted.flatMap(({ name }) => usageOf.get(name)?.value ?? []);
  const missing = counted.length - values.length;
  if (counted.length === 0) {
    return { kind: 'unknown', message: `of ${pods.length} pods none is ready to be measured` };
  }
  if (missing > mayBeMissing * counted.length) {
    return { kind: 'unknown', message: `no usage of ${missing} of ${counted.length} pods` };
  }
  const sum = values.reduce((total, value) => total + value, 0);
  return { kind: 'total', value: (sum / values.length) * counted.length, pods: counted.length };
}

function isCounted(
  resource: 'cpu' | 'memory',
  { pod, usage, now }: { readonly pod: PodState; readonly usage: PodUsage | undefined; readonly now: number },
): boolean {
  const isYoung = pod.startSeconds + cpuInitializationSeconds > now;
  if (usage === undefined) return !isYoung;
  if (resource === 'memory') return true;
  const { ready, startSeconds } = pod;
  if (ready === undefined || Number.isNaN(startSeconds)) return false;
  // A whole window must have been measured since the pod became ready.
  if (isYoung) return ready.isTrue && usage.timestamp >= ready.sinceSeconds + usage.windowSeconds;
  // Unready since it was started: it has never been ready.
  return ready.isTrue || startSeconds + initialReadinessSeconds <= ready.sinceSeconds;
}
