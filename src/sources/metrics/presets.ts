// SPDX-License-Identifier: Apache-2.0

/** What a preset is filled in with. */
export interface PresetTarget {
  readonly namespace: string;
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly name: string;
  /** The Service in front of the target. */
  readonly service: string;
}

/** A ready-made query. */
export interface Preset {
  /** What it measures, and its unit; for the reference. */
  readonly unit: string;
  /** Whose series it reads. */
  readonly exporter: string;
  readonly query: (target: PresetTarget) => string;
}

/** Every container but the pause container and the sums that cAdvisor makes over a pod. */
const containers = 'container!="",container!="POD"';
/** The pod's own interfaces, summed up; the loopback carries nothing from outside. */
const interfaces = 'interface!="lo"';
/** What rates are taken over. */
export const window = '2m';

/** The ready-made queries, by name; each gives one series, the total of the target. */
const presets = {
  cpu: {
    unit: 'CPU in use, in cores',
    exporter: 'cAdvisor (the kubelet, /metrics/cadvisor)',
    query: (target) => sumOfRate('container_cpu_usage_seconds_total', `${podsOf(target)},${containers}`),
  },
  memory: {
    unit: 'working set of memory, in bytes',
    exporter: 'cAdvisor (the kubelet, /metrics/cadvisor)',
    query: (target) => `sum(container_memory_working_set_bytes{${podsOf(target)},${containers}})`,
  },
  network: {
    unit: 'bytes received and sent, per second',
    exporter: 'cAdvisor (the kubelet, /metrics/cadvisor)',
    query: (target) =>
      bothWays('container_network_receive_bytes_total', 'container_network_transmit_bytes_total', [
        podsOf(target),
        interfaces,
      ]),
  },
  'disk-io': {
    unit: 'bytes read and written, per second',
    exporter: 'cAdvisor (the kubelet, /metrics/cadvisor)',
    query: (target) =>
      bothWays('container_fs_reads_bytes_total', 'container_fs_writes_bytes_total', [podsOf(target), containers]),
  },
  'ingress-nginx': {
    unit: 'requests per second',
    exporter: 'ingress-nginx',
    // Scraped with a label namespace of its own, Prometheus renames the exporter's to exported_namespace.
    query: ({ namespace, service }) =>
      firstOf(
        sumOfRate(
          'nginx_ingress_controller_requests',
          `exported_namespace="${namespace}",exported_service="${service}"`,
        ),
        sumOfRate('nginx_ingress_controller_requests', `namespace="${namespace}",service="${service}"`),
      ),
  },
  istio: {
    unit: 'requests per second',
    exporter: 'Istio (the sidecar of the target)',
    // Each request is told by both ends: only the server's word counts.
    query: ({ namespace, name }) =>
      sumOfRate(
        'istio_requests_total',
        `reporter="destination",destination_workload_namespace="${namespace}",destination_workload="${name}"`,
      ),
  },
  http: {
    unit: 'requests per second',
    exporter: 'the target itself, by a histogram of durations',
    query: (target) =>
      firstOf(
        sumOfRate('http_server_request_duration_seconds_count', podsOf(target)),
        sumOfRate('http_request_duration_seconds_count', podsOf(target)),
      ),
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

/** What a DemandForecast says of its query: one of `query` and `preset`. */
interface QueryChoice {
  readonly query?: string;
  readonly preset?: PresetName;
  /** In front of the target; of the target's name when left out. */
  readonly service?: string;
}

/** The PromQL of a target's demand, its own or a preset's; undefined where neither is given. */
export function demandQuery(
  { query, preset, service }: QueryChoice,
  target: Omit<PresetTarget, 'service'>,
): string | undefined {
  return preset === undefined ? query : presetQuery(preset, { ...target, service: service ?? target.name });
}

/** The PromQL of a preset for a target. Names of Kubernetes objects need no quoting. */
export function presetQuery(name: PresetName, target: PresetTarget): string {
  return presets[name].query(target);
}

/** Name, unit, exporter and query of each preset, for the reference. */
export function describePresets(target: PresetTarget): (Omit<Preset, 'query'> & { name: string; query: string })[] {
  return Object.entries(presets).map(([name, { unit, exporter, query }]) => ({
    name,
    unit,
    exporter,
    query: query(target),
  }));
}

/** The names that Kubernetes gives to pods (of a Deployment: its ReplicaSet's hash, and five letters). */
export function podsOf({ namespace, kind, name }: PresetTarget): string {
  const pattern = name.replaceAll('.', '[.]') + (kind === 'StatefulSet' ? '-[0-9]+' : '-[a-z0-9]+-[a-z0-9]{5}');
  return `namespace="${namespace}",pod=~"${pattern}"`;
}

/** Growth per second of all series that match. */
export function sumOfRate(metric: string, matchers: string): string {
  return `sum(rate(${metric}{${matchers}}[${window}]))`;
}

function bothWays(inward: string, outward: string, matchers: readonly string[]): string {
  return `${sumOfRate(inward, matchers.join(','))} + ${sumOfRate(outward, matchers.join(','))}`;
}

/** The first of the queries that gives something. */
export function firstOf(...queries: readonly string[]): string {
  return queries.join(' or ');
}
