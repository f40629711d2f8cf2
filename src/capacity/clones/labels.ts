// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations } from '../../api/clone-labels.ts';
import type { ClonePoolReason } from '../../api/reasons.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { HorizontalPodAutoscaler } from '../hpa.ts';
import { matchesSelector, requirements } from '../label-selector.ts';
import type { LabelSelector } from '../label-selector.ts';

type Labels = Readonly<Record<string, string>>;

/** Everything of the namespace that finds pods by labels, and must find clones as it finds the target's pods. */
export interface Finders {
  /** `spec.selector` of Services; empty and missing ones find nothing. */
  readonly services: readonly (Labels | undefined)[];
  /** Every podSelector of a NetworkPolicy: its own, and those of its peers. */
  readonly networkPolicies: readonly LabelSelector[];
  /** `spec.selector` of PodDisruptionBudgets; a missing one finds nothing. */
  readonly pdbs: readonly (LabelSelector | undefined)[];
}

/** The labels for clones. */
export interface LabelSplit {
  readonly labels: Labels;
  /** Whether the target's own selector, and so its HPA, does not match them any more. */
  readonly isSplit: boolean;
  /** The label that makes the difference. */
  readonly key?: string;
}

/** What an HPA would make of clones. */
export interface Preflight {
  readonly isOk: boolean;
  readonly reason: ClonePoolReason<'HPASelectorOverlap'>;
  readonly message: string;
}

const suffix = '-clone';
const maxValueLength = 63;

/**
 * Labels with which every Service, NetworkPolicy and PodDisruptionBudget finds clones as it finds the target's pods, but
 * the target's selector does not: another value of one of its keys. Where there is no such key, the labels as given.
 * @param labels what clones would have otherwise
 */
export function splitLabels(
  target: { readonly selector: LabelSelector; readonly labels: Labels },
  finders: Finders,
): LabelSplit {
  const { selector, labels } = target;
  if (!matchesSelector(selector, labels)) return { labels, isSplit: true };
  const selectors = selectorsOf(finders);
  const keys = [...new Set(requirements(selector).map(({ key }) => key))].toSorted();
  for (const key of keys) {
    for (const candidate of variants(labels, key)) {
      const isFoundAsBefore = selectors.every(
        (finder) => matchesSelector(finder, candidate) === matchesSelector(finder, labels),
      );
      if (isFoundAsBefore && !matchesSelector(selector, candidate)) return { labels: candidate, isSplit: true, key };
    }
  }
  return { labels, isSplit: false };
}

/** With another value of the key, and, for a selector that takes any value, without it. */
function variants(labels: Labels, key: string): Labels[] {
  const { [key]: value, ...without } = labels;
  if (value === undefined) return [];
  const other = value.slice(0, maxValueLength - suffix.length).replace(/[-_.]+$/, '') + suffix;
  return [{ ...labels, [key]: value === '' ? suffix.slice(1) : other }, without];
}

function selectorsOf({ services, networkPolicies, pdbs }: Finders): LabelSelector[] {
  const serving = services.flatMap((matchLabels = {}) =>
    Object.keys(matchLabels).length === 0 ? [] : [{ matchLabels }],
  );
  return [...serving, ...networkPolicies, ...pdbs.filter((selector) => selector !== undefined)];
}

/**
 * Whether clones may be made beside the HPAs of the namespace. An HPA finds pods by the selector of its target, not by
 * their owner (kubernetes/kubernetes#124307): clones that it matches count for every metric but External with an
 * AverageValue, which is divided by the replicas of the target alone.
 * @param target the Deployment's name and selector
 */
export function preflight(
  pool: ClonePool,
  target: { readonly name: string; readonly selector: LabelSelector },
  hpas: readonly HorizontalPodAutoscaler[],
  cloneLabels: Labels,
): Preflight {
  const ofTarget = hpas.filter(({ spec }) => isFor(spec.scaleTargetRef, 'Deployment', target.name, 'apps'));
  const ofPool = hpas.filter(({ spec }) =>
    isFor(spec.scaleTargetRef, 'ClonePool', pool.metadata.name, 'headstart.dev'),
  );
  const isCounted = matchesSelector(target.selector, cloneLabels);
  if (!isCounted) {
    const reason = pool.spec.serving === 'Hidden' ? 'Hidden' : 'LabelsSplit';
    return {
      isOk: true,
      reason,
      message: `the selector of Deployment ${target.name} does not match the labels of clones`,
    };
  }
  if (ofTarget.length === 0) {
    return { isOk: true, reason: 'NoHPA', message: `no HPA scales Deployment ${target.name}` };
  }
  const problem = ambiguity(ofTarget, ofPool) ?? ofTarget.map(countedBy).find((text) => text !== undefined);
  if (problem === undefined) {
    const message = `every metric of HPA ${ofTarget[0]?.metadata.name ?? ''} is External with an AverageValue, which does not count clones`;
    return { isOk: true, reason: 'ExternalAverageValue', message };
  }
  const isAccepted = pool.metadata.annotations?.[cloneAnnotations.acceptHpaOverlap] === 'true';
  if (isAccepted) return { isOk: true, reason: 'OverlapAccepted', message: problem };
  return { isOk: false, reason: 'HPACountsClones', message: `${problem}; ${wayOut}` };
}

const wayOut =
  'no clones are made. Either let the HPA read predicted_demand of a DemandForecast (source.resource for cpu and memory) ' +
  'as type External with target AverageValue, and nothing else; or give the pods of the Deployment a label that is in ' +
  'its selector and in no Service, NetworkPolicy or PodDisruptionBudget; or set serving: Hidden; or annotate the ' +
  `ClonePool with ${cloneAnnotations.acceptHpaOverlap}: "true"`;

/** Two HPAs whose pods overlap are both switched off (AmbiguousSelector, pkg/controller/podautoscaler/horizontal.go). */
function ambiguity(
  ofTarget: readonly HorizontalPodAutoscaler[],
  ofPool: readonly HorizontalPodAutoscaler[],
): string | undefined {
  const [own, foreign] = [ofTarget[0], ofPool[0]];
  if (own === undefined || foreign === undefined) return undefined;
  return `HPA ${own.metadata.name} and HPA ${foreign.metadata.name}, which scales this ClonePool, would find the same pods, and Kubernetes switches both off (AmbiguousSelector)`;
}

/** The first metric for which the HPA counts every pod that its target's selector matches. */
function countedBy({ metadata, spec }: HorizontalPodAutoscaler): string | undefined {
  // Without metrics it is 80 % of the CPU requests.
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return `HPA ${metadata.name} has no spec.metrics and so scales by cpu, which counts clones`;
  const index = metrics.findIndex(
    ({ type, external }) => type !== 'External' || external?.target.type !== 'AverageValue',
  );
  const metric = metrics[index];
  if (metric === undefined) return undefined;
  const { type, resource, external } = metric;
  const what =
    type === 'External'
      ? `External ${external?.metric.name ?? ''} with target ${external?.target.type ?? ''}`
      : [type, resource?.name].filter(Boolean).join(' ');
  return `HPA ${metadata.name}: spec.metrics[${index}]: ${what} counts every pod that the Deployment's selector matches, clones too`;
}

function isFor(
  ref: HorizontalPodAutoscaler['spec']['scaleTargetRef'],
  kind: string,
  name: string,
  group: string,
): boolean {
  const given = ref.apiVersion?.split('/')[0] ?? '';
  return ref.kind === kind && ref.name === name && (given === '' || given === group);
}
