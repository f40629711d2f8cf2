// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DemandCurve } from './bursts.ts';
import { decideCapacity } from './decide-capacity.ts';
import { planBursts } from './plan.ts';
import type { BurstWindow, Plan, PlanInput } from './plan.ts';

/** 2026-09-01T12:00:00Z */
const noon = 1_788_264_000;
const step = 60;
/** Lead 3 min, so that each value looks 8 min ahead. */
const leadSeconds = 180;
const lookAheadSeconds = 480;
const margin = 60;

/** An hour of `level`, with `peaks` of [first minute, minutes, value]. */
function curve(level: number, ...peaks: readonly (readonly [number, number, number])[]): DemandCurve {
  const values = Array.from({ length: 60 }, (_, minute) => {
    const peak = peaks.find(([first, minutes]) => minute >= first && minute < first + minutes);
    return peak?.[2] ?? level;
  });
  return { startTime: noon, stepSeconds: step, values };
}

/** Six pods of 50 that an HPA scales from 2 to 20, clones of 50. */
function given(changes: Omit<Partial<PlanInput>, 'spec' | 'base'> & { spec?: object; base?: object } = {}): PlanInput {
  const { spec, base, ...rest } = changes;
  return {
    curve: curve(300),
    capacityPerClone: 50,
    leadSeconds,
    lookAheadSeconds,
    now: noon,
    previous: [],
    ...rest,
    base: { readyReplicas: 6, minReplicas: 2, maxReplicas: 20, capacityPerReplica: 50, ...base },
    spec: {
      minBurstReplicas: 2,
      maxBurstSeconds: 3600,
      maxReplicas: 100,
      ...spec,
      lifetime: { maxSeconds: 3600, marginSeconds: margin },
      ...spec,
    } as PlanInput['spec'],
  };
}

/** Minutes of `from` since noon, as `from-to:replicas`. */
function brief({ windows }: Pick<Plan, 'windows'>): string[] {
  const minutes = (time: number): number => (time - noon) / 60;
  return windows.map(({ startTime, endTime, replicas }) => `${minutes(startTime)}-${minutes(endTime)}: ${replicas}`);
}

function window(from: number, to: number, replicas: number, id = 'w-standing'): BurstWindow {
  return { id, startTime: noon + from * 60, endTime: noon + to * 60, replicas };
}

