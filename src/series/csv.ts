// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';
import { parseTimestamp } from './rfc3339.ts';
import type { Sample } from './time-series.ts';

/** A series as it was read, and what had to be put right. */
export interface ParsedSeries {
  /** Oldest first, no two with the same timestamp. */
  readonly samples: Sample[];
  /** Rows whose value is empty or NaN: missing samples. */
  readonly missing: number;
  /** Rows that a later row with the same timestamp replaced. */
  readonly duplicates: number;
  /** Rows that were older than the row before them. */
  readonly unsorted: number;
}

/**
 * Reads `timestamp,value` rows. Timestamps are whole epoch seconds or RFC 3339. Blank lines are skipped; an empty or
 * NaN value is a missing sample; rows may come in any order; of rows with one timestamp the last counts.
 * @throws HeadstartError InvalidInput with the row number (the header is row 1) and `where`, the name of the input
 */
export function parseSeriesCsv(text: string, where: string): ParsedSeries {
  const rows = parseSeriesRows(text, where);
  const samples = rows.filter(({ value }) => !Number.isNaN(value));
  const missing = rows.length - samples.length;
  const unsorted = rows.filter(({ timestamp }, index) => timestamp < (rows[index - 1]?.timestamp ?? timestamp)).length;
  if (unsorted > 0) samples.sort((a, b) => a.timestamp - b.timestamp);
  const distinct = samples.filter((sample, index) => sample.timestamp !== samples[index + 1]?.timestamp);
  return { samples: distinct, missing, duplicates: samples.length - distinct.length, unsorted };
}

/**
 * Reads `timestamp,value` rows, one sample for each that is not blank, in their order; NaN for a missing sample.
 * @throws HeadstartError InvalidInput as above
 */
export function parseSeriesRows(text: string, where: string): Sample[] {
  const lines = csvLines(text);
  const header = (lines[0] ?? '').trim();
  if (header.toLowerCase() !== 'timestamp,value') {
    throw invalidInput(`${where} row 1`, header, 'the header timestamp,value');
  }
  const samples: Sample[] = [];
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line.trim() !== '') samples.push(parseRow(line, `${where} row ${index + 1}`));
  }
  return samples;
}

function parseRow(line: string, where: string): Sample {
  const cells = line.split(',');
  if (cells.length !== 2) throw invalidInput(where, line, 'two cells, timestamp,value');
  const timestamp = parseTimestamp((cells[0] ?? '').trim(), `${where}, timestamp`);
  return { timestamp, value: parseCell((cells[1] ?? '').trim(), { where: `${where}, value` }) };
}

/** The lines of a file, whatever ends them. */
export function csvLines(text: string): string[] {
  return text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
}

/**
 * The finite number in a cell; NaN for nothing or NaN.
 * @throws HeadstartError InvalidInput, naming `where` and what nothing means
 */
export function parseCell(
  text: string,
  { where, missing = 'nothing for a missing sample' }: { readonly where: string; readonly missing?: string },
): number {
  if (text === '' || text.toLowerCase() === 'nan') return Number.NaN;
  const value = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw invalidInput(where, text, `a finite number, or ${missing}`);
  return value;
}
