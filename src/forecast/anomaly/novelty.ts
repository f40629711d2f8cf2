// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';

/** Nearer to a known value than this share of the range, a value tells nothing new and need not be kept. */
const sameShare = 1e-4;

/** Watches one quantity. */
export interface Novelty {
  /** How far a value is from all earlier ones, as a share of the range they span with it; 0 for NaN. */
  observe(value: number): number;
}

/**
 * Distance to the nearest value that was ever seen: the nearest-neighbour outlier score in one dimension.
 * @param delay values that are not compared with yet: those that share points with the next one, as moving means do
 */
export function createNovelty(delay = 0): Novelty {
  const known = new SortedValues();
  const waiting: number[] = [];
  return {
    observe: (value) => {
      waiting.push(value);
      if (waiting.length > delay + 1) known.add(waiting.shift() ?? Number.NaN);
      return known.distance(value);
    },
  };
}

/** Distinct values in order, in an array that grows. */
class SortedValues {
  #values = new Float64Array(64);
  #count = 0;

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    const place = this.#place(value);
    if (this.#count >= 2 && this.#nearest(value, place) <= sameShare * this.#range(value)) return;
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values.copyWithin(place + 1, place, this.#count);
    this.#values[place] = value;
    this.#count += 1;
  }

  /** 0 while fewer than two values are known. */
  distance(value: number): number {
    if (this.#count < 2 || !Number.isFinite(value)) return 0;
    const nearest = this.#nearest(value, this.#place(value));
    return nearest === 0 ? 0 : nearest / this.#range(value);
  }

  #nearest(value: number, place: number): number {
    const below = place > 0 ? value - at(this.#values, place - 1) : Number.POSITIVE_INFINITY;
    const above = place < this.#count ? at(this.#values, place) - value : Number.POSITIVE_INFINITY;
    return Math.min(below, above);
  }

  #range(value: number): number {
    return Math.max(value, at(this.#values, this.#count - 1)) - Math.min(value, at(this.#values, 0));
  }

  /** Where the first value that is not below this one stands. */
  #place(value: number): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(this.#values, middle) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
