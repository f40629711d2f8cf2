// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';
import type { TimeSeries } from '../series/time-series.ts';
import { fromScale } from './remainder.ts';
import type { TakenApart } from './remainder.ts';

/** Choices are judged on this much of the past, this often, at so many leads. */
const judgedSeconds = 7 * 86_400;
const mostOrigins = 300;
const mostLeads = 4;

/** A model of the remainder that is led through the past. */
export interface Walker {
  update(value: number): void;
  forecast(horizon: number): Float64Array;
}

/** Where forecasts of the past are judged: steps ahead, 0 for the next point, and origins in a history's last week. */
export interface Course {
  readonly leads: readonly number[];
  readonly from: number;
  readonly every: number;
}

/** The course for a history and a horizon. */
export function courseOf({ values, stepSeconds }: TimeSeries, horizonSteps: number): Course {
  const judged = Math.ceil(judgedSeconds / stepSeconds);
  const from = Math.max(1, Math.floor(values.length / 2), values.length - judged);
  const ratio = Math.max(1, horizonSteps) ** (1 / (mostLeads - 1));
  const leads = Array.from({ length: mostLeads }, (_, index) => Math.round(ratio ** index) - 1);
  return { leads: [...new Set(leads)], from, every: Math.max(1, Math.ceil((values.length - from) / mostOrigins)) };
}

/** Mean absolute error of demand when the walker forecasts the remainder of `shape` of the typical day. */
export function judgeWalker(
  { demand, expected, scale }: Pick<TakenApart, 'demand' | 'expected' | 'scale'>,
  shape: number,
  { walker, course }: { walker: Walker; course: Course },
): number {
  const horizon = Math.max(...course.leads) + 1;
  let total = 0;
  let count = 0;
  const typical = (index: number): number => (shape === 0 ? 0 : shape * at(expected, index));
  const note = (forecast: number, index: number): void => {
    const actual = fromScale(scale, at(demand, index));
    const error = Math.abs(fromScale(scale, forecast + typical(index)) - actual);
    if (Number.isNaN(error)) return;
    total += error;
    count += 1;
  };
  for (let index = 0; index < demand.length; index += 1) {
    if (index >= course.from && (index - course.from) % course.every === 0) {
      const path = walker.forecast(horizon);
      for (const lead of course.leads) note(at(path, lead), index + lead);
    }
    walker.update(at(demand, index) - typical(index));
  }
  return total / count;
}