describe('which bursts are for clones', () => {
  const burst = curve(300, [20, 15, 500]);
  test.each<[string, PlanInput, string[]]>([
    ['a forecast that stands still needs none', given(), []],
    // 20 to 35, one lead before it, one look-ahead and the margin after it
    ['a burst has a window with all that is around it', given({ curve: burst }), ['17-44: 4']],
    ['clones are counted up: 201 needs five of 50', given({ curve: curve(300, [20, 15, 501]) }), ['17-44: 5']],
    ['a burst of one clone is left to the base', given({ curve: curve(300, [20, 15, 350]) }), []],
    ['unless one is enough', given({ curve: curve(300, [20, 15, 350]), spec: { minBurstReplicas: 1 } }), ['17-44: 1']],
    ['never more than maxReplicas', given({ curve: burst, spec: { maxReplicas: 3 } }), ['17-44: 3']],
    ['what lasts longer than a burst is for the base', given({ curve: burst, spec: { maxBurstSeconds: 360 } }), []],
    [
      '7 minutes and the look-ahead of 8 are a burst',
      given({ curve: burst, spec: { maxBurstSeconds: 420 } }),
      ['17-44: 4'],
    ],
    ['a rise whose end is not in sight is for the base', given({ curve: curve(300, [20, 40, 500]) }), []],
    ['a fall before it was ever high is none', given({ curve: curve(100, [0, 20, 300]) }), []],
    [
      'what is high already and not ready is a burst that has begun',
      given({ curve: curve(300, [0, 20, 500]) }),
      ['0-29: 4'],
    ],
    [
      'of a high and long peak on a longer one the base takes the long one',
      given({ curve: { ...curve(300), values: curve(400, [0, 10, 300], [30, 5, 600]).values } }),
      ['27-44: 4'],
    ],
    [
      'bursts that touch with what is around them are one window',
      given({ curve: curve(300, [10, 5, 500], [25, 5, 600]) }),
      ['7-39: 6'],
    ],
    [
      'bursts far from each other are two',
      given({ curve: curve(300, [5, 5, 500], [40, 5, 400]), lookAheadSeconds: 330 }),
      ['2-16.5: 4', '37-51.5: 2'],
    ],
    [
      'what the base cannot reach is for clones, however long it lasts',
      given({ curve: curve(500), base: { maxReplicas: 8 } }),
      ['0-60: 2', '49-69: 2'],
    ],
    [
      'a workload without an HPA gets clones for all that it cannot carry',
      given({ curve: burst, base: { minReplicas: 6, maxReplicas: 6 } }),
      ['17-44: 4'],
    ],
    [
      'and none for what it carries anyway',
      given({ curve: burst, base: { readyReplicas: 10, minReplicas: 10, maxReplicas: 10 } }),
      [],
    ],
    [
      'a scale-up policy that is slow leaves a rise to clones until the base is there',
      // 6 pods, one more each lead of 3 minutes
      given({ curve: curve(400, [0, 5, 300]), base: { reachableReplicas: 7 }, spec: { minBurstReplicas: 1 } }),
      ['2-15: 1'],
    ],
    [
      'a window ends with the life of its clones',
      given({ curve: burst, spec: { lifetime: { maxSeconds: 1200, marginSeconds: 60 } } }),
      ['17-37: 4', '27-44: 4'],
    ],
  ])('%s', (_rule, input, windows) => {
    expect(brief(planBursts(input))).toEqual(windows);
  });

  test.each<[string, Partial<PlanInput>]>([
    ['there is none', { curve: undefined }],
    ['it is over', { now: noon + 3600 }],
    ['a value is NaN', { curve: { ...curve(300), values: [Number.NaN] } }],
    ['a value is negative', { curve: { ...curve(300), values: [300, -1] } }],
    ['a clone carries nothing', { capacityPerClone: 0 }],
    ['clones would end before they are Ready', { leadSeconds: 3600 }],
  ])('without a forecast, as %s, windows stand until they end', (_why, changes) => {
    const previous = [window(50, 60, 1, 'w-over'), window(55, 70, 4), window(65, 80, 9, 'w-later')];
    const plan = planBursts(given({ now: noon + 3600, ...changes, previous, spec: { maxReplicas: 8 } }));
    expect(brief(plan)).toEqual(['55-70: 4', '65-80: 8']);
    expect(plan.wanted).toBe(4);
    expect(plan.reason).toBe(
      '4 clones now, the last ones to 2026-09-01T13:10:00Z; without a forecast windows stand as they are',
    );
  });
});

describe('windows that stand', () => {
  test('a window that moves by a step keeps its id, whether it has begun or not', () => {
    const [old] = planBursts(given({ curve: curve(300, [20, 15, 500]) })).windows;
    expect(old?.id).toBe('w-20260901-122000');
    const previous = old === undefined ? [] : [old];
    const later = planBursts(given({ curve: curve(300, [21, 15, 500]), previous }));
    expect(later.windows.map(({ id }) => id)).toEqual(['w-20260901-122000']);
    expect(brief(later)).toEqual(['17-45: 4']);
    const sooner = planBursts(given({ curve: curve(300, [18, 15, 500]), previous }));
    expect(sooner.windows.map(({ id }) => id)).toEqual(['w-20260901-122000']);
    // An end that comes nearer by two steps stays.
    expect(brief(sooner)).toEqual(['15-44: 4']);
    const begun = planBursts(given({ curve: curve(300, [25, 15, 500]), previous, now: noon + 1100 }));
    expect(begun.windows.map(({ id }) => id)).toEqual(['w-20260901-122000']);
    expect(brief(begun)).toEqual(['17-49: 4']);
  });
  test('a burst that has gone before its window began leaves nothing', () => {
    expect(planBursts(given({ previous: [window(10, 30, 4)] })).windows).toEqual([]);
  });
  test.each<[string, Parameters<typeof given>[0], string[]]>([
    ['more demand means more clones at once', { curve: curve(300, [0, 15, 600]) }, ['-5-24: 6']],
    ['a little less changes nothing', { curve: curve(300, [0, 15, 450]) }, ['-5-24: 4']],
    // 300 is below 0.8 · 500, and base and clones end together: the base has one look-ahead
    ['a burst that is gone ends one look-ahead from now', { curve: curve(300) }, ['-5-9: 4']],
    ['what lasts from now on is handed to the base in one look-ahead', { curve: curve(420) }, ['-5-9: 4']],
    [
      'in the look-ahead before the end clones go as soon as the base is there',
      { curve: curve(300), previous: [window(-20, 5, 4)] },
      [],
    ],
    [
      'but only so many as its ready pods can do without',
      { curve: curve(300), previous: [window(-20, 5, 4)], base: { readyReplicas: 5 } },
      ['-20-5: 1'],
    ],
    [
      'pods that are ready but that the HPA was told to give up do not end clones',
      { curve: curve(300, [0, 15, 500]), base: { readyReplicas: 12 } },
      ['-5-24: 4'],
    ],
    ['the next burst that touches a window continues it', { curve: curve(300, [20, 5, 450]) }, ['-5-34: 4']],
  ])('%s', (_rule, changes, windows) => {
    expect(brief(planBursts(given({ previous: [window(-5, 24, 4)], ...changes })))).toEqual(windows);
  });
  test('the reason has the numbers', () => {
    const peak = curve(300, [20, 15, 500]);
    expect(planBursts(given({ curve: peak })).reason).toBe(
      'no clones now; 4 clones from 2026-09-01T12:17:00Z on: of predicted 500 at 2026-09-01T12:20:00Z the base carries 300, clones of 50 the rest',
    );
    expect(planBursts(given({ curve: peak, spec: { minBurstReplicas: 5 } })).reason).toBe(
      'no clones now; of predicted 500 at 2026-09-01T12:20:00Z the base carries 300: 4 clones would do, a burst has at least 5',
    );
    expect(planBursts(given()).reason).toBe(
      'no clones now; of predicted 300 at 2026-09-01T12:00:00Z the base carries 300: no clones are needed',
    );
  });
});

