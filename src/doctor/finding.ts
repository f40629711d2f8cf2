// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode } from '../base/errors.ts';

/** How bad a finding is: `skipped` says that nobody looked, and why. */
export type FindingStatus = 'ok' | 'warning' | 'error' | 'skipped';

interface CheckDescription {
  /** What is looked at, for the reference. */
  readonly title: string;
  /** Every reason that the check gives, and how bad it is. */
  readonly reasons: Readonly<Record<string, FindingStatus>>;
}

/** Of every check: reading failed. */
const unread = { NotAllowed: 'skipped', NotRead: 'error' } as const;

/** The closed list of checks, in the order in which they are told, and of the reasons that each may give. */
export const checks = {
  'api-service': {
    title: 'Who serves external.metrics.k8s.io, whether it is available, and whether its certificate is trusted.',
    reasons: {
      Available: 'ok',
      Insecure: 'warning',
      CertificateEnding: 'warning',
      Missing: 'error',
      Foreign: 'error',
      Unavailable: 'error',
      CaBundleMissing: 'error',
      CaBundleMismatch: 'error',
      CertificateNotChecked: 'skipped',
      ...unread,
    },
  },
  installation: {
    title: "Headstart's own Deployments and its kinds DemandForecast and ClonePool.",
    reasons: {
      Ready: 'ok',
      Installed: 'ok',
      NotAllReady: 'warning',
      NoneReady: 'error',
      NotInstalled: 'error',
      ...unread,
    },
  },
  leader: {
    title: 'Whether a forecaster leads, and a replica of the clones role, by the age of their Leases.',
    reasons: { Held: 'ok', NeverHeld: 'error', Expired: 'error', Missing: 'error', ...unread },
  },
  access: {
    title: "What Headstart's ServiceAccounts and the HPA controller may do, asked of the apiserver.",
    reasons: { Granted: 'ok', Denied: 'error', ...unread },
  },
  aggregation: {
    title: 'Whether the apiserver reaches the external metrics API, and how long that takes.',
    reasons: { Reachable: 'ok', Slow: 'warning', WrongAnswer: 'error', Unreachable: 'error', NotAllowed: 'skipped' },
  },
  clock: {
    title: "This machine's, the forecaster's and Prometheus' clocks against the apiserver's.",
    reasons: {
      InSync: 'ok',
      LocalClockOff: 'warning',
      ForecasterClockOff: 'error',
      ObservedInFuture: 'warning',
      NotAllowed: 'skipped',
      NotRead: 'skipped',
    },
  },
  forecast: {
    title: 'What each DemandForecast says of itself in its conditions.',
    reasons: {
      Healthy: 'ok',
      NoForecasts: 'ok',
      SignalsObserved: 'warning',
      DemandTrusted: 'warning',
      Forecastable: 'warning',
      Calibrated: 'warning',
      TargetReady: 'error',
      Observed: 'error',
      Publishing: 'error',
      NotReconciled: 'error',
      ...unread,
    },
  },
  metric: {
    title: 'predicted_demand of each DemandForecast, read through the apiserver as the HPA does.',
    reasons: {
      Answered: 'ok',
      Slow: 'warning',
      NothingToAnswer: 'warning',
      NotAnswered: 'error',
      NotAllowed: 'skipped',
      Blocked: 'skipped',
    },
  },
  hpa: {
    title: "HPAs that read Headstart's metrics: target type, selector, target, and whether they scale.",
    reasons: {
      HPAFound: 'ok',
      NoHPAYet: 'ok',
      Reads: 'ok',
      NoHPA: 'warning',
      WrongTarget: 'warning',
      TargetTypeValue: 'warning',
      AmbiguousSelector: 'error',
      UnknownForecast: 'error',
      SeveralHPAs: 'error',
      ScalingInactive: 'error',
      ...unread,
    },
  },
  'clone-webhook': {
    title:
      'The webhook for clones: whether the apiserver trusts it, and whether it answers, by a pod that is made in a dry run.',
    reasons: {
      Answers: 'ok',
      CertificateEnding: 'warning',
      NoAnswer: 'warning',
      Missing: 'warning',
      Foreign: 'warning',
      CaBundleMissing: 'warning',
      CaBundleMismatch: 'warning',
      CertificateNotChecked: 'skipped',
      NotAsked: 'skipped',
      ...unread,
    },
  },
  'clone-guard': {
    title: 'Whether the ValidatingAdmissionPolicy is in force that refuses clones without an end.',
    reasons: { InForce: 'ok', Missing: 'error', NotBound: 'error', NotDenying: 'error', ...unread },
  },
  'clone-pool': {
    title: 'What each ClonePool says of itself in its conditions, and whether its HPA leaves clones their work.',
    reasons: {
      Healthy: 'ok',
      NoPools: 'ok',
      ReadsObserved: 'warning',
      Ready: 'warning',
      MetricsAvailable: 'warning',
      ExitFrozen: 'warning',
      PDBBlocked: 'warning',
      TargetResolved: 'error',
      CreationBlocked: 'error',
      HPASelectorOverlap: 'error',
      NotReconciled: 'error',
      ...unread,
    },
  },
  tolerance: {
    title: "Whether the HPA's tolerance lets the forecast's gain through.",
    reasons: { BeyondTolerance: 'ok', WithinTolerance: 'warning', NotKnown: 'skipped' },
  },
  'metrics-server': {
    title: 'metrics.k8s.io, where an HPA, a DemandForecast or a ClonePool needs it.',
    reasons: { Available: 'ok', NotNeeded: 'ok', Missing: 'error', Unavailable: 'error', ...unread },
  },
  history: {
    title: 'Length, gaps, resolution and age of the history in Prometheus for each DemandForecast.',
    reasons: {
      Enough: 'ok',
      NoDay: 'warning',
      Gaps: 'warning',
      Coarse: 'warning',
      TooShort: 'error',
      Stale: 'error',
      Empty: 'error',
      QueryFailed: 'error',
      UnknownServer: 'error',
      BadConfiguration: 'error',
      Unreachable: 'error',
      OutOfReach: 'skipped',
      NoConfiguration: 'skipped',
      OtherSource: 'skipped',
      OwnAccess: 'skipped',
    },
  },
} as const satisfies Readonly<Record<string, CheckDescription>>;

