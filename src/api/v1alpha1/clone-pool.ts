// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import type { Static } from '@sinclair/typebox';
import { clonePools } from '../clone-labels.ts';
import type { ClonePoolCondition } from '../conditions.ts';
import { conditionSchema } from './object.ts';
import type { ObjectMetadata } from './object.ts';
import { cel, listMap, mapOf, milliQuantity, objectName, oneOf, positiveQuantity, time } from './schema.ts';

const seconds = (description: string, minimum: number, more: { maximum?: number; default?: number } = {}) =>
  Type.Integer({ minimum, description, ...more });

const targetRef = Type.Object(
  {
    apiVersion: oneOf(['apps/v1'], { default: 'apps/v1', description: 'API version of the target.' }),
    kind: oneOf(['Deployment'], { default: 'Deployment', description: 'Only a Deployment can be cloned.' }),
    name: objectName('Name of the Deployment, in the same namespace.'),
  },
  {
    description: 'The workload that is cloned.',
    ...cel({ rule: 'self == oldSelf', message: 'targetRef is immutable; make another ClonePool' }),
  },
);

const forecastRef = Type.Object(
  { name: objectName('Name of a DemandForecast of the same namespace and target.') },
  { description: 'Whose forecast says when clones are needed.' },
);
const templateRef = Type.Object(
  { name: objectName('Name of a CloneTemplate of the same namespace.') },
  { description: "What clones have in place of what the target's pod template has." },
);

const window = Type.Object(
  {
    id: Type.String({
      minLength: 1,
      maxLength: 40,
      pattern: '^[a-z0-9-]+$',
      description: 'Stays the same while the window moves.',
    }),
    startTime: time('When the clones are to be made: one start-up time before they are needed.'),
    endTime: time('When they may end, with the time that the base needs to take over.'),
    replicas: Type.Integer({ minimum: 1, description: 'Clones of this window.' }),
  },
  { ...cel({ rule: 'self.endTime > self.startTime', message: 'endTime must be after startTime' }) },
);

const lifetime = Type.Object(
  {
    maxSeconds: seconds('Time to live of a clone since its creation.', 60, { maximum: 86_400 }),
    marginSeconds: seconds(
      'Kept after a burst, should it last longer than foreseen; the default is as long as an HPA waits before it scales down.',
      0,
      {
        maximum: 3600,
        default: 300,
      },
    ),
    startupBudgetSeconds: seconds('A clone that is not Ready by then is ended as StartFailed.', 10, {
      maximum: 3600,
      default: 180,
    }),
  },
  { description: 'How long clones live.' },
);

const utilizationExit = Type.Object(
  {
    resource: Type.Optional(
      oneOf(['cpu', 'memory'], {
        description: 'Of metrics.k8s.io, in percent of requests. cpu when no query is given.',
      }),
    ),
    query: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description:
          'In place of resource: PromQL with one series for each pod, by the label pod, in percent of what a pod carries.',
      }),
    ),
    serverRef: Type.String({
      default: 'default',
      maxLength: 63,
      description: "A Prometheus server of Headstart's configuration, for query.",
    }),
    belowPercent: Type.Integer({
      minimum: 1,
      maximum: 90,
      default: 15,
      description: 'Below it a clone counts as idle.',
    }),
    clearAbovePercent: Type.Integer({
      minimum: 2,
      maximum: 100,
      default: 25,
      description: 'From it on it counts as busy.',
    }),
    sustainedSeconds: seconds('How long it must be idle.', 60, { maximum: 3600, default: 180 }),
    minSamples: Type.Integer({ minimum: 3, maximum: 100, default: 5, description: 'And in how many samples.' }),
    warmupSeconds: seconds('Not counted after it became Ready.', 0, { maximum: 3600, default: 120 }),
    maxSampleAgeSeconds: seconds('Older samples say nothing.', 30, { maximum: 600, default: 90 }),
    poolGuardPercent: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 70,
      description: 'None ends where the rest would be used more than this.',
    }),
    cooldownSeconds: seconds('Between two exits of a pool.', 0, { maximum: 3600, default: 60 }),
  },
  {
    description: 'Ends clones early that have nothing to do.',
    ...cel(
      {
        rule: 'self.clearAbovePercent > self.belowPercent',
        message: 'clearAbovePercent must be greater than belowPercent',
        fieldPath: '.clearAbovePercent',
      },
      { rule: '!(has(self.resource) && has(self.query))', message: 'resource and query cannot both be given' },
    ),
  },
);

