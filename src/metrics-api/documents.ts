// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** A document that never changes while the process runs. */
export interface Document {
  readonly body: Buffer;
  /** SHA-512 in upper-case hex, as apiserver and kube-openapi compute it; without quotes. */
  readonly hash: string;
}

/** A JSON document, serialized once. */
export function jsonDocument(value: unknown): Document {
  const body = Buffer.from(JSON.stringify(value));
  return { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
}
