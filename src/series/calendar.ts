// SPDX-License-Identifier: Apache-2.0

const daySeconds = 86_400;

/** Offsets are looked up once per block; within a block they change at most once. */
const blockSeconds = 6 * 3600;

/** A point in time as a wall clock and a wall calendar show it. */
export interface LocalTime {
  /** Days since 1970-01-01 on the local calendar. */
  readonly day: number;
  /** Seconds since local midnight by the wall clock, 0 to 86399. */
  readonly secondOfDay: number;
}

/** Days and times of day in one time zone; on days when clocks change some wall-clock times are absent or double. */
export interface LocalCalendar {
  readonly timeZone: string;
  /** Seconds that local time is ahead of UTC at that moment. */
  offsetSeconds(epochSeconds: number): number;
  local(epochSeconds: number): LocalTime;
}

/** Sunday is 0, as everywhere in JavaScript; `day` counts from 1970-01-01, a Thursday. */
export function dayOfWeek(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}

/** True for a time zone that this runtime's time zone database knows. */
export function isTimeZone(name: string): boolean {
  try {
    return offsetFormat(name) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The calendar of an IANA time zone. Calendars are memoised: asking the runtime for an offset costs microseconds, and
 * many targets share few zones.
 * @throws RangeError for a zone that is not known: check with {@link isTimeZone} first
 */
export function localCalendar(timeZone: string): LocalCalendar {
  const known = calendars.get(timeZone);
  if (known !== undefined) return known;
  const calendar = createCalendar(timeZone);
  calendars.set(timeZone, calendar);
  return calendar;
}

const calendars = new Map<string, LocalCalendar>();

function createCalendar(timeZone: string): LocalCalendar {
  const format = offsetFormat(timeZone);
  const blocks = new Map<number, Block>();
  const offsetSeconds = (epochSeconds: number): number => {
    const index = Math.floor(epochSeconds / blockSeconds);
    let block = blocks.get(index);
    if (block === undefined) {
      block = createBlock(format, index * blockSeconds);
      blocks.set(index, block);
    }
    return epochSeconds < block.changeSeconds ? block.before : block.after;
  };
  return {
    timeZone,
    offsetSeconds,
    local: (epochSeconds) => {
      const seconds = epochSeconds + offsetSeconds(epochSeconds);
      const day = Math.floor(seconds / daySeconds);
      return { day, secondOfDay: seconds - day * daySeconds };
    },
  };
}

interface Block {
  readonly before: number;
  readonly after: number;
  /** The first second with the offset `after`. */
  readonly changeSeconds: number;
}

function createBlock(format: Intl.DateTimeFormat, start: number): Block {
  const before = readOffset(format, start);
  const after = readOffset(format, start + blockSeconds - 1);
  let low = start;
  let high = start + blockSeconds - 1;
  while (before !== after && high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (readOffset(format, middle) === before) low = middle;
    else high = middle;
  }
  return { before, after, changeSeconds: before === after ? start : high };
}

function offsetFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
}

/** `GMT`, `GMT+05:30` or, in the nineteenth century, `GMT-00:01:15`. */
function readOffset(format: Intl.DateTimeFormat, epochSeconds: number): number {
  const name = format.formatToParts(epochSeconds * 1000).find((part) => part.type === 'timeZoneName')?.value ?? '';
  const match = /([+-])(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(name);
  if (match === null) return 0;
  const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
  return match[1] === '-' ? -seconds : seconds;
}
