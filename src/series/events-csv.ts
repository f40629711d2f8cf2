// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';
import { csvLines, parseCell } from './csv.ts';
import { parseTimestamp } from './rfc3339.ts';

/** Something that is known ahead and may move demand: a campaign, a match, a batch job. */
export interface KnownEvent {
  /** Epoch seconds; the end is not part of it, and is the start for an event of one moment. */
  readonly start: number;
  readonly end: number;
  readonly type: string;
  /** How large it is compared to others of its type; 1 where nothing is said. */
  readonly magnitude: number;
}

const headers = ['start,end,type', 'start,end,type,magnitude'];

/**
 * Reads `start,end,type` or `start,end,type,magnitude` rows. Times are whole epoch seconds or RFC 3339; an empty
 * magnitude is 1; rows may come in any order, and blank lines are skipped.
 * @throws HeadstartError InvalidInput with the row number (the header is row 1) and `where`, the name of the input
 */
export function parseEventsCsv(text: string, where: string): KnownEvent[] {
  const [header = '', ...lines] = csvLines(text);
  if (!headers.includes(header.trim().toLowerCase())) {
    throw invalidInput(`${where} row 1`, header, `the header ${headers.join(' or ')}`);
  }
  const width = header.split(',').length;
  const events = lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [parseEvent(line, `${where} row ${index + 2}`, width)],
  );
  return events.sort((a, b) => a.start - b.start);
}

function parseEvent(line: string, where: string, width: number): KnownEvent {
  const cells = line.split(',').map((cell) => cell.trim());
  if (cells.length !== width) throw invalidInput(where, line, `${width} cells, as in the header`);
  const [startText = '', endText = '', type = '', magnitudeText = ''] = cells;
  const start = parseTimestamp(startText, `${where}, start`);
  const end = parseTimestamp(endText, `${where}, end`);
  if (end < start) throw invalidInput(`${where}, end`, endText, `a time not before the start, ${startText}`);
  if (type === '') throw invalidInput(`${where}, type`, type, 'a word that says what kind of event it is');
  const magnitude = parseCell(magnitudeText, { where: `${where}, magnitude`, missing: 'nothing for 1' });
  return { start, end, type, magnitude: Number.isNaN(magnitude) ? 1 : magnitude };
}
