// SPDX-License-Identifier: Apache-2.0

/** Demand and ready pods at one time (epoch seconds). */
export interface ReplicaLook {
  readonly timestamp: number;
  readonly replicas: number;
  readonly demand: number;
}

/** A change of the number of pods, with demand before and after it had settled. */
interface ReplicaChange {
  readonly replicas: readonly [number, number];
  readonly demand: readonly [number, number];
}

/** What was seen of pods and demand; begins as {@link noReplicas}. */
export interface ReplicaRecord {
  /** Oldest first. */
  readonly looks: readonly ReplicaLook[];
  /** Oldest first. */
  readonly changes: readonly ReplicaChange[];
}

/** Nothing seen yet. */
export const noReplicas: ReplicaRecord = { looks: [], changes: [] };

/** What the changes say together. */
export interface PerPodVerdict {
  readonly isPerPod: boolean;
  readonly changes: number;
}

const minSpacingSeconds = 50;
const keptSeconds = 1800;
const keptChanges = 20;
const minRises = 5;
/** Looks with one number of pods before a change, and after it; rates lag behind for as long as their window. */
const looksBefore = 3;
const looksAfter = 5;
/** Pods that come one by one are one change, if it does not take longer. */
const longestChangeSeconds = 900;
/** Of the changes, those that must look like an average. */
const share = 0.8;

/** Adds a look; more than one a minute, and looks without pods or demand, add nothing. */
export function recordReplicas(record: ReplicaRecord, look: ReplicaLook): ReplicaRecord {
  const { timestamp, replicas, demand } = look;
  const last = record.looks.at(-1);
  if (!(replicas > 0 && demand > 0) || (last && timestamp - last.timestamp < minSpacingSeconds)) return record;
  const looks = [...record.looks.filter((old) => timestamp - old.timestamp <= keptSeconds), look];
  const change = settledChange(looks);
  const changes = change === undefined ? record.changes : [...record.changes, change].slice(-keptChanges);
  return { looks, changes };
}

/** The change that is settled with the newest look: five looks with one number of pods, before them three with another. */
function settledChange(looks: readonly ReplicaLook[]): ReplicaChange | undefined {
  const replicas = looks.at(-1)?.replicas;
  const start = looks.findLastIndex((look) => look.replicas !== replicas) + 1;
  if (replicas === undefined || start === 0 || looks.length - start !== looksAfter) return undefined;
  const before = lastPlateau(looks.slice(0, start));
  const [newest, oldest] = [looks[start], before?.at(-1)];
  if (before === undefined || newest === undefined || oldest === undefined || oldest.replicas === replicas)
    return undefined;
  if (newest.timestamp - oldest.timestamp > longestChangeSeconds) return undefined;
  const after = looks.slice(start).slice(-looksBefore);
  return { replicas: [oldest.replicas, replicas], demand: [medianDemand(before), medianDemand(after)] };
}

/** The last looks in a row, three of them, with one number of pods. */
function lastPlateau(looks: readonly ReplicaLook[]): readonly ReplicaLook[] | undefined {
  for (let end = looks.length; end >= looksBefore; end -= 1) {
    const plateau = looks.slice(end - looksBefore, end);
    if (plateau.every(({ replicas }) => replicas === plateau[0]?.replicas)) return plateau;
  }
  return undefined;
}

function medianDemand(looks: readonly ReplicaLook[]): number {
  const sorted = looks.map(({ demand }) => demand).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/**
 * Whether demand is an average per pod: an average falls in proportion when pods are added, and rises when they are
 * taken away, while a total does not follow the number of pods at all. At least five rises are needed, and one fall: after a peak a
 * total falls too while its pods still come, but it does not rise when they go.
 */
export function judgePerPod({ changes }: ReplicaRecord): PerPodVerdict {
  const rises = changes.filter(({ replicas: [before, after] }) => after > before);
  const falls = changes.filter(({ replicas: [before, after] }) => after < before);
  const isEnough = rises.length >= minRises && falls.length > 0;
  return { isPerPod: isEnough && mostFollow(rises) && mostFollow(falls), changes: changes.length };
}

function mostFollow(changes: readonly ReplicaChange[]): boolean {
  return changes.filter(isInverse).length >= share * changes.length;
}

/** An average over n pods goes with 1/n: the slope in logarithms is -1, that of a total is 0. */
function isInverse({ replicas, demand }: ReplicaChange): boolean {
  const slope = Math.log(demand[1] / demand[0]) / Math.log(replicas[1] / replicas[0]);
  return slope >= -1.5 && slope <= -0.5;
}
