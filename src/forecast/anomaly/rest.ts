// SPDX-License-Identifier: Apache-2.0

/** After an anomaly, so many rows as a share of all so far are the same anomaly; at most so many. */
const restShare = 0.03;
const longestRest = 750;

/** What a score is multiplied by when the row says nothing that was not said shortly before. */
const damping = 0.5;

/** One anomaly, one report: damps scores after one. */
export interface RestPeriod {
  /** The score, or less of it while an anomaly that was reported is not over. */
  damp(rarity: number, score: number): number;
}

/**
 * The first row that reaches `limit` keeps its score, the rows of the rest period after it do not. Below the limit a row
 * keeps its score if none within a rest period before it had more.
 */
export function createRestPeriod(limit: number): RestPeriod {
  let row = -1;
  let reported = Number.NEGATIVE_INFINITY;
  const peaks = createTrailingPeak();
  return {
    damp: (rarity, score) => {
      row += 1;
      const rest = Math.min(longestRest, restShare * row);
      const peak = peaks.observe(rarity, row, rest);
      const resting = row - reported <= rest;
      if (resting || (rarity < limit && rarity < peak)) return damping * score;
      if (rarity >= limit) reported = row;
      return score;
    },
  };
}

interface TrailingPeak {
  /** The largest value of the rows before this one that are no further back than `reach`; then remembers the value. */
  observe(value: number, row: number, reach: number): number;
}

/** Only rows that no later row exceeds are kept: their values fall from the first to the last. */
function createTrailingPeak(): TrailingPeak {
  const falling: { readonly row: number; readonly value: number }[] = [];
  return {
    observe: (value, row, reach) => {
      while (falling[0] !== undefined && row - falling[0].row > reach) falling.shift();
      const peak = falling[0]?.value ?? 0;
      while ((falling.at(-1)?.value ?? Number.POSITIVE_INFINITY) <= value) falling.pop();
      falling.push({ row, value });
      return peak;
    },
  };
}
