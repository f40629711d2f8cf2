// SPDX-License-Identifier: Apache-2.0
import { controllerLabels } from '../../api/clone-labels.ts';
import type { CloneTemplateSpec } from '../../api/v1alpha1/clone-template.ts';
import { hashJson } from '../../base/hash.ts';
import type { LabelSelector } from '../label-selector.ts';

/** What is read of a container in a pod template; the rest is passed on as it is. */
export interface TemplateContainer {
  readonly name: string;
  readonly ports?: readonly { readonly hostPort?: number }[];
  readonly env?: readonly { readonly name: string }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string | number>>;
    readonly limits?: Readonly<Record<string, string | number>>;
  };
}

/** What is read of a pod template's spec; the rest is passed on as it is. */
export interface TemplatePodSpec {
  readonly containers?: readonly TemplateContainer[];
  readonly initContainers?: readonly TemplateContainer[];
  readonly volumes?: readonly { readonly name: string; readonly persistentVolumeClaim?: object }[];
  readonly affinity?: object;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly object[];
  readonly hostNetwork?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly priorityClassName?: string;
  readonly [field: string]: unknown;
}

/** What is read of an apps/v1 Deployment. */
export interface TargetDeployment {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    /** 1 when left out. */
    readonly replicas?: number;
    readonly paused?: boolean;
    readonly selector: LabelSelector;
    readonly template: {
      readonly metadata?: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
      };
      readonly spec: TemplatePodSpec;
    };
  };
  readonly status?: { readonly readyReplicas?: number };
}

/** What keeps a target from being cloned. */
export interface CloneRefusal {
  readonly reason: 'TargetNotCloneable' | 'TemplateMismatch';
  /** Names the field, and says why. */
  readonly message: string;
}

/** Labels and annotations that are for controllers alone; those that end with a slash are prefixes. */
const foreignKeys = [
  ...controllerLabels,
  'kubernetes.io/config.',
  'kubectl.kubernetes.io/last-applied-configuration',
  'controller.kubernetes.io/pod-deletion-cost',
];

/** Without what another controller, or the kubelet, would take for its own. */
export function ownKeys(given: Readonly<Record<string, string>> = {}): Record<string, string> {
  const isForeign = (key: string): boolean =>
    foreignKeys.some((foreign) => (/[/.]$/.test(foreign) ? key.startsWith(foreign) : key === foreign));
  return Object.fromEntries(Object.entries(given).filter(([key]) => !isForeign(key)));
}

/**
 * The labels that clones would have with `serving: ServiceLabels` if they were not split: those of the target's pods,
 * and over them those of the CloneTemplate.
 */
export function servingLabels(
  target: TargetDeployment,
  template: CloneTemplateSpec | undefined,
): Record<string, string> {
  return { ...ownKeys(target.spec.template.metadata?.labels), ...template?.labels };
}

/** Of what clones are made from: the target's pod template, and what the CloneTemplate has in place of it. */
export function revisionOf(target: TargetDeployment, template: CloneTemplateSpec | undefined): string {
  const { metadata, spec } = target.spec.template;
  const { labels, annotations } = metadata ?? {};
  return hashJson([{ labels, annotations, spec }, template ?? {}]);
}

/**
 * Why there can be no second pod of this template beside the target's own, or why the CloneTemplate does not fit it;
 * empty when clones can be made.
 */
export function refuseTarget(
  target: TargetDeployment,
  template: CloneTemplateSpec | undefined,
): readonly CloneRefusal[] {
  const { spec } = target.spec.template;
  const where = `Deployment ${target.metadata.name}: spec.template.spec`;
  const cannot = (field: string, why: string): CloneRefusal => ({
    reason: 'TargetNotCloneable',
    message: `${where}.${field}: cannot be cloned: ${why}`,
  });
  const claims = (spec.volumes ?? []).flatMap(({ persistentVolumeClaim }, index) =>
    persistentVolumeClaim === undefined
      ? []
      : [
          cannot(
            `volumes[${index}].persistentVolumeClaim`,
            'a claim may be for one node or pod (ReadWriteOnce, ReadWriteOncePod); a generic ephemeral volume may be used in its place',
          ),
        ],
  );
  const network =
    spec.hostNetwork === true ? [cannot('hostNetwork', "its ports are the node's, which has each once")] : [];
  const ports = [...hostPorts(spec, 'initContainers'), ...hostPorts(spec, 'containers')].map((field) =>
    cannot(field, 'a node has each port once, and the pods of the target need it'),
  );
  return [...claims, ...network, ...ports, ...mismatches(target, template)];
}

function hostPorts(spec: TemplatePodSpec, list: 'containers' | 'initContainers'): string[] {
  return (spec[list] ?? []).flatMap(({ ports = [] }, container) =>
    ports.flatMap(({ hostPort = 0 }, port) => (hostPort > 0 ? [`${list}[${container}].ports[${port}].hostPort`] : [])),
  );
}

function mismatches(target: TargetDeployment, template: CloneTemplateSpec | undefined): CloneRefusal[] {
  const { containers = [], initContainers = [] } = target.spec.template.spec;
  const names = [...containers, ...initContainers].map(({ name }) => name);
  return (template?.containers ?? []).flatMap(({ name }, index) =>
    names.includes(name)
      ? []
      : [
          {
            reason: 'TemplateMismatch' as const,
            message: `CloneTemplate: spec.containers[${index}].name: got "${name}", want a container of Deployment ${target.metadata.name}: ${names.join(', ')}`,
          },
        ],
  );
}
