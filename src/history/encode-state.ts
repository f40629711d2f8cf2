// SPDX-License-Identifier: Apache-2.0
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { HeadstartError } from '../base/errors.ts';

const checksumBytes = 4;

/** Plain data as bytes, with a checksum in front. */
export function encodeState(state: unknown): Uint8Array {
  const body = serialize(state);
  const bytes = new Uint8Array(checksumBytes + body.length);
  new DataView(bytes.buffer).setUint32(0, crc32(body));
  bytes.set(body, checksumBytes);
  return bytes;
}

/**
 * What `encodeState` was given.
 * @throws HeadstartError InvalidInput for bytes that are not whole
 */
export function decodeState(bytes: Uint8Array): unknown {
  const body = bytes.subarray(checksumBytes);
  if (body.length === 0 || crc32(body) !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)) {
    throw new HeadstartError('InvalidInput', `its ${bytes.length} bytes are not those that were written`);
  }
  try {
    return ownArrays(deserialize(body));
  } catch (cause) {
    throw new HeadstartError('InvalidInput', 'it cannot be read', { cause });
  }
}

/** Arrays that are read are windows on all the bytes, and would keep them in memory. */
function ownArrays(data: unknown): unknown {
  if (data instanceof Float64Array || data instanceof Float32Array) return data.slice();
  if (data instanceof Uint32Array || data instanceof Uint16Array || data instanceof Uint8Array) return data.slice();
  if (Array.isArray(data)) return data.map(ownArrays);
  if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) !== Object.prototype) return data;
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, ownArrays(value)]));
}
