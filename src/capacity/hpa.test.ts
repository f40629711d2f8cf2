// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { findHpa } from './hpa.ts';
import type { HorizontalPodAutoscaler } from './hpa.ts';
import type { LabelSelector } from './label-selector.ts';

function forecast(capacityPerReplica: string | number = '50'): DemandForecast {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  return {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { scaleTargetRef, capacityPerReplica },
  } as DemandForecast;
}

interface Given {
  readonly name?: string;
  readonly target?: { readonly apiVersion?: string; readonly kind: string; readonly name: string };
  readonly metric?: string;
  readonly selector?: LabelSelector | undefined;
  readonly value?: object;
}

const own = { matchLabels: { forecast: 'web' } };

function hpa(given: Given = {}): HorizontalPodAutoscaler {
  const { name = 'web', metric = 'predicted_demand', value = { type: 'AverageValue', averageValue: '35' } } = given;
  const selector = 'selector' in given ? given.selector : own;
  const external = { metric: { name: metric, ...(selector === undefined ? {} : { selector }) }, target: value };
  return {
    metadata: { name, namespace: 'shop' },
    spec: {
      scaleTargetRef: given.target ?? { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      metrics: [{ type: 'Resource' }, { type: 'External', external }],
    },
  } as HorizontalPodAutoscaler;
}

const other = { kind: 'Deployment', name: 'api' };
const expression = (operator: string, values?: string[]): LabelSelector =>
  ({ matchExpressions: [{ key: 'forecast', operator, ...(values === undefined ? {} : { values }) }] }) as LabelSelector;

describe('the HPA that reads the metric', () => {
  test.each<[string, HorizontalPodAutoscaler[], string, RegExp]>([
    ['reads by matchLabels', [hpa()], 'HPAFound', /^HPA web aims at 35 of 50 per replica \(70 %\)$/],
    ['reads by an expression with one value', [hpa({ selector: expression('In', ['web']) })], 'HPAFound', /70 %/],
    ['may leave the group of its target out', [hpa({ target: { kind: 'Deployment', name: 'web' } })], 'HPAFound', /./],
    [
      'is told when replicas are overloaded',
      [hpa({ value: { type: 'AverageValue', averageValue: '60' } })],
      'HPAFound',
      /120 %.*overloaded/,
    ],
    [
      'is found among others',
      [hpa({ name: 'api', target: other, selector: { matchLabels: { forecast: 'api' } } }), hpa()],
      'HPAFound',
      /HPA web/,
    ],
    [
      'counts also when another workload scales on the same forecast',
      [hpa({ name: 'side', target: other }), hpa()],
      'HPAFound',
      /HPA web/,
    ],
    [
      'has the wrong target type',
      [hpa({ value: { type: 'Value', value: '35' } })],
      'TargetTypeValue',
      /HPA web .*type Value.*averageValue: "35"/,
    ],
    [
      'has no selector',
      [hpa({ selector: undefined })],
      'AmbiguousSelector',
      /no selector, .*matchLabels \{forecast: web\}/,
    ],
    ['has an empty selector', [hpa({ selector: {} })], 'AmbiguousSelector', /no selector/],
    [
      'has a selector that matches all',
      [hpa({ selector: expression('Exists') })],
      'AmbiguousSelector',
      /can match others/,
    ],
    [
      'has a selector that names two',
      [hpa({ selector: expression('In', ['web', 'api']) })],
      'AmbiguousSelector',
      /can match others/,
    ],
    [
      'is one of two for the target',
      [hpa({ name: 'b' }), hpa({ name: 'a' })],
      'SeveralHPAs',
      /^2 HPAs .*: a, b; want one$/,
    ],
    ['is joined by one that scales on CPU', [hpa(), hpa({ name: 'cpu', metric: 'x' })], 'SeveralHPAs', /cpu, web/],
    [
      'scales something else',
      [hpa({ target: other })],
      'WrongTarget',
      /scales Deployment\/api; spec.scaleTargetRef is Deployment\/web/,
    ],
    ['scales another kind', [hpa({ target: { kind: 'StatefulSet', name: 'web' } })], 'WrongTarget', /StatefulSet\/web/],
    [
      'scales another group',
      [hpa({ target: { apiVersion: 'x.io/v1', kind: 'Deployment', name: 'web' } })],
      'WrongTarget',
      /./,
    ],
    [
      'is not there',
      [],
      'NoHPA',
      /the HPA of Deployment\/web, which has none, \{type: External, .*forecast: web.*averageValue: "35"/,
    ],
    ['does not read it', [hpa({ metric: 'observed_demand' })], 'NoHPA', /add to spec.metrics of HPA web \{type/],
    ['reads another forecast', [hpa({ selector: { matchLabels: { forecast: 'api' } } })], 'NoHPA', /HPA web/],
    [
      'asks for a label that no metric has',
      [hpa({ selector: { matchLabels: { forecast: 'web', zone: 'a' } } })],
      'NoHPA',
      /./,
    ],
    ['of another workload has no selector', [hpa({ selector: undefined, target: other })], 'NoHPA', /./],
    [
      'of another workload excludes another forecast',
      [hpa({ selector: expression('NotIn', ['api']), target: other })],
      'NoHPA',
      /./,
    ],
  ])('%s', (_rule, hpas, reason, message) => {
    expect(findHpa(forecast(), hpas)).toMatchObject({ reason, message: expect.stringMatching(message) });
  });

  test('its target and utilization are told', () => {
    const given = [hpa({ value: { type: 'AverageValue', averageValue: '350m' } })];
    expect(findHpa(forecast('500m'), given).hpa).toMatchObject({ name: 'web', targetAverageValue: '350m' });
    expect(findHpa(forecast('500m'), given).hpa?.utilization).toBeCloseTo(0.7, 9);
    expect(findHpa(forecast(1), given).hpa?.utilization).toBeCloseTo(0.35, 9);
  });

  test.each([
    ['50', '35'],
    ['500m', '350m'],
    ['1500', '1050'],
    [1, '700m'],
    ['2Gi', '1503000000'],
  ])('for a capacity of %s it is advised to aim at %s', (capacity, target) => {
    expect(findHpa(forecast(capacity), []).message).toContain(`averageValue: "${target}"`);
  });

  test('long lists of HPAs are cut', () => {
    const many = Array.from({ length: 50 }, (_, index) => hpa({ name: `hpa-${index}` }));
    expect(findHpa(forecast(), many).message).toMatch(/^50 HPAs .* …; want one$/);
  });
});
