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
  /** Rows with ever smaller rarities, the largest of the rest period first. */
  const peaks: { readonly row: number; readonly rarity: number }[] = [];
  return {
    damp: (rarity, score) => {
      row += 1;
      const rest = Math.min(longestRest, restShare * row);
      while (peaks[0] !== undefined && row - peaks[0].row > rest) peaks.shift();
      const peak = peaks[0]?.rarity ?? 0;
      while ((peaks.at(-1)?.rarity ?? Number.POSITIVE_INFINITY) <= rarity) peaks.pop();
      peaks.push({ row, rarity });
      const resting = row - reported <= rest;
      if (rarity < limit) return resting || rarity < peak ? damping * score : score;
      if (resting) return damping * score;
      reported = row;
      return score;
    },
  };
}
