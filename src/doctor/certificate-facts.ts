// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import type { CertificateFacts } from './snapshot.ts';

/** What is read of a Secret of type TLS. */
export interface CertificateSecret {
  readonly data?: Readonly<Record<string, string>> | null;
}

const pemPattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Looks at the certificate alone, not at its key; undefined where there is none. @param caBundle base64, or empty */
export function certificateFacts(
  secret: CertificateSecret | undefined,
  caBundle: string,
): CertificateFacts | undefined {
  const serving = parseCertificate(decode(secret?.data?.['tls.crt'] ?? ''));
  if (serving === undefined) return undefined;
  const authorities = decode(caBundle).match(pemPattern) ?? [];
  const isTrusted = authorities.some((pem) => {
    const authority = parseCertificate(pem);
    return authority !== undefined && serving.checkIssued(authority) && serving.verify(authority.publicKey);
  });
  return { isTrusted: caBundle === '' ? undefined : isTrusted, endSeconds: serving.validToDate.getTime() / 1000 };
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