const number = (max: number) => fc.nat({ max });
const anyInput: fc.Arbitrary<PlanInput> = fc
  .record({
    level: number(40),
    peaks: fc.array(fc.tuple(number(59), number(30), number(80)), { maxLength: 3 }),
    ready: number(30),
    min: number(5),
    more: number(30),
    reachable: fc.option(number(30), { nil: undefined }),
    perClone: fc.constantFrom(0.5, 7, 50, 1000),
    minBurst: fc.integer({ min: 1, max: 4 }),
    maxBurst: fc.constantFrom(60, 600, 3600, 86_400),
    maxReplicas: fc.constantFrom(1, 5, 1000),
    life: fc.constantFrom(60, 600, 1200, 3600, 86_400),
    lead: fc.constantFrom(15, 180, 1800),
    passed: number(3000),
    margin: fc.constantFrom(0, 60),
    previous: fc.array(fc.tuple(fc.integer({ min: -30, max: 50 }), fc.integer({ min: 1, max: 60 }), number(10)), {
      maxLength: 3,
    }),
  })
  .map((raw) =>
    given({
      curve: curve(
        raw.level * 10,
        ...raw.peaks.map(([first, minutes, value]) => [first, minutes, value * 10] as const),
      ),
      capacityPerClone: raw.perClone,
      base: {
        readyReplicas: raw.ready,
        minReplicas: raw.min,
        maxReplicas: raw.min + raw.more,
        ...(raw.reachable === undefined ? {} : { reachableReplicas: raw.reachable }),
      },
      spec: {
        minBurstReplicas: raw.minBurst,
        maxBurstSeconds: raw.maxBurst,
        maxReplicas: raw.maxReplicas,
        lifetime: { maxSeconds: raw.life, marginSeconds: raw.margin },
      },
      leadSeconds: raw.lead,
      lookAheadSeconds: raw.lead + 300,
      now: noon + raw.passed,
      previous: raw.previous.map(([from, length, replicas], index) =>
        window(from, from + length, replicas + 1, `w-${index}`),
      ),
    }),
  );

