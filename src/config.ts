// SPDX-License-Identifier: Apache-2.0
import { isAbsolute, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDurationSeconds } from './base/duration.ts';
import { errorMessage, invalidInput } from './base/errors.ts';
import { logLevels } from './observability/logger.ts';
import type { LogLevel } from './observability/logger.ts';
import { isServerName } from './sources/metrics/prometheus-settings.ts';
import { parseServerUrl } from './sources/metrics/server-url.ts';

const apiServiceModes = ['auto', 'never'] as const;
const roles = ['all', 'metrics', 'forecaster', 'clones'] as const;
type Role = (typeof roles)[number];

/** What `headstart serve` runs with; made once, never changed. */
export interface Config {
  readonly role: Role;
  readonly kubeconfig: string | undefined;
  /** The apiserver as Kubernetes tells its pods; undefined outside a cluster. */
  readonly inClusterServer: string | undefined;
  readonly bindAddress: string;
  readonly securePort: number;
  readonly operationsPort: number;
  readonly namespace: string;
  readonly identity: string;
  readonly serviceName: string;
  readonly servicePort: number;
  readonly apiService: (typeof apiServiceModes)[number];
  readonly clusterRole: string;
  readonly certificateSecret: string;
  /** Of the webhook and the scheduler extender. */
  readonly webhookPort: number;
  readonly webhookServiceName: string;
  readonly webhookCertificateSecret: string;
  /** The MutatingWebhookConfiguration whose caBundle is kept. */
  readonly webhookConfiguration: string;
  /** Whether the scheduler extender is served, which takes following all pods. */
  readonly schedulerExtender: boolean;
  /** Writes of the role clones in a second; twice as many at once after a pause. */
  readonly clonesQps: number;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly prometheusServers: ReadonlyMap<string, string>;
  /** More servers, and what they need; read when the process starts. */
  readonly prometheusConfigFile: string | undefined;
  readonly syncPeriodSeconds: number;
  readonly shutdownDelaySeconds: number;
  /** Where what the forecaster learns outlives the process; undefined: nowhere. */
  readonly stateDir: string | undefined;
  readonly logLevel: LogLevel;
}

interface Flag<T> {
  readonly env: string;
  readonly fallback: string;
  readonly help: string;
  readonly parse: (text: string, where: string) => T;
}

const text = (value: string): string => value;

