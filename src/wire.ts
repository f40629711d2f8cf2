// SPDX-License-Identifier: Apache-2.0
import type { Logger } from 'pino';
import { apiVersion, demandForecasts } from './api/labels.ts';
import type { DemandForecast } from './api/v1alpha1/demand-forecast.ts';
import { systemClock } from './base/clock.ts';
import { errorCode, errorMessage } from './base/errors.ts';
import type { HorizontalPodAutoscaler } from './capacity/hpa.ts';
import type { Config } from './config.ts';
import type { KubeClient, KubeObject } from './kube/client.ts';
import { createKubeClient } from './kube/http-client.ts';
import { createLeaderElector } from './kube/lease.ts';
import { resourcePath } from './kube/paths.ts';
import { createEventRecorder } from './kube/recorder.ts';
import type { EventRecorder } from './kube/recorder.ts';
import { createReflector } from './kube/reflector.ts';
import type { Reflector } from './kube/reflector.ts';
import type { Change } from './kube/store.ts';
import { registerMetricsApi } from './metrics-api/routes.ts';
import { registerForecastMetrics } from './observability/forecast-metrics.ts';
import { createMetrics } from './observability/metrics.ts';
import type { Metrics } from './observability/metrics.ts';
import { createApiServiceReport } from './server/api-service-report.ts';
import { apiServiceStates } from './server/api-service.ts';
import { createAuthenticator } from './server/authentication.ts';
import { createAuthorizer } from './server/authorization.ts';
import { createCertificateFiles } from './server/certificate-files.ts';
import { createCertificateManager, expirySeconds } from './server/certificates.ts';
import type { CertificateSource } from './server/certificates.ts';
import { createOperationsServer } from './server/operations.ts';
import type { ReadinessCheck } from './server/probes.ts';
import { createRequestHeaderSource } from './server/request-header-source.ts';
import { createServer } from './server/server.ts';
import type { PrometheusSettings } from './sources/metrics/prometheus-settings.ts';

/** What a process is made from. */
interface Parts {
  readonly config: Config;
  readonly prometheus: PrometheusSettings;
  readonly logger: Logger;
  readonly version: string;
}

/** What the roles of one process share. */
interface Shared extends Parts {
  readonly client: KubeClient;
  readonly metrics: Metrics;
  readonly forecasts: Reflector<DemandForecast & KubeObject>;
  /** Told of every change in `forecasts`. */
  readonly onForecast: (listener: (change: Change<DemandForecast>) => void) => void;
}

/** One role: what its readiness waits for, and its work until the signal aborts. */
interface Role {
  readonly checks: readonly ReadinessCheck[];
  /** @throws when the role cannot go on */
  run(signal: AbortSignal): Promise<void>;
}

const clock = systemClock;
const random = Math.random;
const apiServiceName = 'v1beta1.external.metrics.k8s.io';

/**
 * Constructs every room; nothing runs before `run`, which ends when the signal aborts or a role fails. Rooms that only
 * the forecaster needs are loaded with it: the metrics role is 30 MiB smaller without them.
 */
export async function wire(parts: Parts): Promise<{ run(signal: AbortSignal): Promise<void> }> {
  const shared = createShared(parts);
  const { role } = parts.config;
  const roles = [
    ...(role === 'forecaster' ? [] : [createMetricsRole(shared)]),
    ...(role === 'metrics' ? [] : [await createForecasterRole(shared)]),
  ];
  return { run: async (signal) => await run(shared, roles, signal) };
}

function createShared(parts: Parts): Shared {
  const { config, logger, version } = parts;
  const metrics = createMetrics(version);
  const client = createKubeClient({
    kubeconfig: config.kubeconfig,
    inClusterServer: config.inClusterServer,
    userAgent: `headstart-${config.role}/${version}`,
    onRequest: metrics.kubeRequest,
  });
  const listeners: ((change: Change<DemandForecast>) => void)[] = [];
  const forecasts = createReflector<DemandForecast & KubeObject>({
    client,
    path: resourcePath({ apiVersion, plural: demandForecasts }),
    clock,
    random,
    onChange: (change) => {
      for (const listener of listeners) listener(change);
    },
    onError: (error) => warn(logger, 'following DemandForecasts', error),
  });
  metrics.followContact(demandForecasts, () => forecasts.store.lastContactMs());
  return { ...parts, client, metrics, forecasts, onForecast: (listener) => void listeners.push(listener) };
}

