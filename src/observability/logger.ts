// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import type { Logger } from 'pino';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** JSON lines on stdout; `reason` and `code` fields carry the words of conditions and of base/errors.ts. */
export function createLogger(level: LogLevel): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}
