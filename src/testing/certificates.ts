// SPDX-License-Identifier: Apache-2.0
import type { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, both PEM. */
interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a certificate says; it holds for 30 days. */
export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads these as groups. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usage: 'client' | 'server';
}

/** A certificate authority that lives in memory. */
export interface Authority {
  readonly certPem: string;
  issue(request: CertificateRequest): Promise<Certificate>;
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;

/** A new self-signed authority. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await createKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certPem: pem(certificate),
    issue: async (request) => await issue(certificate, keys.privateKey, request),
  };
}

async function issue(
  issuer: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
  request: CertificateRequest,
): Promise<Certificate> {
  const keys = await createKeys();
  const usage = request.usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const organizations = (request.organizations ?? []).map((name) => ({ O: [name] }));
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject: [...organizations, { CN: [request.commonName] }],
    issuer: issuer.subjectName.toJSON(),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  return { certPem: pem(certificate), keyPem: await privatePem(keys.privateKey) };
}

/** A key pair that signs and verifies service account tokens, PEM (PKCS 8 and SPKI). */
export async function createSigningKeyPair(): Promise<{ readonly privatePem: string; readonly publicPem: string }> {
  const keys = await createKeys();
  const spki = await crypto.subtle.exportKey('spki', keys.publicKey);
  return {
    privatePem: await privatePem(keys.privateKey),
    publicPem: `${x509.PemConverter.encode(spki, x509.PemConverter.PublicKeyTag)}\n`,
  };
}

async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await crypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(pkcs8, x509.PemConverter.PrivateKeyTag)}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

/** From a little in the past, so that clocks that differ by seconds agree. */
function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - 300_000), notAfter: new Date(Date.now() + 30 * dayMs) };
}
