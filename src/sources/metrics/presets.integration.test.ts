// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { presetNames } from '../../api/v1alpha1/demand-forecast.ts';
import { signalPresets } from '../../api/v1alpha1/forecast-signals.ts';
import { systemClock } from '../../base/clock.ts';
import { startPrometheus } from '../../testing/prometheus.ts';
import type { Prometheus } from '../../testing/prometheus.ts';
import { perPodAverage } from './per-pod-shape.ts';
import { describePresets, presetQuery } from './presets.ts';
import type { PresetName, PresetTarget } from './presets.ts';
import { createPrometheusSource } from './prometheus.ts';
import { enforceLabel } from './promql.ts';
import { describeSignalPresets } from './signal-presets.ts';

const nowSeconds = Math.floor(Date.now() / 30_000) * 30 - 60;
const historySeconds = 900;
let prometheus: Prometheus;

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** A counter's growth per second, or a gauge's value. */
  readonly value: number;
  /** What it adds to the target's total. */
  readonly counts: boolean;
}

const deployment: PresetTarget = { namespace: 'shop', kind: 'Deployment', name: 'web', service: 'web' };
const statefulSet: PresetTarget = { namespace: 'shop', kind: 'StatefulSet', name: 'db', service: 'db' };
const targets = [deployment, statefulSet] as const;

/** Pods of the two targets, and pods that only look like theirs. */
const own = {
  web: ['web-7d9f8b6c5-x2x4z', 'web-7d9f8b6c5-9kq8t', 'web-5b7c9d8f4-lm2np'],
  db: ['db-0', 'db-1', 'db-12'],
};
const strangers: readonly (readonly [string, string])[] = [
  ['shop', 'web-api-6c5d7f8b9-abcde'],
  ['shop', 'myweb-7d9f8b6c5-x2x4z'],
  ['shop', 'db-backup-0'],
  ['shop', 'db-0-x'],
  ['other', 'web-7d9f8b6c5-x2x4z'],
  ['other', 'db-0'],
];

function cadvisor(namespace: string, pod: string, more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    endpoint: 'https-metrics',
    id: `/kubepods/burstable/${pod}/${more['container'] ?? ''}`,
    instance: '10.0.0.7:10250',
    job: 'kubelet',
    metrics_path: '/metrics/cadvisor',
    namespace,
    node: 'node-1',
    pod,
    service: 'kubelet',
    ...more,
  };
}

/** Of each pod: two containers, the pause container, and the sum that cAdvisor makes of them. */
function containersOf(more: Readonly<Record<string, string>>, scale: number): Series[] {
  return perPod((namespace, pod, { value, counts }) => [
    { labels: cadvisor(namespace, pod, { container: 'app', ...more }), value: value * scale, counts },
    { labels: cadvisor(namespace, pod, { container: 'proxy', ...more }), value: value * scale * 0.25, counts },
    { labels: cadvisor(namespace, pod, { container: 'POD', ...more }), value: scale * 0.001, counts: false },
    { labels: cadvisor(namespace, pod, more), value: value * scale * 1.25, counts: false },
  ]);
}

/** Of each pod: its interface and the loopback. */
function interfacesOf(scale: number): Series[] {
  return perPod((namespace, pod, { value, counts }) => [
    { labels: cadvisor(namespace, pod, { interface: 'eth0' }), value: value * scale, counts },
    { labels: cadvisor(namespace, pod, { interface: 'lo' }), value: 1e6, counts: false },
  ]);
}

function perPod(
  make: (namespace: string, pod: string, is: { readonly value: number; readonly counts: boolean }) => Series[],
): Series[] {
  const pods = [...own.web, ...own.db].flatMap((pod, index) => make('shop', pod, { value: index + 1, counts: true }));
  return [...pods, ...strangers.flatMap(([namespace, pod]) => make(namespace, pod, { value: 1000, counts: false }))];
}

const nginx = (namespace: string, service: string, status: string) => ({
  controller_class: 'k8s.io/ingress-nginx',
  exported_namespace: namespace,
  exported_service: service,
  host: 'shop.example.org',
  ingress: 'shop',
  job: 'ingress-nginx-controller-metrics',
  method: 'GET',
  namespace: 'ingress-nginx',
  path: '/',
  service: 'ingress-nginx-controller-metrics',
  status,
});
const istio = (reporter: string, namespace: string, workload: string) => ({
  destination_service_namespace: namespace,
  destination_workload: workload,
  destination_workload_namespace: namespace,
  reporter,
  request_protocol: 'http',
  response_code: '200',
  source_workload: 'front',
});

