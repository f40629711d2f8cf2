// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePoolReason } from '../../api/reasons.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplateSpec } from '../../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { Finders } from '../../capacity/clones/labels.ts';
import type { TargetDeployment } from '../../capacity/clones/target.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';

/** What was found of something that is read by name. */
export type Reading<T> =
  | { readonly kind: 'found'; readonly value: T }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly message: string };

/** Why the last creation was refused. */
export interface CreationFailure {
  readonly reason: Exclude<ClonePoolReason<'CreationBlocked'>, 'NotBlocked' | 'Unschedulable' | 'StartsFail'>;
  readonly message: string;
}

/** What a controller remembers of a pool between two looks; all of it is only an optimisation or a caution. */
export interface Memory {
  readonly failure: CreationFailure | undefined;
  /** No clones are made before; epoch seconds. */
  readonly retryAt: number;
  /** Clones that never became Ready, one after the other, and the time of the last one. */
  readonly startFailures: number;
  readonly startFailedAt: number;
  /** Since when more than half of the clones are not wanted any more; undefined when they are. */
  readonly dropSince: number | undefined;
  /** Clones that ended because they had nothing to do, by window. */
  readonly idle: ReadonlyMap<string, number>;
  /** How many clones the last look wanted; undefined before there was one. */
  readonly wanted?: number | undefined;
}

/** Everything that a decision about one pool needs. */
export interface Snapshot {
  readonly pool: ClonePool;
  readonly target: Reading<TargetDeployment>;
  /** Undefined when the pool names none. */
  readonly template: Reading<CloneTemplateSpec> | undefined;
  readonly forecast: DemandForecast | undefined;
  /** Undefined when they could not be read. */
  readonly hpas: readonly HorizontalPodAutoscaler[] | undefined;
  /** What finds pods by their labels; undefined when it could not be read. */
  readonly finders: Finders | undefined;
  /** Pods of the namespace that are labelled with the name of the pool, whoever owns them. */
  readonly pods: readonly CloneView[];
  readonly memory: Memory;
  /** What the sweeper has to say in the status of the pool. */
  readonly others?: readonly ClonePoolConditionDraft[];
}

/** A burst that clones are planned for; times are epoch seconds. */
export interface PlannedWindow {
  readonly id: string;
  readonly startTime: number;
  readonly endTime: number;
  readonly replicas: number;
}

/** Plans the windows of a pool in mode Predictive; undefined when its forecast says nothing. */
export type PlanWindows = (
  snapshot: Pick<Snapshot, 'pool' | 'forecast' | 'target' | 'hpas'>,
  previous: readonly PlannedWindow[],
  now: number,
) => { readonly windows: readonly PlannedWindow[]; readonly reason: string } | undefined;
