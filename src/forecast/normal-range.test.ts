// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { normalRange } from './normal-range.ts';

test.each<[string, number[], number, object | undefined]>([
  ['less than an hour says nothing', Array.from({ length: 59 }, () => 1), 0, undefined],
  ['gaps do not count', [...Array.from({ length: 59 }, () => 1), Number.NaN], 0, undefined],
  ['what does not move may by a tenth', Array.from({ length: 60 }, () => 10), 0, { low: 9, high: 11 }],
  ['what is 0 may move by the least width', Array.from({ length: 60 }, () => 0), 0.05, { low: -0.05, high: 0.05 }],
])('%s', (_, values, leastWidth, range) => {
  expect(normalRange(Float64Array.from(values), leastWidth)).toEqual(range);
});

test('four hours of trouble in a day are not normal', () => {
  const random = createRandom(1);
  const values = Float64Array.from({ length: 1440 }, (_, minute) => 0.2 + 0.02 * random() + (minute < 240 ? 5 : 0));
  const range = normalRange(values, 0.01);
  expect(range?.high).toBeLessThan(0.35);
  expect(range?.low).toBeGreaterThan(0.05);
});
