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
    const piece = fc.oneof(
      fc.constantFrom(
        ',',
        ';',
        '=',
        '"',
        'q=',
        '0.5',
        '*/*',
        'application/json',
        'as=',
        'APIGroupDiscoveryList',
        'g=',
        'v=v2',
        ' ',
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        choose(pieces.join(''));
      }),
      { numRuns: 100_000 },
    );
  });
  test('is answered with the first of those that it likes best', () => {
    const clause = fc.record({ offer: fc.constantFrom('plain', 'aggregated', 'none'), tenths: fc.nat(10) });
    const types = { plain: 'application/json', aggregated: v2, none: 'text/html' };
    fc.assert(
      fc.property(fc.array(clause, { minLength: 1, maxLength: 5 }), (clauses) => {
        const accept = clauses.map(({ offer, tenths }) => `${types[offer as keyof typeof types]};q=${tenths / 10}`);
        const usable = clauses.filter(({ offer, tenths }) => tenths > 0 && offer !== 'none');
        const best = Math.max(...usable.map(({ tenths }) => tenths));
        const expected = usable.find(({ tenths }) => tenths === best)?.offer ?? 'none';
        if (choose(accept.join(', ')) !== expected) throw new Error(`${accept.join(', ')}: want ${expected}`);
      }),
      { numRuns: 100_000 },
    );
  });
});
