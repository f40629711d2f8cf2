// SPDX-License-Identifier: Apache-2.0
import { FormatRegistry, TypeRegistry } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reasons } from '../../api/reasons.ts';
import type { ConditionType } from '../../api/reasons.ts';
import { demandForecastSchema } from '../../api/v1alpha1/demand-forecast.ts';
import type { DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { Issued } from '../../forecast/engine.ts';
import type { NotIssued } from '../../forecast/target.ts';
import { readMetric } from '../../metrics-api/external-metrics.ts';
import { condition, demandForecast } from '../../testing/builders.ts';
import { decide, ownerOfTarget } from './decide.ts';
import type { Snapshot } from './snapshot.ts';

const now = Date.parse('2026-09-01T12:00:30Z') / 1000;
const minute = Math.floor(now / 60) * 60;

FormatRegistry.Set('date-time', (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text));
TypeRegistry.Set<{ enum: readonly unknown[] }>('Unsafe', (schema, value) => schema.enum.includes(value));

function time(offsetSeconds: number): string {
  return new Date((now + offsetSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}

function issued(changes: Partial<Issued> = {}): Issued {
  return {
    kind: 'issued',
    issuedAt: now,
    startTime: minute,
    stepSeconds: 60,
    quantile: 0.7,
    values: new Float64Array(60).fill(120.5),
    atLead: 110,
    median: new Float64Array(70).fill(100),
    model: { name: 'level-corrected', since: now - 3600, candidates: [{ name: 'level-corrected', loss: 1.23456 }] },
    accuracy: { coverage: 0.71, pinballSkill: 0.3, bias: -1.5, scores: 600 },
    ...changes,
  };
}

function notIssued(reason: NotIssued['reason'], message = 'have 31h of history, need 48h'): NotIssued {
  return { kind: 'not-issued', reason, message, have: '31h', need: '48h', readyAt: now + 17 * 3600 };
}

const hpa: HorizontalPodAutoscaler = {
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    metrics: [
      {
        type: 'External',
        external: {
          metric: { name: 'predicted_demand', selector: { matchLabels: { forecast: 'web' } } },
          target: { type: 'AverageValue', averageValue: '35' },
        },
      },
    ],
  },
};

function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const forecast = changes.forecast ?? demandForecast({});
  return {
    forecast,
    forecasts: [forecast],
    hpas: [hpa],
    target: { kind: 'found' },
    demand: { kind: 'sample', sample: { timestamp: now, value: 100 } },
    lead: { p50Seconds: 70, p90Seconds: 95, samples: 12, source: 'Measured' },
    outlook: issued(),
    history: { haveSeconds: 14 * 86_400, needSeconds: 7200, lastTimestamp: minute },
    historyFailure: undefined,
    perPod: { isPerPod: false, changes: 0 },
    isStatusCurrent: true,
    ...changes,
  };
}

/** What an earlier look wrote. */
function standing(ageSeconds: number): DemandForecastStatus {
  return {
    observedGeneration: 1,
    observed: { value: '99m', time: time(-ageSeconds) },
    forecast: {
      issuedAt: time(-ageSeconds),
      startTime: time(-ageSeconds),
      stepSeconds: 60,
      quantile: '0.7',
      atLead: '1m',
      values: Array.from({ length: 60 }, () => '98m'),
    },
    model: { name: 'naive', since: time(-86_400), candidates: [] },
    conditions: [condition('Forecastable', 'True', 'ModelFitted')],
  };
}

function failed(reason: 'SourceUnavailable' | 'NotANumber'): Snapshot['demand'] {
  return { kind: 'failed', reason, message: `server "default": ${reason}` };
}

const older = demandForecast({ name: 'first', metadata: { creationTimestamp: '2026-07-01T00:00:00Z' } });
const preview = demandForecast({ spec: { mode: 'Preview' } });

describe('what each condition says', () => {
  test.each<[string, Partial<Snapshot>, [ConditionType, string, string, RegExp]]>([
    ['the target is there', {}, ['TargetReady', 'True', 'TargetFound', /Deployment\/web is there/]],
    [
      'the target is missing',
      { target: { kind: 'missing' } },
      ['TargetReady', 'False', 'TargetNotFound', /no Deployment\/web in namespace shop/],
    ],
    [
      'the target cannot be read',
      { target: { kind: 'unreadable', message: 'forbidden (HTTP 403)' } },
      ['TargetReady', 'Unknown', 'TargetUnreadable', /HTTP 403/],
    ],
    [
      'an older forecast has the target',
      { forecasts: [demandForecast({}), older] },
      ['TargetReady', 'False', 'DuplicateTarget', /DemandForecast first since 2026-07-01/],
    ],
    [
      'a newer forecast wants the target',
      { forecast: older, forecasts: [demandForecast({}), older] },
      ['TargetReady', 'True', 'TargetFound', /./],
    ],
    ['an HPA reads the metric', {}, ['HPAReady', 'True', 'HPAFound', /35 of 50 per replica \(70 %\)/]],
    ['no HPA reads the metric', { hpas: [] }, ['HPAReady', 'False', 'NoHPA', /averageValue: "35"/]],
    [
      'demand is observed',
      {},
      ['Observed', 'True', 'DemandObserved', /^demand is read from server "default", no older than staleAfter 3m$/],
    ],
    [
      'demand of 0 is a demand',
      { demand: { kind: 'sample', sample: { timestamp: now, value: 0 } } },
      ['Observed', 'True', 'DemandObserved', /^demand is read/],
    ],
    [
      'demand that moved against the number of pods',
      { perPod: { isPerPod: true, changes: 12 } },
      ['Observed', 'False', 'PerPodAverage', /^in the last 12 changes of the number of pods/],
    ],
    ['the query gives nothing', { demand: { kind: 'none' } }, ['Observed', 'False', 'NoData', /no data/]],
    [
      'the query gives less than nothing',
      { demand: { kind: 'sample', sample: { timestamp: now, value: -3 } } },
      ['Observed', 'False', 'NegativeDemand', /gives -3 at .*negative/],
    ],
    [
      'the query gives more than can be counted',
      { demand: { kind: 'sample', sample: { timestamp: now, value: 1e13 } } },
      ['Observed', 'False', 'TooLarge', /counts to 9000000000000/],
    ],
    [
      'the newest sample is old',
      { demand: { kind: 'sample', sample: { timestamp: now - 181, value: 1 } } },
      ['Observed', 'False', 'StaleData', /11:57:29Z, older than staleAfter 3m/],
    ],
    [
      'the source fails',
      { demand: failed('SourceUnavailable') },
      ['Observed', 'False', 'SourceUnavailable', /server "default"/],
    ],
    [
      'a model is fitted',
      {},
      ['Forecastable', 'True', 'ModelFitted', /level-corrected since 2026-09-01T11:00:30Z, on 14d of history/],
    ],
    [
      'history is short',
      { outlook: notIssued('TooLittleHistory') },
      ['Forecastable', 'False', 'TooLittleHistory', /have 31h of history, need 48h/],
    ],
    ['no model fits', { outlook: notIssued('CannotFit', 'x') }, ['Forecastable', 'False', 'CannotFit', /x/]],
    [
      'history could not be read',
      { outlook: notIssued('NoHistory'), historyFailure: 'several series' },
      ['Forecastable', 'False', 'NoHistory', /cannot be read: several series/],
    ],
    [
      'history cannot be read any more',
      { outlook: { kind: 'held' }, historyFailure: 'several series' },
      ['Forecastable', 'False', 'NoHistory', /several series/],
    ],
    [
      'there is no such time zone',
      { outlook: { kind: 'invalid-time-zone' }, forecast: demandForecast({ spec: { timeZone: 'Mars/Olympus' } }) },
      ['Forecastable', 'False', 'InvalidTimeZone', /got "Mars\/Olympus", want an IANA time zone/],
    ],
    [
      'a model gives what is no number',
      { outlook: issued({ values: new Float64Array([1, Number.NaN]) }) },
      ['Forecastable', 'False', 'CannotFit', /forecast NaN/],
    ],
    [
      'a model gives less than nothing',
      { outlook: issued({ atLead: -1 }) },
      ['Forecastable', 'False', 'CannotFit', /forecast -1/],
    ],
    [
      'the quantile is met',
      {},
      ['Calibrated', 'True', 'CoverageWithinBounds', /71 % of 600 maxima .* the 0.7 quantile; want 70 % ± 5 %/],
    ],
    [
      'the quantile is missed',
      { outlook: issued({ accuracy: { coverage: 0.5, pinballSkill: 0, bias: 0, scores: 600 } }) },
      ['Calibrated', 'False', 'CoverageOutOfBounds', /50 % of 600/],
    ],
    [
      'few forecasts have come due',
      { outlook: issued({ accuracy: { coverage: 0.5, pinballSkill: 0, bias: 0, scores: 12 } }) },
      ['Calibrated', 'Unknown', 'TooFewScores', /^12 forecasts have come due, 60 are needed$/],
    ],
    [
      'the forecast is published',
      {},
      ['Publishing', 'True', 'Forecast', /larger of observed demand and the 0.7 quantile/],
    ],
    ['Preview publishes observed demand', { forecast: preview }, ['Publishing', 'True', 'Preview', /observed demand/]],
    [
      'without a forecast observed demand is published',
      { outlook: notIssued('TooLittleHistory') },
      ['Publishing', 'True', 'ObservedOnly', /have 31h of history/],
    ],
    [
      'without a target observed demand is published',
      { target: { kind: 'missing' } },
      ['Publishing', 'True', 'ObservedOnly', /no Deployment\/web/],
    ],
    [
      'the newer of two publishes observed demand',
      { forecasts: [demandForecast({}), older] },
      ['Publishing', 'True', 'ObservedOnly', /DemandForecast first/],
    ],
    [
      'in another time zone nothing is forecast',
      { outlook: { kind: 'invalid-time-zone' } },
      ['Publishing', 'True', 'ObservedOnly', /IANA/],
    ],
    [
      'a target that cannot be read is no reason to stop',
      { target: { kind: 'unreadable', message: 'x' } },
      ['Publishing', 'True', 'Forecast', /./],
    ],
    [
      'what was never observed is not published',
      { demand: { kind: 'none' }, outlook: notIssued('NoHistory') },
      ['Publishing', 'False', 'Nothing', /never observed/],
    ],
    [
      'Preview publishes nothing when demand is stale',
      {
        forecast: demandForecast({ spec: { mode: 'Preview' }, status: standing(300) }),
        demand: failed('SourceUnavailable'),
      },
      ['Publishing', 'False', 'Nothing', /last observed at 2026-09-01T11:55:30Z \(staleAfter 3m\), mode is Preview/],
    ],
    [
      'the last forecast bridges an outage',
      {
        forecast: demandForecast({ status: standing(600) }),
        demand: failed('SourceUnavailable'),
        outlook: { kind: 'held' },
      },
      ['Publishing', 'True', 'Forecast', /./],
    ],
    [
      'but not for longer than 15 minutes',
      {
        forecast: demandForecast({ status: standing(901) }),
        demand: failed('SourceUnavailable'),
        outlook: { kind: 'held' },
      },
      ['Publishing', 'False', 'Nothing', /the last forecast is of 2026-09-01T11:45:29Z/],
    ],
  ])('%s', (_rule, given, [type, status, reason, message]) => {
    const found = decide(snapshot(given), now).status.conditions?.find((item) => item.type === type);
    expect(found).toMatchObject({ status, reason, message: expect.stringMatching(message) });
  });
});

describe('what is written into status', () => {
  test('everything that was seen, in the form of the API', () => {
    const { conditions, forecast, ...rest } = decide(snapshot(), now).status;
    expect(rest).toEqual({
      observedGeneration: 1,
      observed: { value: '100000m', time: '2026-09-01T12:00:30Z' },
      hpa: { name: 'web', targetAverageValue: '35', utilization: '0.7' },
      lead: { p50: '1m10s', p90: '1m35s', samples: 12, source: 'Measured' },
      model: {
        name: 'level-corrected',
        since: '2026-09-01T11:00:30Z',
        candidates: [{ name: 'level-corrected', loss: '1.235' }],
      },
      accuracy: { coverage: '0.71', pinballSkill: '0.3', bias: '-1.5', scores: 600 },
      history: { have: '14d', need: '2h' },
    });
    expect(forecast).toEqual({
      issuedAt: '2026-09-01T12:00:30Z',
      startTime: '2026-09-01T12:00:00Z',
      stepSeconds: 60,
      quantile: '0.7',
      atLead: '110000m',
      values: Array.from({ length: 60 }, () => '120500m'),
    });
    expect(conditions?.map(({ type }) => type).toSorted()).toEqual(Object.keys(reasons).toSorted());
  });

  const unavailable = failed('SourceUnavailable');
  test.each<[string, Partial<Snapshot>, number | undefined, number | undefined]>([
    ['an outage keeps the last observation, and its time', { demand: unavailable }, 60, undefined],
    [
      'an outage keeps the last forecast when the engine is blind',
      { demand: unavailable, outlook: notIssued('NoHistory') },
      60,
      60,
    ],
    [
      'an outage keeps the last forecast when the engine holds',
      { demand: unavailable, outlook: { kind: 'held' } },
      60,
      60,
    ],
    ['NaN keeps the last observation', { demand: failed('NotANumber') }, 60, undefined],
    [
      'a negative demand keeps the last observation',
      { demand: { kind: 'sample', sample: { timestamp: now, value: -1 } } },
      60,
      undefined,
    ],
    ['with history a model that cannot be fitted withdraws its forecast', { outlook: notIssued('CannotFit') }, 0, -1],
    ['an empty history of a demand that is seen withdraws the forecast', { outlook: notIssued('NoHistory') }, 0, -1],
    [
      'another query withdraws observation and forecast',
      { demand: unavailable, outlook: { kind: 'held' }, isStatusCurrent: false },
      -1,
      -1,
    ],
    ['a target that is gone withdraws the forecast', { target: { kind: 'missing' } }, 0, -1],
    [
      'a target that is gone withdraws also what stands',
      { target: { kind: 'missing' }, demand: unavailable, outlook: { kind: 'held' } },
      60,
      -1,
    ],
    [
      'a stale sample is written down with its own time',
      { demand: { kind: 'sample', sample: { timestamp: now - 400, value: 1 } } },
      400,
      undefined,
    ],
  ])('%s', (_rule, given, observedAge, forecastAge) => {
    const forecast = demandForecast({ status: standing(60) });
    const { status } = decide(snapshot({ forecast, ...given }), now);
    expect(status.observed?.time).toBe(observedAge === -1 ? undefined : time(-(observedAge ?? 0)));
    expect(status.forecast?.issuedAt).toBe(forecastAge === -1 ? undefined : time(-(forecastAge ?? 0)));
  });

  test('a forecast whose last minute has passed is withdrawn', () => {
    const forecast = demandForecast({ status: standing(3600) });
    expect(decide(snapshot({ forecast, outlook: { kind: 'held' } }), now).status.forecast).toBeUndefined();
  });

  test('a condition keeps its transition time while its status is the same', () => {
    const forecast = demandForecast({ status: { conditions: [condition('Observed', 'True', 'DemandObserved')] } });
    const { conditions } = decide(snapshot({ forecast }), now).status;
    const transition = (type: ConditionType) => conditions?.find((item) => item.type === type)?.lastTransitionTime;
    expect(transition('Observed')).toBe('2026-08-31T00:00:00Z');
    expect(transition('TargetReady')).toBe('2026-09-01T12:00:30Z');
  });

  test('the whole of a usual status is below 4 KiB, observation and forecast alone below 2 KiB', () => {
    const values = new Float64Array(60).map((_, index) => 1_234_567.89 + index / 7);
    const { status } = decide(snapshot({ outlook: issued({ values }) }), now);
    expect(JSON.stringify(status).length).toBeLessThan(4096);
    expect(JSON.stringify({ observed: status.observed, forecast: status.forecast }).length).toBeLessThan(2048);
  });
});

describe('Events', () => {
  const events = (given: Partial<Snapshot>) => decide(snapshot(given), now).events;

  test('a new forecast tells of what is wrong, not of what is right', () => {
    expect(events({})).toEqual([]);
    expect(events({ hpas: [], demand: { kind: 'none' } })).toMatchObject([
      { type: 'Normal', reason: 'NoHPA', action: 'HPAReady' },
      { type: 'Warning', reason: 'NoData', action: 'Observed' },
      { type: 'Warning', reason: 'Nothing', action: 'Publishing' },
    ]);
  });

  test('what stays as it is is no news, whatever the numbers', () => {
    const status = decide(snapshot({ demand: { kind: 'none' } }), now).status;
    expect(events({ demand: { kind: 'none' }, forecast: demandForecast({ status }) })).toEqual([]);
  });

  test('a change of status or of reason is told once', () => {
    const status = decide(snapshot(), now).status;
    const forecast = demandForecast({ status });
    expect(events({ forecast, demand: failed('SourceUnavailable'), outlook: { kind: 'held' } })).toEqual([
      {
        type: 'Warning',
        reason: 'SourceUnavailable',
        action: 'Observed',
        message: 'server "default": SourceUnavailable',
      },
    ]);
    expect(
      events({ forecast, outlook: notIssued('CannotFit') }).map(({ type, reason }) => `${type} ${reason}`),
    ).toEqual(['Warning CannotFit', 'Normal TooFewScores', 'Normal ObservedOnly']);
  });
});

describe('of several forecasts for one target', () => {
  const named = (name: string, creationTimestamp: string) => demandForecast({ name, metadata: { creationTimestamp } });
  test.each([
    ['the oldest keeps it', [named('a', '2026-08-02T00:00:00Z'), named('b', '2026-08-01T00:00:00Z')], 'b'],
    [
      'of one second, the first by name does',
      [named('b', '2026-08-01T00:00:00Z'), named('a', '2026-08-01T00:00:00Z')],
      'a',
    ],
  ])('%s, whoever asks', (_rule, forecasts, owner) => {
    for (const forecast of forecasts) expect(ownerOfTarget(forecast, forecasts).metadata.name).toBe(owner);
  });

  test('another kind, or another namespace, is another target', () => {
    const scaleTargetRef = { apiVersion: 'apps/v1' as const, kind: 'StatefulSet' as const, name: 'web' };
    const other = demandForecast({ name: 'a', spec: { scaleTargetRef } });
    const elsewhere = demandForecast({ name: 'b', metadata: { namespace: 'other' } });
    const own = demandForecast({ name: 'c' });
    expect(ownerOfTarget(own, [other, elsewhere, own])).toBe(own);
  });
});

describe('whatever is seen', () => {
  const number = fc.oneof(fc.double({ min: 0.001, max: 1e13, noNaN: true }), fc.double());
  const demand: fc.Arbitrary<Snapshot['demand']> = fc.oneof(
    fc.record({
      kind: fc.constant('sample' as const),
      sample: fc.record({ timestamp: fc.integer({ min: now - 7200, max: now }), value: number }),
    }),
    fc.constant({ kind: 'none' as const }),
    fc.constant(failed('SourceUnavailable')),
  );
  const outlook: fc.Arbitrary<Snapshot['outlook']> = fc.oneof(
    fc.float64Array({ minLength: 60, maxLength: 60 }).map((values) => issued({ values })),
    fc
      .array(fc.double({ min: 0.001, max: 1e13, noNaN: true }), { minLength: 60, maxLength: 60 })
      .map((values) => issued({ values: Float64Array.from(values) })),
    fc
      .constantFrom('NoHistory' as const, 'TooLittleHistory' as const, 'CannotFit' as const)
      .map((reason) => notIssued(reason)),
    fc.constantFrom({ kind: 'held' as const }, { kind: 'invalid-time-zone' as const }),
  );
  const seen = fc.record({
    forecast: fc
      .record({
        mode: fc.constantFrom('Preview' as const, 'Auto' as const),
        age: fc.option(fc.integer({ min: 0, max: 4000 })),
      })
      .map(({ mode, age }) => demandForecast({ spec: { mode }, ...(age === null ? {} : { status: standing(age) }) })),
    target: fc.constantFrom<Snapshot['target']>(
      { kind: 'found' },
      { kind: 'missing' },
      { kind: 'unreadable', message: 'x'.repeat(2000) },
    ),
    hpas: fc.constantFrom<Snapshot['hpas']>([], [hpa]),
    demand,
    outlook,
    isStatusCurrent: fc.boolean(),
  });

  test('the status meets its schema, with bounded messages', () => {
    fc.assert(
      fc.property(seen, (given) => {
        const { status } = decide(snapshot(given), now);
        const errors = [...Value.Errors(demandForecastSchema.properties.status, status)].map(
          ({ path, message }) => `${path}: ${message}`,
        );
        expect(errors).toEqual([]);
        for (const { message } of status.conditions ?? []) expect(message.length).toBeLessThanOrEqual(400);
      }),
      { numRuns: 300 },
    );
  });

  test('unknown is never 0: where nothing seen is 0, nothing written is', () => {
    fc.assert(
      fc.property(seen, (given) => {
        const isNone = (value: number): boolean => Math.abs(value) < 0.001;
        fc.pre(given.outlook.kind !== 'issued' || !given.outlook.values.some(isNone));
        fc.pre(given.demand.kind !== 'sample' || !isNone(given.demand.sample.value));
        const { status } = decide(snapshot(given), now);
        const written = [status.observed?.value, status.forecast?.atLead, ...(status.forecast?.values ?? [])];
        for (const value of written) expect(['0', '0m']).not.toContain(value);
      }),
      { numRuns: 300 },
    );
  });

  test('Publishing says what the metrics replicas make of the status', () => {
    fc.assert(
      fc.property(seen, (given) => {
        const { status } = decide(snapshot(given), now);
        const reading = readMetric('predicted_demand', { ...given.forecast, status }, now);
        const said = status.conditions?.find(({ type }) => type === 'Publishing')?.reason;
        const does =
          reading.kind === 'missing' ? 'Nothing' : reading.rung === 'ForecastHeld' ? 'Forecast' : reading.rung;
        expect(said).toBe(does);
      }),
      { numRuns: 500 },
    );
  });
});