const termination = Type.Object(
  {
    policy: oneOf(['EvictThenDelete', 'Delete'], {
      default: 'EvictThenDelete',
      description: 'Whether PodDisruptionBudgets are asked first.',
    }),
    evictTimeoutSeconds: seconds('How long a refused eviction is tried again before the pod is deleted.', 0, {
      maximum: 3600,
      default: 120,
    }),
    maxPerMinute: Type.Integer({
      minimum: 1,
      maximum: 6000,
      default: 60,
      description: 'Clones of the pool that are ended in a minute.',
    }),
  },
  { default: {}, description: 'How clones end.' },
);

const placement = Type.Object(
  {
    strategy: oneOf(['None', 'Affinity', 'Scheduler'], {
      default: 'Affinity',
      description:
        'Affinity prefers nodes with clones that end at the same time; Scheduler uses the scheduler headstart-scheduler.',
    }),
    bucketSeconds: seconds('Clones that end within so much of each other belong together.', 60, {
      maximum: 86_400,
      default: 300,
    }),
  },
  { default: {}, description: 'On which nodes clones are put.' },
);

const spec = Type.Object(
  {
    targetRef,
    forecastRef: Type.Optional(forecastRef),
    templateRef: Type.Optional(templateRef),
    capacityPerClone: Type.Optional(
      positiveQuantity(
        'capacityPerClone',
        "Demand that one ready clone carries; default the forecast's capacityPerReplica.",
      ),
    ),
    minBurstReplicas: Type.Integer({
      minimum: 1,
      maximum: 5000,
      default: 2,
      description: 'A burst that needs fewer clones is left to the base.',
    }),
    maxBurstSeconds: seconds('What lasts longer is left to the base.', 60, { maximum: 86_400, default: 3600 }),
    mode: oneOf(['Predictive', 'Scale'], {
      default: 'Predictive',
      description: 'Predictive follows the forecast; Scale follows spec.replicas, which others set by /scale.',
    }),
    replicas: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'Clones that are wanted now; in mode Predictive the controller writes it.',
    }),
    maxReplicas: Type.Integer({ minimum: 1, maximum: 5000, description: 'Never more clones than this.' }),
    suspend: Type.Boolean({ default: false, description: 'No new clones; those that are there still end.' }),
    windows: Type.Optional(
      listMap(window, ['id'], {
        maxItems: 32,
        description: 'Bursts that are foreseen; in mode Predictive the controller writes them.',
      }),
    ),
    lifetime,
    utilizationExit: Type.Optional(utilizationExit),
    serving: oneOf(['ServiceLabels', 'Hidden'], {
      default: 'ServiceLabels',
      description:
        "ServiceLabels: clones carry the target's labels, so that Services send them traffic; Hidden: they carry none of them.",
    }),
    onTargetChange: oneOf(['Retire', 'Keep'], {
      default: 'Retire',
      description: "What becomes of clones when the target's pod template changes.",
    }),
    termination,
    placement,
  },
  {
    description: 'What is wanted.',
    ...cel(
      // In mode Predictive the controller writes replicas, and follows when somebody lowers maxReplicas in a burst.
      {
        rule: "self.mode == 'Predictive' || self.replicas <= self.maxReplicas",
        message: 'replicas must not be greater than maxReplicas',
        fieldPath: '.replicas',
      },
      {
        rule: "self.mode != 'Predictive' || has(self.forecastRef)",
        message: 'mode Predictive needs forecastRef',
        fieldPath: '.mode',
      },
      {
        rule: "self.mode != 'Scale' || !has(self.windows) || size(self.windows) == 0",
        message: 'windows are for mode Predictive',
        fieldPath: '.windows',
      },
      {
        rule: '!has(self.utilizationExit) || self.utilizationExit.warmupSeconds + self.utilizationExit.sustainedSeconds < self.lifetime.maxSeconds',
        message: 'warmupSeconds + sustainedSeconds must be less than lifetime.maxSeconds',
        fieldPath: '.utilizationExit',
      },
    ),
  },
);

