// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';
import { csvLines, parseCell } from './csv.ts';
import { parseTimestamp } from './rfc3339.ts';
import type { Sample } from './time-series.ts';

/** One column: a quantity whose course is known ahead of time. */
export interface RegressorColumn {
  readonly name: string;
  /** Oldest first, no two with the same timestamp. */
  readonly samples: readonly Sample[];
}

/**
 * Reads `timestamp,name1,name2…` rows. Timestamps are whole epoch seconds or RFC 3339; an empty or NaN value is a
 * missing sample; rows may come in any order; of rows with one timestamp the last counts; blank lines are skipped.
 * @throws HeadstartError InvalidInput with the row number (the header is row 1) and `where`, the name of the input
 */
export function parseRegressorsCsv(text: string, where: string): RegressorColumn[] {
  const [header = '', ...lines] = csvLines(text);
  const [first = '', ...names] = header.split(',').map((cell) => cell.trim());
  if (first.toLowerCase() !== 'timestamp' || names.length === 0 || names.includes('')) {
    throw invalidInput(`${where} row 1`, header, 'the header timestamp,name1,name2…');
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalidInput(`${where} row 1`, twice, 'each name once');
  const rows = new Map<number, readonly number[]>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const { timestamp, values } = parseRow(line, `${where} row ${index + 2}`, names);
    rows.set(timestamp, values);
  }
  const sorted = [...rows].sort(([a], [b]) => a - b);
  return names.map((name, column) => ({
    name,
    samples: sorted.flatMap(([timestamp, values]) => {
      const value = values[column] ?? Number.NaN;
      return Number.isNaN(value) ? [] : [{ timestamp, value }];
    }),
  }));
}

function parseRow(
  line: string,
  where: string,
  names: readonly string[],
): { readonly timestamp: number; readonly values: readonly number[] } {
  const [first = '', ...cells] = line.split(',').map((cell) => cell.trim());
  if (cells.length !== names.length) throw invalidInput(where, line, `${names.length + 1} cells, as in the header`);
  return {
    timestamp: parseTimestamp(first, `${where}, timestamp`),
    values: cells.map((cell, index) => parseCell(cell, { where: `${where}, ${names[index] ?? ''}` })),
  };
}
