// SPDX-License-Identifier: Apache-2.0
import { cloneLabels } from '../../api/clone-labels.ts';
import type { PodObject } from './read-clone.ts';
import type { CloneState, CloneView } from './view.ts';

/** What a node is worth to a clone; times in epoch seconds. */
export interface PlacementInput {
  /** When the clone ends. */
  readonly deadline: number;
  /** Until when the node is needed anyway: see {@link nodeHorizons}. */
  readonly horizon: number;
  readonly now: number;
  /** What one step of the score is about; 60 when left out. For clones that live for seconds, make it smaller. */
  readonly unitSeconds?: number;
}

/** The score of a node in the words of kube-scheduler (extender/v1 HostPriority). */
export interface NodeScore {
  readonly name: string;
  /** 0 to 10. */
  readonly score: number;
}

/** MinExtenderPriority and MaxExtenderPriority of kube-scheduler's extender API. */
export const scoreBounds = { min: 0, max: 10 } as const;
const defaultUnitSeconds = 60;
/** A node that stays for good is worth as much as one that stays an hour, in units, beyond the clone. */
const foreverUnits = 60;
const maxGapPenalty = 2;

/**
 * How well a clone that ends at `deadline` fits on a node that is needed until `horizon`, 0 to 10, a whole number. Best
 * is a node whose clones end with it; one that stays longer costs little; one that would have to stay longer because of
 * the clone costs a point for each doubling of that time. The steps absorb the jitter of deadlines. After NILAS in
 * LAVA (arXiv 2412.09840), which places virtual machines on hosts by predicted lifetimes.
 */
export function placementScore({ deadline, horizon, now, unitSeconds = defaultUnitSeconds }: PlacementInput): number {
  return score(deadline, horizon, now, unitSeconds);
}

/** Without an object a node: kube-scheduler waits for thousands of these. */
function score(deadline: number, horizon: number, now: number, unitSeconds: number): number {
  const extension = Math.max(0, deadline - Math.max(horizon, now));
  const tier = extension === 0 ? 0 : Math.ceil(Math.log2(1 + extension / unitSeconds));
  const gapUnits = Number.isFinite(horizon) ? Math.max(0, horizon - deadline) / unitSeconds : foreverUnits;
  const penalty = Math.min(maxGapPenalty, Math.log2(1 + gapUnits) / 4);
  return Math.min(scoreBounds.max, Math.max(scoreBounds.min, Math.round(scoreBounds.max - tier - penalty)));
}

/** What the nodes are judged by. */
export interface ScoreNodesInput {
  readonly names: readonly string[];
  /** Of {@link nodeHorizons}; a node that it lacks is empty. */
  readonly horizons: ReadonlyMap<string, number>;
  readonly deadline: number;
  readonly now: number;
  readonly unitSeconds?: number;
}

/**
 * A score for each node, in their order. None is left out: what is left out counts as 0 to kube-scheduler, and what may
 * not take a clone it has sorted out before.
 */
export function scoreNodes(input: ScoreNodesInput): readonly NodeScore[] {
  const { names, horizons, deadline, now, unitSeconds = defaultUnitSeconds } = input;
  return names.map((name) => ({ name, score: score(deadline, horizons.get(name) ?? now, now, unitSeconds) }));
}

/** What is on its way out holds the node for its grace period only. */
const leaving: ReadonlySet<CloneState> = new Set<CloneState>(['Retiring', 'Terminating', 'Ended']);

/**
 * Until when each node is needed, epoch seconds: for good (Infinity) where a pod is that is neither a clone nor of a
 * DaemonSet, else until the last of its clones ends, never before `now`. Deadlines are those of this moment, so that a
 * clone that is given another one, or is chosen to end early, counts at once. Empty nodes are not in the answer.
 */
export function nodeHorizons(
  clones: readonly CloneView[],
  otherPodsByNode: ReadonlyMap<string, number>,
  now: number,
): ReadonlyMap<string, number> {
  const horizons = new Map<string, number>();
  for (const { node, state, effectiveDeadline } of clones) {
    if (node === undefined || leaving.has(state)) continue;
    horizons.set(node, Math.max(horizons.get(node) ?? now, effectiveDeadline));
  }
  for (const [node, count] of otherPodsByNode) {
    if (count > 0) horizons.set(node, Number.POSITIVE_INFINITY);
  }
  return horizons;
}

/** What kubelets note on the picture of a static pod. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/**
 * The node that this pod keeps from being given back: undefined for clones, pods of DaemonSets and static pods, which
 * leave with the node, and pods that have ended or are on no node.
 */
export function heldNode(pod: PodObject): string | undefined {
  const hasEnded = ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
  if (hasEnded || leavesWithNode(pod)) return undefined;
  return pod.spec?.nodeName === '' ? undefined : pod.spec?.nodeName;
}

function leavesWithNode({ metadata }: PodObject): boolean {
  if (metadata.labels?.[cloneLabels.clone] === 'true') return true;
  if (metadata.annotations?.[mirrorAnnotation] !== undefined) return true;
  return metadata.ownerReferences?.some(({ kind, controller }) => kind === 'DaemonSet' && controller === true) ?? false;
}
