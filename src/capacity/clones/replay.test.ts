// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderCarrying } from './carrying.ts';
import { baseDemand, readCarrying } from './hand-off.ts';
import type { Carrying } from './hand-off.ts';
import { planBursts } from './plan.ts';
import type { BurstWindow } from './plan.ts';
import type { CloneView } from './view.ts';

/** 2026-09-01T12:00:00Z */
const noon = 1_788_264_000;
const capacity = 50;
const step = 60;
/** Of the HPA, and of the clone controller. */
const syncSeconds = 15;

interface Story {
  readonly before: number;
  readonly burst: number;
  readonly after: number;
  readonly lengthSeconds: number;
  readonly startupSeconds: number;
  readonly marginSeconds: number;
  readonly maxSeconds: number;
  /** What the HPA fills a pod of the base to. */
  readonly target: number;
  /** Deadlines of clones are later than their windows end: these were brought forward. */
  readonly isLate: boolean;
}

interface Clone {
  readonly window: string;
  readonly readyAt: number;
  readonly deadline: number;
}

/** Lives through a burst half an hour after noon, second by second, with a forecast that comes true. */
class World {
  readonly #story: Story;
  readonly #leadSeconds: number;
  readonly #lookAheadSeconds: number;
  #windows: readonly BurstWindow[] = [];
  #clones: Clone[] = [];
  /** When each pod of the base is Ready. */
  #base: number[];
  #carrying: Carrying | undefined;
  clonesMade = 0;

  constructor(story: Story) {
    this.#story = story;
    this.#leadSeconds = story.startupSeconds + syncSeconds + 30;
    this.#lookAheadSeconds = this.#leadSeconds + 300;
    this.#base = Array.from({ length: Math.max(2, Math.ceil(story.before / story.target)) }, () => noon);
  }

  demandAt(now: number): number {
    const { before, burst, after, lengthSeconds } = this.#story;
    const since = now - noon - 1800;
    if (since < 0) return before;
    return since < lengthSeconds ? burst : after;
  }

  /** What is published at a time: the maximum over the look-ahead; demand changes twice. */
  #published(time: number): number {
    const { lengthSeconds } = this.#story;
    const changes = [noon + 1800, noon + 1800 + lengthSeconds - 1, noon + 1800 + lengthSeconds];
    const within = changes.filter((change) => change >= time && change <= time + this.#lookAheadSeconds + step);
    return Math.max(...[time, ...within].map((at) => this.demandAt(at)));
  }

  /** Capacity that is Ready less demand. */
  spareAt(now: number): number {
    const base = this.#base.filter((readyAt) => readyAt <= now).length;
    return (base + this.#ready(now).length) * capacity - this.demandAt(now);
  }

  advance(now: number): void {
    this.#clones = this.#clones.filter(({ deadline }) => deadline > now);
    if (now % syncSeconds === 7) this.#plan(now);
    if (now % syncSeconds === 3) this.#scale(now);
  }

  #ready(now: number): Clone[] {
    return this.#clones.filter(({ readyAt }) => readyAt <= now);
  }

  #plan(now: number): void {
    const { marginSeconds, maxSeconds, target, startupSeconds, isLate } = this.#story;
    const startTime = Math.floor(now / step) * step;
    const { windows } = planBursts({
      curve: {
        startTime,
        stepSeconds: step,
        values: Array.from({ length: 60 }, (_, index) => this.#published(startTime + index * step)),
      },
      capacityPerClone: capacity,
      base: {
        readyReplicas: this.#base.filter((readyAt) => readyAt <= now).length,
        minReplicas: 2,
        maxReplicas: 200,
        capacityPerReplica: target,
      },
      spec: { minBurstReplicas: 2, maxBurstSeconds: 1800, maxReplicas: 100, lifetime: { maxSeconds, marginSeconds } },
      leadSeconds: this.#leadSeconds,
      lookAheadSeconds: this.#lookAheadSeconds,
      now,
      previous: this.#windows,
    });
    this.#windows = windows;
    const open = windows.filter((window) => window.startTime <= now);
    this.#clones = open.flatMap(({ id, replicas, startTime: from, endTime }) => {
      const own = this.#clones.filter(({ window }) => window === id).slice(0, replicas);
      const missing = replicas - own.length;
      this.clonesMade += missing;
      const deadline = isLate ? from + maxSeconds : Math.min(endTime, now + maxSeconds);
      const made = Array.from({ length: missing }, () => ({ window: id, readyAt: now + startupSeconds, deadline }));
      return [...own.map((clone) => ({ ...clone, deadline: Math.max(clone.deadline, endTime) })), ...made];
    });
    const clones = this.#ready(now).map(
      ({ deadline }) => ({ state: 'Serving', effectiveDeadline: deadline }) as CloneView,
    );
    const wanted = open.map(({ endTime, replicas }) => ({ deadline: endTime, replicas }));
    this.#carrying = readCarrying(renderCarrying({ clones, windows: wanted, perClone: capacity }, now));
  }

  /** As kube-controller-manager does, without a stabilization window that would cover gaps. */
  #scale(now: number): void {
    const { target, startupSeconds } = this.#story;
    const { value } = baseDemand({
      value: this.#published(Math.floor(now / step) * step),
      observed: this.demandAt(now),
      lookAheadSeconds: this.#lookAheadSeconds,
      pools: this.#carrying === undefined ? [] : [this.#carrying],
      now,
    });
    const ratio = value / (this.#base.length * target);
    const wanted = Math.max(2, Math.abs(ratio - 1) <= 0.1 ? this.#base.length : Math.ceil(value / target));
    const missing = Math.max(0, wanted - this.#base.length);
    const made = Array.from({ length: missing }, () => now + startupSeconds);
    this.#base = [...this.#base.toSorted((a, b) => a - b).slice(0, wanted), ...made];
  }
}

const stories = fc.record({
  before: fc.integer({ min: 60, max: 1000 }),
  burst: fc.integer({ min: 60, max: 3000 }),
  after: fc.integer({ min: 60, max: 1500 }),
  lengthSeconds: fc.integer({ min: 30, max: 1200 }),
  startupSeconds: fc.constantFrom(1, 30, 120, 300),
  marginSeconds: fc.constantFrom(0, 60, 300),
  maxSeconds: fc.constantFrom(900, 1800, 3600),
  target: fc.constantFrom(30, 35, 45),
  isLate: fc.boolean(),
});

test('a burst that was foreseen is carried from its first second to its last, and what comes after it', () => {
  let made = 0;
  fc.assert(
    fc.property(stories, (story) => {
      const world = new World(story);
      const short: { since: number; spare: number }[] = [];
      for (let now = noon; now < noon + 6000; now += 1) {
        world.advance(now);
        const spare = world.spareAt(now);
        if (spare < 0) short.push({ since: now - noon - 1800, spare });
      }
      expect(short.slice(0, 3)).toEqual([]);
      made += world.clonesMade;
    }),
    { numRuns: 100 },
  );
  expect(made).toBeGreaterThan(100);
});
