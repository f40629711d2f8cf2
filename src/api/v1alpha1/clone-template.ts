// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import type { Static } from '@sinclair/typebox';
import { cloneTemplates, controllerLabels } from '../clone-labels.ts';
import type { ObjectMetadata } from './object.ts';
import { cel, listMap, mapOf, objectName, oneOf, quantity } from './schema.ts';

/** Of a label, an annotation or a resource: `name` or `prefix/name`. */
const qualifiedName = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const labelValue = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

const keysAreNames = {
  rule: `self.all(key, key.matches('${qualifiedName}'))`,
  message: 'keys must be a name of at most 63 characters, with or without a DNS prefix and a slash',
};

/** No key is one of these, or begins with one that ends in `/`. */
const refuseKeys = (keys: readonly string[], why: string) => ({
  rule: `self.all(key, ${keys
    .map((key) => (/[/.]$/.test(key) ? `!key.startsWith('${key}')` : `key != '${key}'`))
    .join(' && ')})`,
  message: `${keys.join(', ')}: ${why}`,
});

const reservedLabels = refuseKeys(controllerLabels, 'these labels are for controllers alone');
const reservedAnnotations = refuseKeys(
  [
    'headstart.dev/',
    'karpenter.sh/do-not-disrupt',
    'cluster-autoscaler.kubernetes.io/safe-to-evict',
    'kubernetes.io/config.',
  ],
  'these annotations are written by Headstart, or by the kubelet',
);

const quantities = (description: string) =>
  mapOf<string | number>(
    { ...quantity({ minimum: 0, maxLength: 24 }) },
    { maxProperties: 16, description, ...cel(keysAreNames) },
  );

const resources = Type.Object(
  {
    requests: Type.Optional(quantities("In place of the target's requests of the same resource.")),
    limits: Type.Optional(quantities("In place of the target's limits of the same resource.")),
  },
  {
    description: 'What the container requests and may use.',
    ...cel({
      rule: '!has(self.requests) || !has(self.limits) || self.requests.all(key, !(key in self.limits) || quantity(string(self.requests[key])).compareTo(quantity(string(self.limits[key]))) <= 0)',
      message: 'requests must not be greater than limits',
      fieldPath: '.requests',
    }),
  },
);

const configKey = (kind: string) =>
  Type.Object(
    {
      name: objectName(`Name of the ${kind}, in the same namespace.`),
      key: Type.String({ minLength: 1, maxLength: 253, pattern: '^[-._a-zA-Z0-9]+$', description: 'Its key.' }),
      optional: Type.Optional(Type.Boolean({ description: 'Whether the clone starts without it.' })),
    },
    { description: `A key of a ${kind}.` },
  );

const valueFrom = Type.Object(
  {
    configMapKeyRef: Type.Optional(configKey('ConfigMap')),
    secretKeyRef: Type.Optional(configKey('Secret')),
    fieldRef: Type.Optional(
      Type.Object(
        { fieldPath: Type.String({ minLength: 1, maxLength: 256, description: 'Path of the field.' }) },
        { description: 'A field of the clone.' },
      ),
    ),
  },
  {
    description: 'Where the value comes from.',
    ...cel({
      rule: '[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef)].filter(given, given).size() == 1',
      message: 'exactly one of configMapKeyRef, secretKeyRef and fieldRef must be given',
    }),
  },
);

const environmentVariable = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[-._a-zA-Z][-._a-zA-Z0-9]*$',
      description: 'Name of the variable.',
    }),
    value: Type.Optional(Type.String({ maxLength: 32_768, description: 'Its value; empty when left out.' })),
    valueFrom: Type.Optional(valueFrom),
  },
  {
    ...cel({ rule: '!(has(self.value) && has(self.valueFrom))', message: 'value and valueFrom cannot both be given' }),
  },
);

