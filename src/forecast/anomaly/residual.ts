// SPDX-License-Identifier: Apache-2.0
// The causal forecast whose residual the detectors look at: the median of the same time on the periods before.
import { median } from '../robust.ts';

/** A sample may stand in for one that is so many sampling steps later. */
const nearSteps = 1.5;

/** Steps that the sampling step is the median of. */
const rememberedSteps = 101;

/** All samples so far, to look back from. */
export class PastSamples {
  readonly #times: number[] = [];
  readonly #values: number[] = [];
  readonly #steps: number[] = [];
  #stepSeconds = Number.NaN;

  get count(): number {
    return this.#times.length;
  }

  /** Median distance of the first samples, seconds. */
  get stepSeconds(): number {
    return this.#stepSeconds;
  }

  /** Times do not decrease, but for an hour when clocks are set back. */
  add(time: number, value: number): void {
    const step = time - (this.#times.at(-1) ?? Number.NaN);
    if (step > 0 && this.#steps.length < rememberedSteps) {
      this.#steps.push(step);
      this.#stepSeconds = median(this.#steps);
    }
    this.#times.push(time);
    this.#values.push(value);
  }

  time(index: number): number {
    return this.#times[index] ?? Number.NaN;
  }

  value(index: number): number {
    return this.#values[index] ?? Number.NaN;
  }
}

/** Forecasts the next sample from the periods before it. */
export interface PeriodForecast {
  /** NaN where no period before has that time; times do not decrease. */
  predict(time: number): number;
}

/** The median of the values one, two … periods before. */
export function createPeriodForecast(past: PastSamples, periodSeconds: number, periods: number): PeriodForecast {
  const places = new Int32Array(periods);
  return {
    predict: (time) => {
      const found: number[] = [];
      for (let period = 0; period < periods; period += 1) {
        const wanted = time - (period + 1) * periodSeconds;
        let place = places[period] ?? 0;
        while (place + 1 < past.count && past.time(place + 1) <= wanted) place += 1;
        places[period] = place;
        const late = wanted - past.time(place);
        if (late >= 0 && late < nearSteps * past.stepSeconds) found.push(past.value(place));
      }
      return median(found);
    },
  };
}
