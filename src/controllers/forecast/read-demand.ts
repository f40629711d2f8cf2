// SPDX-License-Identifier: Apache-2.0
import type { Reason } from '../../api/reasons.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';
import type { MetricSource } from '../../sources/metrics/metric-source.ts';
import type { DemandReading } from './snapshot.ts';

/** Which demand to read. Times are epoch seconds. */
export interface DemandQuery {
  readonly query: string;
  /** For messages: `server "default"`. */
  readonly from: string;
  readonly windowSeconds: number;
  readonly plan: HistoryPlan;
}

/** What to read of the history this time. */
export type HistoryPlan =
  /** From the end of what has been read already on; undefined reads the whole window. */
  | { readonly kind: 'read'; readonly sinceSeconds: number | undefined }
  /** Nothing: it failed a short while ago, with this message. */
  | { readonly kind: 'wait'; readonly failure: string };

/** What has been read. */
export interface DemandRead {
  readonly demand: DemandReading;
  /** On whole minutes, oldest first; negative ones are left out. */
  readonly samples: readonly Sample[];
  /** Where to go on from next time; undefined when the history could not be read. */
  readonly readUntil: number | undefined;
  readonly historyFailure: string | undefined;
  /** Whether it was the history that failed, and not the source as a whole. */
  readonly isHistoryRefused: boolean;
}

const stepSeconds = 60;
/** Samples may come late: a remote write that was held up, a rule that was evaluated late. */
const overlapSeconds = 300;
/** After an outage samples may come later still: a gap is asked for anew for so long. */
const patienceSeconds = 6 * 3600;

const reasonOfCode: Partial<Record<ErrorCode, Reason<'Observed'>>> = {
  SeveralSeries: 'SeveralSeries',
  NotANumber: 'NotANumber',
  QueryFailed: 'QueryFailed',
  InvalidInput: 'QueryFailed',
  Timeout: 'SourceTimeout',
  Unavailable: 'SourceUnavailable',
  Throttled: 'SourceUnavailable',
  BadResponse: 'BadResponse',
  NoData: 'NoData',
  Unauthorized: 'SourceUnauthorized',
  Forbidden: 'SourceUnauthorized',
};

/** What is read when nobody may be asked. */
export function refusedDemand(reason: Reason<'Observed'>, message: string): DemandRead {
  return {
    demand: { kind: 'failed', reason, message },
    samples: [],
    readUntil: undefined,
    historyFailure: message,
    isHistoryRefused: false,
  };
}

/**
 * Demand now, and the history that is not known yet, on whole minutes. The two fail apart: a query that gives one
 * series today may have given two last week.
 * @throws whatever the source throws that is no HeadstartError
 */
export async function readDemand(
  source: MetricSource,
  query: DemandQuery,
  { now, signal }: { readonly now: number; readonly signal: AbortSignal },
): Promise<DemandRead> {
  const latest = await attempt(source.latest({ query: query.query, atSeconds: Math.floor(now), signal }));
  const server = query.from;
  const isUseless = latest.error !== undefined && latest.error.code !== 'NotANumber';
  const history = isUseless
    ? failed(`${server}: ${errorMessage(latest.error)}`)
    : await readHistory(source, query, { now, signal, server, isNeeded: latest.value === undefined });
  return {
    demand: newest(latest, history.samples, server),
    samples: history.samples.filter(({ value }) => value >= 0),
    readUntil: history.readUntil,
    historyFailure: history.failure,
    isHistoryRefused: history.failure !== undefined && !isUseless,
  };
}

interface History {
  readonly samples: readonly Sample[];
  readonly readUntil: number | undefined;
  readonly failure: string | undefined;
}

function failed(failure: string): History {
  return { samples: [], readUntil: undefined, failure };
}

interface HistoryContext {
  readonly now: number;
  readonly signal: AbortSignal;
  readonly server: string;
  /** Whether the newest sample has to come from it. */
  readonly isNeeded: boolean;
}

async function readHistory(
  source: MetricSource,
  { query, windowSeconds, plan }: DemandQuery,
  { now, signal, server, isNeeded }: HistoryContext,
): Promise<History> {
  if (plan.kind === 'wait') return failed(plan.failure);
  const { sinceSeconds } = plan;
  const toSeconds = Math.floor(now / stepSeconds) * stepSeconds;
  if (sinceSeconds === toSeconds && !isNeeded) return { samples: [], readUntil: toSeconds, failure: undefined };
  const start = toSeconds - windowSeconds;
  // A clock that was set back must not ask for the time to come.
  const since = Math.min(sinceSeconds ?? start, toSeconds) - overlapSeconds;
  const fromSeconds = sinceSeconds === undefined ? start : Math.max(start, since);
  const { value, error } = await attempt(source.range({ query, fromSeconds, toSeconds, stepSeconds, signal }));
  if (value === undefined) return failed(`${server}: ${errorMessage(error)}`);
  const last = value.at(-1)?.timestamp ?? sinceSeconds ?? toSeconds;
  return { samples: value, readUntil: Math.max(last, toSeconds - patienceSeconds), failure: undefined };
}

function newest(latest: Attempt<Sample | undefined>, samples: readonly Sample[], server: string): DemandReading {
  const { error } = latest;
  if (error !== undefined) {
    const reason = reasonOfCode[error.code];
    if (reason === undefined) throw error;
    return { kind: 'failed', reason, message: `${server}: ${errorMessage(error)}` };
  }
  const sample = latest.value ?? samples.at(-1);
  return sample === undefined ? { kind: 'none' } : { kind: 'sample', sample };
}

interface Attempt<T> {
  readonly value: T | undefined;
  readonly error: HeadstartError | undefined;
}

async function attempt<T>(promise: Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await promise, error: undefined };
  } catch (error) {
    if (error instanceof HeadstartError) return { value: undefined, error };
    throw error;
  }
}
