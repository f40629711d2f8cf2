// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { readClone } from '../capacity/clones/read-clone.ts';
import { parseExtenderArgs } from './extender-args.ts';

const pod = {
  metadata: {
    name: 'web-1',
    namespace: 'shop',
    creationTimestamp: '2026-10-01T12:00:00Z',
    labels: { 'headstart.dev/clone': 'true' },
    annotations: { 'headstart.dev/deadline': '2026-10-01T12:30:00Z' },
  },
  spec: { containers: [] },
};

describe('ExtenderArgs are read', () => {
  test.each<[string, object, string[]]>([
    ['as kube-scheduler sends them', { Pod: pod, Nodes: null, NodeNames: ['a', 'b'] }, ['a', 'b']],
    ['with keys in small letters', { pod, nodes: null, nodenames: ['a'] }, ['a']],
    ['with keys in any case', { POD: pod, nodeNames: ['a'] }, ['a']],
    ['with no node', { Pod: pod, NodeNames: [] }, []],
    ['with whole Nodes', { Pod: pod, Nodes: { items: [{ metadata: { name: 'a' } }] }, NodeNames: null }, ['a']],
    ['with whole Nodes of which there are none', { Pod: pod, Nodes: { items: null } }, []],
    ['with a key twice, the last one', { nodeNames: ['a'], Pod: pod, NodeNames: ['b'] }, ['b']],
  ])('%s', (_what, body, nodeNames) => {
    const args = parseExtenderArgs(body);
    expect(args.nodeNames).toEqual(nodeNames);
    const { spec: _spec, ...kept } = pod;
    expect(args.pod).toEqual(kept);
  });

  test('without what only describes the pod, where it is of another type', () => {
    const metadata = { name: 'web-1', labels: ['x'], annotations: { a: 1, b: 'two' }, creationTimestamp: 7 };
    expect(parseExtenderArgs({ Pod: { metadata }, NodeNames: [] }).pod).toEqual({
      metadata: { name: 'web-1', labels: {}, annotations: { b: 'two' } },
    });
  });
});

describe('what is none is refused', () => {
  test.each<[string, unknown, string]>([
    ['text', 'x', 'ExtenderArgs: got "x", want an object'],
    ['nothing', undefined, 'ExtenderArgs: got nothing, want an object'],
    ['an array', [], 'ExtenderArgs: got [], want an object'],
    ['no pod', { NodeNames: [] }, 'Pod: got nothing, want an object'],
    ['a pod without metadata', { Pod: {}, NodeNames: [] }, 'Pod.metadata: got nothing, want an object'],
    ['a pod without a name', { Pod: { metadata: {} }, NodeNames: [] }, 'Pod.metadata.name: got nothing, want a string'],
    ['no nodes', { Pod: pod, Nodes: null }, 'NodeNames: got nothing, want an array of strings, or Nodes'],
    ['names that are none', { Pod: pod, NodeNames: ['a', 7] }, 'NodeNames[1]: got 7, want a string'],
    ['names as text', { Pod: pod, NodeNames: 'a,b' }, 'NodeNames: got "a,b", want an array of strings'],
    ['Nodes without a list', { Pod: pod, Nodes: { items: 'a' } }, 'Nodes.items: got "a", want an array of Nodes'],
    ['a Node without a name', { Pod: pod, Nodes: { items: [{}] } }, 'Nodes.items[0].metadata.name: got nothing'],
  ])('%s', (_what, body, message) => {
    expect(() => parseExtenderArgs(body)).toThrow(message);
  });
});

test('whatever comes is either read, and then of use, or refused with InvalidInput', () => {
  const scalar = fc.constantFrom<unknown>(
    null,
    true,
    -1,
    '',
    'web',
    '2026-10-01T12:30:00Z',
    '__proto__',
    undefined,
    [],
    {},
  );
  const key = fc.constantFrom('headstart.dev/deadline', 'headstart.dev/ttl-seconds', '__proto__', 'constructor', 'a');
  const texts = fc.oneof(scalar, fc.dictionary(key, scalar, { maxKeys: 3 }));
  const metadata = fc.oneof(
    scalar,
    fc.record(
      { name: scalar, namespace: scalar, creationTimestamp: scalar, labels: texts, annotations: texts },
      { requiredKeys: [] },
    ),
  );
  const object = fc.oneof(scalar, fc.record({ metadata }, { requiredKeys: [] }));
  const list = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }));
  const nodes = fc.oneof(scalar, fc.record({ items: fc.oneof(list, fc.array(object, { maxLength: 2 })) }));
  // One draw a case, six bits of it for each field: a hundred thousand cases take a second.
  const some = (values: fc.Arbitrary<unknown>): readonly unknown[] => fc.sample(values, 64);
  const fields = [
    ['pod', some(scalar)],
    ['Pod', some(object)],
    ['Nodes', some(nodes)],
    ['nodenames', some(list)],
    ['NodeNames', some(list)],
  ] as const;
  const draws = fc.noBias(fc.nat(2 ** 30 - 1));
  fc.assert(
    fc.property(draws, (draw) => {
      const body = Object.fromEntries(fields.map(([key, values], index) => [key, values[(draw >> (6 * index)) & 63]]));
      const read = orRefused(() => parseExtenderArgs(body));
      if (read === undefined) return true;
      return read.nodeNames.every((name) => typeof name === 'string') && readClone(read.pod).effectiveDeadline > 0;
    }),
    { numRuns: 100_000 },
  );
}, 30_000);

function orRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof HeadstartError && error.code === 'InvalidInput') return undefined;
    throw error;
  }
}
