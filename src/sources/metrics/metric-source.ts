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

/** Where demand comes from. */
export interface MetricSource {
  /**
   * The samples of the one series that the query gives, oldest first; missing and stale points are absent, an
   * empty array means that there is no data.
   * @throws HeadstartError SeveralSeries, QueryFailed, Timeout, Unavailable, BadResponse, InvalidInput
   */
  range(request: RangeRequest): Promise<Sample[]>;
}
