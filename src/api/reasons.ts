// SPDX-License-Identifier: Apache-2.0

/**
 * The closed lists of reasons. A condition, an Event, a log line and a metric label about the same thing carry the
 * same word.
 */
export const reasons = {
  /** Is the target there, and is this the only forecast for it? */
  TargetReady: ['TargetFound', 'TargetNotFound', 'TargetUnreadable', 'DuplicateTarget'],
  /** Does an HPA read the metric, in a way that works? */
  HPAReady: ['HPAFound', 'NoHPA', 'TargetTypeValue', 'AmbiguousSelector', 'SeveralHPAs', 'WrongTarget'],
  /** Does the source answer with one usable number? */
  Observed: [
    'DemandObserved',
    'NoData',
    'SeveralSeries',
    'NotANumber',
    'NegativeDemand',
    'TooLarge',
    'QueryFailed',
    'SourceUnavailable',
    'SourceTimeout',
    'BadResponse',
    'StaleData',
    'UnknownServer',
    'URLNotAllowed',
    'SecretNotFound',
    'SecretUnreadable',
    'SecretInvalid',
    'SourceUnauthorized',
    'QueryNotAllowed',
    'PerPodAverage',
  ],
  /** Can demand be forecast at all? */
  Forecastable: ['ModelFitted', 'TooLittleHistory', 'CannotFit', 'NoSkill', 'NoHistory', 'InvalidTimeZone'],
  /** Do the forecasts that came due meet their quantile? */
  Calibrated: ['CoverageWithinBounds', 'CoverageOutOfBounds', 'TooFewScores'],
  /** What does predicted_demand say now? */
  Publishing: ['Forecast', 'Preview', 'ObservedOnly', 'Nothing'],
} as const;

export type ConditionType = keyof typeof reasons;
export type Reason<T extends ConditionType = ConditionType> = (typeof reasons)[T][number];

/** What each condition answers, for docs/reference/conditions.md. */
export const conditionQuestions: Readonly<Record<ConditionType, string>> = {
  TargetReady: 'Is the target there, and is this the only forecast for it?',
  HPAReady: 'Does an HPA read the metric, in a way that works?',
  Observed: 'Does the source answer with one usable number?',
  Forecastable: 'Can demand be forecast at all?',
  Calibrated: 'Do the forecasts that came due meet their quantile?',
  Publishing: 'What does `predicted_demand` say now?',
};

/** The closed lists for ClonePools. Four are named after what is wrong: False when all is well. */
export const clonePoolReasons = {
  Ready: [
    'ClonesReady',
    'NoneWanted',
    'ClonesStarting',
    'NoForecast',
    'TargetNotResolved',
    'HPASelectorOverlap',
    'CreationBlocked',
    'Suspended',
    'Deleting',
  ],
  TargetResolved: [
    'TargetFound',
    'TargetNotFound',
    'TargetUnreadable',
    'TargetPaused',
    'TargetScaledToZero',
    'TargetNotCloneable',
    'TemplateNotFound',
    'TemplateMismatch',
  ],
  CreationBlocked: [
    'NotBlocked',
    'QuotaExceeded',
    'Refused',
    'InvalidPod',
    'NameTaken',
    'Unschedulable',
    'StartsFail',
    'NamespaceTerminating',
    'ServerUnavailable',
  ],
  MetricsAvailable: [
    'MetricsRead',
    'NoUtilizationExit',
    'MetricsUnavailable',
    'NoRequests',
    'QueryFailed',
    'UnknownServer',
  ],
  ExitFrozen: ['NotFrozen', 'MetricsMissing', 'MetricsUnavailable', 'PoolBusy', 'BurstExpected'],
  HPASelectorOverlap: [
    'NoHPA',
    'LabelsSplit',
    'Hidden',
    'ExternalAverageValue',
    'HPACountsClones',
    'OverlapAccepted',
    'HPAsUnreadable',
  ],
  RevisionCurrent: ['AllCurrent', 'Replacing', 'OutdatedKept'],
  PDBBlocked: ['NotBlocked', 'BudgetExhausted', 'SeveralBudgets'],
} as const;

export type ClonePoolConditionType = keyof typeof clonePoolReasons;
export type ClonePoolReason<T extends ClonePoolConditionType = ClonePoolConditionType> =
  (typeof clonePoolReasons)[T][number];

/** What each condition of a ClonePool answers, for docs/reference/conditions.md. */
export const clonePoolQuestions: Readonly<Record<ClonePoolConditionType, string>> = {
  Ready: 'Are as many clones Ready as are wanted now?',
  TargetResolved: 'Is the target there, and can it be cloned, with what the CloneTemplate has in place of its own?',
  CreationBlocked: 'Does something keep clones from being made, or from starting?',
  MetricsAvailable: 'Is it known how busy the clones are?',
  ExitFrozen: 'Are clones kept that have nothing to do?',
  HPASelectorOverlap: 'Would an HPA count the clones?',
  RevisionCurrent: "Were all clones made from the target's pod template as it is now?",
  PDBBlocked: 'Does a PodDisruptionBudget keep clones from ending?',
};
