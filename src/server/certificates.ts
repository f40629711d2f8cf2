// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import { keepApiService } from './api-service.ts';
import type { ApiServiceFinding, ApiServiceOptions, ServiceName } from './api-service.ts';
import type { KeyPair } from './certificate-authority.ts';
import { addAuthority, decideRotation, fromSecretData, lifetimeMs, toSecretData } from './certificate-rotation.ts';
import type { RotationStep, StoredCertificates } from './certificate-rotation.ts';

/** A certificate to serve with, and what its clients are to trust. */
export interface ServingCertificate extends KeyPair {
  readonly caBundlePem: string;
}

/** Gives the certificate to serve with, and says when it changes. */
export interface CertificateSource {
  /** @throws HeadstartError Unavailable before `start` has resolved */
  current(): ServingCertificate;
  onChange(listener: (certificate: ServingCertificate) => void): void;
  /**
   * Resolves when there is a certificate; it is then kept up to date until the signal aborts.
   * @throws HeadstartError when there cannot be one
   */
  start(signal: AbortSignal): Promise<void>;
}

/**
 * Makes clients trust the authorities (PEM, one after the other) wherever they look: the port behind which a caBundle is
 * kept. Gives whether they do now; where not, it is asked again soon.
 * @throws HeadstartError of reading and writing, which counts as no news
 */
export type PublishAuthority = (caBundlePem: string) => Promise<boolean>;

/** What shared certificates are made with. */
export interface SharedCertificatesOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Where the replicas share the certificate; it may be shipped empty. */
  readonly secret: { readonly namespace: string; readonly name: string };
  readonly service: ServiceName;
  /** Called at each look, changed or not; left out, nothing is kept. */
  readonly publishAuthority?: PublishAuthority;
}

/** A CertificateSource that looks after the APIService too. */
export interface CertificateManager extends CertificateSource {
  /** What the last look at the APIService found; undefined before there was one. */
  apiService(): ApiServiceFinding | undefined;
}

/** What the manager works with. */
export interface CertificateManagerOptions extends Omit<SharedCertificatesOptions, 'publishAuthority'> {
  /** The APIService to look after; left out, none is read or written. */
  readonly apiService?: ApiServiceOptions;
  /** Told at each look at the APIService. */
  readonly onApiService?: (finding: ApiServiceFinding) => void;
}

/** When a certificate runs out, epoch seconds. */
export function expirySeconds({ certPem }: KeyPair): number {
  return new X509Certificate(certPem).validToDate.getTime() / 1000;
}

type Secret = KubeObject & { readonly type?: string; readonly data?: Readonly<Record<string, string>> | null };

const checkPeriodMs = 60_000;
/** A caBundle that has just been created must not stay unverifiable for a minute. */
const unsettledPeriodMs = 5_000;
const backoff = { baseMs: 500, maxMs: 10_000 };
const maxConflicts = 5;

/** Shared certificates whose authorities are kept in the APIService. */
export function createCertificateManager(options: CertificateManagerOptions): CertificateManager {
  const { apiService, onApiService, ...shared } = options;
  const { client, logger, service } = shared;
  let finding: ApiServiceFinding | undefined;
  const keep = async (wanted: ApiServiceOptions, caBundlePem: string): Promise<boolean> => {
    const found = await keepApiService(client, { ...wanted, service, caBundlePem });
    if (found.message !== finding?.message) {
      logger[found.state === 'Owned' ? 'info' : 'warn']({ reason: found.state }, found.message);
    }
    finding = found;
    onApiService?.(found);
    return found.state === 'Owned';
  };
  const source = createSharedCertificates({
    ...shared,
    ...(apiService === undefined ? {} : { publishAuthority: async (pem: string) => await keep(apiService, pem) }),
  });
  return { ...source, apiService: () => finding };
}

/**
 * Makes serving certificates, shares them between replicas in a Secret and renews them with an overlap: a new authority
 * is in the Secret and published for ten minutes before a certificate of it is served. Looks each minute, and each five
 * seconds while clients do not trust it.
 */
