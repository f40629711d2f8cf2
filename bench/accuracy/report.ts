// SPDX-License-Identifier: Apache-2.0
import { cpus } from 'node:os';
import { nabOwn, nabSection } from './nab-report.ts';
import { packageVersion } from './packages.ts';
import type { ProtocolName, TaskResult } from './protocol.ts';
import { quantileSections, skillOf } from './quantile-report.ts';
import { comparisonTable, fixed, metricsNamed, percent, seriesTable, shareOf, table } from './tables.ts';
import type { Published, SeriesMetric } from './tables.ts';
import { mean, median, ours, valueOf } from './tally.ts';

/** All that the page says of a run. */
export interface Run {
  readonly results: readonly TaskResult[];
  /** When it ended, as a date. */
  readonly date: string;
  /** Options that make it less than all, as they were given. */
  readonly options: string;
}

const dayPublished: Published = {
  'mean of 4 weeks': '0.86',
  'STL + ETS': '0.88',
  'seasonal naive, week': '0.96',
  'seasonal naive, day': '1.02',
  Prophet: '1.47',
};
const maseM4: Published = {
  'seasonal naive, day': '1.193',
  'STL + ETS': '1.125',
  AutoARIMA: '0.92',
  'best of 60 in the competition': '0.801',
};
const smapeM4: Published = {
  'seasonal naive, day': '13.91',
  'STL + ETS': '13.84',
  'best of 60 in the competition': '8.91',
};
const minutesPublished: Readonly<Record<string, Published>> = {
  'WAPE 15 min': { 'mean of the last 15 min': '.127', 'last value': '.136', 'yesterday × level': '.148' },
  'WAPE 60 min': { 'mean of the last 15 min': '.158', 'last value': '.170', 'yesterday × level': '.173' },
};

/** Series of the Numenta benchmark are there for their anomalies: they are told apart. */
function demandOnly(rows: readonly SeriesMetric[]): SeriesMetric[] {
  return rows.filter(({ result }) => !result.series.startsWith('nab/'));
}

/** The page, as Markdown. */
export function render(run: Run): string {
  const of = (protocol: ProtocolName): TaskResult[] => run.results.filter((result) => result.protocol === protocol);
  const parts = [
    head(run),
    aims(run),
    dayAhead(of('day-ahead')),
    m4(of('m4')),
    minutes(of('minutes')),
    quantileSections(of('minutes'), of('quantiles')),
    ...of('nab').flatMap(({ nab }) => (nab === undefined ? [] : [nabSection(nab)])),
    notes,
  ];
  return `${parts.filter((part) => part !== '').join('\n')}`;
}

/** What the page of all benchmarks says of it. */
export function renderPart(run: Run): string {
  return `## Accuracy

Written by \`npm run bench:accuracy\`; do not edit. On real series, beside the references of the field, with the tables of all
series: [accuracy](benchmarks-accuracy.md).${run.options === '' ? '' : ` Of a sample (\`${run.options}\`), not of all series.`}

${aimsTable(run)}`;
}

function head({ results, date, options }: Run): string {
  const [cpu] = cpus();
  const seconds = results.reduce((sum, result) => sum + result.cpuSeconds, 0);
  return `# Benchmarks: accuracy

Written by \`npm run bench:accuracy\`; do not edit. ${date}, ${cpu?.model.trim()}, Node ${process.versions.node}, @bsull/augurs ${packageVersion}.
Options: ${options === '' ? 'none, all series' : `\`${options}\`, so not the whole of it`}. Our forecasts took ${fixed(seconds, 0)} s of CPU time, on one core each.

Every forecast is made by the code behind \`headstart forecast\`, from points before its origin only. Lower is better, but for
skill. Intervals are of a paired block bootstrap: days are drawn anew within each series, the same for all methods (for M4,
which has one origin a series, series are drawn). Nothing was tuned to a series; the series that lose are listed first.
`;
}

interface Aim {
  readonly what: string;
  readonly measured: string;
  readonly aim: string;
  readonly met: boolean | undefined;
}

function aims(run: Run): string {
  return `## Aims\n\n${aimsTable(run)}`;
}

function aimsTable(run: Run): string {
  const rows = [...pointAims(run)].map(({ what, measured, aim, met }) => [
    what,
    measured,
    aim,
    met === undefined ? 'not run' : met ? 'yes' : 'no',
  ]);
  return table(['', 'measured', 'aim', 'met'], rows);
}

