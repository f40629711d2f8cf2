// SPDX-License-Identifier: Apache-2.0

/** What a Deployment asks for and has. */
export interface TwinState {
  /** `spec.replicas`, which the HPA sets. */
  readonly desired: number;
  readonly ready: number;
}

/** One look at the cluster. */
export interface Observation {
  /** Epoch seconds. */
  readonly atSeconds: number;
  /** True demand, requests per second, each twin. */
  readonly demand: number;
  /** What the DemandForecast of the predictive twin says; absent until it says something. */
  readonly forecast?: ForecastState;
  readonly reactive: TwinState;
  readonly predictive: TwinState;
}

/** The part of a DemandForecast's status that is shown. */
export interface ForecastState {
  readonly leadSeconds: number;
  /** Median of demand one lead time ahead. */
  readonly atLead: number;
  /** What `predicted_demand` says. */
  readonly published: number;
}

/** The two Deployments that are compared. */
export const twins = ['reactive', 'predictive'] as const;
export type Twin = (typeof twins)[number];

/** Sizes that demand is turned into pods with. */
export interface Sizing {
  /** Demand that one ready pod carries. */
  readonly capacityPerPod: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/** How one twin did. */
export interface Score {
  /** Epoch second at which it began to scale; absent when it did not. */
  readonly beganSeconds?: number;
  /** Integral of max(0, pods needed - ready pods). */
  readonly deficientPodMinutes: number;
  /** The largest number of pods that were missing at one time. */
  readonly worstShortage: number;
  /** Integral of `spec.replicas`. */
  readonly podHours: number;
}

/** Demand or replicas count as risen when they are this much above those of the first look. */
const risen = 1.25;
const settleSeconds = 60;

/** Pods that must be ready to carry a demand. */
export function neededPods(demand: number, sizing: Sizing): number {
  const pods = Math.ceil(demand / sizing.capacityPerPod);
  return Math.min(sizing.maxReplicas, Math.max(sizing.minReplicas, pods));
}

/** Epoch second of the first look at which demand is a quarter above its mean over the first minute. */
export function rampStart(observations: readonly Observation[]): number | undefined {
  const first = observations[0]?.atSeconds ?? 0;
  const opening = observations.filter(({ atSeconds }) => atSeconds < first + settleSeconds);
  const mean = opening.reduce((sum, { demand }) => sum + demand, 0) / opening.length;
  return observations.find(({ demand }) => demand >= risen * mean)?.atSeconds;
}

/**
 * How a twin did over the observations. Between two looks the state of the earlier one holds. It begins to scale when
 * `spec.replicas` is a quarter above that of the first look.
 */
export function score(observations: readonly Observation[], twin: Twin, sizing: Sizing): Score {
  let deficientSeconds = 0;
  let podSeconds = 0;
  let worstShortage = 0;
  for (const [index, observation] of observations.entries()) {
    const { desired, ready } = observation[twin];
    const shortage = Math.max(0, neededPods(observation.demand, sizing) - ready);
    const seconds = (observations[index + 1]?.atSeconds ?? observation.atSeconds) - observation.atSeconds;
    deficientSeconds += shortage * seconds;
    podSeconds += desired * seconds;
    worstShortage = Math.max(worstShortage, shortage);
  }
  const totals = { deficientPodMinutes: deficientSeconds / 60, worstShortage, podHours: podSeconds / 3600 };
  const standing = observations[0]?.[twin].desired ?? 0;
  const began = observations.find((observation) => observation[twin].desired >= risen * standing)?.atSeconds;
  return began === undefined ? totals : { ...totals, beganSeconds: began };
}
