// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { parseReview } from './review.ts';

/** As kube-apiserver sends it, without what is not looked at. */
function review(changes: {
  readonly request?: object;
  readonly metadata?: unknown;
  readonly [field: string]: unknown;
}) {
  const { request, metadata = { labels: { 'headstart.dev/clone': 'true' } }, ...rest } = changes;
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      object: { apiVersion: 'v1', kind: 'Pod', metadata, spec: {} },
      oldObject: null,
      ...request,
    },
    ...rest,
  };
}

describe('parseReview', () => {
  test('reads what matters of a pod that is to be created', () => {
    const metadata = {
      generateName: 'web-',
      labels: { 'headstart.dev/clone': 'true' },
      annotations: { a: 'b' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5d4f', uid: 'x', controller: true },
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'web', uid: 'y' },
      ],
    };
    expect(parseReview(review({ metadata }))).toEqual({
      uid: '705ab4f5',
      operation: 'CREATE',
      resource: '/pods',
      subResource: '',
      namespace: 'shop',
      pod: {
        labels: { 'headstart.dev/clone': 'true' },
        annotations: { a: 'b' },
        owners: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5d4f', isController: true },
          { apiVersion: 'v1', kind: 'ConfigMap', name: 'web', isController: false },
        ],
      },
    });
  });
  test.each([
    ['left out', {}],
    ['null', { labels: null, annotations: null, ownerReferences: null }],
  ])('takes maps and lists that are %s', (_state, metadata) => {
    expect(parseReview(review({ metadata })).pod).toEqual({ labels: {}, annotations: undefined, owners: [] });
  });
  test('reads a deletion, which has no object', () => {
    expect(parseReview(review({ request: { operation: 'DELETE', object: null } }))).toMatchObject({
      operation: 'DELETE',
      pod: undefined,
    });
  });
  test('reads the group of a resource, and a subresource', () => {
    const request = { resource: { group: 'apps', resource: 'deployments' }, subResource: 'scale' };
    expect(parseReview(review({ request }))).toMatchObject({ resource: 'apps/deployments', subResource: 'scale' });
  });
  test('keeps a key that JavaScript has a meaning for as a key', () => {
    const metadata: unknown = JSON.parse('{"annotations": {"__proto__": "x", "constructor": "y"}}');
    expect(Object.entries(parseReview(review({ metadata })).pod?.annotations ?? {})).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  const where = 'request.object.metadata';
  const refused: Record<string, [unknown, string]> = {
    'no object': [null, 'AdmissionReview: got "nothing", want an object'],
    'a text': ['{}', 'AdmissionReview: got "a value of type string", want an object'],
    'a list': [[], 'AdmissionReview: got "a list", want an object'],
    'another kind': [review({ kind: 'Pod' }), 'kind: got "Pod", want AdmissionReview'],
    'an older version': [
      review({ apiVersion: 'admission.k8s.io/v1beta1' }),
      'apiVersion: got "admission.k8s.io/v1beta1", want admission.k8s.io/v1',
    ],
    'no request': [
      { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' },
      'request: got "nothing", want an object',
    ],
    'no uid': [review({ request: { uid: '' } }), 'request.uid: got "", want a text that is not empty'],
    'a uid that is no text': [
      review({ request: { uid: 7 } }),
      'request.uid: got "a value of type number", want a text',
    ],
    'no operation': [review({ request: { operation: null } }), 'request.operation: got "nothing", want a text'],
    'no resource': [review({ request: { resource: null } }), 'request.resource: got "nothing", want an object'],
    'a creation of nothing': [review({ request: { object: null } }), 'request.object: got "nothing", want an object'],
    'no metadata': [review({ metadata: null }), `${where}: got "nothing", want an object`],
    'labels in a list': [review({ metadata: { labels: [] } }), `${where}.labels: got "a list", want an object`],
    'an annotation that is no text': [
      review({ metadata: { annotations: { 'headstart.dev/ttl-seconds': 3600 } } }),
      `${where}.annotations[headstart.dev/ttl-seconds]: got "a value of type number", want a text`,
    ],
    'owners that are no list': [
      review({ metadata: { ownerReferences: {} } }),
      `${where}.ownerReferences: got "a value of type object", want a list`,
    ],
    'an owner without a kind': [
      review({ metadata: { ownerReferences: [{ apiVersion: 'apps/v1', name: 'web' }] } }),
      `${where}.ownerReferences[0].kind: got "nothing", want a text`,
    ],
  };
  test.each(Object.entries(refused))('refuses %s, saying which field', (_what, [body, message]) => {
    expect(() => parseReview(body)).toThrow(message);
  });

  test('never fails but with the name of a field, whatever comes', () => {
    const junk = fc.oneof(fc.constantFrom(null, undefined, 0, '', 'x', true), fc.constant([]), fc.constant({}));
    const owner = fc.record({ apiVersion: junk, kind: junk, name: junk, controller: junk }, { requiredKeys: [] });
    const metadata = fc.record(
      {
        labels: fc.oneof(junk, fc.dictionary(fc.string({ maxLength: 3 }), junk, { maxKeys: 2 })),
        annotations: fc.oneof(junk, fc.dictionary(fc.string({ maxLength: 3 }), junk, { maxKeys: 2 })),
        ownerReferences: fc.oneof(junk, fc.array(fc.oneof(junk, owner), { maxLength: 2 })),
      },
      { requiredKeys: [] },
    );
    const request = fc.record(
      {
        uid: fc.oneof(fc.constant('a'), junk),
        operation: fc.oneof(fc.constantFrom('CREATE', 'UPDATE', 'DELETE'), junk),
        resource: fc.oneof(fc.constant({ resource: 'pods' }), junk),
        subResource: junk,
        namespace: junk,
        object: fc.oneof(fc.record({ metadata: fc.oneof(metadata, junk) }), junk),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.record({
        apiVersion: fc.constant('admission.k8s.io/v1'),
        kind: fc.constant('AdmissionReview'),
        request: fc.oneof({ arbitrary: request, weight: 9 }, { arbitrary: junk, weight: 1 }),
      }),
      junk,
    );
    let parsed = 0;
    fc.assert(
      fc.property(body, (value) => {
        try {
          const { uid, pod } = parseReview(value);
          parsed += 1;
          if (uid === '') throw new Error('no uid');
          if (pod !== undefined && Object.values(pod.labels).some((label) => typeof label !== 'string')) {
            throw new Error('a label that is no text');
          }
        } catch (error) {
          if (!(error instanceof HeadstartError) || !/^[A-Za-z.[\]\d]+.*: got .*, want /s.test(error.message))
            throw error;
        }
      }),
      { numRuns: 100_000 },
    );
    expect(parsed).toBeGreaterThan(20);
  });
});
