// SPDX-License-Identifier: Apache-2.0
import type { Reason } from '../../api/reasons.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { Lead } from '../../capacity/lead.ts';
import type { PerPodVerdict } from '../../capacity/per-pod.ts';
import type { Issued } from '../../forecast/engine.ts';
import type { HistoryState, NotIssued } from '../../forecast/target.ts';
import type { Sample } from '../../series/time-series.ts';

/** Is the target there? */
export type TargetReading =
  | { readonly kind: 'found' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly message: string };

/** What the source says about demand now. */
export type DemandReading =
  /** The newest sample, however old. */
  | { readonly kind: 'sample'; readonly sample: Sample }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly reason: Reason<'Observed'>; readonly message: string };

/** What the engine says about the time to come. */
export type Outlook =
  | Issued
  | NotIssued
  /** Its last sample is too old to go on from: what was issued last stands. */
  | { readonly kind: 'held' }
  | { readonly kind: 'invalid-time-zone' };

/** Everything that a decision is made from. */
export interface Snapshot {
  readonly forecast: DemandForecast;
  /** Those of the namespace, the one above among them. */
  readonly forecasts: readonly DemandForecast[];
  readonly hpas: readonly HorizontalPodAutoscaler[];
  readonly target: TargetReading;
  readonly demand: DemandReading;
  readonly lead: Lead;
  readonly outlook: Outlook;
  readonly history: HistoryState | undefined;
  /** Why the history could not be read, if so. */
  readonly historyFailure: string | undefined;
  /** Whether demand has moved as an average per pod does. */
  readonly perPod: PerPodVerdict;
  /** Whether what stands in status is about the demand that spec names now. */
  readonly isStatusCurrent: boolean;
}
