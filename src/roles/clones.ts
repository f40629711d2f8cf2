// SPDX-License-Identifier: Apache-2.0
import { registerAdmission } from '../admission/routes.ts';
import { createWebhookCertificates, webhookStates } from '../admission/webhook-configuration.ts';
import { cloneTemplates } from '../api/clone-labels.ts';
import { apiVersion } from '../api/labels.ts';
import type { CloneTemplate } from '../api/v1alpha1/clone-template.ts';
import { cloneSelector } from '../controllers/clone/clone-object.ts';
import { parseSweptClone } from '../controllers/sweep/swept-clone.ts';
import type { SweptClone } from '../controllers/sweep/swept-clone.ts';
import type { KubeObject } from '../kube/client.ts';
import { createServerTime } from '../kube/server-time.ts';
import { registerPoolMetrics } from '../observability/pool-metrics.ts';
import type { ServerTime } from '../kube/server-time.ts';
import { createCertificateFiles } from '../server/certificate-files.ts';
import { expirySeconds } from '../server/certificates.ts';
import type { CertificateSource } from '../server/certificates.ts';
import { createServer } from '../server/server.ts';
import { createCloneExtender } from './clone-extender.ts';
import type { CloneExtender } from './clone-extender.ts';
import { createCloneWork } from './clone-work.ts';
import type { CloneCollections } from './clone-work.ts';
import { aborted, clock, random, runAsLeader, warn } from './shared.ts';
import type { Followed, Role, Shared } from './shared.ts';

const lease = 'headstart-clones';
const timePeriodMs = 5_000;

/** What answers requests. */
interface Surfaces {
  readonly pools: CloneCollections['pools'];
  readonly certificates: CertificateSource;
  /** Undefined where it is not wanted. */
  readonly extender: CloneExtender | undefined;
}

/**
 * Clones: every replica serves the webhook and the scheduler extender; one replica leads, makes clones and ends them.
 */
export function createClonesRole(shared: Shared): Role {
  const { client, config, logger, metrics } = shared;
  const collections: CloneCollections = {
    forecasts: shared.forecasts,
    hpas: shared.hpas(),
    pools: shared.pools(),
    templates: shared.follow<CloneTemplate & KubeObject>({ apiVersion, plural: cloneTemplates }),
    clones: shared.follow<SweptClone>({
      apiVersion: 'v1',
      plural: 'pods',
      name: 'clones',
      query: { labelSelector: cloneSelector },
      parse: parseSweptClone,
    }),
  };
  const followed: readonly Followed<unknown>[] = Object.values(collections);
  const time = createServerTime({
    client,
    clock,
    onProblem: (error) => warn(logger, "asking for the apiserver's time", error),
  });
  const extender = config.schedulerExtender ? createCloneExtender(shared, { ...collections, time }) : undefined;
  const surfaces: Surfaces = { pools: collections.pools, certificates: createCertificates(shared), extender };
  const work = createCloneWork(shared, { ...collections, time });
  let isLeading = false;
  registerPoolMetrics(metrics.registry, () => (isLeading ? collections.pools.store.list() : []));
  metrics.leading(lease, false);
  return {
    checks: [...followed.map(({ check }) => check), ...(extender === undefined ? [] : [extender.check])],
    run: async (signal) => {
      const lead = async (): Promise<void> => {
        await Promise.all(followed.map(async ({ whenSynced }) => await whenSynced(signal)));
        const lead = async (leading: AbortSignal): Promise<void> => {
          isLeading = true;
          await work.run(leading);
          isLeading = false;
        };
        await runAsLeader(shared, { lease, signal, work: lead });
      };
      await Promise.all([serve(shared, surfaces, signal), lead(), keepTime(shared, time, signal)]);
    },
  };
}

/** Deadlines are in the apiserver's time, in every replica. */
async function keepTime({ logger }: Shared, time: ServerTime, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await time.refresh(signal);
      await clock.sleep(timePeriodMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      warn(logger, "asking for the apiserver's time", error);
      // Aborted: the loop's condition ends it.
      await clock.sleep(timePeriodMs, signal).catch(() => undefined);
    }
  }
}

/** Serves the webhook and the scheduler extender until the signal aborts. */
async function serve({ config, logger, metrics }: Shared, surfaces: Surfaces, signal: AbortSignal): Promise<void> {
  const { pools, certificates, extender } = surfaces;
  await certificates.start(signal);
  const server = createServer({
    logger,
    clock,
    tls: certificates.current(),
    // Without ClonePools the webhook would give clones other bounds than they are to have.
    readiness: [pools.check],
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
  registerAdmission(server.app, { pools: pools.store, onReview: ({ outcome }) => metrics.reviewed(outcome) });
  extender?.register(server.app);
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
