// SPDX-License-Identifier: Apache-2.0
import type { Sample } from '../series/time-series.ts';

/** What was read of one query; times are epoch seconds. */
export interface HistorySamples {
  /** The window, both ends included, on whole steps. */
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly stepSeconds: number;
  readonly samples: readonly Sample[];
  /** The last minutes, sampled finely. */
  readonly recent: readonly Sample[];
  readonly leadSeconds: number;
  /** Demand below it needs no more than the least number of replicas, so growing up to it is no growth. */
  readonly floor: number;
}

/** What a history is worth. */
export interface HistorySummary {
  readonly windowSeconds: number;
  readonly first: number | undefined;
  readonly last: number | undefined;
  /** From the first sample to the end of the window. */
  readonly spanSeconds: number;
  /** Steps since the first sample that have a sample, from 0 to 1. */
  readonly presentShare: number;
  readonly longestGap: { readonly startSeconds: number; readonly seconds: number } | undefined;
  /** Median time between two changes of the value; undefined where it changes too seldom to tell. */
  readonly changeSeconds: number | undefined;
  /** The largest growth of demand within the lead, as a share: 0.5 is half as much again. */
  readonly growth: { readonly share: number; readonly atSeconds: number } | undefined;
  readonly leadSeconds: number;
}

/** With fewer changes their distance says nothing about the resolution. */
const fewestChanges = 3;

/** Sums up what was read. */
export function summarizeHistory(read: HistorySamples): HistorySummary {
  const { fromSeconds, toSeconds, stepSeconds, samples, recent, leadSeconds } = read;
  const first = samples.at(0)?.timestamp;
  const steps = first === undefined ? 0 : Math.round((toSeconds - first) / stepSeconds) + 1;
  return {
    windowSeconds: toSeconds - fromSeconds,
    first,
    last: recent.at(-1)?.timestamp ?? samples.at(-1)?.timestamp,
    spanSeconds: first === undefined ? 0 : toSeconds - first,
    presentShare: steps === 0 ? 0 : Math.min(1, samples.length / steps),
    longestGap: longestGap(read),
    changeSeconds: medianChange(recent),
    growth: largestGrowth(read),
    leadSeconds,
  };
}

function longestGap({ samples, stepSeconds }: HistorySamples): HistorySummary['longestGap'] {
  let longest: HistorySummary['longestGap'];
  let previous: number | undefined;
  for (const { timestamp } of samples) {
    const seconds = timestamp - (previous ?? timestamp);
    if (previous !== undefined && seconds > stepSeconds && seconds > (longest?.seconds ?? 0)) {
      longest = { startSeconds: previous, seconds };
    }
    previous = timestamp;
  }
  return longest;
}

/** A value is held until the next scrape (or rule evaluation) changes it. */
function medianChange(recent: readonly Sample[]): number | undefined {
  const changes: number[] = [];
  let previous: number | undefined;
  for (const { timestamp, value } of recent) {
    if (previous !== undefined && value !== previous) changes.push(timestamp);
    previous = value;
  }
  const distances = changes.slice(1).map((time, index) => time - (changes[index] ?? time));
  if (distances.length < fewestChanges) return undefined;
  return distances.toSorted((a, b) => a - b)[Math.floor(distances.length / 2)];
}

/** Of the largest demand within the lead over the demand at its beginning; a lead is some tens of steps at most. */
function largestGrowth(read: HistorySamples): HistorySummary['growth'] {
  let best: HistorySummary['growth'];
  for (const [index, { timestamp, value }] of read.samples.entries()) {
    const base = Math.max(value, read.floor);
    const share = base > 0 ? Math.max(0, highestWithinLead(read, index) / base - 1) : 0;
    if (best === undefined || share > best.share) best = { share, atSeconds: timestamp };
  }
  return best;
}

function highestWithinLead({ samples, leadSeconds, stepSeconds }: HistorySamples, from: number): number {
  const end = (samples[from]?.timestamp ?? 0) + Math.max(leadSeconds, stepSeconds);
  let highest = 0;
  for (let index = from; (samples[index]?.timestamp ?? Infinity) <= end; index += 1) {
    highest = Math.max(highest, samples[index]?.value ?? 0);
  }
  return highest;
}
