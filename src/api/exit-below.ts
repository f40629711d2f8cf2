// SPDX-License-Identifier: Apache-2.0
import type { UtilizationExit } from './v1alpha1/clone-pool.ts';

/**
 * The annotation headstart.dev/exit-below for what a ClonePool asks for: `cpu=15%/180s`. Undefined for a query, which
 * says what its numbers are, and which only the pool has.
 */
export function formatExitBelow(rule: UtilizationExit): string | undefined {
  if (rule.query !== undefined) return undefined;
  return `${rule.resource ?? 'cpu'}=${rule.belowPercent}%/${rule.sustainedSeconds}s`;
}
