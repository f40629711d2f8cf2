// SPDX-License-Identifier: Apache-2.0
import type { ConditionType, Reason } from './reasons.ts';

/** metav1.Condition, with type and reason from the closed lists. */
export interface Condition<T extends ConditionType = ConditionType> {
  readonly type: T;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason<T>;
  /** A sentence with the numbers in it. */
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339; moves only when `status` changes. */
  readonly lastTransitionTime: string;
}

/** A condition before it is compared with the one that stands. */
export type ConditionDraft<T extends ConditionType = ConditionType> = {
  [K in T]: Pick<Condition<K>, 'type' | 'status' | 'reason' | 'message'>;
}[T];

/**
 * The conditions to write: a draft keeps the standing transition time unless its status changed; standing
 * conditions without a draft stay as they are.
 */
export function mergeConditions(
  standing: readonly Condition[],
  drafts: readonly ConditionDraft[],
  at: { readonly observedGeneration: number; readonly now: string },
): Condition[] {
  const merged = new Map(standing.map((condition) => [condition.type, condition]));
  for (const draft of drafts) {
    const before = merged.get(draft.type);
    const lastTransitionTime = before?.status === draft.status ? before.lastTransitionTime : at.now;
    merged.set(draft.type, { ...draft, observedGeneration: at.observedGeneration, lastTransitionTime });
  }
  return [...merged.values()];
}

/** The conditions that are new, or whose status or reason is. */
export function changedConditions(before: readonly Condition[], after: readonly Condition[]): readonly Condition[] {
  const standing = new Map(before.map((condition) => [condition.type, condition]));
  return after.filter(({ type, status, reason }) => {
    const old = standing.get(type);
    return old?.status !== status || old.reason !== reason;
  });
}
