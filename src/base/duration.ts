// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from './errors.ts';

const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const pattern = /^(?:\d+(?:ms|[smhdw]))+$/;

/**
 * Seconds of a Prometheus-style duration (`90s`, `14d`, `1h30m`).
 * @throws HeadstartError InvalidInput, naming `where`
 */
export function parseDurationSeconds(text: string, where: string): number {
  if (!pattern.test(text)) throw invalidInput(where, text, 'a duration such as 90s, 5m, 24h or 14d');
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) {
    seconds += Number(amount) * (units[unit ?? ''] ?? 0);
  }
  if (!Number.isFinite(seconds)) throw invalidInput(where, text, 'a duration below 10000 years');
  return seconds;
}

/** A duration for people: `45s`, `3m10s`, `31h`, `14d`; two units at most. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total}s`;
  if (total < 3600) return join(total, 60, 'm', 's');
  if (total < 48 * 3600) return join(Math.round(total / 60), 60, 'h', 'm');
  return join(Math.round(total / 3600), 24, 'd', 'h');
}

function join(total: number, per: number, big: string, small: string): string {
  const rest = total % per;
  return `${Math.floor(total / per)}${big}${rest === 0 ? '' : `${rest}${small}`}`;
}

/** Seconds of a duration as Go writes it (`10.05s`, `1m0s`); NaN for anything else. */
export function goDurationSeconds(text: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(text);
  if (match === null || text === '') return Number.NaN;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}
