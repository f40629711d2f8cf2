// SPDX-License-Identifier: Apache-2.0
import { pinball } from './accuracy.ts';

/** Accuracy is that of the forecasts that came due in so many days. */
const keptDays = 7;
const minutesPerDay = 1440;

/** A published forecast that waits to come due. */
export interface Published {
  /** The minute that it is for: the target is the maximum from there over the window. */
  readonly minute: number;
  readonly windowMinutes: number;
  readonly level: number;
  readonly quantile: number;
  readonly median: number;
  /** The same quantile from the reference model. */
  readonly reference: number;
}

/** How good the forecasts were that have come due. */
export interface Accuracy {
  /** Share of maxima at or below the published quantile. */
  readonly coverage: number;
  /** 1 - pinball loss / pinball loss of the reference. */
  readonly pinballSkill: number;
  /** Mean of forecast median minus actual maximum, in units of demand. */
  readonly bias: number;
  readonly scores: number;
}

/** Keeps published forecasts until they come due, and counts how they did. */
export interface Scoreboard {
  publish(forecast: Published): void;
  /** Scores everything due before `head`, the first minute not yet known; `outcome` gives NaN for unknown. */
  score(head: number, outcome: (minute: number, windowMinutes: number) => number): void;
  /** undefined while nothing has come due. */
  accuracy(): Accuracy | undefined;
  /** A copy of all that is known. */
  snapshot(): ScoreboardState;
}

/** A scoreboard as plain data. */
export interface ScoreboardState {
  readonly pending: readonly Published[];
  /** Sums of the forecasts that came due, by day. */
  readonly days: readonly Readonly<Day>[];
}

interface Day {
  readonly day: number;
  covered: number;
  loss: number;
  referenceLoss: number;
  bias: number;
  scores: number;
}

/** An empty scoreboard, or the one that gave the state. */
export function createScoreboard(state: ScoreboardState = { pending: [], days: [] }): Scoreboard {
  const pending: Published[] = [...state.pending];
  const days: Day[] = state.days.map((day) => ({ ...day }));
  const count = (forecast: Published, actual: number): void => {
    const day = Math.floor(forecast.minute / minutesPerDay);
    let entry = days.at(-1);
    if (entry?.day !== day) {
      entry = { day, covered: 0, loss: 0, referenceLoss: 0, bias: 0, scores: 0 };
      days.push(entry);
      while ((days[0]?.day ?? day) <= day - keptDays) days.shift();
    }
    entry.scores += 1;
    entry.covered += actual <= forecast.quantile ? 1 : 0;
    entry.loss += pinball(actual, forecast.quantile, forecast.level);
    entry.referenceLoss += pinball(actual, forecast.reference, forecast.level);
    entry.bias += forecast.median - actual;
  };
  return {
    publish: (forecast) => {
      // A minute is scored once, by the last forecast that was published for it.
      if (pending.at(-1)?.minute === forecast.minute) pending.pop();
      pending.push(forecast);
    },
    score: (head, outcome) => {
      for (let next = pending[0]; next !== undefined && next.minute + next.windowMinutes < head; next = pending[0]) {
        pending.shift();
        const actual = outcome(next.minute, next.windowMinutes);
        if (!Number.isNaN(actual)) count(next, actual);
      }
    },
    accuracy: () => summarise(days),
    snapshot: () => ({ pending: pending.map((one) => ({ ...one })), days: days.map((day) => ({ ...day })) }),
  };
}

function summarise(days: readonly Day[]): Accuracy | undefined {
  const sum = (part: (day: Day) => number): number => days.reduce((total, day) => total + part(day), 0);
  const scores = sum((day) => day.scores);
  if (scores === 0) return undefined;
  const loss = sum((day) => day.loss);
  const referenceLoss = sum((day) => day.referenceLoss);
  return {
    coverage: sum((day) => day.covered) / scores,
    // Where the reference made no error at all, there is nothing to be better at.
    pinballSkill: referenceLoss > 0 ? 1 - loss / referenceLoss : 0,
    bias: sum((day) => day.bias) / scores,
    scores,
  };
}
