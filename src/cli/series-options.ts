// SPDX-License-Identifier: Apache-2.0
import { parseDurationSeconds } from '../base/duration.ts';
import { invalidInput } from '../base/errors.ts';
import { isTimeZone } from '../series/calendar.ts';

/** Where a series comes from. */
export type SeriesInput =
  | { readonly kind: 'csv'; readonly file: string }
  | { readonly kind: 'prometheus'; readonly url: string; readonly query: string };

/** The flags of {@link parseInput}. */
export const inputFlags = {
  input: { type: 'string' },
  prometheus: { type: 'string' },
  query: { type: 'string' },
} as const;

/** A file, or a query of a Prometheus. */
export function parseInput({
  input,
  prometheus,
  query,
}: {
  readonly input?: string | undefined;
  readonly prometheus?: string | undefined;
  readonly query?: string | undefined;
}): SeriesInput {
  if ((input === undefined) === (prometheus === undefined)) {
    const given = input === undefined ? 'neither' : 'both';
    throw invalidInput(
      '--input, --prometheus',
      given,
      'one of them: a CSV file (- for stdin), or the URL of a Prometheus',
    );
  }
  if (input !== undefined) {
    if (query !== undefined) throw invalidInput('--query', query, 'nothing with --input: it goes with --prometheus');
    return { kind: 'csv', file: input };
  }
  if (query === undefined || query.trim() === '') {
    throw invalidInput('--query', query ?? 'nothing', 'PromQL that gives one series, with --prometheus');
  }
  return { kind: 'prometheus', url: prometheus ?? '', query };
}

/** Seconds of a duration that is whole seconds, at least one. */
export function wholeDuration(text: string, where: string): number {
  const seconds = parseDurationSeconds(text, where);
  if (!(seconds >= 1 && Number.isInteger(seconds))) throw invalidInput(where, text, 'whole seconds, at least 1s');
  return seconds;
}

/** The value of `--time-zone`. */
export function parseTimeZone(name: string): string {
  if (!isTimeZone(name)) throw invalidInput('--time-zone', name, 'an IANA time zone such as UTC or Europe/Berlin');
  return name;
}

/** The value of `--output`. */
export function parseOutput(text: string): 'csv' | 'json' {
  if (text === 'csv' || text === 'json') return text;
  throw invalidInput('--output', text, 'csv or json');
}
