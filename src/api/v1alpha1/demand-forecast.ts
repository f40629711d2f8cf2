// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import type { Static, TSchema } from '@sinclair/typebox';
import type { Condition } from '../conditions.ts';
import { demandForecasts } from '../labels.ts';
import { conditionSchema } from './object.ts';
import type { ObjectMetadata } from './object.ts';
import {
  cel,
  durationBetween,
  durationPattern,
  listMap,
  milliQuantity,
  objectName,
  oneOf,
  positiveQuantity,
  time,
} from './schema.ts';

/** Models that `spec.models` may name. */
const modelNames = [
  'naive',
  'drift',
  'seasonal-naive',
  'seasonal-profile',
  'level-corrected',
  'harmonic',
  'ets',
  'holt-winters',
  'arima',
  'arima-package',
  'prophet',
  'linear',
  'random-forest',
  'gradient-boosting',
  'ml-random-forest',
  'direct',
  'ensemble',
] as const;
export type ModelName = (typeof modelNames)[number];

const scaleTargetRef = Type.Object(
  {
    apiVersion: oneOf(['apps/v1'], { default: 'apps/v1', description: 'API version of the target.' }),
    kind: oneOf(['Deployment', 'StatefulSet'], { description: 'Kind of the target.' }),
    name: Type.String({ minLength: 1, maxLength: 253, description: 'Name of the target, in the same namespace.' }),
  },
  { description: 'The workload whose demand is forecast; the same reference as in the HPA.' },
);

/** Ready-made queries that `preset` may name; docs/reference/presets.md has them. */
export const presetNames = ['cpu', 'memory', 'network', 'disk-io', 'ingress-nginx', 'istio', 'http'] as const;

const prometheus = Type.Object(
  {
    query: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'PromQL that gives one series: the total demand of the target, not an average per pod.',
      }),
    ),
    preset: Type.Optional(oneOf(presetNames, { description: 'A ready-made query for the target, in place of query.' })),
    service: Type.Optional(
      objectName('Service in front of the target, for presets that count requests by Service; default its name.'),
    ),
    serverRef: Type.String({
      default: 'default',
      maxLength: 63,
      description: "Name of a Prometheus server in Headstart's configuration.",
    }),
    url: Type.Optional(
      Type.String({
        maxLength: 2048,
        pattern: '^https?://[^\\s@?#%\\\\]+$',
        description:
          "A Prometheus server of one's own, in place of serverRef; Headstart's configuration must allow it.",
      }),
    ),
    secretRef: Type.Optional(
      Type.Object(
        { name: objectName('Name of the Secret.') },
        {
          description:
            'Secret of type headstart.dev/prometheus in the same namespace; its key url names where it may be sent.',
        },
      ),
    ),
  },
  {
    description: 'Demand from Prometheus.',
    ...cel(
      {
        rule: 'has(self.query) != has(self.preset)',
        message: 'exactly one of query and preset must be given',
      },
      {
        rule: "!has(self.url) || self.serverRef == 'default'",
        message: 'url and serverRef cannot both be given',
      },
      {
        rule: "!has(self.service) || (has(self.preset) && self.preset == 'ingress-nginx')",
        message: 'service is for preset ingress-nginx',
        fieldPath: '.service',
      },
    ),
  },
);

const resource = Type.Object(
  { name: oneOf(['cpu', 'memory'], { description: 'cpu (cores) or memory (bytes).' }) },
  { description: "What the target's pods use in all, from metrics.k8s.io (metrics-server)." },
);

const source = Type.Object(
  { prometheus: Type.Optional(prometheus), resource: Type.Optional(resource) },
  {
    description: 'Where demand is read.',
    ...cel({
      rule: 'has(self.prometheus) != has(self.resource)',
      message: 'exactly one of prometheus and resource must be given',
    }),
  },
);