export function createSharedCertificates(options: SharedCertificatesOptions): CertificateSource {
  const { clock, random, logger, publishAuthority } = options;
  const listeners: ((certificate: ServingCertificate) => void)[] = [];
  let stored: StoredCertificates | undefined;
  let isSettled = publishAuthority === undefined;

  const sync = async (): Promise<void> => {
    const next = await syncSecret(options, stored);
    const isSame = JSON.stringify(toSecretData(next)) === JSON.stringify(stored && toSecretData(stored));
    stored = next;
    if (!isSame) for (const listener of listeners) listener(servingCertificate(next));
    if (publishAuthority !== undefined) isSettled = await publishAuthority(next.authorities.join(''));
  };
  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      // Aborted: the loop's condition ends it.
      await clock.sleep(isSettled ? checkPeriodMs : unsettledPeriodMs, signal).catch(() => undefined);
      if (!signal.aborted) await sync().catch((error: unknown) => warn(logger, error));
    }
  };
  return {
    current: () => {
      if (stored === undefined) throw new HeadstartError('Unavailable', 'there is no serving certificate yet');
      return servingCertificate(stored);
    },
    onChange: (listener) => void listeners.push(listener),
    start: async (signal) => {
      for (let failures = 0; stored === undefined; failures += 1) {
        await sync().catch(async (error: unknown) => {
          // With a certificate, what is published can wait for the next look.
          warn(logger, error);
          if (stored !== undefined) return;
          if (!(error instanceof HeadstartError && error.retryable)) throw error;
          await clock.sleep(backoffMs(failures, { ...backoff, random }), signal);
        });
      }
      void follow(signal);
    },
  };
}

function servingCertificate({ serving, authorities }: StoredCertificates): ServingCertificate {
  return { ...serving, caBundlePem: authorities.join('') };
}

function warn(logger: Logger, error: unknown): void {
  logger.warn({ code: errorCode(error) }, `keeping certificates: ${errorMessage(error)}`);
}

/**
 * Reads the Secret and takes the next step of the rotation. Of several replicas that take it at once one wins; the
 * others find its certificate. A Secret that was emptied or deleted gets back what is in memory.
 */
async function syncSecret(
  options: SharedCertificatesOptions,
  memory: StoredCertificates | undefined,
): Promise<StoredCertificates> {
  const { client, clock, logger, secret: name } = options;
  const path = resourcePath({ apiVersion: 'v1', plural: 'secrets', ...name });
  for (let conflicts = 0; ; conflicts += 1) {
    const secret = await client.request<Secret>({ path }).catch((error: unknown) => {
      if (errorCode(error) === 'NotFound') return undefined;
      throw error;
    });
    const found = fromSecretData(decodeData(secret));
    const stored = found ?? memory;
    const step = decideRotation(stored, { dnsName: serverName(options.service), nowMs: clock.nowMs() });
    if (step === 'keep' && found !== undefined) return found;
    const next = await takeStep(options, stored, step);
    try {
      await writeSecret(options, secret, next);
      logger.info({ reason: step }, `serving certificate: ${step}`);
      return next;
    } catch (error) {
      const isRace = ['Conflict', 'AlreadyExists'].includes(errorCode(error));
      if (!isRace || conflicts >= maxConflicts) throw error;
    }
  }
}

async function takeStep(
  options: SharedCertificatesOptions,
  stored: StoredCertificates | undefined,
  step: RotationStep,
): Promise<StoredCertificates> {
  const nowMs = options.clock.nowMs();
  if (stored !== undefined && step === 'keep') return stored;
  if (stored?.next !== undefined && step === 'promote') {
    const { certPem, keyPem } = stored.next;
    return { serving: { certPem, keyPem }, authorities: stored.authorities };
  }
  // Loaded when it is needed, which is once in two months in one replica: it takes 20 MiB.
  const { issueServingCertificate } = await import('./certificate-authority.ts');
  const { pair, caPem } = await issueServingCertificate({ dnsNames: dnsNames(options.service), nowMs, lifetimeMs });
  const authorities = addAuthority(stored?.authorities ?? [], caPem, nowMs);
  if (stored !== undefined && step === 'stage') {
    return { serving: stored.serving, next: { ...pair, sinceMs: nowMs }, authorities };
  }
  return { serving: pair, authorities };
}

/** The name by which kube-apiserver verifies (kube-aggregator: BuildTransportConfig). */
function serverName({ name, namespace }: ServiceName): string {
  return `${name}.${namespace}.svc`;
}

function dnsNames(service: ServiceName): readonly string[] {
  const { name, namespace } = service;
  return [name, `${name}.${namespace}`, serverName(service), `${serverName(service)}.cluster.local`];
}

async function writeSecret(
  { client, secret: { namespace, name } }: SharedCertificatesOptions,
  secret: Secret | undefined,
  stored: StoredCertificates,
): Promise<void> {
  const entries = Object.entries(toSecretData(stored));
  const data = Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
  const collection = resourcePath({ apiVersion: 'v1', plural: 'secrets', namespace });
  const base = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: { namespace, name } };
  if (secret === undefined) await client.request({ method: 'POST', path: collection, body: { ...base, data } });
  else await client.request({ method: 'PUT', path: `${collection}/${name}`, body: { ...base, ...secret, data } });
}

function decodeData(secret: Secret | undefined): Record<string, string> {
  const entries = Object.entries(secret?.data ?? {});
  return Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]));
}
