// SPDX-License-Identifier: Apache-2.0
import type { Sample } from '../../series/time-series.ts';

/** A range of one query, both ends included. Times are epoch seconds. */
export interface RangeRequest {
  readonly query: string;
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly stepSeconds: number;
  readonly signal?: AbortSignal;
}

/** One query at one time, in epoch seconds. */
export interface LatestRequest {
  readonly query: string;
  readonly atSeconds: number;
  readonly signal?: AbortSignal;
}

/** Where demand comes from. Both methods throw the signal's reason when it aborts. */
export interface MetricSource {
  /**
   * The samples of the one series that the query gives, oldest first; points that are missing, stale or not a number
   * are absent, an empty array means that there is no data.
   * @throws HeadstartError SeveralSeries, QueryFailed, Timeout, Unavailable, Throttled, BadResponse, InvalidInput
   */
  range(request: RangeRequest): Promise<Sample[]>;
  /**
   * The value at that time; undefined when there is none.
   * @throws HeadstartError NotANumber, and all that range throws
   */
  latest(request: LatestRequest): Promise<Sample | undefined>;
}

/** A source that can also tell several series apart, by one label. */
export interface LabelledSource {
  /**
   * The value of each series at that time, by the value of the label. A series without the label, one whose value is
   * missing or not a number, and those that have the same value of the label, are left out.
   * @throws HeadstartError QueryFailed, Timeout, Unavailable, Throttled, BadResponse
   */
  latestByLabel(request: LatestRequest & { readonly label: string }): Promise<ReadonlyMap<string, Sample>>;
}
