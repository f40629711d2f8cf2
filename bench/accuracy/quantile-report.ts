// SPDX-License-Identifier: Apache-2.0
import type { TaskResult } from './protocol.ts';
import { judgedLevels, leadName, skillName } from './quantile-tallies.ts';
import { shiftSuffix } from './quantiles.ts';
import { chosenOf, details, fixed, metricsNamed, percent, shareOf, table } from './tables.ts';
import type { SeriesMetric } from './tables.ts';
import { bootstrap, median, ours, valueOf } from './tally.ts';
import type { Draw, Metric } from './tally.ts';

const leads = [300, 900, 3600, 86_400].map(leadName);

/** Coverage and pinball skill by lead, and after a level shift. */
export function quantileSections(minutes: readonly TaskResult[], quantiles: readonly TaskResult[]): string {
  const results = [...minutes, ...quantiles];
  const plain = rowsOf(results, '', 0.02);
  const shifted = rowsOf(results, shiftSuffix, 0.05);
  if (plain.length === 0) return '';
  const head = ['lead', 'quantile', 'series', 'median coverage', 'all steps', 'within', 'median skill', '95 %'];
  return `## Quantiles

Coverage is the share of outcomes at or below the quantile; *within* is the share of series that are at most 2 points from
nominal (5 after the shift). A lead is a bucket: 5 min is up to 5 minutes, 15 min from there to 15 minutes, and so on; 24 h
is all of a day, at steps of 5 minutes. Skill is 1 − pinball loss over that of the seasonal naive forecast with
the empirical quantiles of its errors in the last four weeks.

${table(head, plain)}
${shifted.length === 0 ? '' : shiftSection(table(head, shifted))}
${seriesRows(results)}`;
}

function shiftSection(rows: string): string {
  return `### After a level shift

All values from eight days before the end on times 1.5; judged over seven days, from the second day after the shift on.

${rows}`;
}

function rowsOf(results: readonly TaskResult[], suffix: string, tolerance: number): string[][] {
  return leads.flatMap((lead) =>
    judgedLevels.flatMap((level) => {
      const covered = metricsNamed(results, `coverage ${level} ${lead}${suffix}`);
      if (covered.length === 0) return [];
      const losses = metricsNamed(results, `pinball ${level} ${lead}${suffix}`).map(({ metric }) => metric);
      const { value, low, high } = skillOf(losses);
      const near = shareOf(covered, ({ metric }) => Math.abs(valueOf(metric, ours) - level) <= tolerance + 1e-9);
      return [
        [
          lead,
          `${level}`,
          `${covered.length}`,
          fixed(median(covered.map(({ metric }) => valueOf(metric, ours))), 3),
          fixed(pooled(covered), 3),
          percent(near),
          percent(value, 1),
          `${percent(low, 1)} to ${percent(high, 1)}`,
        ],
      ];
    }),
  );
}

/** Over all steps of all series, each series with the same weight. */
function pooled(rows: readonly SeriesMetric[]): number {
  const values = rows.map(({ metric }) => valueOf(metric, ours));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const skill: Draw = (metric: Metric, _, drawn) => 1 - valueOf(metric, ours, drawn) / valueOf(metric, skillName, drawn);

export function skillOf(losses: readonly Metric[]): { value: number; low: number; high: number } {
  const value = median(losses.map((metric) => 1 - valueOf(metric, ours) / valueOf(metric, skillName)));
  const interval = bootstrap(losses, [ours], { summary: median, draw: skill })[ours]?.value;
  return { value, low: interval?.low ?? Number.NaN, high: interval?.high ?? Number.NaN };
}

function seriesRows(results: readonly TaskResult[]): string {
  const names = ['15 min', '60 min', '24 h', `60 min${shiftSuffix}`];
  const series = [...new Set(results.map((result) => result.series))].sort();
  const rows = series.flatMap((name) => {
    const own = results.filter((result) => result.series === name);
    const cells = names.flatMap((lead) => {
      const [covered] = metricsNamed(own, `coverage 0.95 ${lead}`);
      const [loss] = metricsNamed(own, `pinball 0.95 ${lead}`);
      const ratio = loss === undefined ? Number.NaN : valueOf(loss.metric, ours) / valueOf(loss.metric, skillName);
      return [covered === undefined ? '–' : fixed(valueOf(covered.metric, ours), 3), percent(1 - ratio)];
    });
    const [first] = own;
    return first === undefined || cells.every((cell) => cell === '–') ? [] : [[name, ...cells, chosenOf(first)]];
  });
  const head = ['series', ...names.flatMap((lead) => [`coverage, ${lead}`, `skill, ${lead}`]), 'models used'];
  return details(`Each of the ${rows.length} series at the quantile 0.95`, table(head, rows));
}