/** The external metrics API: answers from the cache of DemandForecasts. */
function createMetricsRole(shared: Shared): Role {
  const { client, config, forecasts, logger, metrics } = shared;
  const certificates = createCertificates(shared);
  const requestHeader = createRequestHeaderSource({ client, clock, random, logger });
  const checks: ReadinessCheck[] = [
    { name: 'demandforecasts', isReady: () => forecasts.store.hasSynced() },
    { name: 'extension-apiserver-authentication', isReady: () => requestHeader.hasLoaded() },
  ];
  const tls = () => ({ ...certificates.current(), clientCaPem: requestHeader.current()?.clientCaPem });
  return {
    checks,
    run: async (signal) => {
      await Promise.all([certificates.start(signal), requestHeader.start(signal)]);
      const server = createServer({
        logger,
        clock,
        tls: tls(),
        readiness: checks,
        drainDelayMs: config.shutdownDelaySeconds * 1000,
        onResponse: ({ route, statusCode, durationSeconds }) =>
          metrics.metricRequest({ route, code: statusCode, seconds: durationSeconds }),
      });
      const tellExpiry = (): void => metrics.certificateExpires(expirySeconds(certificates.current()));
      tellExpiry();
      certificates.onChange(() => {
        server.rotate(tls());
        tellExpiry();
      });
      requestHeader.onChange(() => server.rotate(tls()));
      const { isVerified } = server;
      const authenticate = createAuthenticator({
        client,
        clock,
        logger,
        requestHeader: () => requestHeader.current(),
        isVerified,
      });
      registerMetricsApi(server.app, {
        reader: forecasts.store,
        clock,
        access: { authenticate, authorizer: createAuthorizer({ client, clock }) },
        productVersion: shared.version,
        onMetric: metrics.metricAnswered,
      });
      await server.listen({ host: config.bindAddress, port: config.securePort });
      await aborted(signal);
      await server.stop();
    },
  };
}

function createCertificates(shared: Shared): CertificateSource {
  const { client, config, logger, metrics } = shared;
  const { tlsCertFile: certPath, tlsKeyFile: keyPath, namespace } = config;
  if (certPath !== undefined && keyPath !== undefined) {
    return createCertificateFiles({ certPath, keyPath, clock, logger });
  }
  const secret = { namespace, name: config.certificateSecret };
  const service = { namespace, name: config.serviceName };
  const { servicePort: port, clusterRole: ownerClusterRole } = config;
  const apiService =
    config.apiService === 'never' ? {} : { apiService: { name: apiServiceName, port, ownerClusterRole } };
  const onApiService = createApiServiceReport({
    recorder: createRecorder(shared, 'headstart.dev/metrics'),
    clock,
    service,
    onState: (state) => metrics.apiService(state, apiServiceStates),
  });
  return createCertificateManager({ client, clock, random, logger, secret, service, ...apiService, onApiService });
}

function createRecorder({ client, config, logger }: Shared, reportingController: string): EventRecorder {
  return createEventRecorder({
    client,
    clock,
    random,
    reportingController,
    reportingInstance: config.identity,
    onError: (error) => warn(logger, 'writing an Event', error),
  });
}

