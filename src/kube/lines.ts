// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';

const newline = 0x0a;

/**
 * The text of a stream, at most `maxBytes` of it.
 * @throws HeadstartError BadResponse when there is more
 */
export async function readText(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge('the answer', maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * The lines of a stream as they come, split on bytes so that a character may lie across two chunks. What follows the
 * last newline is dropped: the server was cut off in the middle of it.
 * @throws HeadstartError BadResponse when a line is longer than `maxBytes`
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let begun: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      if (bytes + end - from > maxBytes) throw tooLarge('one event', maxBytes);
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString('utf8');
      begun = [];
      bytes = 0;
      from = end + 1;
    }
    bytes += chunk.byteLength - from;
    if (bytes > maxBytes) throw tooLarge('one event', maxBytes);
    if (from < chunk.byteLength) begun.push(chunk.subarray(from));
  }
}

function tooLarge(what: string, maxBytes: number): HeadstartError {
  return new HeadstartError('BadResponse', `${what} is larger than ${maxBytes} bytes`);
}