export type CheckName = keyof typeof checks;
type ReasonOf<C extends CheckName> = keyof (typeof checks)[C]['reasons'] & string;

/** What a finding is about. */
export interface FindingObject {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** What one check says about one thing. */
export interface Finding {
  readonly check: CheckName;
  readonly status: FindingStatus;
  /** From the closed list of its check. */
  readonly reason: string;
  /** A sentence with the numbers in it. */
  readonly message: string;
  /** What to do about it; absent where there is nothing to do. */
  readonly fix?: string;
  readonly object?: FindingObject;
}

/** A finding; how bad it is follows from its reason. */
export function finding<C extends CheckName>(
  check: C,
  reason: ReasonOf<C>,
  what: Pick<Finding, 'message' | 'fix' | 'object'>,
): Finding {
  const { reasons }: CheckDescription = checks[check];
  return { check, status: reasons[reason] ?? 'error', reason, ...what };
}

/** Why something could not be read. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What was read, or why it was not. */
export type Reading<T> = { readonly value: T } | { readonly failure: Failure };

type Readable = Exclude<CheckName, 'aggregation' | 'metric' | 'tolerance' | 'history'>;

/** Nothing is known of what may not be read; anything else that stands in the way is itself a finding. */
export function notRead(check: Readable, { code, message }: Failure, object?: FindingObject): Finding {
  const about = object === undefined ? {} : { object };
  return code === 'Forbidden' || code === 'Unauthorized'
    ? finding(check, 'NotAllowed', { message, fix: 'run the doctor as a user who may read this', ...about })
    : finding(check, 'NotRead', { message, ...about });
}
