// SPDX-License-Identifier: Apache-2.0

/** Demand over time, in requests per second; the same time always gives the same demand. */
export interface Load {
  /** Demand at an epoch second; NaN where the series has no row. */
  demandAt(seconds: number): number;
}

/** What the generator is told. */
export interface LoadOptions {
  readonly seed: number;
  /** Epoch second at which today's steep ramp begins. */
  readonly rampStartSeconds: number;
}

const day = 86_400;

/** How long the steep ramp takes. */
export const rampSeconds = 240;
/** Demand before the ramp on an average day, and how many times more there is after it. */
const low = 500;
const growth = 3.5;
/** Monday to Sunday; the day that counts is the one of the ramp. */
const weekdays = [1, 1.03, 1.05, 1.02, 0.96, 0.86, 0.84] as const;

/** One stream of random numbers each. */
const streams = { jitter: 1, level: 2, growth: 3, minutes: 4, tens: 5 } as const;

/**
 * A service with a rhythm: quiet nights, weekends at 85 %, noise of some percent, and once a day a steep ramp to
 * 3–4 times the demand in four minutes, a few minutes earlier or later each day. Today's ramp begins exactly at
 * `rampStartSeconds`; the days before and after have theirs around it, as if that had been chance. Pure: random numbers
 * are hashes of the seed and of the time.
 */
export function generateLoad(options: LoadOptions): Load {
  const { seed } = options;
  // Today has its own jitter, too: the usual time is that much off, and history cannot know it.
  const usualRampSeconds = options.rampStartSeconds - rampJitterSeconds(seed, 0);
  const dayLevel = (cycle: number): number => {
    const weekday = Math.floor((usualRampSeconds + cycle * day) / day + 3) % 7;
    return (weekdays[weekday] ?? 1) * (1 + 0.03 * gaussian(seed, streams.level, cycle));
  };
  const demandAt = (seconds: number): number => {
    // Days are counted from half a day before the usual time of the ramp, where demand is flat.
    const days = (seconds - usualRampSeconds) / day + 0.5;
    const cycle = Math.floor(days);
    const sinceUsual = (days - cycle - 0.5) * day;
    const sinceRamp = sinceUsual - rampJitterSeconds(seed, cycle);
    const peak = growth * (1 + 0.03 * gaussian(seed, streams.growth, cycle));
    const between = Math.min(1, (days - cycle) * 24);
    const level = dayLevel(cycle - 1) + (dayLevel(cycle) - dayLevel(cycle - 1)) * between;
    return low * level * rhythm(sinceUsual) * (1 + (peak - 1) * ramp(sinceRamp)) * noise(seed, seconds);
  };
  return { demandAt };
}

/** How much later than usual the ramp comes in a cycle of a day: some minutes, at most six. */
function rampJitterSeconds(seed: number, cycle: number): number {
  return 100 * gaussian(seed, streams.jitter, cycle);
}

/** The slow part of the day: up to 12 % more or less, least half a day after the ramp. */
function rhythm(sinceRampSeconds: number): number {
  return 1 + 0.06 * Math.cos((2 * Math.PI * (sinceRampSeconds - 3 * 3600)) / day);
}

/** 0 before the ramp, 1 after its four minutes, back to 0 over the following hours. */
function ramp(sinceStartSeconds: number): number {
  const up = Math.min(1, Math.max(0, sinceStartSeconds / rampSeconds));
  const stays = 2700;
  const halves = Math.max(0, sinceStartSeconds - stays) / 5400;
  return up * up * (3 - 2 * up) * 2 ** -halves;
}

/** Around 1: what changes from minute to minute, and what drifts over ten. */
function noise(seed: number, seconds: number): number {
  return 1 + 0.015 * wander(seed, streams.minutes, seconds / 60) + 0.02 * wander(seed, streams.tens, seconds / 600);
}

/** Random numbers at the whole positions, joined by straight lines. */
function wander(seed: number, stream: number, position: number): number {
  const left = Math.floor(position);
  const before = gaussian(seed, stream, left);
  return before + (gaussian(seed, stream, left + 1) - before) * (position - left);
}

/** Nearly standard normal (Irwin-Hall, n = 4), and never beyond ±3.5. */
function gaussian(seed: number, stream: number, index: number): number {
  let sum = -2;
  for (let part = 0; part < 4; part += 1) sum += uniform(seed, stream, index * 4 + part);
  return sum * Math.sqrt(3);
}

/** In [0, 1): the finaliser of MurmurHash3 over the three numbers. */
function uniform(seed: number, stream: number, index: number): number {
  let hash = Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(stream, 0x85ebca77) ^ Math.imul(index | 0, 0xc2b2ae3d);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