const spec = Type.Object(
  {
    scaleTargetRef,
    source,
    capacityPerReplica: positiveQuantity(
      'capacityPerReplica',
      'Demand that one ready replica carries, in the unit of the query.',
    ),
    mode: oneOf(['Preview', 'Auto'], {
      default: 'Preview',
      description: 'Preview publishes observed demand and shows the forecast; Auto publishes the larger of both.',
    }),
    gate: Type.Optional(
      Type.Object(
        {
          override: Type.Boolean({ default: false, description: 'Allow Auto without proof on the own history.' }),
        },
        { description: 'What Auto needs to have proved.' },
      ),
    ),
    lead: Type.String({
      default: 'auto',
      maxLength: 20,
      pattern: `^(auto|${durationPattern})$`,
      description: "How far ahead to scale: auto (measured from the target's own pods) or a duration from 15s to 30m.",
      ...durationBetween('15s', '30m', 'lead must be auto or a duration from 15s to 30m'),
    }),
    quantile: Type.String({
      default: '0.7',
      maxLength: 8,
      pattern: '^0\\.[0-9]{1,5}$',
      description: 'Quantile of the maximum of demand over the look-ahead that is published, from 0.3 to 0.995.',
      ...cel({
        rule: 'double(self) >= 0.3 && double(self) <= 0.995',
        message: 'quantile must be from 0.3 to 0.995',
      }),
    }),
    history: Type.Object(
      {
        window: Type.String({
          default: '14d',
          maxLength: 20,
          pattern: '^[0-9]{1,3}[hd]$',
          description: 'History that models are fitted on, in hours or days, from 2h to 28d.',
          ...cel({
            rule: "int(self.substring(0, self.size() - 1)) * (self.endsWith('d') ? 24 : 1) >= 2 && int(self.substring(0, self.size() - 1)) * (self.endsWith('d') ? 24 : 1) <= 672",
            message: 'history.window must be from 2h to 28d',
          }),
        }),
      },
      { default: { window: '14d' }, description: 'History that is used.' },
    ),
    timeZone: Type.String({
      default: 'UTC',
      maxLength: 64,
      description: 'IANA time zone in which days and weeks are counted.',
    }),
    models: Type.Optional(
      Type.Array(oneOf(modelNames, {}), {
        minItems: 1,
        maxItems: modelNames.length,
        'x-kubernetes-list-type': 'set',
        description: 'Models that may be used; default all.',
      }),
    ),
    staleAfter: Type.String({
      default: '3m',
      maxLength: 20,
      pattern: `^${durationPattern}$`,
      description: 'Age at which an observation counts as stale, from 30s to 1h.',
      ...durationBetween('30s', '1h', 'staleAfter must be a duration from 30s to 1h'),
    }),
  },
  {
    description: 'What is to be forecast, and how.',
    ...cel({
      rule: "self.mode != 'Auto' || (has(self.gate) && self.gate.override)",
      message: 'mode Auto needs gate.override: true; the gate that proves the gain first is not available yet',
      fieldPath: '.mode',
    }),
  },
);

const forecast = Type.Object(
  {
    issuedAt: time('When the forecast was made.'),
    startTime: time('The minute that values[0] is for.'),
    stepSeconds: Type.Integer({ minimum: 1, description: 'Seconds between values.' }),
    quantile: Type.String({ maxLength: 8, description: 'The published quantile.' }),
    atLead: milliQuantity('Median of demand one lead time after issuedAt; for people.'),
    values: Type.Array(Type.String({ maxLength: 20 }), {
      maxItems: 120,
      'x-kubernetes-list-type': 'atomic',
      description: 'The value to publish at each step: the quantile of the maximum of demand over the look-ahead.',
    }),
  },
  { description: 'What is to be published over the next hour.' },
);

const candidate = Type.Object({
  name: Type.String({ maxLength: 63 }),
  loss: Type.String({
    maxLength: 24,
    description: 'Mean pinball loss of the maximum over the lead, in units of demand.',
  }),
});

