// SPDX-License-Identifier: Apache-2.0
import { createRandom } from '../../src/forecast/random.ts';

/** The method whose forecasts are judged. */
export const ours = 'headstart';

/** A ratio of sums by method, kept by block, which for all but M4 is a day, so that blocks can be drawn anew. */
export interface Metric {
  readonly name: string;
  readonly denominators: readonly number[];
  readonly numerators: Readonly<Record<string, readonly number[]>>;
}

/** Sums up one metric. */
export interface Tally {
  /** Adds one forecast; nothing when anything is not a number, so that all methods are judged on the same. */
  add(block: number, denominator: number, numerators: Readonly<Record<string, number>>): void;
  metric(): Metric;
}

export function createTally(name: string): Tally {
  const slots = new Map<number, number>();
  const denominators: number[] = [];
  const sums: Record<string, number[]> = {};
  return {
    add: (block, denominator, numerators) => {
      const entries = Object.entries(numerators);
      if (entries.some(([, value]) => !Number.isFinite(value)) || !Number.isFinite(denominator)) return;
      const slot = slots.get(block) ?? slots.size;
      slots.set(block, slot);
      denominators[slot] = (denominators[slot] ?? 0) + denominator;
      for (const [method, value] of entries) {
        const list = (sums[method] ??= []);
        list[slot] = (list[slot] ?? 0) + value;
      }
    },
    metric: () => ({ name, denominators, numerators: sums }),
  };
}

/** The metric of one method; with `drawn`, of these blocks. NaN without any. */
export function valueOf({ denominators, numerators }: Metric, method: string, drawn?: readonly number[]): number {
  const list = numerators[method] ?? [];
  let numerator = 0;
  let denominator = 0;
  for (const slot of drawn ?? denominators.keys()) {
    numerator += list[slot] ?? Number.NaN;
    denominator += denominators[slot] ?? Number.NaN;
  }
  return numerator / denominator;
}

/** What is said of several series at once. */
export type Summary = (values: readonly number[]) => number;

export const median: Summary = (values) => {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? (high ?? Number.NaN) : ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
};

export const mean: Summary = (values) => {
  const present = values.filter((value) => !Number.isNaN(value));
  return present.reduce((sum, value) => sum + value, 0) / present.length;
};

/** 95 % of the draws lie between. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

const rounds = 1000;

/** How values of one series are drawn anew: by drawing its blocks. All methods get the same blocks. */
export type Draw = (metric: Metric, method: string, drawn: readonly number[]) => number;

/**
 * Paired block bootstrap (Künsch 1989, blocks of a day): intervals of the summary over series of each method, and of
 * the difference of ours to it.
 */
export function bootstrap(
  metrics: readonly Metric[],
  methods: readonly string[],
  { summary, draw = valueOf }: { summary: Summary; draw?: Draw },
): Record<string, { value: Interval; difference: Interval }> {
  const random = createRandom(7);
  const draws: Record<string, number[]> = Object.fromEntries(methods.map((method) => [method, []]));
  for (let round = 0; round < rounds; round += 1) {
    const drawn = metrics.map(({ denominators }) => denominators.map(() => Math.floor(random() * denominators.length)));
    for (const method of methods) {
      draws[method]?.push(summary(metrics.map((metric, index) => draw(metric, method, drawn[index] ?? []))));
    }
  }
  const own = draws[ours] ?? [];
  return Object.fromEntries(
    methods.map((method) => {
      const list = draws[method] ?? [];
      const difference = own.map((value, index) => value - (list[index] ?? Number.NaN));
      return [method, { value: intervalOf(list), difference: intervalOf(difference) }];
    }),
  );
}

/** For series of one block each: intervals from drawing series. */
export function bootstrapSeries(
  metrics: readonly Metric[],
  methods: readonly string[],
  summary: Summary,
): Record<string, { value: Interval; difference: Interval }> {
  const values = Object.fromEntries(
    methods.map((method) => [method, metrics.map((metric) => valueOf(metric, method))]),
  );
  const whole: Metric = { name: '', denominators: metrics.map(() => 1), numerators: values };
  const draw: Draw = (_, method, drawn) => summary(drawn.map((slot) => values[method]?.[slot] ?? Number.NaN));
  return bootstrap([whole], methods, { summary: ([value = Number.NaN]) => value, draw });
}

function intervalOf(values: readonly number[]): Interval {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const place = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return { low: place(0.025), high: place(0.975) };
}
