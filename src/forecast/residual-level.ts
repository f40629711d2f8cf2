// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** How the errors of a model are carried on: m(t) = φ m(t − 1) + κ (e(t) − φ m(t − 1)), and φ^k m(t) k steps ahead. */
export interface ResidualRule {
  /** 1: an AR(1) in the last error; less: an AR(1) seen through noise (the steady state of its Kalman filter). */
  readonly kappa: number;
  /** φ by step. */
  readonly phi: number;
}

/** Where the carried error stands. */
export interface ResidualLevel {
  readonly rule: ResidualRule;
  /** Takes the next error; NaN for a gap. */
  update(error: number): void;
  /** The error that is expected `lead` steps ahead; 0 is the next point. */
  ahead(lead: number): number;
  level(): number;
}

const levelSeconds = [900, 300, 120, 0, 2700];
/**
 * A past without a level shift cannot tell why an error should last, so one that fades must earn it: its loss counts
 * this much more.
 */
const decays = [
  { seconds: 28_800, handicap: 1 },
  { seconds: 172_800, handicap: 1 },
  { seconds: 7200, handicap: 1.02 },
  { seconds: 1800, handicap: 1.05 },
];

/** Starts at a level. */
export function createResidualLevel(rule: ResidualRule, start = 0): ResidualLevel {
  const { kappa, phi } = rule;
  let level = start;
  return {
    rule,
    update: (error) => {
      level *= phi;
      if (!Number.isNaN(error)) level += kappa * (error - level);
    },
    ahead: (lead) => level * phi ** (lead + 1),
    level: () => level,
  };
}

/** The rule with the smallest mean absolute error over the leads (0 is the next point), from `from` on. */
export function chooseResidualRule(
  errors: Float64Array,
  { leads, from, every, stepSeconds }: { leads: readonly number[]; from: number; every: number; stepSeconds: number },
): ResidualRule {
  const kappas = new Set(
    levelSeconds.map((seconds) => (seconds <= stepSeconds ? 1 : 1 - 0.5 ** (stepSeconds / seconds))),
  );
  let best: ResidualRule = { kappa: 1, phi: 0 };
  let smallest = Number.POSITIVE_INFINITY;
  for (const kappa of kappas) {
    for (const { seconds, handicap } of decays) {
      const rule = { kappa, phi: 0.5 ** (stepSeconds / seconds) };
      const loss = handicap * judge(errors, rule, { leads, from, every });
      if (loss < smallest) {
        smallest = loss;
        best = rule;
      }
    }
  }
  return best;
}

function judge(
  errors: Float64Array,
  rule: ResidualRule,
  { leads, from, every }: { leads: readonly number[]; from: number; every: number },
): number {
  const level = createResidualLevel(rule);
  const shares = leads.map((lead) => rule.phi ** (lead + 1));
  let total = 0;
  const note = (index: number): void => {
    for (const [slot, lead] of leads.entries()) {
      const left = Math.abs(at(errors, index + lead) - (shares[slot] ?? 0) * level.level());
      if (!Number.isNaN(left)) total += left;
    }
  };
  for (let index = 0; index < errors.length; index += 1) {
    if (index >= from && (index - from) % every === 0) note(index);
    level.update(at(errors, index));
  }
  return total;
}
