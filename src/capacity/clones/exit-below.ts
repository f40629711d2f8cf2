// SPDX-License-Identifier: Apache-2.0
import type { MeasuredResource } from './utilization.ts';

/** The annotation headstart.dev/exit-below, read. */
export interface ExitBelow {
  readonly resource: MeasuredResource;
  readonly belowPercent: number;
  readonly sustainedSeconds: number;
}

const pattern = /^(cpu|memory)=([1-9]\d?)%\/([1-9]\d{1,3})s$/;
const bounds = { maxPercent: 90, minSeconds: 60, maxSeconds: 3600 };

/** `cpu=15%/180s`; undefined for anything else: a clone with a rule that cannot be read ends by its deadline. */
export function parseExitBelow(text: string): ExitBelow | undefined {
  const [, resource, percent, seconds] = pattern.exec(text) ?? [];
  if (resource !== 'cpu' && resource !== 'memory') return undefined;
  const rule = { resource, belowPercent: Number(percent), sustainedSeconds: Number(seconds) } as const;
  const isAllowed =
    rule.belowPercent <= bounds.maxPercent &&
    rule.sustainedSeconds >= bounds.minSeconds &&
    rule.sustainedSeconds <= bounds.maxSeconds;
  return isAllowed ? rule : undefined;
}
