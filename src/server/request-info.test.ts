// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asksToWatch, requestAttributes } from './request-info.ts';
import type { RequestAttributes } from './request-info.ts';

const group = { group: 'external.metrics.k8s.io', version: 'v1beta1' };
const root = '/apis/external.metrics.k8s.io/v1beta1';

function resource(fields: Readonly<Record<string, string>>): RequestAttributes {
  return { kind: 'resource', verb: 'list', resource: 'predicted_demand', ...group, ...fields };
}

function nonResource(path: string, verb = 'get'): RequestAttributes {
  return { kind: 'nonResource', verb, path };
}

describe('attributes of a request', () => {
  test.each<[string, string, RequestAttributes]>([
    ['GET', `${root}/namespaces/shop/predicted_demand?labelSelector=forecast%3Dweb`, resource({ namespace: 'shop' })],
    ['HEAD', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop' })],
    ['GET', `${root}/namespaces/shop/predicted_demand/`, resource({ namespace: 'shop' })],
    ['GET', `${root}/predicted_demand`, resource({})],
    ['GET', `${root}/namespaces/shop/predicted_demand?watch=true`, resource({ namespace: 'shop', verb: 'watch' })],
    ['GET', `${root}/namespaces/shop/predicted_demand?watch=false`, resource({ namespace: 'shop' })],
    ['GET', `${root}/watch/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: 'watch' })],
    ['POST', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: 'create' })],
    ['PUT', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: 'update' })],
    ['PATCH', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: 'patch' })],
    ['DELETE', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: 'deletecollection' })],
    ['OPTIONS', `${root}/namespaces/shop/predicted_demand`, resource({ namespace: 'shop', verb: '' })],
    ['GET', `${root}/namespaces/shop/predicted_demand/x`, resource({ namespace: 'shop', name: 'x', verb: 'get' })],
    [
      'GET',
      `${root}/namespaces/shop/predicted_demand/x/status/more`,
      resource({ namespace: 'shop', name: 'x', subresource: 'status', verb: 'get' }),
    ],
    [
      'DELETE',
      `${root}/namespaces/shop/a/x`,
      resource({ namespace: 'shop', resource: 'a', name: 'x', verb: 'delete' }),
    ],
    [
      'GET',
      `${root}/namespaces/shop`,
      resource({ namespace: 'shop', resource: 'namespaces', name: 'shop', verb: 'get' }),
    ],
    [
      'GET',
      `${root}/namespaces/shop/status`,
      resource({ namespace: 'shop', resource: 'namespaces', name: 'shop', subresource: 'status', verb: 'get' }),
    ],
    ['GET', `${root}/namespaces`, resource({ resource: 'namespaces' })],
    // A slash is a slash, however it is written: the same request that another reader of the path would see.
    ['GET', `${root}/namespaces/a%2Fb/c`, resource({ namespace: 'a', resource: 'b', name: 'c', verb: 'get' })],
    ['GET', '/apis', nonResource('/apis')],
    ['GET', '/apis/', nonResource('/apis/')],
    ['GET', '/apis/external.metrics.k8s.io', nonResource('/apis/external.metrics.k8s.io')],
    ['GET', root, nonResource(root)],
    ['GET', `${root}/`, nonResource(`${root}/`)],
    ['GET', '/openapi/v3/apis/external.metrics.k8s.io/v1beta1?hash=A', nonResource(`/openapi/v3${root}`)],
    ['GET', '/a%20b', nonResource('/a b')],
    ['GET', '/%E0%A4%A', nonResource('/%E0%A4%A')],
    ['POST', '/version', nonResource('/version', 'post')],
    ['GET', '', nonResource('')],
  ])('%s %s', (method, url, attributes) => {
    expect(requestAttributes(method, url)).toEqual(attributes);
  });

  test('a path of segments is read as they were written, whatever is in them', () => {
    const word = fc
      .stringMatching(/^[a-z0-9%é .~*-]{1,8}$/)
      .filter((text) => !['.', '..', 'status', 'finalize'].includes(text));
    const slashes = fc.constantFrom('', '/', '//');
    fc.assert(
      fc.property(word, word, slashes, fc.boolean(), (namespace, metric, slash, watches) => {
        const path = [...`${root}/namespaces`.split('/'), namespace, metric].map(encodeURIComponent).join('/');
        const attributes = requestAttributes('GET', `${path}${slash}${watches ? '?a=b&watch=1' : '?watch=0'}`);
        const verb = watches ? 'watch' : 'list';
        const { kind, ...rest } = { namespace: '', resource: '', name: undefined, ...attributes };
        const isRight = rest.verb === verb && rest.namespace === namespace && rest.resource === metric;
        if (kind !== 'resource' || !isRight || rest.name !== undefined) throw new Error(JSON.stringify(attributes));
      }),
      { numRuns: 100_000 },
    );
  });
  test('any URL has attributes, quickly', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '/apis',
        '/watch',
        '/proxy',
        '/namespaces',
        '%',
        '%2F',
        '%00',
        '?',
        'watch=1',
        '&',
        '..',
        '#',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.constantFrom('GET', 'POST', 'PROPFIND'), fc.array(piece, { maxLength: 8 }), (method, pieces) => {
        const { kind, verb } = requestAttributes(method, pieces.join(''));
        if (!['resource', 'nonResource'].includes(kind) || typeof verb !== 'string') throw new Error(kind);
      }),
      { numRuns: 100_000 },
    );
    expect(requestAttributes('GET', `/apis${'/watch'.repeat(40_000)}`).kind).toBe('resource');
    expect(requestAttributes('GET', `/${'/'.repeat(200_000)}x`).kind).toBe('nonResource');
  });
});

test.each([
  ['', false],
  ['watch=true', true],
  ['watch=1', true],
  ['watch', true],
  ['watch=no', true],
  ['watch=0', false],
  ['watch=False', false],
  ['watch=false&watch=true', false],
  ['labelSelector=watch%3Dtrue', false],
])('%j asks to watch: %s', (query, answer) => {
  expect(asksToWatch(query)).toBe(answer);
});
