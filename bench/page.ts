// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

const title = '# Benchmarks\n';

/** Writes one bench's part of a page that several benches write to; the parts of the others stay as they are. */
export async function writePart(file: string, part: string, text: string): Promise<void> {
  const page = existsSync(file) ? readFileSync(file, 'utf8') : title;
  await writeFile(file, withPart(page, part, text));
}

/** The page with the part replaced, or added at the end. */
function withPart(page: string, part: string, text: string): string {
  const [begin, end] = [`<!-- begin: ${part} -->`, `<!-- end: ${part} -->`];
  const whole = `${begin}\n\n${text.trim()}\n\n${end}`;
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to === -1) return `${page.trimEnd()}\n\n${whole}\n`;
  return page.slice(0, from) + whole + page.slice(to + end.length);
}
