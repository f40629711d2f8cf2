// SPDX-License-Identifier: Apache-2.0
import type { SignalName } from '../../api/v1alpha1/forecast-signals.ts';
import { createMinuteHistory } from '../../forecast/minute-history.ts';
import type { MinuteHistory } from '../../forecast/minute-history.ts';
import { normalRange } from '../../forecast/normal-range.ts';
import type { NormalRange } from '../../forecast/normal-range.ts';
import type { Sample } from '../../series/time-series.ts';
import { signalWindowSeconds } from './read-signals.ts';
import type { SignalRead } from './read-signals.ts';
import type { SignalView } from './snapshot.ts';

/** Keeps the signals of one workload for a day, and knows what is normal for them. */
export interface SignalWatch {
  /** Takes what was read; a signal that is not read any more is forgotten. */
  take(reads: readonly SignalRead[], isExcluded: (timestamp: number) => boolean): void;
  /** When the newest sample of a signal is from; undefined when there is none of this query. */
  timeOf(name: SignalName, query: string): number | undefined;
  views(now: number): readonly SignalView[];
  /** Errors and latency above what is normal, each with its numbers. */
  alarms(now: number): readonly string[];
}

interface Kept {
  readonly query: string;
  readonly history: MinuteHistory;
  newest: Sample | undefined;
  failure: string | undefined;
  range: NormalRange | undefined;
  /** The minute in which the range was judged last. */
  judged: number;
}

const minuteSeconds = 60;
const judgeEveryMinutes = 10;
/** An older value says nothing about now. */
const freshSeconds = 180;
/** A signal may move by this much whatever it did before, in its own unit. */
const leastWidth: Partial<Record<SignalName, number>> = { errorRate: 0.05, latency: 0.05 };
/** What is too much before anybody knows what is normal. */
const usualLimit: Partial<Record<SignalName, number>> = { errorRate: 0.05 };
/** Signals that only trouble drives up; load moves the others. */
const troubles: ReadonlySet<SignalName> = new Set(['errorRate', 'latency']);

/** A watch that knows nothing yet. */
export function createSignalWatch(): SignalWatch {
  const all = new Map<SignalName, Kept>();
  const fresh = (kept: Kept, now: number): number =>
    kept.newest !== undefined && now - kept.newest.timestamp <= freshSeconds ? kept.newest.value : Number.NaN;
  return {
    take: (reads, isExcluded) => {
      const named = new Set(reads.map(({ name }) => name));
      for (const name of all.keys()) if (!named.has(name)) all.delete(name);
      for (const read of reads) {
        const known = all.get(read.name);
        const kept = known?.query === read.query ? known : createKept(read.query);
        all.set(read.name, kept);
        keep(kept, read, isExcluded);
        judgeRange(kept, read.name);
      }
    },
    timeOf: (name, query) => {
      const kept = all.get(name);
      return kept?.query === query ? kept.newest?.timestamp : undefined;
    },
    views: (now) =>
      [...all].map(([name, kept]) => ({
        name,
        newest: kept.newest,
        range: kept.range,
        failure: Number.isNaN(fresh(kept, now)) ? (kept.failure ?? 'no data') : undefined,
      })),
    alarms: (now) =>
      [...all].flatMap(([name, kept]) => {
        const value = fresh(kept, now);
        const limit = kept.range?.high ?? usualLimit[name] ?? Number.POSITIVE_INFINITY;
        if (!troubles.has(name) || !(value > limit)) return [];
        return [`${name} is ${short(value)}, normal are up to ${short(limit)}`];
      }),
  };
}

function createKept(query: string): Kept {
  const history = createMinuteHistory(signalWindowSeconds);
  return { query, history, newest: undefined, failure: undefined, range: undefined, judged: Number.NEGATIVE_INFINITY };
}

/** Nothing is normal about times of trouble. */
function keep(kept: Kept, { samples, failure }: SignalRead, isExcluded: (timestamp: number) => boolean): void {
  kept.failure = failure;
  kept.newest = samples.at(-1) ?? kept.newest;
  kept.history.put(samples.filter(({ timestamp }) => !isExcluded(timestamp)));
}

/** Judges what is normal anew where ten minutes have passed. */
function judgeRange(kept: Kept, name: SignalName): void {
  const range = kept.history.range();
  if (range === undefined || range.head - kept.judged < judgeEveryMinutes) return;
  const { values } = kept.history.series(range.head - signalWindowSeconds / minuteSeconds);
  kept.range = normalRange(values, leastWidth[name] ?? 0);
  kept.judged = range.head;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
