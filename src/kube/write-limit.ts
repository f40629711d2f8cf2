// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import type { KubeClient, KubeRequest } from './client.ts';

/** How fast writes may follow each other. */
export interface WriteLimit {
  readonly perSecond: number;
  /** So many at once after a pause. */
  readonly burst: number;
  readonly clock: Pick<Clock, 'sleep'>;
  /** A clock that is never set back; of the machine when left out. */
  readonly monotonicMs?: () => number;
}

/**
 * The client, with its writes in turn and no faster than the limit (token bucket, as client-go's flowcontrol); what is
 * read goes through at once. Whoever waits throws the signal's reason when it aborts; waiting counts towards no timeout.
 */
export function limitWrites(client: KubeClient, limit: WriteLimit): KubeClient {
  const { perSecond, burst, clock, monotonicMs = () => performance.now() } = limit;
  const intervalMs = 1000 / perSecond;
  /** When the last write was let through, or will be. */
  let lastMs = Number.NEGATIVE_INFINITY;
  const turn = async (signal: AbortSignal | undefined): Promise<void> => {
    const nowMs = monotonicMs();
    lastMs = Math.max(lastMs, nowMs - burst * intervalMs) + intervalMs;
    if (lastMs > nowMs) await clock.sleep(lastMs - nowMs, signal);
  };
  return {
    request: async <T>(request: KubeRequest) => {
      if (request.method !== undefined && request.method !== 'GET') await turn(request.signal);
      return await client.request<T>(request);
    },
    watch: (request) => client.watch(request),
  };
}
