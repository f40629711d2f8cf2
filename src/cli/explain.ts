// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../base/duration.ts';
import type { BatchForecast } from '../forecast/batch.ts';
import { describeSeries } from '../forecast/explain.ts';
import type { SeriesFacts } from '../forecast/explain.ts';
import { resample } from '../series/resample.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import type { Sample } from '../series/time-series.ts';

/** Models with less than this gain on the naive one have no skill to speak of. */
const leastSkill = 0.02;

/** Weaker seasons than this are hardly worth the name. */
const weakSeason = 0.1;

/** So many changes of the level, the latest, are named. */
const mostChangePoints = 5;

/** What `--explain` says. */
export interface Explanation extends SeriesFacts {
  readonly origin: number;
  readonly model: string;
  readonly candidates: BatchForecast['candidates'];
  /** 1 − loss of the model over that of the naive one; absent when the naive one took no part. */
  readonly skill?: number;
  /** Names of what was known ahead. */
  readonly regressors: readonly string[];
  readonly holidays: number;
}

/** Explains a forecast by what was known before its origin. */
export function explain(
  samples: readonly Sample[],
  { origin, model, candidates }: BatchForecast,
  setup: { readonly stepSeconds: number; readonly regressors: readonly string[]; readonly holidays: number },
): Explanation {
  const { stepSeconds, regressors, holidays } = setup;
  const oldest = samples[0]?.timestamp ?? origin;
  const startSeconds = origin - Math.ceil((origin - oldest) / stepSeconds) * stepSeconds;
  const facts = describeSeries(resample(samples, { startSeconds, endSeconds: origin, stepSeconds }));
  const lossOf = (name: string): number | undefined => candidates.find((candidate) => candidate.name === name)?.loss;
  const [own, naive] = [lossOf(model), lossOf('naive')];
  const skill = own === undefined || naive === undefined || !(naive > 0) ? {} : { skill: 1 - own / naive };
  return { origin, model, candidates, ...skill, ...facts, regressors, holidays };
}

/** As text for people. */
export function renderExplanation(explanation: Explanation): string {
  const { origin, model, candidates, regressors, holidays } = explanation;
  const lines = [
    `At ${formatRfc3339(origin)}`,
    `  model            ${model}${skillText(explanation)}`,
    '  losses           mean pinball loss at 0.5, 0.8, 0.95 on the past, smallest first',
    ...candidates.map(({ name, loss }) => `    ${name.padEnd(18)} ${short(loss)}`),
    `  series           ${pointsText(explanation)}`,
    `  gaps             ${gapsText(explanation)}`,
    `  seasons          ${explanation.seasons.map(seasonText).join('; ')}`,
    ...changeLines(explanation),
  ];
  if (regressors.length > 0) lines.push(`  known ahead      ${regressors.join(', ')}`);
  if (holidays > 0) lines.push(`  holidays         ${holidays} days`);
  return `${lines.join('\n')}\n`;
}

function skillText({ skill }: Explanation): string {
  if (skill === undefined) return '';
  if (skill < leastSkill) return ', which is no better than the last value: nothing in the past foretells this series';
  return `, ${Math.round(100 * skill)} % less loss than the last value`;
}

function pointsText({ points, missing, stepSeconds }: Explanation): string {
  return `${points} points, every ${formatDuration(stepSeconds)} over ${formatDuration((points + missing) * stepSeconds)}`;
}

function gapsText({ gaps, missing, longestGapSeconds }: Explanation): string {
  if (gaps === 0) return 'none';
  return `${gaps}, ${missing} points in all, the longest ${formatDuration(longestGapSeconds)}`;
}

function seasonText({ seconds, strength }: SeriesFacts['seasons'][number]): string {
  const name = formatDuration(seconds);
  if (Number.isNaN(strength)) return `${name} not measured, needs ${formatDuration(2 * seconds)}`;
  return `${name} strength ${strength.toFixed(2)}${strength < weakSeason ? ' (weak)' : ''}`;
}

function changeLines({ changePoints }: Explanation): string[] {
  if (changePoints.length === 0) return ['  change points    none'];
  const earlier = changePoints.length - mostChangePoints;
  const texts = changePoints
    .slice(-mostChangePoints)
    .map(
      ({ timestamp, before, after }) =>
        `${formatRfc3339(timestamp).slice(0, 10)} from ${short(before)} to ${short(after)}`,
    );
  if (earlier > 0) texts.push(`and ${earlier} earlier`);
  return texts.map((text, index) => `  ${(index === 0 ? 'change points' : '').padEnd(16)} ${text}`);
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
