// SPDX-License-Identifier: Apache-2.0
import { registerAdmission } from '../admission/routes.ts';
import { createWebhookCertificates, webhookStates } from '../admission/webhook-configuration.ts';
import { cloneTemplates } from '../api/clone-labels.ts';
import { apiVersion } from '../api/labels.ts';
import type { CloneTemplate } from '../api/v1alpha1/clone-template.ts';
import { cloneSelector, parseClone } from '../controllers/clone/clone-object.ts';
import type { CloneObject } from '../controllers/clone/clone-object.ts';
import type { KubeObject } from '../kube/client.ts';
import { createCertificateFiles } from '../server/certificate-files.ts';
import { expirySeconds } from '../server/certificates.ts';
import type { CertificateSource } from '../server/certificates.ts';
import { createServer } from '../server/server.ts';
import { createCloneWork } from './clone-work.ts';
import type { CloneCollections } from './clone-work.ts';
import { aborted, clock, random, runAsLeader } from './shared.ts';
import type { Followed, Role, Shared } from './shared.ts';

const lease = 'headstart-clones';

/**
 * Clones: every replica serves the webhook and the scheduler extender; one replica leads, makes clones and ends them.
 */
export function createClonesRole(shared: Shared): Role {
  const { metrics } = shared;
  const collections: CloneCollections = {
    forecasts: shared.forecasts,
    hpas: shared.hpas(),
    pools: shared.pools(),
    templates: shared.follow<CloneTemplate & KubeObject>({ apiVersion, plural: cloneTemplates }),
    clones: shared.follow<CloneObject>({
      apiVersion: 'v1',
      plural: 'pods',
      labelSelector: cloneSelector,
      parse: parseClone,
    }),
  };
  const followed: readonly Followed<unknown>[] = Object.values(collections);
  const certificates = createCertificates(shared);
  const work = createCloneWork(shared, collections);
  metrics.leading(lease, false);
  return {
    checks: followed.map(({ check }) => check),
    run: async (signal) => {
      const lead = async (): Promise<void> => {
        await Promise.all(followed.map(async ({ whenSynced }) => await whenSynced(signal)));
        await runAsLeader(shared, { lease, signal, work: work.run });
      };
      await Promise.all([serve(shared, { collections, certificates }, signal), lead()]);
    },
  };
}

/** Serves the webhook and the scheduler extender until the signal aborts. */
async function serve(
  { config, logger, metrics }: Shared,
  parts: { readonly collections: CloneCollections; readonly certificates: CertificateSource },
  signal: AbortSignal,
): Promise<void> {
  const { collections, certificates } = parts;
  await certificates.start(signal);
  const server = createServer({
    logger,
    clock,
    tls: certificates.current(),
    // Without ClonePools the webhook would give clones other bounds than they are to have.
    readiness: [collections.pools.check],
    drainDelayMs: config.shutdownDelaySeconds * 1000,
    onResponse: ({ route, statusCode, durationSeconds }) =>
      metrics.clonesRequest({ route, code: statusCode, seconds: durationSeconds }),
  });
  const tellExpiry = (): void => metrics.certificateExpires('clones', expirySeconds(certificates.current()));
  tellExpiry();
  certificates.onChange((certificate) => {
    server.rotate(certificate);
    tellExpiry();
  });
  registerAdmission(server.app, {
    pools: collections.pools.store,
    onReview: ({ outcome }) => metrics.reviewed(outcome),
  });
  await server.listen({ host: config.bindAddress, port: config.webhookPort });
  await aborted(signal);
  await server.stop();
}

function createCertificates({ client, config, logger, metrics }: Shared): CertificateSource {
  const { tlsCertFile: certPath, tlsKeyFile: keyPath, namespace } = config;
  if (certPath !== undefined && keyPath !== undefined) {
    return createCertificateFiles({ certPath, keyPath, clock, logger });
  }
  return createWebhookCertificates({
    client,
    clock,
    random,
    logger,
    secret: { namespace, name: config.webhookCertificateSecret },
    service: { namespace, name: config.webhookServiceName },
    configuration: config.webhookConfiguration,
    onWebhook: ({ state }) => metrics.webhook(state, webhookStates),
  });
}