/** The forecaster: one replica leads, and writes the status of every DemandForecast. */
async function createForecasterRole(shared: Shared): Promise<Role> {
  const { client, config, forecasts, logger, metrics } = shared;
  const hpas = createReflector<HorizontalPodAutoscaler & KubeObject>({
    client,
    path: resourcePath({ apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' }),
    clock,
    random,
    onError: (error) => warn(logger, 'following HorizontalPodAutoscalers', error),
  });
  const controller = await createController(shared, hpas);
  metrics.followContact('horizontalpodautoscalers', () => hpas.store.lastContactMs());
  shared.onForecast(controller.changed);
  let isLeading = false;
  const lead = (leads: boolean): void => {
    isLeading = leads;
    metrics.leading(leads);
  };
  registerForecastMetrics(metrics.registry, () => (isLeading ? forecasts.store.list() : []));
  const elector = createLeaderElector({
    client,
    namespace: config.namespace,
    name: 'headstart-forecaster',
    identity: config.identity,
    clock,
    random,
    onError: (error) => warn(logger, 'electing a leader', error),
  });
  return {
    checks: [
      { name: 'demandforecasts', isReady: () => forecasts.store.hasSynced() },
      { name: 'horizontalpodautoscalers', isReady: () => hpas.store.hasSynced() },
    ],
    run: async (signal) => {
      const following = hpas.run(signal);
      await Promise.all([hpas.whenSynced(signal), forecasts.whenSynced(signal)]);
      await elector.run({
        signal,
        onStartedLeading: async (leading) => {
          logger.info({ identity: config.identity }, 'leading');
          lead(true);
          await controller.run(leading);
        },
        onStoppedLeading: () => {
          logger.info({ identity: config.identity }, 'not leading any more');
          lead(false);
        },
      });
      await following;
    },
  };
}

async function createController(shared: Shared, hpas: Reflector<HorizontalPodAutoscaler & KubeObject>) {
  const { createForecastController } = await import('./controllers/forecast/reconcile.ts');
  const { createPrometheusServers } = await import('./sources/metrics/prometheus-servers.ts');
  const { client, config, forecasts, logger, metrics, prometheus } = shared;
  const servers = createPrometheusServers(prometheus, { clock, random, onRequest: metrics.sourceRequest });
  return createForecastController({
    client,
    clock,
    random,
    forecasts: forecasts.store,
    hpas: hpas.store,
    servers,
    recorder: createRecorder(shared, 'headstart.dev/forecaster'),
    intervalSeconds: config.syncPeriodSeconds,
    onProblem: ({ error, ...forecast }) => warn(logger.child(forecast), 'reading for a forecast', error),
    onDecision: ({ namespace, name, conditions, changes, delaySeconds }) => {
      metrics.decided({ conditions, delaySeconds });
      for (const { type, status, reason, message, isWarning } of changes) {
        logger[isWarning ? 'warn' : 'info']({ namespace, name, type, status, reason }, message);
      }
    },
    onResult: (result) => {
      metrics.reconciled(result);
      if (result.error !== undefined) warn(logger.child({ key: result.key }), 'reconciling', result.error);
    },
  });
}

/** Runs the roles, and what they share a little longer, so that what is answered while draining stays up to date. */
async function run(shared: Shared, roles: readonly Role[], signal: AbortSignal): Promise<void> {
  const { config, forecasts, logger, metrics } = shared;
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);
  const checks = roles.flatMap((role) => role.checks);
  const operations = createOperationsServer({
    registry: metrics.registry,
    notReady: () => checks.find(({ isReady }) => !isReady())?.name,
  });
  await operations.listen({ host: config.bindAddress, port: config.operationsPort });
  const following = new AbortController();
  const background = forecasts.run(following.signal);
  logger.info({ role: config.role, identity: config.identity, version: shared.version }, 'started');
  try {
    const results = await Promise.allSettled(roles.map(async (role) => await runRole(role, stop, ending)));
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  } finally {
    following.abort();
    await background;
    await operations.close();
  }
}

/** One role that cannot go on ends the process, so that Kubernetes starts it anew. */
async function runRole(role: Role, stop: AbortSignal, ending: AbortController): Promise<void> {
  try {
    await role.run(stop);
  } catch (error) {
    if (stop.aborted) return;
    ending.abort();
    throw error;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function warn(logger: Logger, what: string, error: unknown): void {
  logger.warn({ code: errorCode(error) }, `${what}: ${errorMessage(error)}`);
}
