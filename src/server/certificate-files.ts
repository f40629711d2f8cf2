// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import type { CertificateSource, ServingCertificate } from './certificates.ts';

/** Where the certificate is. */
export interface CertificateFilesOptions {
  readonly certPath: string;
  readonly keyPath: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const checkPeriodMs = 15_000;

/**
 * A certificate that others put into files, such as a mounted Secret of cert-manager. The files are read again every
 * 15 s; a pair that does not fit together, as in the middle of a write, is passed over until it does. What clients
 * trust is in the hands of who made it, so `caBundlePem` is empty.
 */
export function createCertificateFiles(options: CertificateFilesOptions): CertificateSource {
  const { certPath, keyPath, clock, logger } = options;
  const listeners: ((certificate: ServingCertificate) => void)[] = [];
  let certificate: ServingCertificate | undefined;

  const load = async (): Promise<void> => {
    const [certPem, keyPem] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')]);
    if (certPem === certificate?.certPem && keyPem === certificate.keyPem) return;
    if (!new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))) {
      throw new Error('the key is not the one of the certificate');
    }
    certificate = { certPem, keyPem, caBundlePem: '' };
    for (const listener of listeners) listener(certificate);
  };
  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      // Aborted: the loop's condition ends it.
      await clock.sleep(checkPeriodMs, signal).catch(() => undefined);
      await load().catch((error: unknown) => logger.warn(`reading ${certPath}, ${keyPath}: ${errorMessage(error)}`));
    }
  };
  return {
    current: () => {
      if (certificate === undefined) throw new HeadstartError('Unavailable', 'there is no serving certificate yet');
      return certificate;
    },
    onChange: (listener) => void listeners.push(listener),
    start: async (signal) => {
      await load().catch((cause: unknown) => {
        throw new HeadstartError('InvalidInput', `serving certificate ${certPath} with key ${keyPath}`, { cause });
      });
      void follow(signal);
    },
  };
}