const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);
const status = Type.Object(
  {
    observedGeneration: optional(Type.Integer({ description: 'Generation of the spec that was last acted on.' })),
    observed: optional(
      Type.Object(
        { value: milliQuantity('Demand.'), time: time('When it was observed.') },
        { description: 'The last observation.' },
      ),
    ),
    forecast: optional(forecast),
    hpa: optional(
      Type.Object(
        {
          name: Type.String({ maxLength: 253, description: 'The HPA that reads predicted_demand.' }),
          targetAverageValue: Type.String({ maxLength: 24, description: 'Its target.' }),
          utilization: Type.String({ maxLength: 8, description: 'Target divided by capacityPerReplica.' }),
        },
        { description: 'The HPA that uses the metric.' },
      ),
    ),
    lead: optional(
      Type.Object(
        {
          p50: Type.String({ maxLength: 20, description: 'Median time from decision to Ready.' }),
          p90: Type.String({ maxLength: 20, description: 'The lead that is planned with.' }),
          samples: Type.Integer({ description: 'Pods measured.' }),
          source: oneOf(['Measured', 'Default', 'Spec'], { description: 'Where the lead comes from.' }),
        },
        { description: 'Time from a decision to ready pods.' },
      ),
    ),
    accuracy: optional(
      Type.Object(
        {
          coverage: Type.String({ maxLength: 8, description: 'Share of maxima at or below the published quantile.' }),
          pinballSkill: Type.String({ maxLength: 8, description: '1 - loss / loss of the seasonal naive.' }),
          bias: Type.String({
            maxLength: 24,
            description: 'Mean of forecast median minus actual, in units of demand.',
          }),
          scores: Type.Integer({ description: 'Forecasts that have come due.' }),
        },
        { description: 'How good the forecasts were that have come due.' },
      ),
    ),
    model: optional(
      Type.Object(
        {
          name: Type.String({ maxLength: 63, description: 'The model in use.' }),
          since: time('Since when.'),
          candidates: Type.Array(candidate, {
            maxItems: 20,
            'x-kubernetes-list-type': 'atomic',
            description: 'The contest, best first.',
          }),
        },
        { description: 'The model in use.' },
      ),
    ),
    history: optional(
      Type.Object(
        {
          have: Type.String({ maxLength: 20 }),
          need: Type.String({ maxLength: 20 }),
          readyAt: optional(time('When there will be enough, if nothing is missing.')),
        },
        { description: 'History that there is and that forecasting needs.' },
      ),
    ),
    conditions: optional(
      listMap(conditionSchema, ['type'], {
        maxItems: 16,
        description:
          'What holds, each with a reason and the numbers; where only numbers waver, they are written down every ten minutes.',
      }),
    ),
  },
  { description: 'What Headstart saw and did last.' },
);

/** The schema that validation, types, defaults and the CRD come from. */
export const demandForecastSchema = Type.Object(
  { spec, status: Type.Optional(status) },
  {
    description: "Forecasts a workload's demand and publishes it as the external metric predicted_demand.",
    ...cel({
      rule: 'self.metadata.name.size() <= 63',
      message: 'metadata.name must be no longer than 63 characters: it is the value of the label forecast',
    }),
  },
);

export type DemandForecastSpec = Static<typeof spec>;
export type DemandForecastStatus = Omit<Static<typeof status>, 'conditions'> & { conditions?: Condition[] };

/** A DemandForecast as the apiserver gives it. */
export interface DemandForecast {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly spec: DemandForecastSpec;
  readonly status?: DemandForecastStatus;
}

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: number;
}

/** Everything the CRD needs besides the schema. */
export const demandForecastCrd = {
  kind: 'DemandForecast',
  plural: demandForecasts,
  singular: 'demandforecast',
  shortNames: ['df'],
  columns: [
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'Preview or Auto' },
    { name: 'Observed', type: 'string', jsonPath: '.status.observed.value', description: 'Demand now' },
    { name: 'AtLead', type: 'string', jsonPath: '.status.forecast.atLead', description: 'Demand one lead time ahead' },
    { name: 'Lead', type: 'string', jsonPath: '.status.lead.p90', description: 'Start-up time that is planned with' },
    { name: 'Model', type: 'string', jsonPath: '.status.model.name', description: 'Model in use' },
    {
      name: 'Coverage',
      type: 'string',
      jsonPath: '.status.accuracy.coverage',
      description: 'Share of maxima below the quantile',
    },
    {
      name: 'HPA',
      type: 'string',
      jsonPath: '.status.hpa.name',
      description: 'HPA that reads the metric',
      priority: 1,
    },
    {
      name: 'Status',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Publishing")].reason',
      description: 'What predicted_demand says',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Age' },
  ] satisfies PrinterColumn[],
} as const;
