// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createScoreboard } from './scoreboard.ts';

const published = { minute: 100, windowMinutes: 8, level: 0.8, quantile: 12, median: 9, reference: 16 };

test('nothing is said before a forecast has come due', () => {
  const board = createScoreboard();
  board.publish(published);
  board.score(108, () => 10);
  expect(board.accuracy()).toBeUndefined();
});

test('coverage, skill and bias come from the forecasts that came due', () => {
  const board = createScoreboard();
  board.publish(published);
  board.publish({ ...published, minute: 101 });
  board.score(110, (minute) => (minute === 100 ? 10 : 14));
  // Losses: .2 · 2 and .8 · 2 against .2 · 6 and .2 · 2.
  expect(board.accuracy()).toEqual({
    coverage: 0.5,
    pinballSkill: expect.closeTo(1 - 2 / 1.6, 9),
    bias: 9 - 12,
    scores: 2,
  });
});

test('a minute counts once, by the last forecast for it', () => {
  const board = createScoreboard();
  board.publish({ ...published, quantile: 1 });
  board.publish(published);
  board.score(200, () => 10);
  expect(board.accuracy()).toMatchObject({ coverage: 1, scores: 1 });
});

test('an outcome that is not known is left out', () => {
  const board = createScoreboard();
  board.publish(published);
  board.score(200, () => Number.NaN);
  expect(board.accuracy()).toBeUndefined();
});

test('a reference without any loss leaves nothing to be better at', () => {
  const board = createScoreboard();
  board.publish({ ...published, reference: 10 });
  board.score(200, () => 10);
  expect(board.accuracy()?.pinballSkill).toBe(0);
});

test('after seven days a score is forgotten', () => {
  const board = createScoreboard();
  board.publish({ ...published, minute: 0 });
  for (const day of [1, 7]) board.publish({ ...published, minute: day * 1440, quantile: 1 });
  board.score(1e6, () => 10);
  expect(board.accuracy()).toMatchObject({ coverage: 0, scores: 2 });
});