const carrying = Type.Object(
  {
    time: time('When this was seen.'),
    perClone: milliQuantity('Demand that one clone carries.'),
    ready: Type.Integer({ minimum: 0, description: 'Ready clones that are not ending.' }),
    steps: Type.Array(
      Type.Object({
        until: time('When these clones end: at their deadline, or with their window.'),
        replicas: Type.Integer({ minimum: 1, description: 'Ready clones that end then.' }),
      }),
      {
        maxItems: 120,
        'x-kubernetes-list-type': 'atomic',
        description: 'Ready clones by deadline, the earliest first.',
      },
    ),
  },
  { description: 'What clones take off the base, and for how long; predicted_demand is less by it.' },
);

const status = Type.Object(
  {
    observedGeneration: Type.Optional(Type.Integer({ description: 'Generation of the spec that was last acted on.' })),
    replicas: Type.Integer({ default: 0, description: 'Clones that there are and that are not ending.' }),
    readyReplicas: Type.Optional(Type.Integer({ description: 'Of them Ready.' })),
    retiringReplicas: Type.Optional(Type.Integer({ description: 'Clones that are ending.' })),
    selector: Type.Optional(Type.String({ maxLength: 512, description: 'Label selector of the clones, for /scale.' })),
    nextDeadline: Type.Optional(time('When the next clone ends.')),
    targetRevision: Type.Optional(
      Type.String({ maxLength: 63, description: 'Of the pod template that clones are made from.' }),
    ),
    carrying: Type.Optional(carrying),
    exits: Type.Optional(mapOf<number>({ type: 'integer' }, { description: 'Clones that ended, by reason.' })),
    conditions: Type.Optional(
      listMap(conditionSchema, ['type'], { maxItems: 16, description: 'What holds, each with a reason.' }),
    ),
  },
  { description: 'What Headstart saw and did last.' },
);

/** The schema that validation, types, defaults and the CRD come from. */
export const clonePoolSchema = Type.Object(
  { spec, status: Type.Optional(status) },
  {
    description: 'Short-lived copies of the pods of a workload, for bursts.',
    ...cel({
      rule: 'self.metadata.name.size() <= 50',
      message: 'metadata.name must be no longer than 50 characters: pods are named after it',
    }),
  },
);

export type ClonePoolSpec = Static<typeof spec>;
export type CloneWindow = Static<typeof window>;
export type UtilizationExit = Static<typeof utilizationExit>;
export type ClonePoolStatus = Omit<Static<typeof status>, 'conditions'> & { conditions?: ClonePoolCondition[] };

/** A ClonePool as the apiserver gives it. */
export interface ClonePool {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly spec: ClonePoolSpec;
  readonly status?: ClonePoolStatus;
}

/** Everything the CRD needs besides the schema. */
export const clonePoolCrd = {
  kind: 'ClonePool',
  plural: clonePools,
  singular: 'clonepool',
  shortNames: ['clp'],
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
  columns: [
    { name: 'Target', type: 'string', jsonPath: '.spec.targetRef.name', description: 'What is cloned' },
    { name: 'Desired', type: 'integer', jsonPath: '.spec.replicas', description: 'Clones that are wanted' },
    { name: 'Live', type: 'integer', jsonPath: '.status.replicas', description: 'Clones that there are' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas', description: 'Of them Ready' },
    { name: 'Retiring', type: 'integer', jsonPath: '.status.retiringReplicas', description: 'Clones that are ending' },
    // Not of type date: kubectl prints a date to come as <invalid>.
    { name: 'Next-Expiry', type: 'string', jsonPath: '.status.nextDeadline', description: 'When the next one ends' },
    {
      name: 'Status',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      description: 'How the pool is',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Age' },
  ],
} as const;
