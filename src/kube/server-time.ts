// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { errorCode, HeadstartError } from '../base/errors.ts';
import type { KubeClient } from './client.ts';
import { resourcePath } from './paths.ts';

/** How far the local clock is ahead of the apiserver's. */
export interface ClockDifference {
  readonly aheadSeconds: number;
  /** The truth is no further away than this. */
  readonly uncertaintySeconds: number;
}

const group = 'authentication.k8s.io/v1';

/**
 * Compares the clocks: the answer to "who am I" carries the apiserver's time, in whole seconds (kubernetes:
 * pkg/registry/authentication/selfsubjectreview), and anybody may ask.
 * @throws HeadstartError as KubeClient.request; BadResponse for an answer without a time
 */
export async function compareClocks(
  client: KubeClient,
  clock: Clock,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ClockDifference> {
  const startMs = clock.nowMs();
  const { metadata } = await client.request<{ readonly metadata?: { readonly creationTimestamp?: string | null } }>({
    method: 'POST',
    path: resourcePath({ apiVersion: group, plural: 'selfsubjectreviews' }),
    body: { apiVersion: group, kind: 'SelfSubjectReview' },
    ...options,
  });
  const endMs = clock.nowMs();
  const stamp = Date.parse(metadata?.creationTimestamp ?? '') / 1000;
  if (Number.isNaN(stamp)) throw new HeadstartError('BadResponse', 'SelfSubjectReview: got no creationTimestamp');
  const aheadSeconds = (startMs + endMs) / 2000 - (stamp + 0.5);
  return { aheadSeconds, uncertaintySeconds: 0.5 + (endMs - startMs) / 2000 };
}

/** The apiserver's time, in which all deadlines are. */
export interface ServerTime {
  /** Epoch seconds; undefined until the clocks have been compared, and after a leap of the local one. */
  now(): number | undefined;
  /**
   * Compares the clocks when that is due; call it as often as `now`. An apiserver that does not tell its time (before
   * Kubernetes 1.28) has the local one.
   * @throws HeadstartError as KubeClient.request, while the time is not known
   */
  refresh(signal: AbortSignal): Promise<void>;
}

/** What a ServerTime needs. */
export interface ServerTimeOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Told when the local clock stands in, and of comparisons that failed while an older one is there. */
  readonly onProblem?: (error: unknown) => void;
}

const refreshMs = 60_000;
/** Between two calls, without the clock having been set or the machine having slept. */
const leapMs = 15_000;
/** Each narrows what the others leave open, as they come at different parts of a second. */
const kept = 5;

/** A ServerTime that knows nothing yet. */
export function createServerTime({ client, clock, onProblem = () => undefined }: ServerTimeOptions): ServerTime {
  let differences: readonly ClockDifference[] = [];
  let comparedMs = Number.NEGATIVE_INFINITY;
  let lastMs: number | undefined;
  const heedLeaps = (nowMs: number): void => {
    if (lastMs !== undefined && (nowMs < lastMs || nowMs - lastMs > leapMs)) {
      differences = [];
      comparedMs = Number.NEGATIVE_INFINITY;
    }
    lastMs = nowMs;
  };
  const compare = async (signal: AbortSignal): Promise<ClockDifference> => {
    try {
      return await compareClocks(client, clock, { signal });
    } catch (error) {
      if (!['NotFound', 'Forbidden'].includes(errorCode(error))) throw error;
      onProblem(
        new HeadstartError('NoData', 'the apiserver does not tell its time: the local one is used', { cause: error }),
      );
      return { aheadSeconds: 0, uncertaintySeconds: 60 };
    }
  };
  return {
    now: () => {
      const nowMs = clock.nowMs();
      heedLeaps(nowMs);
      const ahead = combine(differences);
      return ahead === undefined ? undefined : nowMs / 1000 - ahead;
    },
    refresh: async (signal) => {
      heedLeaps(clock.nowMs());
      if (clock.nowMs() - comparedMs < refreshMs) return;
      try {
        const difference = await compare(signal);
        lastMs = clock.nowMs();
        comparedMs = lastMs;
        const all = [...differences, difference].slice(-kept);
        // Where they contradict each other the clock has been set since.
        differences = combine(all) === undefined ? [difference] : all;
      } catch (error) {
        if (differences.length === 0 || signal.aborted) throw error;
        onProblem(error);
      }
    },
  };
}

/** The middle of what all of them allow; undefined when there is none. */
function combine(differences: readonly ClockDifference[]): number | undefined {
  const low = Math.max(...differences.map(({ aheadSeconds, uncertaintySeconds }) => aheadSeconds - uncertaintySeconds));
  const high = Math.min(
    ...differences.map(({ aheadSeconds, uncertaintySeconds }) => aheadSeconds + uncertaintySeconds),
  );
  return differences.length > 0 && low <= high ? (low + high) / 2 : undefined;
}
