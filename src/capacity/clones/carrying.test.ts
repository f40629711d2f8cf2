// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { renderCarrying } from './carrying.ts';
import type { CarryingInput } from './carrying.ts';
import type { CloneView } from './view.ts';

/** 2026-09-01T12:00:00Z */
const noon = 1_788_264_000;

function clones(...deadlines: readonly number[]): CloneView[] {
  return deadlines.map((seconds) => ({ state: 'Serving', effectiveDeadline: noon + seconds }) as CloneView);
}

/** Seconds of `until` since noon, and how many end then. */
function steps(given: readonly CloneView[], windows: CarryingInput['windows']): string[] {
  const carrying = renderCarrying({ clones: given, windows, perClone: 50 }, noon);
  return carrying.steps.map(({ until, replicas }) => `${(Date.parse(until) / 1000 - noon).toFixed(0)}: ${replicas}`);
}

describe('until when clones carry', () => {
  test.each<[string, readonly CloneView[], CarryingInput['windows'], string[]]>([
    [
      'their deadline, where no window ends',
      clones(300, 600, 600),
      [{ deadline: undefined, replicas: 3 }],
      ['300: 1', '600: 2'],
    ],
    [
      'their deadline, where the window ends later',
      clones(600, 600),
      [{ deadline: noon + 900, replicas: 2 }],
      ['600: 2'],
    ],
    [
      'the end of the window, where that comes first',
      clones(900, 900),
      [{ deadline: noon + 600, replicas: 2 }],
      ['600: 2'],
    ],
    ['those that no window wants do not', clones(900, 900, 900), [{ deadline: noon + 600, replicas: 2 }], ['600: 2']],
    ['without a window none does', clones(900), [], []],
    [
      'of two windows each has its own end, whoever is there for which',
      clones(900, 900, 300),
      [
        { deadline: noon + 600, replicas: 1 },
        { deadline: noon + 1200, replicas: 2 },
      ],
      ['300: 1', '900: 2'],
    ],
    ['a window that wants more than there are', clones(900), [{ deadline: noon + 600, replicas: 5 }], ['600: 1']],
    ['a deadline that has passed', clones(-1, 900), [{ deadline: noon + 600, replicas: 2 }], ['600: 1']],
  ])('%s', (_sentence, given, windows, expected) => {
    expect(steps(given, windows)).toEqual(expected);
  });
  test('all that are Ready count as Ready, until they end', () => {
    const input = { clones: clones(900, 900), windows: [{ deadline: noon + 600, replicas: 1 }], perClone: 50 };
    expect(renderCarrying(input, noon)).toMatchObject({ ready: 2, perClone: '50000m', time: '2026-09-01T12:00:00Z' });
  });
  test('many different deadlines are rounded down', () => {
    const many = clones(...Array.from({ length: 300 }, (_, index) => 61 + index * 7));
    const { steps: rounded } = renderCarrying(
      { clones: many, windows: [{ deadline: undefined, replicas: 300 }], perClone: 1 },
      noon,
    );
    expect(rounded.length).toBeLessThanOrEqual(120);
    expect(rounded.reduce((sum, { replicas }) => sum + replicas, 0)).toBe(300);
    expect(rounded[0]?.until).toBe('2026-09-01T12:01:00Z');
  });
});