const flags = {
  role: flag(
    'all',
    'What this process does: all, metrics (external metrics API), forecaster or clones (makes and ends clones).',
    parseOneOf(roles),
  ),
  kubeconfig: { ...flag('', 'Kubeconfig file; default in-cluster.', text), env: 'KUBECONFIG' },
  'bind-address': flag('0.0.0.0', 'Address that all servers listen on.', text),
  'secure-port': flag('10250', 'Port of the external metrics API, role metrics (TLS).', parsePort),
  'operations-port': flag('8080', 'Port of /metrics, /livez and /readyz (plain HTTP); 0 picks a free one.', parsePort),
  namespace: { ...flag('headstart-system', 'Namespace that Headstart runs in.', text), env: 'POD_NAMESPACE' },
  identity: { ...flag('', 'Name of this replica; default the host name.', text), env: 'POD_NAME' },
  'service-name': flag('headstart-metrics', 'Service in front of the external metrics API.', text),
  'service-port': flag('443', 'Port of that Service, for an APIService that Headstart creates.', parsePort),
  'api-service': flag(
    'auto',
    "auto creates the APIService of external metrics if there is none, keeps its caBundle, and leaves another adapter's alone; never neither reads nor writes it.",
    parseOneOf(apiServiceModes),
  ),
  'cluster-role': flag(
    'headstart-metrics',
    'ClusterRole that owns an APIService that Headstart creates: without the one the other goes too.',
    text,
  ),
  'certificate-secret': flag('headstart-serving-certificate', 'Secret that holds the serving certificate.', text),
  'webhook-port': flag('9443', 'Port of the webhook and the scheduler extender, role clones (TLS).', parsePort),
  'webhook-service-name': flag('headstart-clones', 'Service in front of the webhook and the scheduler extender.', text),
  'webhook-certificate-secret': flag(
    'headstart-clones-certificate',
    'Secret that holds the certificate of the webhook and the scheduler extender.',
    text,
  ),
  'webhook-configuration': flag(
    'headstart-clone-defaults',
    'MutatingWebhookConfiguration whose caBundle is kept; none with --tls-cert-file.',
    text,
  ),
  'scheduler-extender': flag(
    'off',
    'on serves the scheduler extender in the role clones, which follows all pods for it; off does not.',
    parseOneOf(['on', 'off']),
  ),
  'clones-qps': flag(
    '50',
    'Writes of the role clones to the apiserver in a second, from 1 to 1000; twice as many at once after a pause.',
    parseInteger(1, 1000),
  ),
  'tls-cert-file': flag('', 'Serving certificate made by others, instead of an own one; with --tls-key-file.', text),
  'tls-key-file': flag('', 'Key of --tls-cert-file.', text),
  'prometheus-servers': flag(
    'default=http://prometheus.monitoring.svc:9090',
    'Prometheus servers that serverRef may name: NAME=URL[,NAME=URL…].',
    parseServers,
  ),
  'prometheus-config': flag(
    '',
    'YAML file with servers that need credentials, TLS, limits or an enforced namespace, and with allowed URLs; its servers win over --prometheus-servers.',
    text,
  ),
  'sync-period': flag('60s', 'Time between two looks at each DemandForecast, from 5s to 5m.', parseRange(5, 300)),
  'shutdown-delay': flag('15s', 'Time to stay up, unready, after SIGTERM, from 0s to 60s.', parseRange(0, 60)),
  'state-dir': flag(
    '',
    'Folder in which the forecaster keeps what it has learnt, so that it goes on with that when it is started again; one for each replica. Nothing is kept when left out.',
    parseStateDir,
  ),
  'log-level': flag('info', 'debug, info, warn or error.', parseOneOf(logLevels)),
} as const satisfies Record<string, Flag<unknown>>;

type FlagName = keyof typeof flags;

/** The flags of `headstart serve` for --help; the environment variable of each is in parentheses. */
export function serveFlagsHelp(): string {
  return Object.entries<Flag<unknown>>(flags)
    .map(([name, { env, fallback, help }]) => {
      const standard = fallback === '' ? '' : ` [default ${fallback}]`;
      return `  --${name}\n        ${help}${standard} (${env === '' ? environmentName(name) : env})`;
    })
    .join('\n');
}

/**
 * Flags win over the environment, the environment over the defaults.
 * @returns the configuration, or every error there is
 */
export function parseConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  hostName: string,
): Config | { readonly errors: readonly string[] } {
  const errors: string[] = [];
  const given = parseFlags(argv, errors);
  const value = <N extends FlagName>(name: N): ReturnType<(typeof flags)[N]['parse']> | undefined => {
    const { env: ownEnv, fallback, parse } = flags[name] as Flag<ReturnType<(typeof flags)[N]['parse']>>;
    const variable = ownEnv === '' ? environmentName(name) : ownEnv;
    const where = given[name] === undefined ? (env[variable] === undefined ? `--${name}` : variable) : `--${name}`;
    try {
      return parse(given[name] ?? env[variable] ?? fallback, where);
    } catch (error) {
      errors.push(errorMessage(error));
      return undefined;
    }
  };
  const config = {
    role: value('role'),
    kubeconfig: value('kubeconfig') || undefined,
    inClusterServer: inClusterServer(env),
    bindAddress: value('bind-address'),
    securePort: value('secure-port'),
    operationsPort: value('operations-port'),
    namespace: value('namespace'),
    identity: value('identity') || hostName,
    serviceName: value('service-name'),
    servicePort: value('service-port'),
    apiService: value('api-service'),
    clusterRole: value('cluster-role'),
    certificateSecret: value('certificate-secret'),
    webhookPort: value('webhook-port'),
    webhookServiceName: value('webhook-service-name'),
    webhookCertificateSecret: value('webhook-certificate-secret'),
    webhookConfiguration: value('webhook-configuration'),
    schedulerExtender: value('scheduler-extender') === 'on',
    clonesQps: value('clones-qps'),
    tlsCertFile: value('tls-cert-file') || undefined,
    tlsKeyFile: value('tls-key-file') || undefined,
    prometheusServers: value('prometheus-servers'),
    prometheusConfigFile: value('prometheus-config') || undefined,
    syncPeriodSeconds: value('sync-period'),
    shutdownDelaySeconds: value('shutdown-delay'),
    stateDir: value('state-dir') || undefined,
    logLevel: value('log-level'),
  };
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    errors.push('--tls-cert-file, --tls-key-file: got one of them, want both or none');
  }
  return errors.length > 0 ? { errors } : (config as Config);
}

