// SPDX-License-Identifier: Apache-2.0
import type { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { reasons } from '../api/reasons.ts';
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast, DemandForecastStatus } from '../api/v1alpha1/demand-forecast.ts';
import { clonePool, condition, demandForecast } from '../testing/builders.ts';
import { catalogue } from './catalogue.ts';
import type { MetricKey } from './catalogue.ts';
import { registerForecastMetrics } from './forecast-metrics.ts';
import { createMetrics } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { registerPoolMetrics } from './pool-metrics.ts';

const status: DemandForecastStatus = {
  observed: { value: '140500m', time: '2026-09-01T12:00:00Z' },
  forecast: {
    issuedAt: '2026-09-01T12:00:01Z',
    startTime: '2026-09-01T12:00:00Z',
    stepSeconds: 60,
    quantile: '0.7',
    atLead: '160',
    values: ['150', '160'],
  },
  lead: { p50: '1m', p90: '90s', samples: 12, source: 'Measured' },
  accuracy: { coverage: '0.71', pinballSkill: '-0.2', bias: '-1.5', scores: 600 },
  model: { name: 'seasonal-profile', since: '2026-09-01T00:00:00Z', candidates: [] },
  conditions: [condition('Publishing', 'True', 'Forecast')],
};

const quota = {
  type: 'CreationBlocked',
  status: 'True',
  reason: 'QuotaExceeded',
  message: '',
  observedGeneration: 1,
  lastTransitionTime: '',
} as const;
function poolOf(poolStatus?: ClonePool['status']): ClonePool {
  return clonePool({ spec: { replicas: 5 }, ...(poolStatus === undefined ? {} : { status: poolStatus }) });
}

function setUp(list: () => readonly DemandForecast[] = () => [], pools: () => readonly ClonePool[] = () => []) {
  const metrics = createMetrics('1.2.3');
  registerForecastMetrics(metrics.registry, list);
  registerPoolMetrics(metrics.registry, pools);
  return metrics;
}

/** The series of a metric as lines; of a histogram, its counts and sums. */
async function series(registry: Registry, name: string): Promise<string[]> {
  const lines = (await registry.metrics()).split('\n');
  return lines.filter(
    (line) => new RegExp(`^${name}(_count|_sum)?[ {]`).test(line) && !line.startsWith('#') && !line.includes('_bucket'),
  );
}

const forecast = '{namespace="shop",name="web"}';
const withLabels = (labels: string): string => `{namespace="shop",name="web",${labels}}`;

