// SPDX-License-Identifier: Apache-2.0
import { fnv1a } from '../../base/hash.ts';

/** After the full minute, so that the sample of that minute is there. */
const settleSeconds = 1;

/**
 * The next look is on the grid of the interval, so that a new minute is seen soon after it has begun; forecasts are
 * spread over the first third of it by their uid, so that they do not all ask at once.
 */
export function untilNextLookMs(nowMs: number, intervalSeconds: number, uid: string): number {
  const intervalMs = intervalSeconds * 1000;
  const spreadMs = Math.floor(intervalMs / 3);
  const offsetMs = settleSeconds * 1000 + (fnv1a(uid) % Math.max(1, spreadMs));
  const sinceMs = (((nowMs - offsetMs) % intervalMs) + intervalMs) % intervalMs;
  return intervalMs - sinceMs;
}
