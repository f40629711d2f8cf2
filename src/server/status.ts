// SPDX-License-Identifier: Apache-2.0

/** metav1.Status of a failure, the body of every error that the Kubernetes surfaces give. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason: StatusReason;
  readonly details?: { readonly group?: string; readonly kind?: string };
  readonly code: number;
}

const codes = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  InternalError: 500,
  ServiceUnavailable: 503,
} as const;

/** The reasons that are given, a subset of metav1.StatusReason. */
export type StatusReason = keyof typeof codes;

/**
 * An answer other than success; the server's error handler turns it into a Status. None is sent with Retry-After, as
 * client-go would then sleep inside the HPA's worker.
 */
export class StatusError extends Error {
  readonly status: Status;

  constructor(reason: StatusReason, message: string, options: StatusErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'StatusError';
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(options.details === undefined ? {} : { details: options.details }),
      code: codes[reason],
    };
  }
}

/** What apiserver says of a path that nobody serves. */
export function nothingThere(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
}

interface StatusErrorOptions {
  readonly details?: NonNullable<Status['details']>;
  readonly cause?: unknown;
}

/** The reason that stands for an HTTP status code; codes without one count as what their class is. */
export function reasonForCode(code: number): StatusReason {
  for (const [reason, known] of Object.entries(codes)) {
    if (known === code) return reason as StatusReason;
  }
  return code >= 400 && code < 500 ? 'BadRequest' : 'InternalError';
}
