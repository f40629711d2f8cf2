// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatusError } from '../server/status.ts';
import { requireOffer } from './negotiation.ts';
import type { Offer } from './negotiation.ts';

const plain: Offer = {};
const aggregated: Offer = { as: 'APIGroupDiscoveryList', g: 'apidiscovery.k8s.io', v: 'v2' };
const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

function choose(accept: string | undefined): string {
  try {
    return requireOffer(accept, [plain, aggregated]) === plain ? 'plain' : 'aggregated';
  } catch (error) {
    if (error instanceof StatusError && error.status.code === 406) return 'none';
    throw error;
  }
}

describe('an Accept header', () => {
  test.each([
    [undefined, 'plain'],
    ['', 'plain'],
    ['  ', 'plain'],
    ['*/*', 'plain'],
    ['application/*', 'plain'],
    ['APPLICATION/JSON', 'plain'],
    ['application/json; charset=utf-8', 'plain'],
    ['application/vnd.kubernetes.protobuf, */*', 'plain'],
    ['application/vnd.kubernetes.protobuf,application/json', 'plain'],
    ['application/vnd.kubernetes.protobuf', 'none'],
    ['application/yaml', 'none'],
    ['text/html,*/*;q=0.1', 'plain'],
    ['*/*;q=0', 'none'],
    ['*/*;q=nonsense', 'plain'],
    [v2, 'aggregated'],
    [`${v2},application/json`, 'aggregated'],
    [`application/json,${v2}`, 'plain'],
    [`application/json;q=0.5,${v2}`, 'aggregated'],
    [`${v2};q=0.5,application/json;q=0.9`, 'plain'],
    [`${v2};profile=nopeer`, 'aggregated'],
    [v2.replace('v=v2', 'v=v2beta1'), 'none'],
    [`${v2.replace('v=v2', 'v=v2beta1')},application/json`, 'plain'],
    ['application/json;as="APIGroupDiscoveryList";g="apidiscovery.k8s.io";v="v2"', 'aggregated'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'plain'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io', 'none'],
    [',;,', 'none'],
  ])('%j gets %s', (accept, choice) => {
    expect(choose(accept)).toBe(choice);
  });
  test('of any kind is answered', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (accept) => {
        expect(['plain', 'aggregated', 'none']).toContain(choose(accept));
      }),
    );
  });
});
