// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast, DemandForecastStatus } from '../api/v1alpha1/demand-forecast.ts';
import { maxForecastAgeSeconds } from '../api/v1alpha1/freshness.ts';
import { formatDuration, parseDurationSeconds } from '../base/duration.ts';
import { parseQuantity } from '../base/quantity.ts';

/** The last observation of a status, and a phrase that says how old it is or why there is none. */
export interface Observation {
  readonly last: { readonly value: number; readonly time: number; readonly isFresh: boolean } | undefined;
  readonly explanation: string;
}

/** What the forecast of a status says about now, and a phrase that says how old it is or why it says nothing. */
export interface Curve {
  readonly point: { readonly value: number; readonly start: number; readonly stepSeconds: number } | undefined;
  readonly explanation: string;
}

const defaultStaleAfterSeconds = 180;
/** What survives the HPA's arithmetic in milli (base/quantity.ts), with room for rounding. */
const maxValue = 9e12;

/** Reads the observation; numbers and times that make no sense count as missing. Times are epoch seconds. */
export function readObservation({ spec, status }: DemandForecast, now: number): Observation {
  if (status?.observed === undefined) return { last: undefined, explanation: 'no observation' };
  const value = parseValue(status.observed.value);
  const time = parseTime(status.observed.time);
  if (value === undefined || time === undefined) {
    return { last: undefined, explanation: 'the observation in status is unreadable' };
  }
  const staleAfter = parseStaleAfter(spec.staleAfter);
  // A time ahead of ours is a clock that differs; as far ahead as it may be old, it is still trusted.
  const isFresh = Math.abs(now - time) <= staleAfter;
  const explanation = `demand observed ${ago(now - time)} (staleAfter ${formatDuration(staleAfter)})`;
  return { last: { value, time, isFresh }, explanation };
}

/**
 * Reads the forecast's value for now: there is one when the forecast was issued at most 15 minutes ago and has a
 * readable value for [startTime + i·step, startTime + (i+1)·step) around now. Of two forecasts for one target neither
 * may raise it, so then there is none.
 */
export function readCurve({ status }: DemandForecast, now: number): Curve {
  if (isDuplicate(status)) return { point: undefined, explanation: 'another DemandForecast has the same target' };
  if (status?.forecast === undefined) return { point: undefined, explanation: 'no forecast' };
  const curve = parseCurve(status.forecast);
  if (curve === undefined) return { point: undefined, explanation: 'the forecast in status is unreadable' };
  const issued = `forecast issued ${ago(now - curve.issuedAt)}`;
  if (Math.abs(now - curve.issuedAt) > maxForecastAgeSeconds) {
    return { point: undefined, explanation: `${issued} (at most ${formatDuration(maxForecastAgeSeconds)})` };
  }
  const index = Math.floor((now - curve.startTime) / curve.stepSeconds);
  const value = index < 0 ? undefined : parseValue(curve.values[index]);
  if (value === undefined) return { point: undefined, explanation: `${issued} without a value for now` };
  const start = curve.startTime + index * curve.stepSeconds;
  return { point: { value, start, stepSeconds: curve.stepSeconds }, explanation: issued };
}

interface ParsedCurve {
  readonly issuedAt: number;
  readonly startTime: number;
  readonly stepSeconds: number;
  readonly values: readonly unknown[];
}

function parseCurve(forecast: NonNullable<DemandForecastStatus['forecast']>): ParsedCurve | undefined {
  const issuedAt = parseTime(forecast.issuedAt);
  const startTime = parseTime(forecast.startTime);
  const { stepSeconds, values } = forecast;
  if (issuedAt === undefined || startTime === undefined) return undefined;
  return Number.isSafeInteger(stepSeconds) && stepSeconds >= 1 && Array.isArray(values)
    ? { issuedAt, startTime, stepSeconds, values }
    : undefined;
}

function isDuplicate(status: DemandForecastStatus | undefined): boolean {
  return (status?.conditions ?? []).some(
    (condition) =>
      condition.type === 'TargetReady' && condition.status === 'False' && condition.reason === 'DuplicateTarget',
  );
}

/** A demand that can be published: a finite number, not negative. */
function parseValue(text: unknown): number | undefined {
  if (typeof text !== 'string' && typeof text !== 'number') return undefined;
  const value = attempt(() => parseQuantity(String(text), 'status'));
  return value !== undefined && value >= 0 && value <= maxValue ? value : undefined;
}

function parseTime(text: unknown): number | undefined {
  const milliseconds = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isFinite(milliseconds) ? milliseconds / 1000 : undefined;
}

function parseStaleAfter(text: string | undefined): number {
  return attempt(() => parseDurationSeconds(text ?? '', 'spec.staleAfter')) ?? defaultStaleAfterSeconds;
}

function attempt(parse: () => number): number | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function ago(ageSeconds: number): string {
  return ageSeconds < 0 ? `${formatDuration(-ageSeconds)} in the future` : `${formatDuration(ageSeconds)} ago`;
}
