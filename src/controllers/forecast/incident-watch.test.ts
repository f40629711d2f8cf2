// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { Issued } from '../../forecast/engine.ts';
import { demandForecast } from '../../testing/builders.ts';
import { createIncidentWatch } from './incident-watch.ts';
import type { IncidentLook } from './incident-watch.ts';
import type { Outlook } from './snapshot.ts';

/** A full minute. */
const start = 1_800_000_000;
const forecast = demandForecast({});

function issued(now: number, level: number): Issued {
  return {
    kind: 'issued',
    issuedAt: now,
    startTime: Math.floor(now / 60) * 60,
    stepSeconds: 60,
    quantile: 0.7,
    values: Float64Array.from({ length: 60 }, (_, index) => 1.2 * level + index),
    atLead: level,
    median: Float64Array.from({ length: 70 }, () => level),
    model: { name: 'naive', since: start, candidates: [] },
  };
}

/** A workload that gets `demand(minute)`; minutes are counted from `start`. */
function world(
  demand: (minute: number) => number | undefined,
  { errors = () => 0, status = {} }: { errors?: (minute: number) => number; status?: object } = {},
) {
  const watch = createIncidentWatch({ ...forecast, status });
  const look = (minute: number): Outlook => {
    const now = start + 60 * minute + 1;
    const value = demand(minute);
    const samples = value === undefined ? [] : [{ timestamp: now - 1, value }];
    const read: IncidentLook = {
      demand: value === undefined ? { kind: 'none' } : { kind: 'sample', sample: { timestamp: now, value } },
      samples,
      signals: [{ name: 'errorRate', query: 'q', samples: [{ timestamp: now, value: errors(minute) }] }],
      readyReplicas: 10,
      wantedReplicas: 10,
    };
    watch.look(forecast, read, now);
    return watch.inPlaceOf(now, () => issued(now, value ?? 100));
  };
  return { watch, look };
}

function run(minutes: number, { look }: ReturnType<typeof world>): Outlook[] {
  return Array.from({ length: minutes }, (_, minute) => look(minute));
}

describe('an outage from minute 60 to 70', () => {
  const isOut = (minute: number): boolean => minute >= 60 && minute < 70;
  const fallen = world((minute) => (isOut(minute) ? 30 : 100), { errors: (minute) => (isOut(minute) ? 0.4 : 0) });
  const outlooks = run(80, fallen);

  test('publishes the forecast of before, from now on', () => {
    const [outlook] = outlooks.slice(65);
    expect(outlook).toMatchObject({ kind: 'issued', issuedAt: start + 65 * 60 + 1, startTime: start + 65 * 60 });
    // Issued at minute 56, so that the value for now is the tenth.
    expect((outlook as Issued).values[0]).toBe(120 + 9);
    expect((outlook as Issued).values).toHaveLength(60);
    expect((outlook as Issued).median[0]).toBe(100);
  });
  test('is not learnt, and what came before and after it is', () => {
    const { exclusions } = fallen.watch.incident();
    expect(exclusions).toEqual([{ fromSeconds: start + 60 * 60, toSeconds: start + 72 * 60 }]);
    const excluded = (minute: number): boolean => fallen.watch.isExcluded(start + 60 * minute);
    expect([59, 60, 71, 72].map(excluded)).toEqual([false, true, true, false]);
  });
  test('is over when demand is back', () => {
    expect(fallen.watch.incident().guard.kind).toBe('watching');
    expect((outlooks[79] as Issued).values[0]).toBe(120);
  });
  test('its errors are not normal', () => {
    expect(fallen.watch.signals(start + 80 * 60)).toMatchObject([{ name: 'errorRate', range: { high: 0.05 } }]);
  });
});

test('a real fall is followed at once', () => {
  const fallen = world((minute) => (minute >= 60 ? 30 : 100));
  const outlooks = run(70, fallen);
  expect(fallen.watch.incident()).toEqual({ guard: { kind: 'watching' }, exclusions: [] });
  expect((outlooks[61] as Issued).values[0]).toBe(36);
});

test('samples that vanish begin the window at the minute after the last one', () => {
  const gone = world((minute) => (minute >= 60 ? undefined : 100));
  run(62, gone);
  expect(gone.watch.incident()).toMatchObject({
    guard: { kind: 'holding', evidence: 'ScrapesVanished' },
    exclusions: [{ fromSeconds: start + 60 * 60, toSeconds: Number.POSITIVE_INFINITY }],
  });
});

test('an outage that goes on for longer than 30 minutes is given up, and learnt from then on', () => {
  const endless = world((minute) => (minute >= 60 ? 30 : 100), { errors: (minute) => (minute >= 60 ? 0.4 : 0) });
  const outlooks = run(120, endless);
  expect(endless.watch.incident()).toMatchObject({
    guard: { kind: 'given-up' },
    exclusions: [{ fromSeconds: start + 60 * 60, toSeconds: start + 91 * 60 }],
  });
  expect((outlooks[119] as Issued).values[0]).toBe(36);
});

test('times of trouble that stand in status are left out by the next process', () => {
  const status = {
    exclusions: [
      { startTime: '2027-01-15T08:00:00Z', endTime: '2027-01-15T08:10:00Z' },
      { startTime: '2027-01-15T09:00:00Z' },
      { startTime: 'soon' },
    ],
  };
  const { watch } = world(() => 100, { status });
  const excluded = (time: string): boolean => watch.isExcluded(Date.parse(time) / 1000);
  expect(['07:59', '08:00', '08:10', '09:29', '09:30'].map((time) => excluded(`2027-01-15T${time}:00Z`))).toEqual([
    false,
    true,
    false,
    true,
    false,
  ]);
});