/** Upper bounds of buckets in seconds, and the requests per second that each alone holds. */
const buckets = [
  ['0.1', 50],
  ['0.5', 40],
  ['1', 8],
  ['2', 2],
  ['+Inf', 0],
] as const;

/** Cumulative, as Prometheus wants them; `scale` is the exporter's unit in seconds. */
function histogram(labels: Readonly<Record<string, string>>, scale: number): Series[] {
  let sum = 0;
  return buckets.map(([bound, rate]) => {
    sum += rate;
    const le = bound === '+Inf' ? bound : String(Number(bound) * scale);
    return { labels: { ...labels, le }, value: sum, counts: true };
  });
}

const series: Readonly<Record<string, readonly Series[]>> = {
  container_cpu_usage_seconds_total: containersOf({ cpu: 'total' }, 0.1),
  container_memory_working_set_bytes: containersOf({}, 64 * 2 ** 20),
  container_network_receive_bytes_total: interfacesOf(1e4),
  container_network_transmit_bytes_total: interfacesOf(3e4),
  container_fs_reads_bytes_total: containersOf({ device: '/dev/sda' }, 4096),
  container_fs_writes_bytes_total: containersOf({ device: '/dev/sda' }, 8192),
  nginx_ingress_controller_requests: [
    { labels: nginx('shop', 'web', '200'), value: 40, counts: true },
    { labels: nginx('shop', 'web', '500'), value: 2, counts: true },
    { labels: nginx('shop', 'db', '200'), value: 7, counts: true },
    { labels: nginx('shop', 'web-api', '200'), value: 900, counts: false },
    { labels: nginx('other', 'web', '200'), value: 900, counts: false },
  ],
  istio_requests_total: [
    { labels: istio('destination', 'shop', 'web'), value: 30, counts: true },
    { labels: { ...istio('destination', 'shop', 'web'), source_workload: 'batch' }, value: 4.5, counts: true },
    { labels: { ...istio('destination', 'shop', 'web'), response_code: '503' }, value: 3, counts: true },
    { labels: { ...istio('destination', 'shop', 'web'), response_code: '0' }, value: 1, counts: true },
    { labels: istio('destination', 'shop', 'db'), value: 11, counts: true },
    { labels: istio('source', 'shop', 'web'), value: 34.5, counts: false },
    { labels: istio('destination', 'other', 'web'), value: 900, counts: false },
  ],
  nginx_ingress_controller_request_duration_seconds_bucket: [
    ...histogram(nginx('shop', 'web', '200'), 1),
    ...histogram(nginx('other', 'web', '200'), 20),
  ],
  istio_request_duration_milliseconds_bucket: [
    ...histogram(istio('destination', 'shop', 'web'), 1000),
    ...histogram(istio('source', 'shop', 'web'), 9000),
  ],
  http_request_duration_seconds_bucket: [...own.web, 'web-api-6c5d7f8b9-abcde'].flatMap((pod, index) =>
    histogram({ namespace: 'shop', pod, job: 'app' }, index === 3 ? 30 : 1),
  ),
  http_request_duration_seconds_count: perPod((namespace, pod, { value, counts }) =>
    (
      [
        ['GET', '200', 3],
        ['POST', '200', 3],
        ['POST', '500', 0.6],
      ] as const
    ).map(([method, code, rate]) => ({
      labels: { namespace, pod, job: 'app', method, code },
      value: value * rate,
      counts,
    })),
  ),
};

/** Linear within the bucket. */
function latencyByHand(quantile: number): number {
  const rank = quantile * 100;
  return rank <= 98 ? 0.5 + (0.5 * (rank - 90)) / 8 : 1 + (rank - 98) / 2;
}

const metricsOf: Readonly<Record<PresetName, readonly string[]>> = {
  cpu: ['container_cpu_usage_seconds_total'],
  memory: ['container_memory_working_set_bytes'],
  network: ['container_network_receive_bytes_total', 'container_network_transmit_bytes_total'],
  'disk-io': ['container_fs_reads_bytes_total', 'container_fs_writes_bytes_total'],
  'ingress-nginx': ['nginx_ingress_controller_requests'],
  istio: ['istio_requests_total'],
  http: ['http_request_duration_seconds_count'],
};

