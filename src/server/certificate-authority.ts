// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A key with its certificate, both PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What to issue; times in milliseconds since the epoch. */
export interface ServingCertificateRequest {
  readonly dnsNames: readonly string[];
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks of others may be behind by so much (client-go util/cert takes the same). */
const backdatedMs = 3_600_000;

/**
 * A serving certificate by an authority of its own, whose key is thrown away: nobody can ever issue another certificate
 * that passes for ours. Renewing it therefore means a new authority, which clients must know beforehand.
 */
export async function issueServingCertificate(
  request: ServingCertificateRequest,
): Promise<{ readonly pair: KeyPair; readonly caPem: string }> {
  const [caKeys, keys] = await Promise.all([createKeys(), createKeys()]);
  const validity = {
    notBefore: new Date(request.nowMs - backdatedMs),
    notAfter: new Date(request.nowMs + request.lifetimeMs),
  };
  // A name of its own, as bundles hold several.
  const name = [{ CN: [`headstart-ca@${Math.floor(request.nowMs / 1000)}`] }];
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name,
    keys: caKeys,
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: [{ CN: [request.dnsNames[0] ?? 'headstart'] }],
    issuer: name,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(request.dnsNames.map((value) => ({ type: 'dns', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
    ],
  });
  const pair = { certPem: `${certificate.toString('pem')}\n`, keyPem: await privatePem(keys.privateKey) };
  return { pair, caPem: `${ca.toString('pem')}\n` };
}

async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await crypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(pkcs8, x509.PemConverter.PrivateKeyTag)}\n`;
}
