// SPDX-License-Identifier: Apache-2.0
import { deflateSync, inflateSync } from 'node:zlib';
import { HeadstartError } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';

/** Means of five minutes, on whole five minutes; NaN where there is no sample. Times are epoch seconds. */
export interface UsageSnapshots {
  readonly startTime: number;
  readonly stepSeconds: number;
  readonly values: Float32Array;
}

/** Samples of a source that keeps no history of its own. */
export interface UsageSamples {
  /** Takes a sample for its minute; a minute's last one counts. */
  add(sample: Sample): void;
  /** On whole minutes, both ends included, oldest first; what is older than two hours is the mean of its five minutes. */
  range(fromSeconds: number, toSeconds: number): Sample[];
  /** What is to be kept, the newest five minutes that are over last; undefined while there is nothing. */
  snapshots(now: number): UsageSnapshots | undefined;
  /** Takes in what was kept before; what is known already stays. */
  restore(snapshots: UsageSnapshots): void;
  /** Keeps samples for so long from now on. */
  setWindow(windowSeconds: number): void;
}

const minuteSeconds = 60;
const snapshotSeconds = 300;
const keptMinutes = 120;

/** Keeps samples for a window, in seconds. */
export function createUsageSamples(initialWindowSeconds: number): UsageSamples {
  let windowSeconds = initialWindowSeconds;
  const minutes = new Map<number, number>();
  const means = new Map<number, { readonly sum: number; readonly count: number }>();
  const forget = (nowMinute: number): void => {
    for (const minute of minutes.keys()) if (minute <= nowMinute - keptMinutes) minutes.delete(minute);
    const oldest = Math.floor((nowMinute * minuteSeconds - windowSeconds) / snapshotSeconds);
    for (const slot of means.keys()) if (slot < oldest) means.delete(slot);
  };
  return {
    add: ({ timestamp, value }) => {
      const minute = Math.floor(timestamp / minuteSeconds);
      const slot = Math.floor(timestamp / snapshotSeconds);
      const before = minutes.get(minute);
      const { sum, count } = means.get(slot) ?? { sum: 0, count: 0 };
      minutes.set(minute, value);
      means.set(
        slot,
        before === undefined ? { sum: sum + value, count: count + 1 } : { sum: sum - before + value, count },
      );
      if (count === 0) forget(minute);
    },
    range: (fromSeconds, toSeconds) => {
      const samples: Sample[] = [];
      for (let minute = Math.ceil(fromSeconds / minuteSeconds); minute * minuteSeconds <= toSeconds; minute += 1) {
        const timestamp = minute * minuteSeconds;
        const mean = means.get(Math.floor(timestamp / snapshotSeconds));
        const value =
          minutes.get(minute) ?? (isRecent(minutes, minute) || mean === undefined ? undefined : mean.sum / mean.count);
        if (value !== undefined) samples.push({ timestamp, value });
      }
      return samples;
    },
    snapshots: (now) => {
      const over = Math.floor(now / snapshotSeconds) - 1;
      const slots = [...means.keys()].filter((slot) => slot <= over);
      if (slots.length === 0) return undefined;
      const first = slots.reduce((least, slot) => Math.min(least, slot));
      const values = Float32Array.from({ length: over - first + 1 }, (_, index) => {
        const mean = means.get(first + index);
        return mean === undefined ? Number.NaN : mean.sum / mean.count;
      });
      return { startTime: first * snapshotSeconds, stepSeconds: snapshotSeconds, values };
    },
    setWindow: (seconds) => {
      windowSeconds = seconds;
    },
    restore: ({ startTime, values }) => {
      const first = startTime / snapshotSeconds;
      values.forEach((value, index) => {
        if (!Number.isNaN(value) && !means.has(first + index)) means.set(first + index, { sum: value, count: 1 });
      });
    },
  };
}

/** Within the minutes that are known one by one a gap is a gap. */
function isRecent(minutes: ReadonlyMap<number, number>, minute: number): boolean {
  const [oldest] = minutes.keys();
  return oldest !== undefined && minute >= oldest;
}

/** The values as text: 32-bit floats, little-endian, compressed with a checksum (zlib), in base64. */
export function encodeValues(values: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => bytes.setFloat32(index * 4, value, true));
  return deflateSync(new Uint8Array(bytes.buffer), { level: 9 }).toString('base64');
}

/** The first byte of what deflateSync writes (RFC 1950: method 8, window of 32 KiB). */
const deflateMethod = 0x78;
/** Most values that there may be: 28 days. */
const maxValues = (28 * 86_400) / snapshotSeconds + 1;

/**
 * Reads what {@link encodeValues} wrote.
 * @throws HeadstartError InvalidInput when it is not that, or longer than 28 days
 */
export function decodeValues(text: string): Float32Array {
  const compressed = Buffer.from(text, 'base64');
  let bytes: Buffer;
  try {
    // Whatever else it is, it is not worth a try.
    if (compressed[0] !== deflateMethod) throw new RangeError('no zlib');
    bytes = inflateSync(compressed, { maxOutputLength: maxValues * 4 });
  } catch {
    throw new HeadstartError('InvalidInput', 'samples: neither whole nor of at most 28 days');
  }
  if (bytes.length % 4 !== 0)
    throw new HeadstartError('InvalidInput', `samples: got ${bytes.length} bytes, want floats`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true));
  const wrong = values.find((value) => value < 0 || value === Number.POSITIVE_INFINITY);
  if (wrong !== undefined) throw new HeadstartError('InvalidInput', `samples: got ${wrong}, want usage from 0 on`);
  return values;
}
