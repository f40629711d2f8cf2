// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cloneAnnotations, defaultTtlSeconds, ttlBounds } from '../../api/clone-labels.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { parseDeadline, parseTtlSeconds, readClone } from './read-clone.ts';
import type { PodObject } from './read-clone.ts';

const createdAt = 1_790_000_000;
const cases = { numRuns: 100_000 };

function pod(parts: Partial<PodObject> = {}, annotations: Readonly<Record<string, string>> = {}): PodObject {
  return {
    spec: { containers: [{ resources: { requests: { cpu: '500m', memory: '1Gi' } } }] },
    status: { phase: 'Pending' },
    ...parts,
    metadata: {
      name: 'web-1a2b3c-0',
      namespace: 'shop',
      uid: 'uid-1',
      resourceVersion: '7',
      creationTimestamp: formatRfc3339(createdAt),
      labels: { 'headstart.dev/clone': 'true', 'headstart.dev/pool': 'web', 'headstart.dev/revision': 'r1' },
      annotations,
      ...parts.metadata,
    },
  };
}

function deadlineOf(deadline: string | undefined, ttl: string | undefined): number {
  const annotations = {
    ...(deadline === undefined ? {} : { [cloneAnnotations.deadline]: deadline }),
    ...(ttl === undefined ? {} : { [cloneAnnotations.ttlSeconds]: ttl }),
  };
  return readClone(pod({}, annotations)).effectiveDeadline - createdAt;
}

describe('the effective deadline, in seconds since creation', () => {
  const at = (seconds: number): string => formatRfc3339(createdAt + seconds);
  test.each<[string, string | undefined, string | undefined, number]>([
    ['is the deadline when it comes first', at(900), '3600', 900],
    ['is the time to live when that is over first', at(7200), '1800', 1800],
    ['is the default without either', undefined, undefined, 3600],
    ['is the time to live alone', undefined, '7200', 7200],
    ['is within the default with a deadline alone', at(7200), undefined, 3600],
    ['is the default for an empty deadline', '', '7200', 3600],
    ['is the default for a malformed deadline', 'soon', '7200', 3600],
    ['is the default for "forever"', 'forever', 'forever', 3600],
    ['is the time to live, when that is sooner than the default', 'soon', '600', 600],
    ['is the default for another zone than UTC', '2026-09-21T14:30:00+02:00', '7200', 3600],
    ['is the default for local time', '2026-09-21T14:30:00', '7200', 3600],
    ['is the default for epoch seconds', String(createdAt + 60), '7200', 3600],
    ['is the default for a day that is not', '2026-02-30T00:00:00Z', '7200', 3600],
    ['keeps a fraction of a second', '2026-09-21T14:30:00.5Z', '86400', 1_790_001_000.5 - createdAt],
    ['is the default for a time to live of 0', undefined, '0', 3600],
    ['is the default for a negative time to live', undefined, '-60', 3600],
    ['is the default for a fractional time to live', undefined, '90.5', 3600],
    ['is the default for a duration', undefined, '30m', 3600],
    ['is the least for a time to live below it', undefined, '1', ttlBounds.min],
    ['is the most for a time to live above it', undefined, '99999999999999999', ttlBounds.max],
    ['is past for a deadline before the creation', at(-60), '3600', -60],
  ])('%s', (_, deadline, ttl, seconds) => {
    expect(deadlineOf(deadline, ttl)).toBe(seconds);
  });

  const texts = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.stringMatching(/^[-0-9T:.Zz+ ]{0,30}$/),
    fc.stringMatching(/^[0-9eE.smh+-]{0,12}$/),
  );
  test('is never later than a day after creation, and what cannot be read never ends at once', () => {
    fc.assert(
      fc.property(texts, texts, (deadline, ttl) => {
        const seconds = deadlineOf(deadline, ttl);
        if (!(seconds <= ttlBounds.max)) throw new Error(`lives for ${seconds} s`);
        if (parseDeadline(deadline) === undefined && seconds < ttlBounds.min)
          throw new Error(`ends after ${seconds} s`);
        if (parseDeadline(deadline) === undefined && seconds > defaultTtlSeconds) throw new Error(`${seconds} s`);
      }),
      cases,
    );
  });
});

describe('the parsers', () => {
  test('a deadline as Headstart writes it is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        if (parseDeadline(formatRfc3339(seconds)) !== seconds) throw new Error(`${seconds}`);
      }),
      cases,
    );
  });

  test('any text is a deadline between year 0 and 9999, or none', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?[Z+]$/), (text) => {
        const seconds = parseDeadline(text);
        if (seconds !== undefined && !(Math.abs(seconds) <= 253_402_300_799)) throw new Error(`${seconds}`);
      }),
      cases,
    );
  });

  test.each([
    ['1', 60],
    ['60', 60],
    ['3600', 3600],
    ['86401', 86_400],
    ['', undefined],
    ['0', undefined],
    ['060', undefined],
    ['+60', undefined],
    [' 60', undefined],
    ['60\n', undefined],
    ['1e3', undefined],
    ['٣٠', undefined],
    ['9'.repeat(40), undefined],
  ])('a time to live of %j is %s', (text, seconds) => {
    expect(parseTtlSeconds(text)).toBe(seconds);
  });
});

