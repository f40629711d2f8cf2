// SPDX-License-Identifier: Apache-2.0
import { clonesFor } from './decide-capacity.ts';

/** A forecast: values[k] is predicted demand at startTime + k · stepSeconds; times are epoch seconds. */
export interface DemandCurve {
  readonly startTime: number;
  readonly stepSeconds: number;
  /** As DemandForecast status publishes them: quantiles of the maximum of demand over the look-ahead. */
  readonly values: readonly number[];
}

/** The workload without clones, as its HPA scales it; without an HPA all replicas are the same number. */
export interface Base {
  readonly readyReplicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** What it can have one lead from now, where a scale-up policy of the HPA allows less than maxReplicas. */
  readonly reachableReplicas?: number;
  /** Demand that a base pod carries as its HPA fills it. */
  readonly capacityPerReplica: number;
}

/** One step of the forecast that is not over yet, and what of it is the base's. */
export interface Step {
  readonly start: number;
  readonly end: number;
  readonly demand: number;
  readonly base: number;
}

/** Steps in a row that need clones. */
export interface Run {
  readonly start: number;
  readonly end: number;
  readonly clones: number;
}

/** What the split needs to know. */
export interface SplitInput {
  readonly curve: DemandCurve;
  readonly base: Base;
  /** Demand that lasts longer belongs to the base. */
  readonly longestBurstSeconds: number;
  readonly lookAheadSeconds: number;
  readonly leadSeconds: number;
  readonly now: number;
}

/**
 * Divides each step between base and clones. The base's is what lasts, as far as it can be reached in time, and at
 * least what minReplicas carry. What lasts is the morphological opening of the curve: the highest level that holds
 * without a break for longer than a burst may be. A maximum over the look-ahead holds a peak for one look-ahead longer
 * than demand does, so that the look-ahead is added. What the base has ready has lasted before the curve begins; what
 * stands at its end goes on: a burst whose end is not in sight yet is none.
 * @returns nothing when the curve is over, or has a value that is no demand
 */
export function splitDemand(input: SplitInput): readonly Step[] {
  const { curve, base, now } = input;
  const { startTime, stepSeconds } = curve;
  const isSound = stepSeconds > 0 && curve.values.every((value) => Number.isFinite(value) && value >= 0);
  const passed = Math.max(0, Math.floor((now - startTime) / stepSeconds));
  if (!isSound || !Number.isFinite(startTime)) return [];
  const values = curve.values.slice(passed);
  const atLeast = base.minReplicas * base.capacityPerReplica;
  const standing = Math.max(atLeast, base.readyReplicas * base.capacityPerReplica);
  const length = Math.floor((input.longestBurstSeconds + input.lookAheadSeconds) / stepSeconds) + 1;
  const lasting = open(values, length, standing);
  return values.map((demand, index) => {
    const start = startTime + (passed + index) * stepSeconds;
    const reach = reachAt(input, start) * base.capacityPerReplica;
    const share = Math.max(atLeast, Math.min(wholePods(lasting[index] ?? 0, base.capacityPerReplica), reach));
    return { start, end: start + stepSeconds, demand, base: share };
  });
}

/** What the pods carry that carry so much: an HPA counts whole ones. */
function wholePods(demand: number, capacityPerReplica: number): number {
  return clonesFor(demand, capacityPerReplica) * capacityPerReplica;
}

/** Replicas of the base at a time: one lead away the reachable ones, from there on at the same pace. */
function reachAt({ base, leadSeconds, now }: SplitInput, time: number): number {
  const { readyReplicas, maxReplicas, reachableReplicas = maxReplicas } = base;
  const leads = leadSeconds > 0 ? Math.max(1, (time - now) / leadSeconds) : 1;
  return Math.min(maxReplicas, readyReplicas + Math.max(0, reachableReplicas - readyReplicas) * leads);
}

/** Opening by a flat element of `longest` values; `before` stands in front of the first value, the last one goes on. */
function open(values: readonly number[], longest: number, before: number): readonly number[] {
  const count = values.length;
  // An element that reaches beyond both ends makes the same of them however long it is.
  const length = Math.min(longest, count + 1);
  const eroded = new Map<number, number>();
  for (let first = 1 - length; first < count; first += 1) {
    const inside = values.slice(Math.max(0, first), Math.max(0, first + length));
    eroded.set(first, Math.min(first < 0 ? before : Number.POSITIVE_INFINITY, ...inside));
  }
  return values.map((_, index) => {
    let highest = 0;
    for (let first = index - length + 1; first <= index; first += 1)
      highest = Math.max(highest, eroded.get(first) ?? 0);
    return highest;
  });
}

/** Steps in a row that need clones, where they need at least `minClones` at one time. */
export function findRuns(steps: readonly Step[], capacityPerClone: number, minClones: number): readonly Run[] {
  const runs: Run[] = [];
  for (const { start, end, demand, base } of steps) {
    const clones = clonesFor(demand - base, capacityPerClone);
    const last = runs.at(-1);
    if (clones === 0) continue;
    if (last?.end === start) runs[runs.length - 1] = { ...last, end, clones: Math.max(last.clones, clones) };
    else runs.push({ start, end, clones });
  }
  return runs.filter(({ clones }) => clones >= minClones);
}
