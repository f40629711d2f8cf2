// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { PodManifest } from '../../capacity/clones/build-pod.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createClones } from './create-clones.ts';
import { createMemories } from './memory.ts';

const { signal } = new AbortController();
const pods = (count: number): PodManifest[] =>
  Array.from({ length: count }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${index}`, namespace: 'shop', labels: {}, annotations: {}, ownerReferences: [] },
    spec: {},
  }));

async function create(count: number, answer: (name: string, method: string) => unknown) {
  const client = createFakeKubeClient(({ method = 'GET', body, path }) =>
    answer((body as PodManifest | undefined)?.metadata.name ?? path.split('/').at(-1) ?? '', method),
  );
  const result = await createClones(client, pods(count), { poolUid: 'pool-uid', signal });
  return { ...result, requests: client.requests.length };
}

function refuse(code: ErrorCode, message: string): never {
  throw new HeadstartError(code, `creating /api/v1/namespaces/shop/pods: ${message}`);
}

describe('creating clones', () => {
  test('all of them', async () => {
    expect(await create(100, () => ({}))).toEqual({ created: 100, failure: undefined, requests: 100 });
  });

  test('a refusal of the first costs one request, one in the middle ends with its batch', async () => {
    const full = (limit: number) => (name: string) =>
      Number(name.slice(4)) < limit ? {} : refuse('Forbidden', 'pods "web-9" is forbidden: exceeded quota: few');
    expect(await create(100, full(0))).toMatchObject({ created: 0, requests: 1 });
    const half = await create(100, full(5));
    expect(half).toMatchObject({ created: 5, requests: 7 });
    expect(half.failure).toEqual({ reason: 'QuotaExceeded', message: 'exceeded quota: few' });
  });

  const taken = (owner: object | undefined) => (_: string, method: string) =>
    method === 'POST'
      ? refuse('AlreadyExists', 'pods "web-0" already exists')
      : { metadata: { name: 'web-0', ownerReferences: owner === undefined ? [] : [owner] } };
  const owner = { apiVersion: 'headstart.dev/v1alpha1', kind: 'ClonePool', uid: 'pool-uid', controller: true };
  test('a pod of this pool that is there already is a success', async () => {
    expect(await create(1, taken(owner))).toMatchObject({ created: 0, failure: undefined });
  });
  test.each([
    undefined,
    { ...owner, uid: 'other' },
    { ...owner, controller: false },
  ])('a foreign one is not', async (given) => {
    expect((await create(1, taken(given))).failure?.reason).toBe('NameTaken');
  });

  test.each<[ErrorCode, string, string]>([
    ['Forbidden', 'pods "a" is forbidden: exceeded quota: q, requested: pods=1', 'QuotaExceeded'],
    ['Forbidden', 'pods "a" is forbidden: failed quota: q: must specify cpu', 'QuotaExceeded'],
    ['Forbidden', 'pods "a" is forbidden: minimum cpu usage per Container is 1', 'Refused'],
    ['Forbidden', 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', 'Refused'],
    ['Forbidden', 'admission webhook "x" denied the request: no bare pods', 'Refused'],
    ['InvalidInput', 'admission webhook "x" denied the request: no', 'Refused'],
    ['InvalidInput', 'Pod "a" is invalid: spec.containers: Required value', 'InvalidPod'],
    [
      'Forbidden',
      'pods "a" is forbidden: unable to create new content in namespace shop because it is being terminated',
      'NamespaceTerminating',
    ],
    ['NotFound', 'namespaces "shop" not found', 'NamespaceTerminating'],
    ['Unavailable', 'failed calling webhook "x"', 'ServerUnavailable'],
    ['Timeout', 'no answer within 10 s', 'ServerUnavailable'],
  ])('%s: %s', async (code, message, reason) => {
    const { failure } = await create(1, () => refuse(code, message));
    expect(failure?.reason).toBe(reason);
    expect(failure?.message).not.toContain('"a"');
  });

  test('what is no refusal is thrown', async () => {
    await expect(
      create(1, () => {
        throw new TypeError('x');
      }),
    ).rejects.toThrow('x');
  });
});

describe('what is remembered', () => {
  const clone = (changes: object) =>
    ({
      metadata: { name: 'a' },
      clone: {
        uid: 'u',
        owner: { uid: 'p', isPool: true },
        windowId: 'w',
        state: 'Starting',
        isReady: false,
        ...changes,
      },
    }) as never;
  const modified = (object: object, old: object) => ({
    type: 'modified' as const,
    object: clone(object),
    old: clone(old),
  });

  test('refusals, each with a longer wait, until clones are made', () => {
    const memories = createMemories(() => 0);
    const failure = { reason: 'QuotaExceeded' as const, message: 'x' };
    const waits = [1, 2, 3, 4, 5, 6, 7].map(() => {
      memories.refused('p', failure, 1000);
      return memories.of('p').retryAt - 1000;
    });
    expect(waits).toEqual([10, 20, 40, 80, 160, 300, 300]);
    memories.unblocked('p');
    expect(memories.of('p')).toMatchObject({ failure: undefined, retryAt: 0 });
  });

  test('clones that ended before they were Ready, until one is', () => {
    const memories = createMemories(() => 77);
    memories.observe(modified({ state: 'Ended' }, {}));
    memories.observe(modified({ state: 'Retiring', exitReason: 'StartFailed' }, {}));
    memories.observe(modified({ state: 'Ended' }, { state: 'Serving', isReady: true }));
    expect(memories.of('p')).toMatchObject({ startFailures: 2, startFailedAt: 77 });
    memories.observe(modified({ state: 'Serving', isReady: true }, {}));
    expect(memories.of('p').startFailures).toBe(0);
  });

  test('idle clones of windows that are not over, each once', () => {
    const memories = createMemories(() => 0);
    memories.observe({ type: 'added', object: clone({ exitReason: 'Idle' }) });
    memories.observe(modified({ exitReason: 'Idle' }, { exitReason: 'Idle' }));
    memories.observe(modified({ exitReason: 'Idle', uid: 'v' }, {}));
    expect([...memories.of('p').idle]).toEqual([['w', 2]]);
    memories.keepWindows('p', ['other']);
    expect([...memories.of('p').idle]).toEqual([]);
  });
});
