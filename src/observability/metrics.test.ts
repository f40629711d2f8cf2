// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('what is observed is exposed under the documented names', async () => {
  const metrics = createMetrics();
  metrics.kubeRequest({ verb: 'GET', outcome: 'Success', seconds: 0.02 });
  metrics.sourceRequest({ server: 'default', outcome: 'Timeout', seconds: 5 });
  metrics.metricRequest({ route: '/apis', code: 200, seconds: 0.001 });
  metrics.metricAnswered({ metric: 'predicted_demand', rung: 'Forecast' });
  metrics.reconciled({ controller: 'forecast', outcome: 'Success', seconds: 0.1 });
  metrics.leading(true);
  const text = await metrics.registry.metrics();
  expect(text).toContain('headstart_kube_request_duration_seconds_count{verb="GET",outcome="Success"} 1');
  expect(text).toContain('headstart_source_request_duration_seconds_count{server="default",outcome="Timeout"} 1');
  expect(text).toContain('headstart_metrics_api_request_duration_seconds_count{route="/apis",code="200"} 1');
  expect(text).toContain('headstart_reconcile_duration_seconds_count{controller="forecast",outcome="Success"} 1');
  expect(text).toContain('headstart_metrics_api_answers_total{metric="predicted_demand",rung="Forecast"} 1');
  expect(text).toContain('headstart_leader 1');
});
