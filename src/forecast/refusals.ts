// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../base/duration.ts';
import type { TimeSeries } from '../series/time-series.ts';
import type { CannotFit } from './model.ts';
import { countPresent } from './robust.ts';

const daySeconds = 86_400;

/** Why a model of the typical day cannot be fitted, if so: it needs a day, and half of a day's points. */
export function refuseShort({ values, stepSeconds }: TimeSeries): CannotFit | undefined {
  const spanSeconds = values.length * stepSeconds;
  if (spanSeconds < daySeconds) {
    return { kind: 'cannot-fit', reason: 'TooLittleHistory', have: formatDuration(spanSeconds), need: '24h' };
  }
  const needed = Math.ceil(daySeconds / stepSeconds / 2);
  const present = countPresent(values);
  if (present >= needed) return undefined;
  return { kind: 'cannot-fit', reason: 'TooManyGaps', have: `${present} points`, need: `${needed} points` };
}
