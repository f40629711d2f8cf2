// SPDX-License-Identifier: Apache-2.0
import type { SignalName } from '../../api/v1alpha1/forecast-signals.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';
import type { MetricSource } from '../../sources/metrics/metric-source.ts';

/** What a signal is asked with; or why nobody is asked. */
export interface SignalQuery {
  readonly name: SignalName;
  readonly query: string;
  readonly refusal?: string;
}

/** What was read of one signal. */
export interface SignalRead {
  readonly name: SignalName;
  /** What the samples are of: another query is another signal. */
  readonly query: string;
  /** On whole minutes, and the newest, oldest first. */
  readonly samples: readonly Sample[];
  readonly failure?: string;
}

/** What is normal is judged on this much. */
export const signalWindowSeconds = 86_400;
const stepSeconds = 60;
/** Longer without a sample, and what is missing is read again. */
const gapSeconds = 180;

/**
 * Each signal now, and of the last day what is not known yet. They fail apart.
 * @param known when the newest sample of a query is from; undefined when there is none
 * @throws whatever the source throws that is no HeadstartError
 */
export async function readSignals(
  source: MetricSource,
  signals: readonly SignalQuery[],
  context: {
    readonly now: number;
    readonly signal: AbortSignal;
    readonly known: (name: SignalName, query: string) => number | undefined;
  },
): Promise<SignalRead[]> {
  return await Promise.all(
    signals.map(async ({ name, query, refusal }): Promise<SignalRead> => {
      if (refusal !== undefined) return { name, query, samples: [], failure: refusal };
      try {
        const samples = await readSamples(source, query, { ...context, known: context.known(name, query) });
        return samples.length > 0 ? { name, query, samples } : { name, query, samples, failure: 'no data' };
      } catch (error) {
        if (!(error instanceof HeadstartError)) throw error;
        return { name, query, samples: [], failure: errorMessage(error) };
      }
    }),
  );
}

async function readSamples(
  source: MetricSource,
  query: string,
  { now, signal, known }: { readonly now: number; readonly signal: AbortSignal; readonly known: number | undefined },
): Promise<readonly Sample[]> {
  const latest = await source.latest({ query, atSeconds: Math.floor(now), signal });
  if (known !== undefined && now - known <= gapSeconds) return latest === undefined ? [] : [latest];
  const toSeconds = Math.floor(now / stepSeconds) * stepSeconds;
  const fromSeconds = Math.max(toSeconds - signalWindowSeconds, known ?? 0);
  const past = await source.range({ query, fromSeconds, toSeconds, stepSeconds, signal });
  return latest === undefined ? past : [...past, latest];
}
