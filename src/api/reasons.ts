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
  Forecastable: ['ModelFitted', 'TooLittleHistory', 'CannotFit', 'NoHistory', 'InvalidTimeZone'],
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
