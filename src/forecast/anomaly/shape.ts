// SPDX-License-Identifier: Apache-2.0
import { at } from '../../series/time-series.ts';
import type { Novelty } from './novelty.ts';

/** Values that become one point of a shape, and the points of a shape. */
const pointValues = 5;
const shapePoints = 4;

/** A point is an extreme rather than the mean where they differ by more than this share of the mean. */
const extremeShare = 0.1;

/** Nearer to a known shape than this share of the range, a shape tells nothing new and need not be kept. */
const sameShare = 1e-3;

/**
 * Distance of the last twenty values, coarsened to four points, from all earlier such shapes: the left discord of a
 * matrix profile (Yeh et al., ICDM 2016), but of values as they are, so that a known shape at another level is new too.
 * Answers after every fifth value, and 0 between.
 */
export function createShapeNovelty(): Novelty {
  const values: number[] = [];
  const points: number[] = [];
  const shapes: Float64Array[] = [];
  let [low, high, level] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  return {
    observe: (value) => {
      if (!Number.isFinite(value)) return 0;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
      values.push(value);
      if (values.length < pointValues) return 0;
      const { point, mean } = coarsen(values.splice(0), level);
      level = Number.isNaN(level) ? mean : (level + mean) / 2;
      points.push(point);
      if (points.length < shapePoints) return 0;
      const shape = Float64Array.from(points);
      points.shift();
      const distance = nearest(shapes, shape);
      const range = high - low;
      if (!(distance <= sameShare * range)) shapes.push(shape);
      return Number.isFinite(distance) && range > 0 ? distance / range : 0;
    },
  };
}

/** The mean, or whichever extreme stands out from the level. */
function coarsen(values: readonly number[], level: number): { point: number; mean: number } {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const usual = Number.isNaN(level) ? mean : (level + mean) / 2;
  const extreme = Math.abs(high - usual) < Math.abs(low - usual) ? low : high;
  return { point: Math.abs(extreme - mean) < extremeShare * Math.abs(mean) ? mean : extreme, mean };
}

/** Root mean square distance to the nearest of the shapes before the last few, which overlap; Infinity for none. */
function nearest(shapes: readonly Float64Array[], shape: Float64Array): number {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < shapes.length; index += 1) {
    const other = shapes[index] ?? shape;
    let distance = 0;
    for (let point = 0; point < shapePoints && distance < best; point += 1) {
      const difference = at(other, point) - at(shape, point);
      distance += difference * difference;
    }
    if (distance < best) best = distance;
  }
  return Math.sqrt(best / shapePoints);
}
