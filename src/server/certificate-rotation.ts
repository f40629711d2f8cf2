// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyPair } from './certificate-authority.ts';

/** What the replicas share. */
export interface StoredCertificates {
  /** What is served. */
  readonly serving: KeyPair;
  /** What will be served once every client has had time to learn its authority; times in ms since the epoch. */
  readonly next?: KeyPair & { readonly sinceMs: number };
  /** The authorities that clients are to trust, PEM each, the newest first. */
  readonly authorities: readonly string[];
}

/** What must hold for a certificate to be of use. */
export interface Purpose {
  /** The name by which kube-apiserver verifies it. */
  readonly dnsName: string;
  readonly nowMs: number;
}

/**
 * What to do about the certificates: serve them; make a new one and serve it at once, as there is nothing else; make a
 * new one and let its authority be known first; serve the one that was made before.
 */
export type RotationStep = 'keep' | 'replace' | 'stage' | 'promote';

const dayMs = 86_400_000;
export const lifetimeMs = 90 * dayMs;
const renewBeforeMs = 30 * dayMs;
/** Each replica publishes the authorities once a minute, and kube-apiserver watches where. */
const overlapMs = 600_000;
const maxAuthorities = 4;

/** Decides from what is stored; unusable certificates count as missing. */
export function decideRotation(stored: StoredCertificates | undefined, purpose: Purpose): RotationStep {
  const endMs = usableUntilMs(stored, stored?.serving, purpose);
  const isNextUsable = usableUntilMs(stored, stored?.next, purpose) !== undefined;
  if (endMs === undefined) return isNextUsable ? 'promote' : 'replace';
  if (isNextUsable) return purpose.nowMs - (stored?.next?.sinceMs ?? 0) >= overlapMs ? 'promote' : 'keep';
  return endMs - purpose.nowMs <= renewBeforeMs ? 'stage' : 'keep';
}

/** The authorities with a new one first, without those that are over and with a bound on their number. */
export function addAuthority(authorities: readonly string[], caPem: string, nowMs: number): readonly string[] {
  const valid = authorities.filter((pem) => {
    const certificate = parse(pem);
    return certificate !== undefined && certificate.validToDate.getTime() > nowMs;
  });
  return [caPem, ...valid].slice(0, maxAuthorities);
}

/** The stored certificates as the data of a Secret, before base64. */
export function toSecretData({ serving, next, authorities }: StoredCertificates): Record<string, string> {
  return {
    'tls.crt': serving.certPem,
    'tls.key': serving.keyPem,
    'ca.crt': authorities.join(''),
    ...(next === undefined
      ? {}
      : { 'next.crt': next.certPem, 'next.key': next.keyPem, 'next-since': new Date(next.sinceMs).toISOString() }),
  };
}

/** The certificates in the data of a Secret; undefined when there are none. Whether they are of use is not looked at. */
export function fromSecretData(data: Readonly<Record<string, string>>): StoredCertificates | undefined {
  const serving = pairOf(data['tls.crt'], data['tls.key']);
  if (serving === undefined) return undefined;
  const next = pairOf(data['next.crt'], data['next.key']);
  const sinceMs = Date.parse(data['next-since'] ?? '');
  return {
    serving,
    // A time that nobody can read must not hold up the renewal.
    ...(next === undefined ? {} : { next: { ...next, sinceMs: Number.isFinite(sinceMs) ? sinceMs : 0 } }),
    authorities: (data['ca.crt'] ?? '').match(pemPattern)?.map((pem) => `${pem}\n`) ?? [],
  };
}

const pemPattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function pairOf(certPem = '', keyPem = ''): KeyPair | undefined {
  return certPem === '' || keyPem === '' ? undefined : { certPem, keyPem };
}

/** The end of a certificate that has its key, names the Service, holds now and is by one of the authorities. */
function usableUntilMs(
  stored: StoredCertificates | undefined,
  pair: KeyPair | undefined,
  { dnsName, nowMs }: Purpose,
): number | undefined {
  const certificate = parse(pair?.certPem);
  if (stored === undefined || pair === undefined || certificate === undefined) return undefined;
  const isNow = certificate.validFromDate.getTime() <= nowMs && nowMs < certificate.validToDate.getTime();
  const isOurs = certificate.checkHost(dnsName) !== undefined && hasKey(certificate, pair.keyPem);
  const isKnown = stored.authorities.some((pem) => {
    const ca = parse(pem);
    return ca !== undefined && certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  });
  return isNow && isOurs && isKnown ? certificate.validToDate.getTime() : undefined;
}

function hasKey(certificate: X509Certificate, keyPem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

function parse(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
