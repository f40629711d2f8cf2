// SPDX-License-Identifier: Apache-2.0
import type { RegressorSource } from '../forecast/regressors.ts';
import { parseEventsCsv } from '../series/events-csv.ts';
import { parseRegressorsCsv } from '../series/regressors-csv.ts';
import { holidayDays } from './holidays.ts';
import type { HolidayChoice } from './holidays.ts';
import { readText } from './series-input.ts';

/** What a command names that is known ahead of time. */
export interface KnownAheadFiles {
  readonly regressors?: string;
  readonly events?: string;
  readonly holidays?: readonly HolidayChoice[];
}

/** What `forecastOrigins` takes of it. */
export interface KnownAheadOptions {
  readonly regressors: readonly RegressorSource[];
  readonly holidays?: ReadonlySet<number>;
}

/**
 * Reads what is known ahead: a column of the regressors, or a type of events, is a regressor.
 * @throws HeadstartError NotFound, or InvalidInput that names the row
 */
export async function readKnownAhead(
  { regressors, events, holidays }: KnownAheadFiles,
  span: { readonly fromSeconds: number; readonly toSeconds: number },
): Promise<KnownAheadOptions> {
  const columns =
    regressors === undefined ? [] : parseRegressorsCsv(await readText(regressors, '--regressors'), regressors);
  const known = events === undefined ? [] : parseEventsCsv(await readText(events, '--events'), events);
  const sources: RegressorSource[] = columns.map(({ name, samples }) => ({ kind: 'samples', name, samples }));
  for (const [name, list] of Map.groupBy(known, ({ type }) => type))
    sources.push({ kind: 'events', name, events: list });
  return {
    regressors: sources,
    ...(holidays === undefined ? {} : { holidays: await holidayDays(holidays, span) }),
  };
}
