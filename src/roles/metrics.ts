// SPDX-License-Identifier: Apache-2.0
import { createCarryingIndex, readPool } from '../metrics-api/carrying-index.ts';
import { registerMetricsApi } from '../metrics-api/routes.ts';
import { createApiServiceReport } from '../server/api-service-report.ts';
import { apiServiceStates } from '../server/api-service.ts';
import { createAuthenticator } from '../server/authentication.ts';
import { createAuthorizer } from '../server/authorization.ts';
import { createCertificateFiles } from '../server/certificate-files.ts';
import { createCertificateManager, expirySeconds } from '../server/certificates.ts';
import type { CertificateSource } from '../server/certificates.ts';
import type { ReadinessCheck } from '../server/probes.ts';
import { createRequestHeaderSource } from '../server/request-header-source.ts';
import { createServer } from '../server/server.ts';
import { aborted, clock, createRecorder, random } from './shared.ts';
import type { Role, Shared } from './shared.ts';

const apiServiceName = 'v1beta1.external.metrics.k8s.io';

/** The external metrics API: answers from the cache of DemandForecasts. */
export function createMetricsRole(shared: Shared): Role {
  const { client, config, forecasts, logger, metrics } = shared;
  const pools = shared.pools();
  const clones = createCarryingIndex();
  pools.onChange(({ type, object }) => clones.changed({ type, object: readPool(object) }));
  const certificates = createCertificates(shared);
  const requestHeader = createRequestHeaderSource({ client, clock, random, logger });
  const checks: ReadinessCheck[] = [
    forecasts.check,
    // What clones carry is taken off what is forecast: without knowing of them the base would be scaled for all.
    pools.check,
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
      const tellExpiry = (): void => metrics.certificateExpires('metrics', expirySeconds(certificates.current()));
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
        clones,
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
