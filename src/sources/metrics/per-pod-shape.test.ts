// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromOutside, fromOutsideMs } from '../../testing/fuzz.ts';
import { perPodAverage } from './per-pod-shape.ts';

describe('averages per pod', () => {
  test.each([
    ['avg(rate(http_requests_total[2m]))', 'avg(rate(http_requests_total[2m]))'],
    ['AVG(x)', 'AVG(x)'],
    ['avg by (app) (x)', 'avg by (app) (x)'],
    ['avg(x) by (app)', 'avg(x) by (app)'],
    ['avg without (pod, instance) (x)', 'avg without'],
    ['(avg(x))', 'avg(x)'],
    ['1000 * avg(x)', 'avg(x)'],
    ['avg(x) / 1000', 'avg(x)'],
    ['avg(x) + avg(y)', 'avg(x)'],
    ['-avg(x)', 'avg(x)'],
    ['ceil(avg(x))', 'avg(x)'],
    ['clamp_min(avg(x), 0)', 'avg(x)'],
    ['sum(avg(x))', 'avg(x)'],
    ['avg(x) or vector(0)', 'avg(x)'],
    ['avg(x) > 0', 'avg(x)'],
    ['avg_over_time(avg(rate(x[1m]))[5m:1m])', 'avg(rate(x[1m]))'],
    ['max_over_time(avg(x)[5m:])', 'avg(x)'],
    ['avg(x) offset 5m', 'avg(x)'],
    ['avg(sum by (pod) (rate(x[1m])))', 'avg(sum by (pod)'],
    ['avg(sum without (job) (x))', 'avg(sum without'],
    ['sum(rate(x[2m])) / count(x)', 'sum(rate(x[2m])) / count(x)'],
    ['sum(rate(x[2m])) / scalar(count(up{job="web"}))', '/ scalar(count('],
    ['sum(x) / count(count by (pod) (x))', '/ count('],
    ['sum(x) / sum(kube_pod_status_ready{condition="true"})', 'kube_pod_status_ready'],
    ['sum(x) / kube_deployment_status_replicas_available{deployment="web"}', 'kube_deployment'],
    ['sum(x) / on() group_left max(kube_statefulset_status_replicas_ready)', 'kube_statefulset'],
    ['sum(x) / sum(up{job="web"})', 'up{job="web"}'],
    ['sum(x) / (count(y) or vector(1))', 'count(y)'],
    ['sum(x) / clamp_min(count(y), 1)', 'count(y)'],
    ['2 * sum(x) / count(y)', '2 * sum(x) / count(y)'],
  ])('%s: %s', (query, part) => {
    expect(perPodAverage(query)).toContain(part.slice(0, 78));
  });
});

describe('honest totals', () => {
  test.each([
    'sum(rate(http_requests_total{app="web"}[2m]))',
    'sum(avg_over_time(in_flight[2m]))',
    'sum(avg by (pod) (rate(x[2m])))',
    'sum(avg without (endpoint) (rate(x[2m])))',
    'avg(x) * count(x)',
    'count(x) * avg(x)',
    'avg(x) * on() group_left sum(kube_deployment_status_replicas)',
    'avg(sum by (prometheus_replica) (rate(x[2m])))',
    'avg(sum(x))',
    'sum(rate(a_sum[2m])) / sum(rate(a_count[2m]))',
    'sum(x) / 1000',
    'sum(x) + avg(y)',
    'sum(x) + count(y)',
    'count(kube_pod_info)',
    'count(sessions)',
    'sum(kube_pod_status_ready) / count(kube_pod_info)',
    'max(queue_length)',
    'queue_length',
    'sum(average_response / counting)',
    'sum(x) / avg(y)',
    'sum(x{a="avg(x) / count(y)"})',
    'quantile(0.9, x)',
    'time()',
    '1',
    'sum(rate(',
    '',
  ])('%s', (query) => {
    expect(perPodAverage(query)).toBeUndefined();
  });
});

test(
  'any text has an answer',
  () => {
    const piece = fc.constantFrom(
      'avg',
      'sum',
      'count',
      '(',
      ')',
      'x',
      'up',
      '/',
      '*',
      '+',
      ' by (pod)',
      '[5m]',
      '[5m:]',
      ' or ',
      '2',
      ',',
      '-',
      'rate',
    );
    const soup = fc.array(piece, { maxLength: 14 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 8 }), soup), (query) => {
        const part = perPodAverage(query);
        expect(part === undefined || part.length <= 80).toBe(true);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);
