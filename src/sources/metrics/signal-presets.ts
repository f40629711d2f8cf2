// SPDX-License-Identifier: Apache-2.0
import { firstOf, podsOf, presetQuery, sumOfRate, window } from './presets.ts';
import type { Preset, PresetTarget } from './presets.ts';

/** What there are signals of. */
type SignalName = 'latency' | 'errorRate' | 'cpu' | 'memory' | 'network' | 'disk';

/** What a DemandForecast says of one signal. */
interface SignalChoice {
  readonly query?: string;
  readonly preset?: string;
  readonly service?: string;
}

const nginx = 'ingress-nginx';
const istioProxy = 'Istio (the sidecar of the target)';
const ownHistogram = 'the target itself, by a histogram of durations';
const cadvisor = 'cAdvisor (the kubelet, /metrics/cadvisor)';

/** The ready-made queries of each signal, by name; each gives one series. */
const signalPresets: { readonly [S in SignalName]: Readonly<Record<string, Preset>> } = {
  latency: Object.fromEntries(
    [0.95, 0.99].flatMap((quantile): [string, Preset][] => {
      const percentile = `p${quantile * 100}`;
      const unit = `${quantile * 100} % of requests took no longer, in seconds`;
      return [
        [`ingress-nginx-${percentile}`, { unit, exporter: nginx, query: (target) => nginxLatency(target, quantile) }],
        [`istio-${percentile}`, { unit, exporter: istioProxy, query: (target) => istioLatency(target, quantile) }],
        [`http-${percentile}`, { unit, exporter: ownHistogram, query: (target) => httpLatency(target, quantile) }],
      ];
    }),
  ),
  errorRate: {
    'ingress-nginx': { unit: 'share of requests with a status from 500 on', exporter: nginx, query: nginxErrors },
    istio: { unit: 'share of requests with a status from 500 on, or none', exporter: istioProxy, query: istioErrors },
    http: {
      unit: 'share of requests with a status from 500 on',
      exporter: 'the target itself, by a histogram of durations or the counter http_requests_total',
      query: httpErrors,
    },
  },
  cpu: demandPreset('cpu', 'CPU in use, in cores'),
  memory: demandPreset('memory', 'working set of memory, in bytes'),
  network: demandPreset('network', 'bytes received and sent, per second'),
  disk: demandPreset('disk-io', 'bytes read and written, per second'),
};

/**
 * The PromQL of each signal that is named, its own or a preset's.
 * @param target whose signals they are; the Service is the target's name where a signal names none
 */
export function signalQueries(
  signals: Readonly<Partial<Record<SignalName, SignalChoice>>>,
  target: Omit<PresetTarget, 'service'>,
): { readonly name: SignalName; readonly query: string | undefined }[] {
  return Object.entries<SignalChoice | undefined>(signals).flatMap(([key, choice]) => {
    if (choice === undefined) return [];
    const name = key as SignalName;
    const service = choice.service ?? target.name;
    const preset = choice.preset === undefined ? undefined : signalPresets[name][choice.preset];
    return [{ name, query: choice.query ?? preset?.query({ ...target, service }) }];
  });
}

/** Signal, name, unit, exporter and query of each preset, for the reference. */
export function describeSignalPresets(
  target: PresetTarget,
): { signal: SignalName; name: string; unit: string; exporter: string; query: string }[] {
  return Object.entries(signalPresets).flatMap(([signal, presets]) =>
    Object.entries(presets).map(([name, { unit, exporter, query }]) => ({
      signal: signal as SignalName,
      name,
      unit,
      exporter,
      query: query(target),
    })),
  );
}

/** The same as demand's preset of that name. */
function demandPreset(name: 'cpu' | 'memory' | 'network' | 'disk-io', unit: string): Readonly<Record<string, Preset>> {
  return { [name]: { unit, exporter: cadvisor, query: (target) => presetQuery(name, target) } };
}

function quantileOf(quantile: number, metric: string, matchers: string): string {
  return `histogram_quantile(${quantile}, sum by (le) (rate(${metric}{${matchers}}[${window}])))`;
}

/** As the exporter names its labels, and as they are where Prometheus has renamed them. */
function nginxMatchers({ namespace, service }: PresetTarget): readonly [string, string] {
  return [
    `exported_namespace="${namespace}",exported_service="${service}"`,
    `namespace="${namespace}",service="${service}"`,
  ];
}

function nginxLatency(target: PresetTarget, quantile: number): string {
  const metric = 'nginx_ingress_controller_request_duration_seconds_bucket';
  return firstOf(...nginxMatchers(target).map((matchers) => quantileOf(quantile, metric, matchers)));
}

function nginxErrors(target: PresetTarget): string {
  const metric = 'nginx_ingress_controller_requests';
  return firstOf(...nginxMatchers(target).map((matchers) => share(metric, matchers, ['status=~"5.."'])));
}

/** Each request is told by both ends: only the server's word counts. */
function istioMatchers({ namespace, name }: PresetTarget): string {
  return `reporter="destination",destination_workload_namespace="${namespace}",destination_workload="${name}"`;
}

function istioLatency(target: PresetTarget, quantile: number): string {
  return `${quantileOf(quantile, 'istio_request_duration_milliseconds_bucket', istioMatchers(target))} / 1000`;
}

/** Istio says 0 for requests that got no answer. */
function istioErrors(target: PresetTarget): string {
  return share('istio_requests_total', istioMatchers(target), ['response_code=~"5..|0"']);
}

function httpLatency(target: PresetTarget, quantile: number): string {
  return firstOf(
    quantileOf(quantile, 'http_server_request_duration_seconds_bucket', podsOf(target)),
    quantileOf(quantile, 'http_request_duration_seconds_bucket', podsOf(target)),
  );
}

function httpErrors(target: PresetTarget): string {
  const own = ['code=~"5.."', 'status=~"5.."', 'status_code=~"5.."'];
  return firstOf(
    share('http_server_request_duration_seconds_count', podsOf(target), ['http_response_status_code=~"5.."']),
    share('http_request_duration_seconds_count', podsOf(target), own),
    share('http_requests_total', podsOf(target), own),
  );
}

/** Those that match any of `failed` over all; 0 while none has failed, nothing where there are no requests. */
function share(metric: string, matchers: string, failed: readonly string[]): string {
  const all = sumOfRate(metric, matchers);
  const rates = failed.map((matcher) => `rate(${metric}{${matchers},${matcher}}[${window}])`);
  return `(sum(${firstOf(...rates)}) or 0 * ${all}) / ${all}`;
}
