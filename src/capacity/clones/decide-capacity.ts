// SPDX-License-Identifier: Apache-2.0

/** What is there and what is to come, in units of demand. */
export interface CapacityInput {
  /** The forecast over the lead: what is to be carried. */
  readonly predicted: number;
  /** What the ready instances of the base carry. */
  readonly base: number;
  readonly clones: number;
  readonly capacityPerClone: number;
  readonly maxReplicas: number;
}

/** How many clones there are to be from now on, and why. */
export interface CapacityDecision {
  readonly action: 'create' | 'retire' | 'nothing';
  readonly clones: number;
  readonly reason: string;
}

/** Clones leave only when what is predicted is below this share of what there is. */
export const retireBelow = 0.8;
/** Of a clone: what floating point makes of whole numbers. */
const tolerance = 1e-9;

/**
 * The rule with which clones come and go: they are created when predicted demand exceeds the capacity of what is there,
 * and retired when it is below 0.8 of it, but never so many that less than predicted demand is left.
 */
export function decideCapacity(input: CapacityInput): CapacityDecision {
  const { predicted, base, clones, capacityPerClone, maxReplicas } = input;
  const available = base + clones * capacityPerClone;
  const needed = clonesFor(predicted - base, capacityPerClone);
  const isLittle = predicted < retireBelow * available && needed < clones;
  const target = Math.min(maxReplicas, isLittle ? needed : Math.max(clones, needed));
  const parts = `base ${short(base)}, ${clones} clones of ${short(capacityPerClone)}`;
  const reason = `predicted ${short(predicted)}, available ${short(available)} (${parts}): ${needed} are needed, at most ${maxReplicas}`;
  if (target === clones) return { action: 'nothing', clones, reason };
  return { action: target > clones ? 'create' : 'retire', clones: target, reason };
}

/** Clones that carry so much demand; a hair above a whole number is that number. */
export function clonesFor(demand: number, capacityPerClone: number): number {
  return Math.max(0, Math.ceil(demand / capacityPerClone - tolerance));
}

/** A number for people. */
export function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
