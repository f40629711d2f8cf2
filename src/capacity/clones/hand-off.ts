// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolStatus } from '../../api/v1alpha1/clone-pool.ts';
import { formatDuration, parseDurationSeconds } from '../../base/duration.ts';
import { parseQuantity } from '../../base/quantity.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';

/** What the Ready clones of one pool carry, and until when; `status.carrying` as numbers. Times are epoch seconds. */
export interface Carrying {
  /** When this was seen. */
  readonly time: number;
  /** Demand that one clone carries. */
  readonly perClone: number;
  readonly ready: number;
  /** Ready clones by the time at which they end. */
  readonly steps: readonly { readonly until: number; readonly replicas: number }[];
}

/** Demand that is left to the base, and what clones take off it. */
export interface BaseDemand {
  readonly value: number;
  readonly subtracted: number;
  readonly reason: string;
}

/** A pool whose status is older says nothing: whoever writes it may be gone, and its clones with it. */
const maxCarryingAgeSeconds = 120;
/** What the forecast looks ahead beyond the lead (forecast/engine.ts). */
const insuranceSeconds = 300;
/** The longest lead that there is (capacity/lead.ts): who does not know it takes off the least. */
const longestLeadSeconds = 1800;

/**
 * What the base must carry of `value`, which is the quantile of the maximum of demand over [now, now + look-ahead]:
 * `value` less what clones carry at the end of the look-ahead, where the fewest are left. It is at least `observed`
 * less what is Ready, at least 0 and at most `value`; a pool that was not seen in the last two minutes, or whose
 * numbers make no sense, takes nothing off.
 *
 * The other form, the maximum over h of V(now + h) − alive(now + h), would let clones count to the very end of a
 * burst. It is not used: V(now + h) for each h alone does not bound the maximum of them all, so that it would publish
 * another quantile than was asked for; it needs the curve, while this holds on each rung of the ladder; and with this
 * one base and clones together are never less than `value` at any time of the look-ahead, by construction. Its price,
 * clones that live one look-ahead longer, is in the plan (plan.ts), and a burst that ends as foreseen does not pay it.
 *
 * @param input.observed the last observation; undefined when there is none
 */
export function baseDemand(input: {
  readonly value: number;
  readonly observed: number | undefined;
  readonly lookAheadSeconds: number;
  readonly pools: readonly Carrying[];
  readonly now: number;
}): BaseDemand {
  const { value, observed, lookAheadSeconds, pools, now } = input;
  const trusted = pools.filter((pool) => isSound(pool) && Math.abs(now - pool.time) <= maxCarryingAgeSeconds);
  const until = now + lookAheadSeconds;
  const ready = total(trusted, (pool) => pool.ready);
  const alive = total(trusted, (pool) => aliveAt(pool, until));
  // A status that is not sound on observed demand, or a curve below it, must not let the base fall behind demand.
  const floor = Math.min(value, Math.max(0, (observed ?? 0) - ready.demand));
  const base = Math.max(floor, value - alive.demand);
  const subtracted = value - base;
  return {
    value: base,
    subtracted,
    reason: explain({ subtracted, alive: alive.clones, lookAheadSeconds, pools, trusted }),
  };
}

/** Clones that are still there at a time; never more than are Ready. */
function aliveAt({ ready, steps }: Carrying, time: number): number {
  const alive = steps.reduce((sum, { until, replicas }) => (until > time ? sum + replicas : sum), 0);
  return Math.min(ready, alive);
}

function total(
  pools: readonly Carrying[],
  count: (pool: Carrying) => number,
): { readonly clones: number; readonly demand: number } {
  const counts = pools.map((pool) => ({ clones: count(pool), perClone: pool.perClone }));
  return {
    clones: counts.reduce((sum, { clones }) => sum + clones, 0),
    demand: counts.reduce((sum, { clones, perClone }) => sum + clones * perClone, 0),
  };
}

function isSound({ time, perClone, ready, steps }: Carrying): boolean {
  const isDemand = Number.isFinite(perClone) && perClone >= 0;
  return (
    isDemand &&
    Number.isFinite(time) &&
    isCount(ready) &&
    steps.every(({ until, replicas }) => Number.isFinite(until) && isCount(replicas))
  );
}

function isCount(count: number): boolean {
  return Number.isSafeInteger(count) && count >= 0;
}

function explain(given: {
  readonly subtracted: number;
  readonly alive: number;
  readonly lookAheadSeconds: number;
  readonly pools: readonly Carrying[];
  readonly trusted: readonly Carrying[];
}): string {
  const { subtracted, alive, lookAheadSeconds, pools, trusted } = given;
  if (pools.length === 0) return 'no clones';
  const ahead = formatDuration(lookAheadSeconds);
  const counted = `${alive} clones that are still there in ${ahead} carry ${Number(subtracted.toPrecision(6))}`;
  const silent = pools.length - trusted.length;
  const age = formatDuration(maxCarryingAgeSeconds);
  return silent === 0 ? counted : `${counted}; ${silent} pools say nothing, or nothing of the last ${age}`;
}

/** `status.carrying` as numbers; undefined when any of it cannot be read. */
export function readCarrying(carrying: ClonePoolStatus['carrying']): Carrying | undefined {
  if (carrying === undefined) return undefined;
  try {
    const { time, perClone, ready, steps } = carrying;
    const read = {
      time: parseTimestamp(time, 'status.carrying.time'),
      perClone: parseQuantity(perClone, 'status.carrying.perClone'),
      ready,
      steps: steps.map(({ until, replicas }) => ({
        until: parseTimestamp(until, 'status.carrying.steps.until'),
        replicas,
      })),
    };
    return isSound(read) ? read : undefined;
  } catch {
    // Whatever came from elsewhere in place of it: it takes nothing off.
    return undefined;
  }
}

/**
 * How far ahead the published forecast looks, in seconds: the lead that is planned with and five minutes; with the
 * longest lead that there is where `status.lead` says nothing.
 */
export function lookAheadSeconds(lead: { readonly p90?: unknown } | undefined): number {
  return leadSeconds(lead) + insuranceSeconds;
}

function leadSeconds(lead: { readonly p90?: unknown } | undefined): number {
  try {
    return parseDurationSeconds(String(lead?.p90), 'status.lead.p90');
  } catch {
    return longestLeadSeconds;
  }
}
