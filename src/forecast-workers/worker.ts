// SPDX-License-Identifier: Apache-2.0
// The code of the threads that fit: one task in, one answer out, nothing kept.
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { fitTarget } from '../forecast/fit.ts';
import type { FitInput } from '../forecast/fit.ts';
import { buffersOf } from './buffers.ts';

/** Fits, and hands the arrays of the answer over without a copy. */
export function fit(input: FitInput): unknown {
  const answer = fitTarget(input);
  return move({ [transferableSymbol]: buffersOf(answer), [valueSymbol]: answer });
}