/** What moves each metric, and what it then says; those of DemandForecasts move with the status above. */
const moves: Record<MetricKey, readonly [move: (metrics: Metrics) => void, says: string]> = {
  buildInfo: [() => undefined, `headstart_build_info{version="1.2.3",node="${process.versions.node}"} 1`],
  kubeRequest: [
    (metrics) => metrics.kubeRequest({ verb: 'get', outcome: 'Success', seconds: 0.02 }),
    'headstart_kube_request_duration_seconds_sum{verb="get",outcome="Success"} 0.02',
  ],
  cacheContact: [
    (metrics) => metrics.followContact('demandforecasts', () => 1_500),
    'headstart_cache_last_contact_timestamp_seconds{resource="demandforecasts"} 1.5',
  ],
  metricRequest: [
    (metrics) => metrics.metricRequest({ route: '/apis', code: 200, seconds: 0.001 }),
    'headstart_metrics_api_request_duration_seconds_count{route="/apis",code="200"} 1',
  ],
  answers: [
    (metrics) => metrics.metricAnswered({ metric: 'predicted_demand', rung: 'Forecast' }),
    'headstart_metrics_api_answers_total{metric="predicted_demand",rung="Forecast"} 1',
  ],
  apiServiceState: [
    (metrics) => metrics.apiService('Foreign', ['Owned', 'Foreign']),
    'headstart_apiservice_state{state="Foreign"} 1',
  ],
  certificateExpiry: [
    (metrics) => metrics.certificateExpires('clones', 1_800_000_000),
    'headstart_serving_certificate_expiry_timestamp_seconds{server="clones"} 1800000000',
  ],
  leader: [(metrics) => metrics.leading('headstart-clones', true), 'headstart_leader{lease="headstart-clones"} 1'],
  clonesRequest: [
    (metrics) => metrics.clonesRequest({ route: '/mutate-v1-pod', code: 200, seconds: 0.001 }),
    'headstart_clones_request_duration_seconds_count{route="/mutate-v1-pod",code="200"} 1',
  ],
  clonesCreated: [(metrics) => metrics.clonesCreated(3), 'headstart_clones_created_total 3'],
  clonesEnded: [(metrics) => metrics.cloneEnded('Idle'), 'headstart_clones_ended_total{reason="Idle"} 1'],
  clonesRefused: [
    (metrics) => metrics.clonesRefused('QuotaExceeded'),
    'headstart_clones_refused_total{reason="QuotaExceeded"} 1',
  ],
  poolScalings: [
    (metrics) => metrics.poolScaled('ScaledUp'),
    'headstart_clonepool_scalings_total{reason="ScaledUp"} 1',
  ],
  poolCondition: [
    () => undefined,
    `headstart_clonepool_condition${withLabels('condition="CreationBlocked",status="True",reason="QuotaExceeded"')} 1`,
  ],
  poolReplicas: [() => undefined, `headstart_clonepool_replicas${withLabels('state="wanted"')} 5`],
  sweep: [(metrics) => metrics.swept({ clones: 7, seconds: 0.002 }), 'headstart_sweep_duration_seconds_sum 0.002'],
  clonesAlive: [(metrics) => metrics.swept({ clones: 7, seconds: 0.002 }), 'headstart_clones 7'],
  prioritized: [(metrics) => metrics.prioritized(50), 'headstart_extender_nodes_total 50'],
  reviews: [(metrics) => metrics.reviewed('Stamped'), 'headstart_clone_reviews_total{outcome="Stamped"} 1'],
  webhookState: [
    (metrics) => metrics.webhook('Missing', ['Kept', 'Missing']),
    'headstart_webhook_state{state="Missing"} 1',
  ],
  sourceRequest: [
    (metrics) => metrics.sourceRequest({ server: 'default', outcome: 'Timeout', seconds: 5 }),
    'headstart_source_request_duration_seconds_count{server="default",outcome="Timeout"} 1',
  ],
  reconcile: [
    (metrics) => metrics.reconciled({ controller: 'forecast', outcome: 'Success', seconds: 0.1 }),
    'headstart_reconcile_duration_seconds_count{controller="forecast",outcome="Success"} 1',
  ],
  lookDelay: [
    (metrics) => metrics.decided({ conditions: [], delaySeconds: 3, refits: [] }),
    'headstart_look_delay_seconds_sum 3',
  ],
  refits: [
    (metrics) => metrics.decided({ conditions: [], delaySeconds: undefined, refits: ['level-shift'] }),
    'headstart_forecast_refits_total{reason="level-shift"} 1',
  ],
  decisions: [
    (metrics) => metrics.decided({ conditions: status.conditions ?? [], delaySeconds: undefined, refits: [] }),
    'headstart_decisions_total{condition="Publishing",reason="Forecast"} 1',
  ],
  info: [() => undefined, `headstart_demandforecast_info${withLabels('mode="Auto",model="seasonal-profile"')} 1`],
  condition: [
    () => undefined,
    `headstart_demandforecast_condition${withLabels('condition="Publishing",status="True",reason="Forecast"')} 1`,
  ],
  observedDemand: [() => undefined, `headstart_demandforecast_observed_demand${forecast} 140.5`],
  demandAtLead: [() => undefined, `headstart_demandforecast_demand_at_lead${forecast} 160`],
  observedTime: [() => undefined, `headstart_demandforecast_observed_timestamp_seconds${forecast} 1788264000`],
  issuedTime: [() => undefined, `headstart_demandforecast_issued_timestamp_seconds${forecast} 1788264001`],
  quantile: [() => undefined, `headstart_demandforecast_quantile_ratio${forecast} 0.7`],
  coverage: [() => undefined, `headstart_demandforecast_coverage_ratio${forecast} 0.71`],
  skill: [() => undefined, `headstart_demandforecast_pinball_skill_ratio${forecast} -0.2`],
  bias: [() => undefined, `headstart_demandforecast_bias${forecast} -1.5`],
  scores: [() => undefined, `headstart_demandforecast_scores${forecast} 600`],
  lead: [() => undefined, `headstart_demandforecast_lead_seconds${withLabels('quantile="0.9"')} 90`],
};

