// SPDX-License-Identifier: Apache-2.0
import { at } from '../series/time-series.ts';

/** What a search ended with. */
export interface Minimum {
  readonly point: Float64Array;
  readonly value: number;
  readonly evaluations: number;
}

/** When to stop, and how far the first corners are from the start. */
export interface SearchLimits {
  /** Length of the first simplex along every axis. */
  readonly size: number;
  readonly mostEvaluations: number;
  /** The search ends when the corners' values are this close together, relative to their size, and the corners too. */
  readonly tolerance: number;
}

/**
 * The simplex search of Nelder & Mead (1965), "A Simplex Method for Function Minimization", with their coefficients
 * (1, 2, ½, ½). Deterministic. A value that is not finite counts as infinitely bad.
 */
export function minimise(
  objective: (point: Float64Array) => number,
  start: Float64Array,
  limits: SearchLimits,
): Minimum {
  let evaluations = 0;
  const corner = (point: Float64Array): Corner => {
    evaluations += 1;
    const value = objective(point);
    return { point, value: Number.isFinite(value) ? value : Number.POSITIVE_INFINITY };
  };
  const corners = [corner(start.slice())];
  for (let axis = 0; axis < start.length; axis += 1) {
    const point = start.slice();
    point[axis] = at(point, axis) + limits.size;
    corners.push(corner(point));
  }
  corners.sort(byValue);
  while (start.length > 0 && evaluations < limits.mostEvaluations && !isSmall(corners, limits)) {
    step(corners, corner);
  }
  const [best] = corners;
  return { point: best?.point ?? start, value: best?.value ?? Number.NaN, evaluations };
}

/** The share of its first size that a simplex must be down to. */
const shrunk = 0.001;

interface Corner {
  readonly point: Float64Array;
  readonly value: number;
}

function byValue(a: Corner, b: Corner): number {
  if (a.value === b.value) return 0;
  return a.value < b.value ? -1 : 1;
}

/** Corners on both sides of a minimum can have the same value: what is small must have shrunk, too. */
function isSmall(corners: readonly Corner[], { size, tolerance }: SearchLimits): boolean {
  const [first] = corners;
  const best = first?.value ?? 0;
  const worst = corners.at(-1)?.value ?? 0;
  if (worst - best > tolerance * (Math.abs(best) + tolerance)) return false;
  return corners.every(({ point }) =>
    point.every((value, axis) => Math.abs(value - at(first?.point ?? point, axis)) <= shrunk * size),
  );
}

/** Moves the worst corner through the middle of the others, or draws all towards the best. */
function step(corners: Corner[], corner: (point: Float64Array) => Corner): void {
  const [best] = corners;
  const worst = corners.at(-1);
  const second = corners.at(-2);
  if (best === undefined || worst === undefined || second === undefined) return;
  const centre = centroid(corners.slice(0, -1));
  const towards = (distance: number): Corner =>
    corner(centre.map((value, axis) => value + distance * (at(worst.point, axis) - value)));
  const reflected = towards(-1);
  let next = reflected;
  if (reflected.value < best.value) {
    const expanded = towards(-2);
    if (expanded.value < reflected.value) next = expanded;
  } else if (reflected.value >= second.value) {
    next = towards(reflected.value < worst.value ? -0.5 : 0.5);
    if (next.value >= Math.min(reflected.value, worst.value)) {
      shrink(corners, best, corner);
      return;
    }
  }
  corners[corners.length - 1] = next;
  corners.sort(byValue);
}

function shrink(corners: Corner[], best: Corner, corner: (point: Float64Array) => Corner): void {
  for (let index = 1; index < corners.length; index += 1) {
    const point = corners[index]?.point ?? best.point;
    corners[index] = corner(point.map((value, axis) => (value + at(best.point, axis)) / 2));
  }
  corners.sort(byValue);
}

function centroid(corners: readonly Corner[]): Float64Array {
  const centre = new Float64Array(corners[0]?.point.length ?? 0);
  for (const { point } of corners) {
    for (const [axis, value] of point.entries()) centre[axis] = at(centre, axis) + value / corners.length;
  }
  return centre;
}
