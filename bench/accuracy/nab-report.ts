// SPDX-License-Identifier: Apache-2.0
import { nabScore } from '../../src/testing/nab.ts';
import { nabReferences } from './nab.ts';
import type { NabReport, NabRow } from './nab.ts';
import { details, fixed, table } from './tables.ts';

/** The score with the product's own threshold. */
export function nabOwn({ total }: NabReport): number {
  return nabScore(total.own);
}

/** The section of the Numenta Anomaly Benchmark. */
export function nabSection(report: NabReport): string {
  const { files, groups, total, crossValidated } = report;
  const references = Object.entries(nabReferences).map(([name, score]) => [name, '', fixed(score, 1)]);
  return `## Anomalies: NAB

The Numenta Anomaly Benchmark, standard profile, ${files.length} files, one threshold for all; the references are published results
for the same files, with the threshold that is best for all of them.

${table(
  ['', 'threshold of the product', 'best threshold'],
  [['**headstart**', fixed(nabOwn(report), 1), fixed(nabScore(total.best), 1)], ...references],
)}
With the threshold of each group chosen on the other groups: ${fixed(nabScore(crossValidated), 1)}.

${details(
  `Each of the ${files.length} files, and the groups`,
  table(['file', 'own', 'best', 'found', 'false alarms', 'rows', 'CPU s'], [...files, ...groups, total].map(lineOf)),
)}`;
}

function lineOf({ name, own, best, rows, cpuSeconds }: NabRow): string[] {
  const found = `${own.found} of ${own.windows}`;
  return [
    name,
    fixed(nabScore(own), 1),
    fixed(nabScore(best), 1),
    found,
    `${own.falseAlarms}`,
    `${rows}`,
    fixed(cpuSeconds, 2),
  ];
}
