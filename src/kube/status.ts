// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';

/** What is read of a metav1.Status; a server may leave any of it out. */
export interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

const codes: ReadonlyMap<number, ErrorCode> = new Map([
  [400, 'InvalidInput'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [405, 'InvalidInput'],
  [406, 'InvalidInput'],
  [408, 'Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [413, 'InvalidInput'],
  [415, 'InvalidInput'],
  [422, 'InvalidInput'],
  [429, 'Throttled'],
  [504, 'Timeout'],
]);

/** Enough for the longest list of field errors that a person reads. */
const maxMessage = 1000;

/**
 * The error that a refusal of the apiserver means (apimachinery/pkg/api/errors/errors.go).
 * @param what the act that was refused, beginning with a gerund
 * @param text the body as it came: a Status in JSON, or plain text from what stands before the apiserver
 */
export function refusal(what: string, httpStatus: number, text: string): HeadstartError {
  const status = parseStatus(text);
  return statusError(what, { code: httpStatus, message: text.trim(), ...status });
}

/** The error that a Status means; one without a code, or with one that says success, is a BadResponse. */
export function statusError(what: string, status: Status): HeadstartError {
  const code = status.code ?? 0;
  const reason = status.reason === undefined || status.reason === '' ? '' : ` ${status.reason}`;
  const message = (status.message ?? '').slice(0, maxMessage);
  return new HeadstartError(errorCodeOf(code, status.reason), `${what}: ${message} (HTTP ${code}${reason})`);
}

/** The Status in a body, `{}` when there is none. */
export function parseStatus(text: string): Status {
  try {
    const value: unknown = JSON.parse(text);
    const isStatus = typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status';
    return isStatus ? (value as Status) : {};
  } catch {
    return {};
  }
}

function errorCodeOf(code: number, reason: string | undefined): ErrorCode {
  if (reason === 'AlreadyExists') return 'AlreadyExists';
  // A watch event carries the reason alone when the server translated the error twice.
  if (reason === 'Expired' || reason === 'Gone') return 'Gone';
  return codes.get(code) ?? (code >= 500 ? 'Unavailable' : 'BadResponse');
}

/** Whether a namespace refused something because it is going, or is gone; the apiserver says it in words alone. */
export function isNamespaceGoing(error: unknown): boolean {
  const isRefusal = error instanceof HeadstartError && (error.code === 'Forbidden' || error.code === 'NotFound');
  return isRefusal && /because it is being terminated|namespaces? "[^"]*" not found/.test(error.message);
}
