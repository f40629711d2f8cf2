// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { regressorsOn } from './regressors.ts';

const grid = { startSeconds: 600, endSeconds: 1200, stepSeconds: 100 };

function valuesOf(source: Parameters<typeof regressorsOn>[1][number]): number[] {
  return regressorsOn(grid, [source]).flatMap(({ series }) => [...series.values]);
}

describe('regressorsOn', () => {
  test('samples count until the next one is usually due, and are missing before and after', () => {
    const samples = [700, 900].map((timestamp) => ({ timestamp, value: timestamp }));
    const values = valuesOf({ kind: 'samples', name: 'price', samples });
    expect(values).toEqual([Number.NaN, 700, 700, 900, 900, Number.NaN]);
  });

  test('finer samples count with their mean', () => {
    const samples = [600, 650, 700].map((timestamp, value) => ({ timestamp, value }));
    expect(valuesOf({ kind: 'samples', name: 'price', samples })[0]).toBe(0.5);
  });

  test('events count with the share of the step that they cover, and add up', () => {
    const events = [
      { start: 0, end: 650, type: 'a', magnitude: 2 },
      { start: 640, end: 820, type: 'a', magnitude: 1 },
    ];
    expect(valuesOf({ kind: 'events', name: 'a', events })).toEqual(
      [1.6, 1, 0.2, 0, 0, 0].map((n) => expect.closeTo(n)),
    );
  });

  test('an event of one moment counts for its step', () => {
    const events = [{ start: 750, end: 750, type: 'a', magnitude: 3 }];
    expect(valuesOf({ kind: 'events', name: 'a', events })).toEqual([0, 3, 0, 0, 0, 0]);
  });

  test('keeps names, and the grid', () => {
    const [regressor] = regressorsOn(grid, [{ kind: 'events', name: 'sale', events: [] }]);
    expect(regressor).toMatchObject({ name: 'sale', series: { startSeconds: 600, stepSeconds: 100 } });
  });
});