describe('the state', () => {
  const ready = [{ type: 'Ready', status: 'True', lastTransitionTime: formatRfc3339(createdAt + 5) }];
  const retiring = { [cloneAnnotations.state]: 'Retiring' };
  const deleted = { ...pod().metadata, deletionTimestamp: formatRfc3339(createdAt + 9) };
  test.each<[string, PodObject]>([
    ['Pending', pod()],
    ['Pending', pod({ spec: { nodeName: '' } })],
    ['Starting', pod({ spec: { nodeName: 'n1' } })],
    ['Starting', pod({ spec: { nodeName: 'n1' }, status: { conditions: [{ type: 'Ready', status: 'False' }] } })],
    ['Serving', pod({ spec: { nodeName: 'n1' }, status: { phase: 'Running', conditions: ready } })],
    ['Retiring', pod({ status: { phase: 'Running', conditions: ready } }, retiring)],
    ['Ended', pod({ status: { phase: 'Failed' } }, retiring)],
    ['Ended', pod({ status: { phase: 'Succeeded' } })],
    ['Terminating', pod({ status: { phase: 'Failed' }, metadata: deleted })],
    ['Serving', pod({ status: { phase: 'Running', conditions: ready } }, { [cloneAnnotations.state]: 'retiring' })],
  ])('is %s', (state, given) => {
    expect(readClone(given).state).toBe(state);
  });

  test('a Ready clone says since when', () => {
    const view = readClone(pod({ spec: { nodeName: 'n1' }, status: { phase: 'Running', conditions: ready } }));
    expect(view).toMatchObject({ isReady: true, readyAt: createdAt + 5, node: 'n1' });
    expect(readClone(pod())).toMatchObject({ isReady: false, readyAt: undefined, node: undefined });
  });
});

describe('the owner', () => {
  const owned = (owner: { apiVersion: string; kind: string; controller?: boolean }): PodObject =>
    pod({ metadata: { ...pod().metadata, ownerReferences: [{ uid: 'u', ...owner }] } });
  test.each([
    ['headstart.dev/v1alpha1', 'ClonePool', true, { uid: 'u', isPool: true }],
    ['headstart.dev/v1', 'ClonePool', true, { uid: 'u', isPool: true }],
    ['headstart.dev.example/v1', 'ClonePool', true, { uid: 'u', isPool: false }],
    ['apps/v1', 'ReplicaSet', true, { uid: 'u', isPool: false }],
    ['headstart.dev/v1alpha1', 'ClonePool', false, undefined],
  ])('%s %s, controller %s', (apiVersion, kind, controller, owner) => {
    expect(readClone(owned({ apiVersion, kind, controller })).owner).toEqual(owner);
  });
});

describe('the requests', () => {
  const of = (spec: PodObject['spec']): unknown => readClone(pod({ spec: spec ?? {} })).requests;
  const main = { resources: { requests: { cpu: '1500m', memory: '1.5Gi' } } };
  test.each<[string, PodObject['spec'], unknown]>([
    ['of one container', { containers: [main] }, { cpu: 1.5, memory: 1.5 * 2 ** 30 }],
    ['of two', { containers: [main, main] }, { cpu: 3, memory: 3 * 2 ** 30 }],
    ['are unknown where one has none', { containers: [main, {}] }, { cpu: undefined, memory: undefined }],
    [
      'count sidecars, and no other init container',
      { containers: [main], initContainers: [{ ...main, restartPolicy: 'Always' }, {}] },
      { cpu: 3, memory: 3 * 2 ** 30 },
    ],
    [
      'are those of the pod where it has any',
      { containers: [{}], resources: { requests: { cpu: '2' } } },
      { cpu: 2, memory: undefined },
    ],
    [
      'of 0 are none',
      { containers: [{ resources: { requests: { cpu: '0', memory: 0 } } }] },
      { cpu: undefined, memory: undefined },
    ],
    [
      'that are no quantity are unknown',
      { containers: [{ resources: { requests: { cpu: 'much', memory: '100m' } } }] },
      { cpu: undefined, memory: 0.1 },
    ],
  ])('%s', (_, spec, requests) => {
    expect(of(spec)).toEqual(requests);
  });
});

test('a pod of which nothing is known is read, and not ended', () => {
  const view = readClone({ metadata: { name: 'x' } });
  expect(view).toMatchObject({ pool: undefined, owner: undefined, state: 'Pending', requests: { cpu: undefined } });
  expect(view.effectiveDeadline).toBeGreaterThan(createdAt);
});
