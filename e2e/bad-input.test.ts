// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployment, pass, setStage } from './stage.ts';
import type { ExampleObject, Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({ demand: { web: () => 140, other: () => 70 }, historySeconds: 86_400 });
  await stage.apply(deployment('web'));
});
afterAll(() => stage?.stop());

function forecast(name: string, changes: Record<string, unknown> = {}): ExampleObject & { apiVersion: string } {
  return {
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'DemandForecast',
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      source: { prometheus: { query: 'sum(rate(http_requests_total{app="web"}[1m]))' } },
      capacityPerReplica: '50',
      ...changes,
    },
  };
}

test('two DemandForecasts for one target: the older keeps it, the newer says whose it is', async () => {
  await stage.apply(forecast('first'));
  await stage.reason('first', 'TargetReady', 'TargetFound');
  await pass(1);
  await stage.apply(forecast('second', { mode: 'Auto', gate: { override: true } }));
  expect(await stage.reason('second', 'TargetReady', 'DuplicateTarget')).toContain('first');
  await stage.reason('second', 'Publishing', 'ObservedOnly');
  await stage.reason('first', 'TargetReady', 'TargetFound');
  await stage.controlPlane.kubectlOk(['delete', 'df', 'first']);
  await stage.reason('second', 'TargetReady', 'TargetFound');
  await stage.controlPlane.kubectlOk(['delete', 'df', 'second']);
});

test('an unknown target is named, and demand is still observed', async () => {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'nowhere' };
  await stage.apply(forecast('lost', { scaleTargetRef }));
  expect(await stage.reason('lost', 'TargetReady', 'TargetNotFound')).toContain('nowhere');
  await stage.reason('lost', 'Observed', 'DemandObserved');
});

test.each([
  ['a query that does not parse', 'sum(rate(', 'QueryFailed', 'parse error'],
  ['a query with several series', 'rate(http_requests_total[1m])', 'SeveralSeries', 'app="other"'],
  ['a query without data', 'sum(no_such_series)', 'NoData', 'no data'],
  ['a query that gives NaN', 'sum(http_requests_total{app="web"}) * NaN', 'NotANumber', 'NaN'],
  ['a query that gives less than nothing', '-sum(http_requests_total{app="web"})', 'NegativeDemand', 'negative'],
])('%s: Observed=False says so, and the metric is an error, not 0', async (_name, query, reason, words) => {
  const name = reason.toLowerCase();
  await stage.apply(forecast(name, { source: { prometheus: { query } } }));
  expect(await stage.reason(name, 'Observed', reason)).toContain(words);
  const { code, stderr } = await stage.metric('predicted_demand', name);
  expect(code).not.toBe(0);
  expect(stderr).toContain(`predicted_demand for default/${name}`);
  await stage.controlPlane.kubectlOk(['delete', 'df', name]);
});

test('a server that the admin did not name is refused by name', async () => {
  await stage.apply(forecast('foreign', { source: { prometheus: { query: 'sum(x)', serverRef: 'theirs' } } }));
  expect(await stage.reason('foreign', 'Observed', 'UnknownServer')).toMatch(/theirs.*default/);
});

test.each([
  ['an unknown field', { colour: 'red' }, 'unknown field "spec.colour"'],
  ['Auto without the override', { mode: 'Auto' }, 'gate.override: true'],
  ['a capacity of nothing', { capacityPerReplica: '0' }, 'capacityPerReplica must be greater than 0'],
  ['a lead that is no duration', { lead: 'soon' }, 'spec.lead'],
  ['a lead out of bounds', { lead: '2h' }, 'lead must be auto or a duration from 15s to 30m'],
  ['a quantile out of bounds', { quantile: '0.1' }, 'quantile must be from 0.3 to 0.995'],
  ['a model that there is not', { models: ['oracle'] }, 'supported values: "naive"'],
  [
    'a target of another kind',
    { scaleTargetRef: { kind: 'Job', name: 'x' } },
    'supported values: "Deployment", "StatefulSet"',
  ],
  ['a name that is no label value', { name: 'x'.repeat(64) }, 'no longer than 63 characters'],
])('%s is rejected with the field and what is allowed', async (_name, changes, words) => {
  const { name = 'rejected', ...spec } = changes as { name?: string };
  const { code, stderr } = await stage.apply(forecast(name, spec));
  expect(code).not.toBe(0);
  expect(stderr).toContain(words);
});

test('a time zone that there is not', async () => {
  await stage.apply(forecast('zone', { timeZone: 'Mars/Olympus' }));
  expect(await stage.reason('zone', 'Forecastable', 'InvalidTimeZone')).toContain('Mars/Olympus');
});

test('one bad DemandForecast does not hold up the others', async () => {
  await stage.apply(forecast('bad', { source: { prometheus: { query: 'sum(rate(' } } }));
  await stage.apply({ ...deployment('other') });
  await stage.apply(
    forecast('good', {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'other' },
      source: { prometheus: { query: 'sum(rate(http_requests_total{app="other"}[1m]))' } },
    }),
  );
  await stage.reason('good', 'Publishing', 'Preview');
  expect((await stage.metric('observed_demand', 'good')).value).toBeCloseTo(70, -1);
});
