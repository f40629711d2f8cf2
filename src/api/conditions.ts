// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionType, ClonePoolReason, ConditionType, Reason } from './reasons.ts';

/** metav1.Condition. */
interface AnyCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  /** A sentence with the numbers in it. */
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339; moves only when `status` changes. */
  readonly lastTransitionTime: string;
}

/** Of a DemandForecast, with type and reason from the closed lists. */
export interface Condition<T extends ConditionType = ConditionType> extends AnyCondition {
  readonly type: T;
  readonly reason: Reason<T>;
}

/** Of a ClonePool, with type and reason from the closed lists. */
export interface ClonePoolCondition<T extends ClonePoolConditionType = ClonePoolConditionType> extends AnyCondition {
  readonly type: T;
  readonly reason: ClonePoolReason<T>;
}

type Draft<C extends AnyCondition> = Pick<C, 'type' | 'status' | 'reason' | 'message'>;

/** A condition before it is compared with the one that stands. */
export type ConditionDraft<T extends ConditionType = ConditionType> = { [K in T]: Draft<Condition<K>> }[T];
export type ClonePoolConditionDraft<T extends ClonePoolConditionType = ClonePoolConditionType> = {
  [K in T]: Draft<ClonePoolCondition<K>>;
}[T];

/**
 * The conditions to write: a draft keeps the standing transition time unless its status changed; standing
 * conditions without a draft stay as they are.
 */
export function mergeConditions<C extends AnyCondition = Condition>(
  standing: readonly C[],
  drafts: readonly Draft<C>[],
  at: { readonly observedGeneration: number; readonly now: string },
): C[] {
  const merged = new Map<string, C>(standing.map((condition) => [condition.type, condition]));
  for (const draft of drafts) {
    const before = merged.get(draft.type);
    const lastTransitionTime = before?.status === draft.status ? before.lastTransitionTime : at.now;
    merged.set(draft.type, { ...draft, observedGeneration: at.observedGeneration, lastTransitionTime } as C);
  }
  return [...merged.values()];
}

/** The conditions that are new, or whose status or reason is. */
export function changedConditions<C extends AnyCondition>(before: readonly C[], after: readonly C[]): readonly C[] {
  const standing = new Map<string, C>(before.map((condition) => [condition.type, condition]));
  return after.filter(({ type, status, reason }) => {
    const old = standing.get(type);
    return old?.status !== status || old.reason !== reason;
  });
}