const container = Type.Object({
  name: Type.String({
    minLength: 1,
    maxLength: 63,
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    description: "Name of a container, or of an init container, of the target's pod template.",
  }),
  resources: Type.Optional(resources),
  env: Type.Optional(
    listMap(environmentVariable, ['name'], {
      maxItems: 64,
      description: 'Environment variables that are added, or that replace those of the same name.',
    }),
  ),
});

const toleration = Type.Object(
  {
    key: Type.Optional(Type.String({ maxLength: 317, pattern: qualifiedName, description: 'Taint key; all if none.' })),
    operator: oneOf(['Equal', 'Exists'], { default: 'Equal', description: 'How key and value are compared.' }),
    value: Type.Optional(Type.String({ maxLength: 63, pattern: labelValue, description: 'Taint value.' })),
    effect: Type.Optional(
      oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute'], { description: 'Taint effect; all if none.' }),
    ),
    tolerationSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 86_400, description: 'How long NoExecute is tolerated; ever if none.' }),
    ),
  },
  {
    ...cel(
      {
        rule: "self.operator != 'Exists' || !has(self.value) || self.value == ''",
        message: 'value is for operator Equal',
        fieldPath: '.value',
      },
      {
        rule: "self.operator == 'Exists' || (has(self.key) && self.key != '')",
        message: 'without key the operator must be Exists',
        fieldPath: '.operator',
      },
      {
        rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: 'tolerationSeconds is for effect NoExecute',
        fieldPath: '.tolerationSeconds',
      },
    ),
  },
);

const labelled = { type: 'string', maxLength: 63, pattern: labelValue };
const spec = Type.Object(
  {
    containers: Type.Optional(
      listMap(container, ['name'], { maxItems: 16, description: 'Containers that are changed, by name.' }),
    ),
    nodeSelector: Type.Optional(
      mapOf<string>(labelled, {
        maxProperties: 32,
        description: "Labels that a node must have, besides the target's; these win.",
        ...cel(keysAreNames),
      }),
    ),
    tolerations: Type.Optional(
      Type.Array(toleration, {
        maxItems: 32,
        'x-kubernetes-list-type': 'atomic',
        description: "Taints that clones tolerate, besides the target's.",
      }),
    ),
    priorityClassName: Type.Optional(
      Type.Unsafe<string>({
        ...objectName("PriorityClass of clones, in place of the target's."),
        ...cel({ rule: "!self.startsWith('system-')", message: 'clones are not critical to the cluster' }),
      }),
    ),
    labels: Type.Optional(
      mapOf<string>(labelled, {
        maxProperties: 32,
        description: "Labels, besides the target's; these win.",
        ...cel(keysAreNames, reservedLabels),
      }),
    ),
    annotations: Type.Optional(
      mapOf<string>(
        { type: 'string', maxLength: 16_384 },
        {
          maxProperties: 32,
          description: "Annotations, besides the target's; these win.",
          ...cel(keysAreNames, reservedAnnotations),
        },
      ),
    ),
    terminationGracePeriodSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 3600, description: "In place of the target's." }),
    ),
  },
  { description: "What clones have in place of what the target's pod template has, or besides it." },
);

/** The schema that validation, types, defaults and the CRD come from. */
export const cloneTemplateSchema = Type.Object(
  { spec },
  { description: 'How clones differ from the pods of the workload that they are made from.' },
);

export type CloneTemplateSpec = Static<typeof spec>;

/** A CloneTemplate as the apiserver gives it. */
export interface CloneTemplate {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly spec: CloneTemplateSpec;
}

/** Everything the CRD needs besides the schema. */
export const cloneTemplateCrd = {
  kind: 'CloneTemplate',
  plural: cloneTemplates,
  singular: 'clonetemplate',
  shortNames: ['clt'],
  columns: [
    { name: 'Priority', type: 'string', jsonPath: '.spec.priorityClassName', description: 'PriorityClass of clones' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Age' },
  ],
} as const;
