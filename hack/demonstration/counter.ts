// SPDX-License-Identifier: Apache-2.0
import type { Load } from './load.ts';

/** A total of requests that only grows, as a service would export it. */
export interface Counter {
  /** Requests up to an epoch second; calls go forward in time. Undefined where there is no row. */
  at(seconds: number): number | undefined;
}

/** Demand is taken as constant over this long when it is summed up. */
const integrationStepSeconds = 5;

/** Counts the demand of `load` from `fromSeconds` on; seconds without a row add nothing. */
export function createCounter(load: Load, fromSeconds: number): Counter {
  let position = fromSeconds;
  let total = 0;
  return {
    at: (seconds) => {
      while (position < seconds) {
        const next = Math.min(seconds, position + integrationStepSeconds);
        const demand = load.demandAt((position + next) / 2);
        total += Number.isNaN(demand) ? 0 : demand * (next - position);
        position = next;
      }
      return Number.isNaN(load.demandAt(seconds)) ? undefined : total;
    },
  };
}
