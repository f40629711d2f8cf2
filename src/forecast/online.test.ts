// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { createRandom } from '../forecast/random.ts';
import { createOnlineLevels } from './online.ts';

const setup = { levels: [0.5, 0.9], checkpoints: [0, 10], windowSteps: 3, gain: 0.01 };
const rows = (value: number): Float64Array => new Float64Array(20).fill(value);

describe('createOnlineLevels', () => {
  test('starts with the levels as they are', () => {
    const online = createOnlineLevels(setup);
    expect([online.levelAt(0, 0), online.levelAt(1, 0), online.levelAt(1, 19)]).toEqual([0.5, 0.9, 0.9]);
  });

  test('raises a level after a miss, lowers it a little after a hit', () => {
    const online = createOnlineLevels(setup);
    online.note(100, [rows(1), rows(1)]);
    online.learn(104, () => 2);
    expect(online.levelAt(1, 0)).toBeCloseTo(0.9 + 0.01 * 0.9, 9);
    online.note(101, [rows(3), rows(3)]);
    online.learn(105, () => 2);
    expect(online.levelAt(1, 0)).toBeCloseTo(0.9 + 0.01 * 0.9 - 0.01 * 0.1, 9);
  });

  test('waits until the window of each checkpoint is over', () => {
    const online = createOnlineLevels(setup);
    online.note(100, [rows(1), rows(1)]);
    online.learn(103, () => 2);
    expect(online.levelAt(0, 0)).toBe(0.5);
    online.learn(104, () => 2);
    expect(online.levelAt(0, 0)).toBeGreaterThan(0.5);
    expect(online.levelAt(0, 10)).toBe(0.5);
    expect(online.levelAt(0, 5)).toBeCloseTo((online.levelAt(0, 0) + 0.5) / 2, 9);
    online.learn(114, (step) => (step === 110 ? 2 : Number.NaN));
    expect(online.levelAt(0, 10)).toBeGreaterThan(0.5);
  });

  test('learns nothing from an outcome that is not known, and scores a step once', () => {
    const online = createOnlineLevels(setup);
    online.note(100, [rows(1), rows(1)]);
    online.note(100, [rows(1), rows(1)]);
    online.learn(200, () => Number.NaN);
    expect(online.levelAt(0, 0)).toBe(0.5);
    online.learn(200, () => 2);
    expect(online.levelAt(0, 0)).toBe(0.5);
  });

  test('brings coverage to the level though the quantiles are wrong', () => {
    const online = createOnlineLevels({ levels: [0.8], checkpoints: [0], windowSteps: 0, gain: 0.005 });
    const random = createRandom(4);
    let covered = 0;
    for (let step = 0; step < 6000; step += 1) {
      // The model takes demand to be uniform on [0, 1]; it is uniform on [0, 1.2].
      const forecast = online.levelAt(0, 0);
      const actual = 1.2 * random();
      online.note(step, [Float64Array.of(forecast)]);
      online.learn(step + 1, () => actual);
      if (step >= 1000 && actual <= forecast) covered += 1;
    }
    expect(Math.abs(covered / 5000 - 0.8)).toBeLessThan(0.01);
  });
});
