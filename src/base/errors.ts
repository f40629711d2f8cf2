// SPDX-License-Identifier: Apache-2.0

/**
 * Every failure that Headstart names, and whether trying again can help. Conditions, Events, metrics and logs
 * use the code as their word.
 */
const codes = {
  InvalidInput: false,
  NotFound: false,
  AlreadyExists: false,
  Conflict: true,
  Forbidden: false,
  Unauthorized: false,
  Gone: true,
  Timeout: true,
  Unavailable: true,
  Throttled: true,
  BadResponse: true,
  QueryFailed: false,
  SeveralSeries: false,
  NoData: true,
  NotANumber: true,
  Internal: false,
} as const;

export type ErrorCode = keyof typeof codes;

/** An error with a code of the closed table; `retryable` follows from the code. */
export class HeadstartError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HeadstartError';
    this.code = code;
  }

  get retryable(): boolean {
    return codes[this.code];
  }
}

/** Says which field, what was given and what is allowed; the shape of every refusal. */
export function invalidInput(where: string, given: unknown, allowed: string): HeadstartError {
  return new HeadstartError('InvalidInput', `${where}: got ${quote(given)}, want ${allowed}`);
}

/** The message of anything thrown, with the messages of its causes. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `: ${errorMessage(error.cause)}`;
  return error.message === '' ? error.name + cause : error.message + cause;
}

/** The code of a HeadstartError, `Internal` for anything else. */
export function errorCode(error: unknown): ErrorCode {
  return error instanceof HeadstartError ? error.code : 'Internal';
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}