/** Whose series it is. */
function isOf({ name }: PresetTarget, { labels }: Series): boolean {
  const workload = labels['destination_workload'] ?? labels['exported_service'];
  return workload === undefined ? (own[name as 'web' | 'db'] ?? []).includes(labels['pod'] ?? '') : workload === name;
}

function sumByHand(preset: PresetName, target: PresetTarget): number {
  return metricsOf[preset]
    .flatMap((metric) => series[metric] ?? [])
    .filter((one) => one.counts && isOf(target, one))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Of nginx 2 of 42, of Istio 4 of 38.5, and of the target's own a tenth of what its pods count. */
function errorsByHand(name: string): number {
  const rates: Readonly<Record<string, number>> = { 'ingress-nginx': 2 / 42, istio: 4 / 38.5, http: 0.1 / 1.1 };
  return rates[name] ?? Number.NaN;
}

function* history(): Generator<string> {
  for (const [metric, all] of Object.entries(series)) {
    const isGauge = metric.endsWith('_bytes');
    yield `# TYPE ${metric.replace(/_total$/, '')} ${metric.endsWith('_total') ? 'counter' : 'unknown'}\n`;
    for (const { labels, value } of all) {
      const text = Object.entries(labels).map(([key, label]) => `${key}="${label}"`);
      for (let time = nowSeconds - historySeconds; time <= nowSeconds; time += 30) {
        const sample = isGauge ? value : 1000 + value * (time - nowSeconds + historySeconds);
        yield `${metric}{${text.join(',')}} ${sample} ${time}\n`;
      }
    }
  }
}

beforeAll(async () => {
  prometheus = await startPrometheus({ backfill: history() });
});
afterAll(async () => await prometheus?.stop());

test('the names in the API are those of the queries', () => {
  expect(describePresets(deployment).map(({ name }) => name)).toEqual([...presetNames]);
});

describe.each(targets)('presets for $kind $name', (target) => {
  test.each(presetNames)('%s is the sum by hand within 1 %', async (preset) => {
    const source = createPrometheusSource({ url: prometheus.url, clock: systemClock, random: Math.random });
    const query = presetQuery(preset, target);
    const expected = sumByHand(preset, target);
    expect(expected).toBeGreaterThan(0);
    const sample = await source.latest({ query, atSeconds: nowSeconds });
    expect(Math.abs((sample?.value ?? Number.NaN) / expected - 1)).toBeLessThan(0.01);
    expect(perPodAverage(query)).toBeUndefined();
    const enforced = enforceLabel(query, { label: 'job', value: 'nobody' });
    expect(await source.latest({ query: enforced, atSeconds: nowSeconds })).toBeUndefined();
  });
});

describe('signals', () => {
  const sourceOf = () => createPrometheusSource({ url: prometheus.url, clock: systemClock, random: Math.random });
  const named = describeSignalPresets(deployment).filter(
    ({ signal }) => signal === 'latency' || signal === 'errorRate',
  );

  test('the names in the API are those of the queries', () => {
    const all = describeSignalPresets(deployment);
    for (const [signal, names] of Object.entries(signalPresets)) {
      expect(
        all
          .filter((preset) => preset.signal === signal)
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual([...names].toSorted());
    }
  });
  test.each(named)('$signal $name is the sum by hand within 1 %', async ({ signal, name, query }) => {
    const expected = signal === 'latency' ? latencyByHand(name.endsWith('p99') ? 0.99 : 0.95) : errorsByHand(name);
    const sample = await sourceOf().latest({ query, atSeconds: nowSeconds });
    expect(Math.abs((sample?.value ?? Number.NaN) / expected - 1)).toBeLessThan(0.01);
    const enforced = enforceLabel(query, { label: 'job', value: 'nobody' });
    expect(await sourceOf().latest({ query: enforced, atSeconds: nowSeconds })).toBeUndefined();
  });
  test('an error rate is 0 where no request failed', async () => {
    const query = describeSignalPresets(statefulSet).find(
      ({ signal, name }) => signal === 'errorRate' && name === 'istio',
    );
    expect(await sourceOf().latest({ query: query?.query ?? '', atSeconds: nowSeconds })).toMatchObject({ value: 0 });
  });
});

test('ingress-nginx also counts where its labels kept their names', () => {
  const query = presetQuery('ingress-nginx', { ...deployment, service: 'front' });
  expect(query).toContain('or sum(rate(nginx_ingress_controller_requests{namespace="shop",service="front"}[2m]))');
});
