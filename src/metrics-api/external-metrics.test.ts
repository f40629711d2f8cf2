// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { metricNames } from '../api/labels.ts';
import type { DemandForecast, DemandForecastStatus } from '../api/v1alpha1/demand-forecast.ts';
import { demandForecast as buildForecast } from '../testing/builders.ts';
import { readMetric, selectForecast } from './external-metrics.ts';
import type { ForecastReader, MetricReading } from './external-metrics.ts';
import { parseSelector } from './selector.ts';

const now = Date.parse('2026-09-01T12:00:30Z') / 1000;

function at(offsetSeconds: number): string {
  return new Date((now + offsetSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}

interface Given {
  readonly mode?: 'Preview' | 'Auto';
  readonly staleAfter?: string;
  readonly status?: DemandForecastStatus;
  readonly name?: string;
}

function demandForecast({ mode = 'Auto', staleAfter = '3m', status, name = 'web' }: Given): DemandForecast {
  return buildForecast({ name, spec: { mode, staleAfter }, ...(status === undefined ? {} : { status }) });
}

function observed(value: string, ageSeconds = 30): Pick<DemandForecastStatus, 'observed'> {
  return { observed: { value, time: at(-ageSeconds) } };
}

/** A curve that begins 30 s ago, at the full minute. */
function curve(values: readonly string[], issuedAgo = 60, startAgo = 30): Pick<DemandForecastStatus, 'forecast'> {
  const times = { issuedAt: at(-issuedAgo), startTime: at(-startAgo) };
  return { forecast: { ...times, stepSeconds: 60, quantile: '0.7', atLead: '0m', values: [...values] } };
}

function duplicate(): Pick<DemandForecastStatus, 'conditions'> {
  return {
    conditions: [
      {
        type: 'TargetReady',
        status: 'False',
        reason: 'DuplicateTarget',
        message: '',
        observedGeneration: 1,
        lastTransitionTime: at(-600),
      },
    ],
  };
}

function value(number: number, rung: string, timestampAgo: number, windowSeconds?: number): MetricReading {
  const window = windowSeconds === undefined ? {} : { windowSeconds };
  return { kind: 'value', value: number, rung, timestamp: now - timestampAgo, ...window } as MetricReading;
}

function missing(message: string): MetricReading {
  return { kind: 'missing', message };
}

describe('predicted_demand', () => {
  test.each<[string, Given, MetricReading]>([
    [
      'Preview publishes fresh demand and ignores the curve',
      { mode: 'Preview', status: { ...observed('80'), ...curve(['100']) } },
      value(80, 'Preview', 30),
    ],
    [
      'Preview publishes nothing once demand is stale, whatever the curve says',
      { mode: 'Preview', status: { ...observed('80', 190), ...curve(['100']) } },
      missing('predicted_demand for shop/web: demand observed 3m10s ago (staleAfter 3m), mode is Preview'),
    ],
    [
      'Auto publishes the curve where it is above fresh demand',
      { status: { ...observed('80'), ...curve(['100000m', '1']) } },
      value(100, 'Forecast', 30, 60),
    ],
    [
      'Auto publishes demand where it is above the curve',
      { status: { ...observed('120'), ...curve(['100']) } },
      value(120, 'Forecast', 30),
    ],
    [
      'the value is the one of the step that now lies in',
      { status: { ...observed('1'), ...curve(['10', '20', '30'], 120, 119) } },
      value(20, 'Forecast', 59, 60),
    ],
    ['Auto without a forecast publishes demand', { status: observed('80') }, value(80, 'ObservedOnly', 30)],
    [
      'a forecast issued more than 15 minutes ago is none',
      { status: { ...observed('80'), ...curve(['100'], 901) } },
      value(80, 'ObservedOnly', 30),
    ],
    [
      'a forecast issued 15 minutes ago is one',
      { status: { ...observed('80'), ...curve(['100'], 900) } },
      value(100, 'Forecast', 30, 60),
    ],
    [
      'a curve that ended before now is none',
      { status: { ...observed('80'), ...curve(['100', '100'], 150, 120) } },
      value(80, 'ObservedOnly', 30),
    ],
    [
      'a curve that begins after now is none',
      { status: { ...observed('80'), ...curve(['100'], 60, -1) } },
      value(80, 'ObservedOnly', 30),
    ],
    [
      'stale demand and a curve give the curve',
      { status: { ...observed('80', 600), ...curve(['100']) } },
      value(100, 'ForecastHeld', 30, 60),
    ],
    [
      'stale demand above the curve is held',
      { status: { ...observed('180', 600), ...curve(['100']) } },
      value(180, 'ForecastHeld', 600),
    ],
    [
      'stale demand and an old forecast give nothing',
      { status: { ...observed('80', 600), ...curve(['100'], 1200, 30) } },
      missing(
        'predicted_demand for shop/web: demand observed 10m ago (staleAfter 3m), forecast issued 20m ago (at most 15m)',
      ),
    ],
    [
      'stale demand without a forecast gives nothing',
      { status: observed('80', 181) },
      missing('predicted_demand for shop/web: demand observed 3m1s ago (staleAfter 3m), no forecast'),
    ],
    [
      'a curve without any observation gives nothing',
      { status: curve(['100']) },
      missing('predicted_demand for shop/web: no observation, forecast issued 1m ago'),
    ],
    [
      'an empty status gives nothing',
      { status: {} },
      missing('predicted_demand for shop/web: no observation, no forecast'),
    ],
    ['no status gives nothing', {}, missing('predicted_demand for shop/web: no observation, no forecast')],
    ['demand of 0 is 0', { status: observed('0m') }, value(0, 'ObservedOnly', 30)],
    ['demand is fresh at staleAfter exactly', { status: observed('80', 180) }, value(80, 'ObservedOnly', 180)],
    [
      'staleAfter is what the spec says',
      { staleAfter: '20s', status: observed('80', 21) },
      missing('predicted_demand for shop/web: demand observed 21s ago (staleAfter 20s), no forecast'),
    ],
    [
      'an unreadable staleAfter is 3m',
      { staleAfter: 'soon', status: observed('80', 170) },
      value(80, 'ObservedOnly', 170),
    ],
    [
      'unreadable demand is missing, not 0',
      { status: { ...observed('NaN'), ...curve(['100']) } },
      missing('predicted_demand for shop/web: the observation in status is unreadable, forecast issued 1m ago'),
    ],
    [
      'negative demand is missing',
      { status: observed('-1') },
      missing('predicted_demand for shop/web: the observation in status is unreadable, no forecast'),
    ],
    [
      'demand beyond what the HPA can count is missing',
      { status: observed('1e300') },
      missing('predicted_demand for shop/web: the observation in status is unreadable, no forecast'),
    ],
    [
      'an unreadable time is missing',
      { status: { observed: { value: '80', time: 'yesterday' } } },
      missing('predicted_demand for shop/web: the observation in status is unreadable, no forecast'),
    ],
    [
      'an unreadable value for now is no curve',
      { status: { ...observed('80'), ...curve(['garbage', '100']) } },
      value(80, 'ObservedOnly', 30),
    ],
    [
      'an unreadable value for later does no harm',
      { status: { ...observed('80'), ...curve(['100', 'NaN']) } },
      value(100, 'Forecast', 30, 60),
    ],
    ['an empty curve is none', { status: { ...observed('80'), ...curve([]) } }, value(80, 'ObservedOnly', 30)],
    [
      'an observation from a clock a little ahead is fresh',
      { status: observed('80', -20) },
      value(80, 'ObservedOnly', -20),
    ],
    [
      'an observation from far in the future is not',
      { status: observed('80', -7200) },
      missing('predicted_demand for shop/web: demand observed 2h in the future (staleAfter 3m), no forecast'),
    ],
    [
      'two forecasts for one target publish demand only',
      { status: { ...observed('80'), ...curve(['100']), ...duplicate() } },
      value(80, 'ObservedOnly', 30),
    ],
    [
      'two forecasts for one target publish nothing when demand is stale',
      { status: { ...observed('80', 300), ...curve(['100']), ...duplicate() } },
      missing(
        'predicted_demand for shop/web: demand observed 5m ago (staleAfter 3m), another DemandForecast has the same target',
      ),
    ],
  ])('%s', (_rule, given, reading) => {
    expect(readMetric('predicted_demand', demandForecast(given), now)).toEqual(reading);
  });
});

describe('with clones', () => {
  const lead = { lead: { p50: '2m', p90: '3m', samples: 9, source: 'Measured' as const } };
  /** Clones of 10 that end so many seconds from now; the look-ahead is 8 min. */
  const clones = (ready: number, secondsLeft: number, seenAgo = 20) => [
    { time: now - seenAgo, perClone: 10, ready, steps: [{ until: now + secondsLeft, replicas: ready }] },
  ];
  test.each<[string, Given, ReturnType<typeof clones>, MetricReading]>([
    [
      'what outlasts the look-ahead is taken off',
      { status: { ...observed('80'), ...curve(['100']), ...lead } },
      clones(3, 481),
      value(70, 'Forecast', 30, 60),
    ],
    [
      'what ends in it is not',
      { status: { ...observed('80'), ...curve(['100']), ...lead } },
      clones(3, 480),
      value(100, 'Forecast', 30, 60),
    ],
    [
      'nor is what has not been seen for two minutes',
      { status: { ...observed('80'), ...curve(['100']), ...lead } },
      clones(3, 900, 121),
      value(100, 'Forecast', 30, 60),
    ],
    [
      'without a lead the look-ahead is 35 min',
      { status: { ...observed('80'), ...curve(['100']) } },
      clones(3, 2100),
      value(100, 'Forecast', 30, 60),
    ],
    [
      'and so on each rung: demand alone',
      { status: { ...observed('80'), ...lead } },
      clones(3, 900),
      value(50, 'ObservedOnly', 30),
    ],
    [
      'Preview',
      { mode: 'Preview', status: { ...observed('80'), ...curve(['100']), ...lead } },
      clones(3, 900),
      value(50, 'Preview', 30),
    ],
    [
      'a forecast that is held',
      { status: { ...observed('80', 600), ...curve(['100']), ...lead } },
      clones(3, 900),
      value(70, 'ForecastHeld', 30, 60),
    ],
    [
      'clones that carry all leave 0',
      { status: { ...observed('80'), ...curve(['100']), ...lead } },
      clones(30, 900),
      value(0, 'Forecast', 30, 60),
    ],
    [
      'nothing stays nothing',
      { status: {} },
      clones(3, 900),
      missing('predicted_demand for shop/web: no observation, no forecast'),
    ],
  ])('%s', (_rule, given, carrying, reading) => {
    expect(readMetric('predicted_demand', demandForecast(given), now, carrying)).toEqual(reading);
  });
  test('the other metrics are what they are', () => {
    const given = demandForecast({ status: { ...observed('80'), ...curve(['100']), ...lead } });
    expect(readMetric('observed_demand', given, now, clones(3, 900))).toEqual(value(80, 'ObservedOnly', 30));
    expect(readMetric('forecast_demand', given, now, clones(3, 900))).toEqual(value(100, 'Forecast', 30, 60));
  });
});

describe('observed_demand and forecast_demand', () => {
  const both = { ...observed('80'), ...curve(['60']) };
  test('are the observation and the curve alone, in both modes', () => {
    for (const mode of ['Preview', 'Auto'] as const) {
      const given = demandForecast({ mode, status: both });
      expect(readMetric('observed_demand', given, now)).toEqual(value(80, 'ObservedOnly', 30));
      expect(readMetric('forecast_demand', given, now)).toEqual(value(60, 'Forecast', 30, 60));
    }
  });
  test('are missing once they are old', () => {
    const given = demandForecast({ status: { ...observed('80', 300), ...curve(['60'], 1000) } });
    expect(readMetric('observed_demand', given, now)).toEqual(
      missing('observed_demand for shop/web: demand observed 5m ago (staleAfter 3m)'),
    );
    expect(readMetric('forecast_demand', given, now)).toEqual(
      missing('forecast_demand for shop/web: forecast issued 16m40s ago (at most 15m)'),
    );
  });
});

describe('properties of the ladder', () => {
  const junk = fc.oneof(
    fc.string().filter((text) => !/^[+-]?[0.]/.test(text)),
    fc.constantFrom('', 'NaN', '-1', 'Infinity', '1e999', 'null', null, undefined, -5, {}),
  );
  const number = fc.oneof(
    { weight: 4, arbitrary: fc.nat(1_000_000).map((n) => `${n + 1}m`) },
    { weight: 1, arbitrary: junk },
  );
  const moment = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -4000, max: 600 }).map(at) },
    { weight: 1, arbitrary: junk },
  );
  const status = fc.record(
    {
      observed: fc.record({ value: number, time: moment }, { requiredKeys: [] }),
      forecast: fc.record(
        {
          issuedAt: moment,
          startTime: moment,
          stepSeconds: fc.oneof(fc.constant(60), fc.constantFrom(0, -1, Number.NaN, '60', undefined)),
          values: fc.oneof(fc.array(number, { maxLength: 60 }), junk),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<DemandForecastStatus>;
  const given = fc.record({ mode: fc.constantFrom('Preview' as const, 'Auto' as const), status });

  test('unknown is never 0: every number in the status is above 0, and so is every answer', () => {
    fc.assert(
      fc.property(given, fc.constantFrom(...metricNames), (item, metric) => {
        const reading = readMetric(metric, demandForecast(item), now);
        expect(reading.kind === 'missing' || reading.value > 0).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test('fresh demand is always published, and never less than it', () => {
    fc.assert(
      fc.property(given, fc.nat(180), fc.nat(1_000_000), (item, age, milli) => {
        const fresh = { ...item, status: { ...item.status, ...observed(`${milli}m`, age) } };
        const reading = readMetric('predicted_demand', demandForecast(fresh), now);
        expect(reading.kind === 'value' && reading.value >= milli / 1000).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('selecting a forecast', () => {
  const names = ['api', 'web', ...Array.from({ length: 9 }, (_, index) => `w${index}`)];
  const reader: ForecastReader = {
    get: (namespace, name) => reader.list(namespace).find(({ metadata }) => metadata.name === name),
    list: (namespace) => (namespace === 'shop' ? names.map((name) => demandForecast({ name })) : []),
    hasSynced: () => true,
  };
  test.each([
    ['forecast=web', 'web'],
    ['forecast in (web)', 'web'],
    ['forecast in (web,gone)', 'web'],
    ['forecast=web,forecast!=api', 'web'],
    ['forecast=web,!x', 'web'],
    ['forecast=gone', undefined],
    ['forecast=web,x=y', undefined],
    ['x=y', undefined],
    ['forecast=web,forecast=api', undefined],
    ['!forecast', undefined],
  ])('%s picks %s', (selector, name) => {
    const selection = selectForecast(reader, 'shop', parseSelector(selector));
    expect(selection.kind === 'found' ? selection.forecast.metadata.name : undefined).toBe(name);
    expect(selection.kind).toBe(name === undefined ? 'none' : 'found');
  });
  test('several are named, five at most', () => {
    expect(selectForecast(reader, 'shop', parseSelector('forecast in (web,api)'))).toEqual({
      kind: 'several',
      names: ['api', 'web'],
      total: 2,
    });
    expect(selectForecast(reader, 'shop', parseSelector('forecast'))).toEqual({
      kind: 'several',
      names: ['api', 'w0', 'w1', 'w2', 'w3'],
      total: 11,
    });
  });
  test('another namespace is not looked into', () => {
    expect(selectForecast(reader, 'other', parseSelector('forecast=web'))).toEqual({ kind: 'none' });
  });
});
