// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../src/base/duration.ts';
import type { Recording } from './recording.ts';
import { neededPods } from './score.ts';
import type { Observation, Score, Sizing, Twin } from './score.ts';

/** The head of the table that grows during the show. */
export const liveHeader = [
  '                       pods   forecast          reactive              predictive',
  '   time     demand   needed    at lead   desired  ready  short   desired  ready  short',
].join('\n');

/** One line of it; times count from the start of the show. */
export function liveLine(observation: Observation, startSeconds: number, sizing: Sizing): string {
  const { atSeconds, demand, forecast, reactive, predictive } = observation;
  const needed = neededPods(demand, sizing);
  const cells = [
    pad(clock(atSeconds - startSeconds), 7),
    pad(`${Math.round(demand)}/s`, 11),
    pad(String(needed), 9),
    pad(forecast === undefined ? '-' : `${Math.round(forecast.atLead)}/s`, 11),
    ...[reactive, predictive].flatMap(({ desired, ready }) => [
      pad(String(desired), 10),
      pad(String(ready), 7),
      pad(ready < needed ? String(needed - ready) : '·', 7),
    ]),
  ];
  return cells.join('');
}

/** The table at the end, with a word on what its first row counts from. */
export function summary({ scores, rampStartSeconds, observations }: Recording): string {
  const { reactive, predictive } = scores;
  const from = rampStartSeconds ?? observations[0]?.atSeconds ?? 0;
  const rows = [
    ['', 'reactive', 'predictive'],
    ['began to scale', ...[reactive, predictive].map((twin) => began(twin, from))],
    ['deficient pod-minutes', reactive.deficientPodMinutes.toFixed(1), predictive.deficientPodMinutes.toFixed(1)],
    ['most pods missing', String(reactive.worstShortage), String(predictive.worstShortage)],
    ['pod-hours', reactive.podHours.toFixed(2), predictive.podHours.toFixed(2)],
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  const ramp =
    rampStartSeconds === undefined
      ? 'No ramp came: times count from the start.'
      : 'Times count from the start of the ramp, when demand is a quarter above that of the first minute.';
  return [...lines, '', ramp].join('\n');
}

/** What the extra pods of one ramp mean for a workload that has one a day; `demands` are samples of one day. */
export function dailyCost(
  scores: Readonly<Record<Twin, Score>>,
  demands: readonly number[],
  targetPerPod: number,
): string {
  const extra = scores.predictive.podHours - scores.reactive.podHours;
  const mean = demands.reduce((sum, demand) => sum + demand, 0) / demands.length;
  const daily = (mean / targetPerPod) * 24;
  const percent = ((100 * extra) / daily).toFixed(1);
  return `The ramp comes once a day: ${extra.toFixed(2)} pod-hours are ${percent} % of the ${Math.round(daily)} of a day.`;
}

function began({ beganSeconds }: Score, from: number): string {
  if (beganSeconds === undefined) return 'not at all';
  const after = beganSeconds - from;
  const length = formatDuration(Math.abs(after));
  return after < 0 ? `${length} before` : `${length} after`;
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

function pad(text: string, width: number): string {
  return text.padStart(width);
}
