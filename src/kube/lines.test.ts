// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLines } from './lines.ts';

async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = Math.max(from, cut);
  }
  yield bytes.subarray(from);
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

test('lines come out whole, however the stream is cut', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\n', ''));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 10 }), fc.array(fc.nat(200)), async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      expect(await collect(readLines(inPieces(bytes, cuts), 1000))).toEqual(
        lines.map((text) => Buffer.from(text).toString('utf8')),
      );
    }),
  );
});

test('a line of more than the bound is refused, whether its end has come or not', async () => {
  const read = async (text: string, cuts: readonly number[]) =>
    await collect(readLines(inPieces(Buffer.from(text), cuts), 10));
  await expect(read('0123456789\nab', [])).resolves.toEqual(['0123456789']);
  await expect(read('01234567890\n', [])).rejects.toThrow('one event is larger than 10 bytes');
  await expect(read('01234567890', [4])).rejects.toThrow('one event is larger than 10 bytes');
  await expect(read('01234567890\n', [4])).rejects.toThrow('one event is larger than 10 bytes');
});
