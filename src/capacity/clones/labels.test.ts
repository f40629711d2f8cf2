// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { HorizontalPodAutoscaler } from '../hpa.ts';
import { matchesSelector } from '../label-selector.ts';
import type { LabelSelector } from '../label-selector.ts';
import { clonePool } from '../../testing/builders.ts';
import { preflight, splitLabels } from './labels.ts';
import type { Finders } from './labels.ts';

const none: Finders = { services: [], networkPolicies: [], pdbs: [] };

describe('splitting labels', () => {
  const labels = { app: 'web', track: 'base', team: 'shop' };
  const both: LabelSelector = { matchLabels: { app: 'web', track: 'base' } };
  const service = [{ app: 'web' }];
  test.each<[string, LabelSelector, Partial<Finders>, Record<string, string> | undefined]>([
    ['by the key that no Service has', both, { services: service }, { ...labels, track: 'base-clone' }],
    ['not where every key is in a Service', both, { services: [{ app: 'web', track: 'base' }] }, undefined],
    ['not where the only key is', { matchLabels: { app: 'web' } }, { services: service }, undefined],
    [
      'not where a NetworkPolicy has the key',
      both,
      { services: service, networkPolicies: [{ matchLabels: { track: 'base' } }] },
      undefined,
    ],
    ['not where a budget has the key', both, { services: service, pdbs: [both] }, undefined],
    [
      'not where an expression has the key',
      both,
      {
        services: service,
        pdbs: [{ matchExpressions: [{ key: 'track', operator: 'In', values: ['base', 'other'] }] }],
      },
      undefined,
    ],
    [
      'where an expression takes any value of the key',
      both,
      { services: service, pdbs: [{ matchExpressions: [{ key: 'track', operator: 'Exists' }] }] },
      { ...labels, track: 'base-clone' },
    ],
    [
      'although another workload is selected by the key',
      both,
      { services: [...service, { track: 'other' }] },
      { ...labels, track: 'base-clone' },
    ],
    [
      'although a budget selects everything',
      both,
      { services: service, pdbs: [{}, undefined] },
      { ...labels, track: 'base-clone' },
    ],
    [
      'although a Service selects nothing',
      both,
      { services: [...service, {}, undefined] },
      { ...labels, track: 'base-clone' },
    ],
    [
      'by leaving out a key of which the selector takes any value',
      { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'track', operator: 'Exists' }] },
      { services: service },
      { app: 'web', team: 'shop' },
    ],
    [
      'by an expression of the selector',
      {
        matchExpressions: [
          { key: 'app', operator: 'In', values: ['web'] },
          { key: 'team', operator: 'In', values: ['shop'] },
        ],
      },
      { services: service },
      { ...labels, team: 'shop-clone' },
    ],
  ])('%s', (_, selector, finders, split) => {
    const result = splitLabels({ selector, labels }, { ...none, ...finders });
    expect(result.isSplit).toBe(split !== undefined);
    expect(result.labels).toEqual(split ?? labels);
  });

  test('a value stays a label value', () => {
    const long = { app: 'web', track: `${'x'.repeat(56)}.${'y'.repeat(6)}` };
    const { labels: split } = splitLabels(
      { selector: { matchLabels: long }, labels: long },
      { ...none, services: service },
    );
    expect(split['track']).toBe(`${'x'.repeat(56)}-clone`);
    const empty = { app: 'web', track: '' };
    expect(
      splitLabels({ selector: { matchLabels: empty }, labels: empty }, { ...none, services: service }).labels,
    ).toEqual({
      app: 'web',
      track: 'clone',
    });
  });

  const key = fc.constantFrom('a', 'b', 'c');
  const value = fc.constantFrom('1', '2');
  const selectors = fc.record({
    matchLabels: fc.dictionary(key, value, { maxKeys: 2 }),
    matchExpressions: fc.array(
      fc.record({
        key,
        operator: fc.constantFrom('In' as const, 'NotIn' as const, 'Exists' as const, 'DoesNotExist' as const),
        values: fc.array(value, { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
  });
  test('whatever there is, clones are found as the pods of the target are, and split only from its selector', () => {
    fc.assert(
      fc.property(
        fc.record({
          selector: selectors,
          labels: fc.dictionary(key, value),
          services: fc.array(fc.dictionary(key, value, { maxKeys: 2 }), { maxLength: 2 }),
          networkPolicies: fc.array(selectors, { maxLength: 2 }),
          pdbs: fc.array(selectors, { maxLength: 2 }),
        }),
        ({ selector, labels: given, ...finders }) => {
          const { labels: split, isSplit } = splitLabels({ selector, labels: given }, finders);
          if (isSplit === matchesSelector(selector, split)) throw new Error('not split as it says');
          const services = finders.services.filter((item) => Object.keys(item).length > 0);
          const all = [
            ...services.map((matchLabels) => ({ matchLabels })),
            ...finders.networkPolicies,
            ...finders.pdbs,
          ];
          if (all.some((item) => matchesSelector(item, split) !== matchesSelector(item, given)))
            throw new Error('found otherwise');
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe('preflight', () => {
  const selector = { matchLabels: { app: 'web' } };
  const pool = (annotations: Record<string, string> = {}): ClonePool =>
    clonePool({ name: 'burst', metadata: { annotations } });
  const hpa = (metrics: readonly object[] | undefined, ref: object = {}): HorizontalPodAutoscaler =>
    ({
      metadata: { name: 'web' },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', ...ref }, metrics },
    }) as HorizontalPodAutoscaler;
  const external = (type: string) => ({
    type: 'External',
    external: { metric: { name: 'predicted_demand' }, target: { type, averageValue: '35' } },
  });
  const cpu = { type: 'Resource', resource: { name: 'cpu' } };
  const check = (hpas: readonly HorizontalPodAutoscaler[], labels = { app: 'web' }, given = pool()) =>
    preflight(given, { name: 'web', selector }, hpas, labels);

  test.each<[string, readonly HorizontalPodAutoscaler[], string, string]>([
    ['no HPA', [], 'NoHPA', 'no HPA'],
    ['the HPA of another workload', [hpa([cpu], { name: 'api' })], 'NoHPA', 'no HPA'],
    ['the HPA of another kind', [hpa([cpu], { kind: 'StatefulSet' })], 'NoHPA', 'no HPA'],
    ['External AverageValue', [hpa([external('AverageValue')])], 'ExternalAverageValue', 'every metric'],
    [
      'External Value',
      [hpa([external('AverageValue'), external('Value')])],
      'HPACountsClones',
      'spec.metrics[1]: External predicted_demand with target Value',
    ],
    ['cpu', [hpa([cpu])], 'HPACountsClones', 'spec.metrics[0]: Resource cpu'],
    [
      'cpu besides External',
      [hpa([external('AverageValue'), cpu])],
      'HPACountsClones',
      'spec.metrics[1]: Resource cpu',
    ],
    ['ContainerResource', [hpa([{ type: 'ContainerResource' }])], 'HPACountsClones', 'ContainerResource'],
    ['Pods', [hpa([{ type: 'Pods' }])], 'HPACountsClones', 'Pods'],
    ['Object', [hpa([{ type: 'Object' }])], 'HPACountsClones', 'Object'],
    ['no metrics', [hpa(undefined)], 'HPACountsClones', 'no spec.metrics'],
    ['no apiVersion', [hpa([cpu], { apiVersion: '' })], 'HPACountsClones', 'Resource cpu'],
    [
      'an HPA of the pool besides',
      [
        hpa([external('AverageValue')]),
        hpa([cpu], { kind: 'ClonePool', name: 'burst', apiVersion: 'headstart.dev/v1alpha1' }),
      ],
      'HPACountsClones',
      'AmbiguousSelector',
    ],
  ])('%s', (_, hpas, reason, words) => {
    const result = check(hpas);
    expect(result).toMatchObject({ reason, isOk: reason !== 'HPACountsClones' });
    expect(result.message).toContain(words);
  });

  test('the way out is named, and may be left', () => {
    expect(check([hpa([cpu])]).message).toMatch(/AverageValue.*label.*serving: Hidden.*accept-hpa-overlap: "true"/);
    const accepting = pool({ 'headstart.dev/accept-hpa-overlap': 'true' });
    expect(check([hpa([cpu])], { app: 'web' }, accepting)).toMatchObject({ isOk: true, reason: 'OverlapAccepted' });
    const unclear = pool({ 'headstart.dev/accept-hpa-overlap': 'yes' });
    expect(check([hpa([cpu])], { app: 'web' }, unclear).isOk).toBe(false);
  });

  test('labels that the HPA does not find are no matter', () => {
    expect(check([hpa([cpu])], { app: 'web-clone' })).toMatchObject({ isOk: true, reason: 'LabelsSplit' });
  });
});