function* pointAims({ results }: Run): Generator<Aim> {
  const below = (protocol: ProtocolName, name: string, how: typeof median): ((what: string, aim: number) => Aim) => {
    const rows = demandOnly(
      metricsNamed(
        results.filter((result) => result.protocol === protocol),
        name,
      ),
    );
    const value = how(rows.map(({ metric }) => valueOf(metric, ours)));
    return (what, aim) => ({
      what,
      measured: fixed(value, 3),
      aim: `≤ ${aim}`,
      met: rows.length === 0 ? undefined : value <= aim,
    });
  };
  yield below('day-ahead', 'MASE', median)('day ahead, median MASE', 0.7);
  const day = demandOnly(
    metricsNamed(
      results.filter(({ protocol }) => protocol === 'day-ahead'),
      'MASE',
    ),
  );
  const won = shareOf(day, ({ metric }) => valueOf(metric, ours) < valueOf(metric, 'STL + ETS'));
  yield {
    what: 'day ahead, better than STL + ETS',
    measured: percent(won),
    aim: '≥ 70 %',
    met: day.length === 0 ? undefined : won >= 0.7,
  };
  yield below('m4', 'MASE', mean)('M4 hourly, MASE', 0.85);
  yield below('m4', 'sMAPE', mean)('M4 hourly, sMAPE', 10.5);
  yield below('minutes', 'WAPE 15 min', median)('15 min ahead, median WAPE', 0.105);
  yield below('minutes', 'WAPE 60 min', median)('60 min ahead, median WAPE', 0.125);
  for (const lead of ['15 min', '60 min']) {
    const losses = metricsNamed(results, `pinball 0.95 ${lead}`).map(({ metric }) => metric);
    const { value } = skillOf(losses);
    yield {
      what: `pinball skill at 0.95, ${lead}, median`,
      measured: percent(value, 1),
      aim: '≥ 35 %',
      met: losses.length === 0 ? undefined : value >= 0.35,
    };
  }
  const nab = results.find((result) => result.nab !== undefined)?.nab;
  const score = nab === undefined ? Number.NaN : nabOwn(nab);
  yield {
    what: 'NAB, standard',
    measured: fixed(score, 1),
    aim: '≥ 70',
    met: nab === undefined ? undefined : score >= 70,
  };
}

function dayAhead(results: readonly TaskResult[]): string {
  const rows = metricsNamed(results, 'MASE');
  if (rows.length === 0) return '';
  return `## Day ahead, hourly

Hourly means of ${rows.length} series, 24 hours from up to 7 midnights (UTC) of the last 28 days of the last quarter, at most
400 days of history. MASE: mean absolute error over the mean absolute difference to the day before, up to the first origin.

${twice(rows, 'MASE', dayPublished)}
${seriesTable(rows)}`;
}

/** Without the series of the Numenta benchmark, and with them. */
function twice(rows: readonly SeriesMetric[], name: string, published: Published): string {
  const summaryName = `median ${name}`;
  const demand = demandOnly(rows);
  const of = (some: readonly SeriesMetric[], known: Published): string =>
    comparisonTable(some, { summary: median, summaryName, published: known });
  if (demand.length === 0 || demand.length === rows.length) return of(rows, published);
  return `${of(demand, published)}
Of ${demand.length} series; with the ${rows.length - demand.length} of the Numenta benchmark, which are there for their anomalies, ${rows.length}:

${of(rows, {})}`;
}

function m4(results: readonly TaskResult[]): string {
  const [mase, smape] = [metricsNamed(results, 'MASE'), metricsNamed(results, 'sMAPE')];
  if (mase.length === 0) return '';
  const shared = { summary: mean, bySeries: true };
  return `## M4 hourly

${mase.length} of the competition's 414 hourly series, the official split, 48 hours ahead; means over series, as in the competition.
What is known from elsewhere is over all 414.

${comparisonTable(mase, { ...shared, summaryName: 'MASE', published: maseM4 })}
${comparisonTable(smape, { ...shared, summaryName: 'sMAPE, %', published: smapeM4, digits: 2 })}
${seriesTable(mase)}`;
}

function minutes(results: readonly TaskResult[]): string {
  const sections = Object.entries(minutesPublished).flatMap(([name, published]) => {
    const rows = metricsNamed(results, name);
    if (rows.length === 0) return [];
    return [`${twice(rows, name, published)}\n${seriesTable(rows)}`];
  });
  if (sections.length === 0) return '';
  return `## Minutes ahead

Each series at its own step, from up to 400 random origins (seed 7) of its last quarter. WAPE: sum of absolute errors over
the sum of demand, over all steps to the horizon.

${sections.join('\n')}`;
}

const notes = `## How to read it

- *Known from elsewhere* was not measured by this run: day ahead and minutes ahead are trials on similar series with other
  implementations, M4 is what the competition published. They say whether the references here are what they should be.
- *STL + ETS* and *Prophet* are those of @bsull/augurs, with the seasons day and week, and with no options. Prophet also
  needs @bsull/augurs-prophet-wasmstan; without it, it is not run.
- *mean of 4 weeks* is the mean of the same hour in the last four weeks; *yesterday × level* is the same time yesterday times
  the last hour over the same hour yesterday.
- A step counts when its outcome is there and every method has a forecast for it.
- The traces are not part of this repository: \`node bench/accuracy/fetch.ts\` fetches the public ones.
`;