describe('every metric', () => {
  test.each(Object.entries(moves))('%s moves', async (key, [move, says]) => {
    const { name } = catalogue[key as MetricKey];
    let forecasts: readonly DemandForecast[] = [];
    let pools: readonly ClonePool[] = [];
    const metrics = setUp(
      () => forecasts,
      () => pools,
    );
    expect(await series(metrics.registry, name)).toEqual(
      expect.not.arrayContaining(key === 'buildInfo' ? [''] : [says]),
    );
    forecasts = [demandForecast({ status })];
    pools = [poolOf({ replicas: 3, conditions: [quota] })];
    move(metrics);
    expect(await series(metrics.registry, name)).toContain(says);
  });
  test('is in the catalogue, with the labels that it has', async () => {
    const { registry } = setUp();
    const own = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('headstart_'));
    const labelsOf = (metric: object) => (metric as { labelNames: readonly string[] }).labelNames;
    const served = own.map((metric) => [metric.name, metric.help, labelsOf(metric)]);
    const described = Object.values(catalogue).map(({ name, help, labels }) => [name, help, Object.keys(labels)]);
    const byName = (a: unknown[], b: unknown[]) => String(a[0]).localeCompare(String(b[0]));
    expect(served.toSorted(byName)).toEqual(described.toSorted(byName));
  });
  test.each(
    Object.values(catalogue).map(({ name, type, help }) => [name, type, help]),
  )('%s is named by the practices of Prometheus', (name, type, help) => {
    expect(name).toMatch(/^headstart_[a-z0-9]+(_[a-z0-9]+)*$/);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(name.endsWith('_seconds') || type !== 'histogram').toBe(true);
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|percent|age)(_|$)/);
    expect(help).toMatch(/^[A-Z0-9].*\.$|; `time\(\) - …` is its age\.$/);
  });
});

test('a DemandForecast that goes takes its series with it', async () => {
  let forecasts = [demandForecast({ status }), demandForecast({ name: 'api', status })];
  const { registry } = setUp(() => forecasts);
  const both = await registry.metrics();
  expect(both).toContain('name="api"');
  forecasts = forecasts.slice(0, 1);
  const one = await registry.metrics();
  expect(one).not.toContain('name="api"');
  expect(one).toContain('name="web"');
  forecasts = [];
  expect(await registry.metrics()).not.toContain('namespace="shop"');
});

test('a ClonePool has its numbers from the first moment, and takes them with it', async () => {
  let pools = [poolOf()];
  const { registry } = setUp(undefined, () => pools);
  expect(await series(registry, 'headstart_clonepool_replicas')).toEqual(
    ['wanted', 'live', 'ready', 'retiring'].map(
      (state) => `headstart_clonepool_replicas${withLabels(`state="${state}"`)} ${state === 'wanted' ? 5 : 0}`,
    ),
  );
  pools = [];
  expect(await registry.metrics()).not.toContain('namespace="shop"');
});

test('each DemandForecast has a bounded number of series: those of its conditions and twelve', async () => {
  const types = Object.keys(reasons).length;
  const conditions = Object.entries(reasons).map(([type, [reason]]) =>
    condition(type as 'Publishing', 'True', reason as 'Forecast'),
  );
  const { registry } = setUp(() => [demandForecast({ status: { ...status, conditions } })]);
  const own = (await registry.metrics()).split('\n').filter((line) => line.includes('name="web"'));
  expect(own).toHaveLength(types + 12);
});

test.each<[string, DemandForecastStatus | undefined]>([
  ['no status', undefined],
  ['nothing in status', {}],
  [
    'a status that cannot be read',
    {
      observed: { value: 'much', time: 'lately' },
      lead: { p50: 'x', p90: '', samples: 0, source: 'Default' },
      accuracy: { coverage: 'NaN', pinballSkill: '', bias: 'x', scores: 0 },
    },
  ],
])('with %s there are no numbers but those of the spec', async (_what, given) => {
  const { registry } = setUp(() => [demandForecast(given === undefined ? {} : { status: given })]);
  const text = await registry.metrics();
  expect(text).toContain('headstart_demandforecast_quantile_ratio{namespace="shop",name="web"} 0.7');
  for (const name of ['observed_demand', 'lead_seconds', 'coverage_ratio', 'bias', 'observed_timestamp_seconds']) {
    expect(text).not.toContain(`headstart_demandforecast_${name}{`);
  }
  expect(text).not.toMatch(/headstart_demandforecast_\S+ NaN/i);
});