/** As client-go's InClusterConfig composes it. */
function inClusterServer(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host === '' || port === '') return undefined;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function flag<T>(fallback: string, help: string, parse: (text: string, where: string) => T): Flag<T> {
  return { env: '', fallback, help, parse };
}

function environmentName(name: string): string {
  return `HEADSTART_${name.replaceAll('-', '_').toUpperCase()}`;
}

function parseFlags(argv: readonly string[], errors: string[]): Partial<Record<string, string>> {
  const options = Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: false }).values;
  } catch (error) {
    errors.push(`${errorMessage(error)} (see headstart serve --help)`);
    return {};
  }
}

function parseOneOf<const T extends readonly string[]>(allowed: T) {
  return (given: string, where: string): T[number] => {
    if (!allowed.includes(given)) throw invalidInput(where, given, `one of ${allowed.join(', ')}`);
    return given;
  };
}

function parsePort(given: string, where: string): number {
  const port = /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (!(port <= 65_535)) throw invalidInput(where, given, 'a port from 0 to 65535');
  return port;
}

/** Files of the kernel are no place for it, and Node.js 24 never ends making a folder there. */
function parseStateDir(given: string, where: string): string {
  const folder = normalize(given);
  if (given !== '' && (!isAbsolute(folder) || /^\/+(proc|sys|dev)(\/|$)/.test(folder))) {
    throw invalidInput(where, given, 'an absolute path that is not below /proc, /sys or /dev');
  }
  return given;
}

function parseInteger(min: number, max: number) {
  return (given: string, where: string): number => {
    const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
    if (!(value >= min && value <= max)) throw invalidInput(where, given, `a whole number from ${min} to ${max}`);
    return value;
  };
}

function parseRange(min: number, max: number) {
  return (given: string, where: string): number => {
    const seconds = parseDurationSeconds(given, where);
    if (seconds < min || seconds > max) throw invalidInput(where, given, `a duration from ${min}s to ${max}s`);
    return seconds;
  };
}

/**
 * Prometheus servers by name: `NAME=URL[,NAME=URL…]`.
 * @throws HeadstartError InvalidInput, naming `where`
 */
export function parseServers(list: string, where: string): Map<string, string> {
  const servers = new Map<string, string>();
  for (const entry of list.split(',').map((part) => part.trim())) {
    const [name = '', ...rest] = entry.split('=');
    const url = rest.join('=');
    if (!isServerName(name) || url === '') {
      // What has no name in front may be a URL, and hold a password.
      const given = /^[\w.-]*$/.test(name) ? name : 'an entry without a name';
      throw invalidInput(where, given, 'NAME=URL with a lower-case name, such as default=http://prometheus:9090');
    }
    if (servers.has(name)) throw invalidInput(where, name, 'each name once');
    servers.set(name, parseServerUrl(url, `${where}: ${name}`));
  }
  return servers;
}
