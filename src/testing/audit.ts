// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';

/** One request, as the apiserver's audit log tells of it. */
export interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource: string;
    readonly apiGroup?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly requestURI: string;
  readonly responseStatus?: { readonly code: number };
  /** When it had been answered, RFC 3339. */
  readonly stageTimestamp: string;
}

/** Everything that the apiserver was asked so far; only of a control plane that was started with `audit`. */
export async function readAudit({ dir }: ControlPlane): Promise<AuditEvent[]> {
  const lines = (await readFile(join(dir, 'audit.log'), 'utf8')).split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as AuditEvent);
}