describe('properties of the plan', () => {
  test('windows are what the API takes, and no more than maxReplicas are wanted', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { windows, wanted } = planBursts(input);
        expect(new Set(windows.map(({ id }) => id)).size).toBe(windows.length);
        expect(windows.length).toBeLessThanOrEqual(32);
        expect(wanted).toBeLessThanOrEqual(input.spec.maxReplicas);
        for (const { id, startTime, endTime, replicas } of windows) {
          expect(id).toMatch(/^[a-z0-9-]{1,40}$/);
          expect(Number.isSafeInteger(replicas) && replicas >= 1 && replicas <= input.spec.maxReplicas).toBe(true);
          expect(Number.isSafeInteger(startTime) && Number.isSafeInteger(endTime)).toBe(true);
          expect(endTime).toBeGreaterThan(Math.max(startTime, input.now));
          expect(endTime - startTime).toBeLessThanOrEqual(input.spec.lifetime.maxSeconds);
        }
      }),
      { numRuns: 1000 },
    );
  });
  test('the plan of its own output is the same', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { windows, wanted } = planBursts(input);
        const again = planBursts({ ...input, previous: windows });
        expect(again.wanted).toBe(wanted);
        expect(again.windows).toEqual(windows);
      }),
      { numRuns: 1000 },
    );
  });
  test('without standing windows they overlap only at the end of a life', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { windows } = planBursts({ ...input, previous: [] });
        for (const [index, { startTime }] of windows.entries()) {
          const before = windows[index - 1];
          if (before === undefined || startTime >= before.endTime) continue;
          expect(before.endTime - before.startTime).toBe(input.spec.lifetime.maxSeconds);
        }
      }),
      { numRuns: 1000 },
    );
  });
  test('every step that needs enough clones has them, if there may be so many', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { windows } = planBursts({
          ...input,
          spec: { ...input.spec, minBurstReplicas: 1, maxReplicas: 100_000 },
        });
        const { base, capacityPerClone } = input;
        fc.pre(input.spec.lifetime.maxSeconds > input.leadSeconds + step);
        const most = Math.max(base.minReplicas, base.maxReplicas) * base.capacityPerReplica;
        for (const [index, demand] of (input.curve?.values ?? []).entries()) {
          const time = noon + index * step;
          if (time < input.now) continue;
          const clones = windows
            .filter(({ startTime, endTime }) => startTime <= time && endTime > time)
            .reduce((total, { replicas }) => total + replicas, 0);
          const isCarried = clones * capacityPerClone + most >= demand - 1e-6;
          expect(isCarried || windows.length === 32).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

/** Looks every minute at a world that repeats what `demandAt` says, with a base that is where its HPA wants it. */
function live(demandAt: (minute: number) => number, minutes: number, changes: Parameters<typeof given>[0] = {}) {
  const looks: { wanted: number; ids: string[]; short: number }[] = [];
  let previous: readonly BurstWindow[] = [];
  let ready = 6;
  for (let minute = 0; minute < minutes; minute += 1) {
    const now = noon + minute * 60;
    const values = Array.from({ length: 60 }, (_, ahead) => demandAt(minute + ahead));
    const max = (changes.base as { maxReplicas?: number } | undefined)?.maxReplicas ?? 20;
    const input = given({
      ...changes,
      now,
      previous,
      curve: { startTime: now, stepSeconds: step, values },
      base: { ...changes.base, readyReplicas: ready },
    });
    const { windows, wanted } = planBursts(input);
    const outlast = windows
      .filter(({ startTime, endTime }) => startTime + leadSeconds <= now && endTime > now + lookAheadSeconds)
      .reduce((total, { replicas }) => total + replicas, 0);
    const carried = windows
      .filter(({ startTime, endTime }) => startTime + leadSeconds <= now && endTime > now)
      .reduce((total, { replicas }) => total + replicas, 0);
    const demand = demandAt(minute);
    ready = Math.min(max, Math.max(2, Math.ceil((demand - outlast * 50) / 50)));
    looks.push({ wanted, ids: windows.map(({ id }) => id), short: demand - ready * 50 - carried * 50 });
    previous = windows;
  }
  return looks;
}

describe('minute by minute', () => {
  test('a constant forecast never moves', () => {
    for (const level of [0, 100, 300, 333, 1000]) {
      expect(new Set(live(() => level, 180).map(({ wanted }) => wanted))).toEqual(new Set([0]));
    }
  });
  test('a constant forecast above what the base can reach is carried by clones, without a gap', () => {
    const looks = live(() => 800, 300, { base: { maxReplicas: 10 } });
    // Six at all times; twice as many while the next ones take over.
    expect(Math.min(...looks.map(({ wanted }) => wanted))).toBe(6);
    expect(Math.max(...looks.map(({ wanted }) => wanted))).toBe(12);
    expect(Math.max(...looks.slice(3).map((look) => look.short))).toBe(0);
  });
  test('a burst comes once, in one window, and base and clones are never short', () => {
    const looks = live((minute) => (minute >= 90 && minute < 110 ? 500 : 300), 180);
    const wanted = looks.map((look) => look.wanted);
    const changes = wanted.filter((count, minute) => count !== (wanted[minute - 1] ?? 0));
    expect(changes).toEqual([4, 0]);
    expect(wanted.indexOf(4)).toBe(87);
    expect(new Set(looks.flatMap(({ ids }) => ids))).toEqual(new Set(['w-20260901-133000']));
    expect(Math.max(...looks.map((look) => look.short))).toBeLessThanOrEqual(0);
    expect(wanted.lastIndexOf(4)).toBeLessThanOrEqual(119);
  });
  test('a ripple on what lasts, less than a pod, keeps no clone when the burst is over', () => {
    const ripple = (minute: number): number => (minute >= 115 && minute < 118 ? 288 : 285);
    const looks = live((minute) => (minute >= 90 && minute < 110 ? 490 : ripple(minute)), 180);
    const wanted = looks.map((look) => look.wanted);
    expect(wanted.filter((count, minute) => count !== (wanted[minute - 1] ?? 0))).toEqual([4, 0]);
    expect(Math.max(...looks.map((look) => look.short))).toBeLessThanOrEqual(0);
    expect(wanted.lastIndexOf(4)).toBeLessThanOrEqual(119);
  });
  test('a long rise is the base’s, from the first minute to the last', () => {
    const looks = live((minute) => (minute >= 70 && minute < 300 ? 500 : 300), 360);
    expect(new Set(looks.map(({ wanted }) => wanted))).toEqual(new Set([0]));
  });
  test('a forecast that wavers by a tenth does not make clones come and go', () => {
    const looks = live((minute) => (minute >= 90 && minute < 110 ? 500 + (minute % 3) * 20 : 300), 180);
    const wanted = looks.map((look) => look.wanted);
    expect(wanted.filter((count, minute) => count !== (wanted[minute - 1] ?? 0))).toEqual([5, 0]);
  });
});

describe('the rule of decideCapacity', () => {
  test.each<[string, Parameters<typeof decideCapacity>[0], [string, number]]>([
    [
      'enough is enough',
      { predicted: 500, base: 300, clones: 4, capacityPerClone: 50, maxReplicas: 9 },
      ['nothing', 4],
    ],
    [
      'above it clones are made',
      { predicted: 501, base: 300, clones: 4, capacityPerClone: 50, maxReplicas: 9 },
      ['create', 5],
    ],
    [
      'up to maxReplicas',
      { predicted: 999, base: 300, clones: 4, capacityPerClone: 50, maxReplicas: 9 },
      ['create', 9],
    ],
    [
      'at maxReplicas nothing is left to do',
      { predicted: 999, base: 300, clones: 9, capacityPerClone: 50, maxReplicas: 9 },
      ['nothing', 9],
    ],
    [
      'a little below nothing happens',
      { predicted: 400, base: 300, clones: 4, capacityPerClone: 50, maxReplicas: 9 },
      ['nothing', 4],
    ],
    [
      'below 0.8 those go that are not needed',
      { predicted: 399, base: 300, clones: 4, capacityPerClone: 50, maxReplicas: 9 },
      ['retire', 2],
    ],
    [
      'one clone that is needed in part stays',
      { predicted: 310, base: 300, clones: 1, capacityPerClone: 500, maxReplicas: 9 },
      ['nothing', 1],
    ],
    [
      'above maxReplicas clones go',
      { predicted: 999, base: 300, clones: 9, capacityPerClone: 50, maxReplicas: 8 },
      ['retire', 8],
    ],
  ])('%s', (_rule, input, [action, clones]) => {
    expect(decideCapacity(input)).toMatchObject({ action, clones });
  });
  test('it converges at once, and retires nothing that is needed', () => {
    const amount = fc.nat(2000);
    const input = fc.record({
      predicted: amount,
      base: amount,
      clones: fc.nat(50),
      capacityPerClone: fc.constantFrom(1, 7, 50, 333.3),
      maxReplicas: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(input, (item) => {
        const { clones, action } = decideCapacity(item);
        expect(clones).toBeLessThanOrEqual(item.maxReplicas);
        expect(decideCapacity({ ...item, clones })).toMatchObject({ action: 'nothing', clones });
        const carried = item.base + clones * item.capacityPerClone;
        const mayFallShort = action !== 'retire' || clones === item.maxReplicas;
        expect(mayFallShort || carried >= item.predicted - 1e-6).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
