// SPDX-License-Identifier: Apache-2.0
import { exitReasons, scalings } from '../api/clone-labels.ts';
import { metricNames } from '../api/labels.ts';
import { clonePoolReasons, reasons } from '../api/reasons.ts';

/** What a metric is, for prom-client and for docs/reference/metrics.md. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label → the values that it takes, for people. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whose processes it moves in. */
  readonly role: 'every' | 'metrics' | 'leader' | 'clones';
  /** Upper bounds of a histogram's buckets, seconds. */
  readonly buckets?: readonly number[];
}

const outcome = '`Success`, or an error code such as `Timeout` or `Forbidden`';
const perForecast = {
  namespace: 'namespace of the DemandForecast',
  name: 'name of the DemandForecast',
} as const;
const perPool = { namespace: 'namespace of the ClonePool', name: 'name of the ClonePool' } as const;
const words = (list: readonly string[]): string => list.map((word) => `\`${word}\``).join(', ');
/** These say why clones that run do not serve; nobody refused them. */
const notRefused: readonly string[] = ['NotBlocked', 'Unschedulable', 'StartsFail'];
const callSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
const delaySeconds = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const;

/** Everything that Headstart says about itself; names by Prometheus' practices, units in base units. */
export const catalogue = {
  buildInfo: {
    name: 'headstart_build_info',
    type: 'gauge',
    help: 'Always 1; the version of Headstart and of Node.js that runs.',
    labels: { version: 'version of Headstart', node: 'version of Node.js' },
    role: 'every',
  },
  kubeRequest: {
    name: 'headstart_kube_request_duration_seconds',
    type: 'histogram',
    help: 'Requests to the apiserver; of a watch, to its headers.',
    labels: { verb: '`get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`', outcome },
    role: 'every',
    buckets: callSeconds,
  },
  cacheContact: {
    name: 'headstart_cache_last_contact_timestamp_seconds',
    type: 'gauge',
    help: 'When the apiserver last said anything about a resource that is kept in memory; 0 before that.',
    labels: {
      resource:
        '`demandforecasts`, `horizontalpodautoscalers`, `clonepools`, `clonetemplates`, `clones` (pods that are), `pods` (the others, for the scheduler extender)',
    },
    role: 'every',
  },
  metricRequest: {
    name: 'headstart_metrics_api_request_duration_seconds',
    type: 'histogram',
    help: 'Requests to the external metrics API.',
    labels: { route: 'pattern of the path, `none` for an unknown one', code: 'HTTP status code' },
    role: 'metrics',
    buckets: callSeconds,
  },
  answers: {
    name: 'headstart_metrics_api_answers_total',
    type: 'counter',
    help: 'Answers of the external metrics API, by what the value was made of.',
    labels: {
      metric: metricNames.map((name) => `\`${name}\``).join(', '),
      rung: '`Forecast`, `ForecastHeld` (demand is stale), `Preview`, `ObservedOnly`, `Nothing` (an error)',
    },
    role: 'metrics',
  },
  apiServiceState: {
    name: 'headstart_apiservice_state',
    type: 'gauge',
    help: 'Who serves external metrics in this cluster: 1 for the state that holds, 0 for the others.',
    labels: { state: '`Owned`, `Foreign` (another adapter), `Missing`, `NotManaged` (caBundle is kept by others)' },
    role: 'metrics',
  },
  certificateExpiry: {
    name: 'headstart_serving_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'When a certificate that is served runs out.',
    labels: { server: '`metrics` (external metrics API), `clones` (webhook and scheduler extender)' },
    role: 'every',
  },
  leader: {
    name: 'headstart_leader',
    type: 'gauge',
    help: '1 while this replica holds the Lease of its role.',
    labels: { lease: '`headstart-forecaster`, `headstart-clones`' },
    role: 'every',
  },
  clonesRequest: {
    name: 'headstart_clones_request_duration_seconds',
    type: 'histogram',
    help: 'Requests to the webhook and to the scheduler extender.',
    labels: { route: 'pattern of the path, `none` for an unknown one', code: 'HTTP status code' },
    role: 'clones',
    buckets: callSeconds,
  },
  refits: {
    name: 'headstart_forecast_refits_total',
    type: 'counter',
    help: 'Fits of the models of a DemandForecast, by what made them due. `scheduled` fits the models in use, the others choose anew.',
    labels: { reason: '`first`, `look-ahead`, `level-shift`, `late-samples`, `scheduled`, `reselection`' },
    role: 'leader',
  },
  clonesCreated: {
    name: 'headstart_clones_created_total',
    type: 'counter',
    help: 'Clones that this replica made.',
    labels: {},
    role: 'clones',
  },
  clonesEnded: {
    name: 'headstart_clones_ended_total',
    type: 'counter',
    help: 'Clones that this replica ended, by reason.',
    labels: { reason: words(exitReasons) },
    role: 'clones',
  },
  clonesRefused: {
    name: 'headstart_clones_refused_total',
    type: 'counter',
    help: 'Tries to make clones that were refused, by the reason in the condition CreationBlocked.',
    labels: { reason: words(clonePoolReasons.CreationBlocked.filter((reason) => !notRefused.includes(reason))) },
    role: 'clones',
  },
  poolScalings: {
    name: 'headstart_clonepool_scalings_total',
    type: 'counter',
    help: 'How often more clones, or fewer, were wanted of a ClonePool in mode Predictive than before.',
    labels: { reason: words(scalings) },
    role: 'clones',
  },
  poolCondition: {
    name: 'headstart_clonepool_condition',
    type: 'gauge',
    help: 'Always 1; each condition of a ClonePool with its status and reason.',
    labels: {
      ...perPool,
      condition: Object.keys(clonePoolReasons).join(', '),
      status: '`True`, `False`, `Unknown`',
      reason: 'a reason of that condition',
    },
    role: 'clones',
  },
  poolReplicas: {
    name: 'headstart_clonepool_replicas',
    type: 'gauge',
    help: 'Clones of a ClonePool.',
    labels: { ...perPool, state: '`wanted`, `live` (there are, and are not ending), `ready`, `retiring`' },
    role: 'clones',
  },
  sweep: {
    name: 'headstart_sweep_duration_seconds',
    type: 'histogram',
    help: 'Scans of all clones for those that are to end; one a second.',
    labels: {},
    role: 'clones',
    buckets: callSeconds,
  },
  clonesAlive: {
    name: 'headstart_clones',
    type: 'gauge',
    help: 'Pods that are marked as clones, as the last scan saw them.',
    labels: {},
    role: 'clones',
  },
  prioritized: {
    name: 'headstart_extender_nodes_total',
    type: 'counter',
    help: 'Nodes that kube-scheduler had scored for a pod.',
    labels: {},
    role: 'clones',
  },
  reviews: {
    name: 'headstart_clone_reviews_total',
    type: 'counter',
    help: 'Pods that the webhook was asked about, by what came of it.',
    labels: { outcome: '`Stamped`, `Unchanged`, `Ignored`, `Denied`' },
    role: 'clones',
  },
  webhookState: {
    name: 'headstart_webhook_state',
    type: 'gauge',
    help: 'Whether the apiserver can verify the webhook: 1 for the state that holds, 0 for the others.',
    labels: {
      state: '`Kept`, `Missing`, `Foreign` (it calls somebody else), `NotManaged` (caBundle is kept by others)',
    },
    role: 'clones',
  },
  sourceRequest: {
    name: 'headstart_source_request_duration_seconds',
    type: 'histogram',
    help: 'Requests to metric sources.',
    labels: { server: 'name in `--prometheus-servers`', outcome },
    role: 'leader',
    buckets: callSeconds,
  },
  reconcile: {
    name: 'headstart_reconcile_duration_seconds',
    type: 'histogram',
    help: 'Looks at an object, from reading to the written status.',
    labels: { controller: '`forecast`, `clone`', outcome },
    role: 'every',
    buckets: callSeconds,
  },
  lookDelay: {
    name: 'headstart_look_delay_seconds',
    type: 'histogram',
    help: 'How much later than planned a DemandForecast was looked at: the lag of the loop.',
    labels: {},
    role: 'leader',
    buckets: delaySeconds,
  },
  decisions: {
    name: 'headstart_decisions_total',
    type: 'counter',
    help: 'What looks at DemandForecasts came to, by condition and reason.',
    labels: { condition: Object.keys(reasons).join(', '), reason: 'a reason of that condition' },
    role: 'leader',
  },
  info: {
    name: 'headstart_demandforecast_info',
    type: 'gauge',
    help: 'Always 1; how a DemandForecast is set.',
    labels: { ...perForecast, mode: '`Preview`, `Auto`', model: 'the model in use, or empty' },
    role: 'leader',
  },
  condition: {
    name: 'headstart_demandforecast_condition',
    type: 'gauge',
    help: 'Always 1; each condition with its status and reason.',
    labels: {
      ...perForecast,
      condition: Object.keys(reasons).join(', '),
      status: '`True`, `False`, `Unknown`',
      reason: 'a reason of that condition',
    },
    role: 'leader',
  },
  observedDemand: {
    name: 'headstart_demandforecast_observed_demand',
    type: 'gauge',
    help: 'The last observed demand, in the unit of the query.',
    labels: perForecast,
    role: 'leader',
  },
  demandAtLead: {
    name: 'headstart_demandforecast_demand_at_lead',
    type: 'gauge',
    help: 'Median forecast of demand one lead time after the forecast was issued, in the unit of the query.',
    labels: perForecast,
    role: 'leader',
  },
  observedTime: {
    name: 'headstart_demandforecast_observed_timestamp_seconds',
    type: 'gauge',
    help: 'When demand was last observed; `time() - …` is its age.',
    labels: perForecast,
    role: 'leader',
  },
  issuedTime: {
    name: 'headstart_demandforecast_issued_timestamp_seconds',
    type: 'gauge',
    help: 'When the forecast that is published was issued; `time() - …` is its age.',
    labels: perForecast,
    role: 'leader',
  },
  quantile: {
    name: 'headstart_demandforecast_quantile_ratio',
    type: 'gauge',
    help: 'The quantile that is published: what coverage should be.',
    labels: perForecast,
    role: 'leader',
  },
  coverage: {
    name: 'headstart_demandforecast_coverage_ratio',
    type: 'gauge',
    help: 'Share of the forecasts that came due with demand at or below the published quantile.',
    labels: perForecast,
    role: 'leader',
  },
  skill: {
    name: 'headstart_demandforecast_pinball_skill_ratio',
    type: 'gauge',
    help: '1 − pinball loss ÷ that of the seasonal naive; above 0 the forecast is better.',
    labels: perForecast,
    role: 'leader',
  },
  bias: {
    name: 'headstart_demandforecast_bias',
    type: 'gauge',
    help: 'Mean of median forecast minus what came, in the unit of the query.',
    labels: perForecast,
    role: 'leader',
  },
  scores: {
    name: 'headstart_demandforecast_scores',
    type: 'gauge',
    help: 'Forecasts that have come due, and that the accuracy is made of.',
    labels: perForecast,
    role: 'leader',
  },
  lead: {
    name: 'headstart_demandforecast_lead_seconds',
    type: 'gauge',
    help: 'Time from a decision to ready pods; the forecast is planned with the 0.9 quantile.',
    labels: { ...perForecast, quantile: '`0.5`, `0.9`' },
    role: 'leader',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricKey = keyof typeof catalogue;
