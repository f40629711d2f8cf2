// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePool, ClonePoolSpec } from '../api/v1alpha1/clone-pool.ts';
import { decideReview, remakers, renderReview } from './mutate.ts';
import type { PatchOperation, PoolReader, ReviewDecision } from './mutate.ts';
import type { PodOwner, ReviewedPod, ReviewRequest } from './review.ts';

const ttlKey = 'headstart.dev/ttl-seconds';
const exitKey = 'headstart.dev/exit-below';
const clone = { 'headstart.dev/clone': 'true' };
const ofWeb = { ...clone, 'headstart.dev/pool': 'web' };
const usage = { belowPercent: 15, sustainedSeconds: 180 };

function poolSpec(changes: object = {}): ClonePoolSpec {
  const spec: unknown = { lifetime: { maxSeconds: 1800 }, ...changes };
  return spec as ClonePoolSpec;
}

/** The pools of the namespace shop. */
function poolsOf(pools: Readonly<Record<string, ClonePoolSpec>>, isSynced = true): PoolReader {
  return {
    get: (namespace, name) => {
      const spec = namespace === 'shop' ? pools[name] : undefined;
      return spec === undefined ? undefined : ({ spec } as ClonePool);
    },
    hasSynced: () => isSynced,
  };
}

const web = poolsOf({ web: poolSpec() });

function request(pod: Partial<ReviewedPod> = {}, changes: Partial<ReviewRequest> = {}): ReviewRequest {
  return {
    uid: 'u',
    operation: 'CREATE',
    resource: '/pods',
    subResource: '',
    namespace: 'shop',
    pod: { labels: clone, annotations: undefined, owners: [], ...pod },
    ...changes,
  };
}

function owner(apiVersion: string, kind: string, isController = true): PodOwner {
  return { apiVersion, kind, name: 'x', isController };
}

/** What the apiserver does with the patch; each parent must be there (RFC 6902, 4.1). */
function patched(
  annotations: ReviewedPod['annotations'],
  patch: readonly PatchOperation[],
): ReviewedPod['annotations'] {
  let result = annotations;
  for (const { path, value } of patch) {
    const [, metadata, map, key, ...more] = path.split('/');
    expect([metadata, map, more.length]).toEqual(['metadata', 'annotations', 0]);
    if (typeof value === 'object') {
      expect(key).toBeUndefined();
      result = {};
    } else {
      if (result === undefined || key === undefined) throw new Error(`${path}: no such map`);
      result = { ...result, [key.replaceAll('~1', '/').replaceAll('~0', '~')]: value };
    }
  }
  return result;
}

function after(decision: ReviewDecision, given: ReviewedPod['annotations']): ReviewedPod['annotations'] {
  if (decision.outcome === 'Denied') throw new Error(decision.reason);
  return patched(given, decision.patch);
}

describe('what a clone is given', () => {
  const cases: Record<
    string,
    {
      labels?: Record<string, string>;
      given?: Record<string, string>;
      pools?: PoolReader;
      want: Record<string, string>;
      warnings?: string[];
    }
  > = {
    'an hour, where it names no pool': { want: { [ttlKey]: '3600' } },
    'the longest life of its pool': { labels: ofWeb, pools: web, want: { [ttlKey]: '1800' } },
    'an hour and a warning, where there is no such pool': {
      labels: ofWeb,
      pools: poolsOf({}),
      want: { [ttlKey]: '3600' },
      warnings: ['headstart.dev/pool: there is no ClonePool web'],
    },
    'an hour and a warning, while the pools are not known': {
      labels: ofWeb,
      pools: poolsOf({}, false),
      want: { [ttlKey]: '3600' },
      warnings: ['headstart.dev/pool: ClonePools are not known yet'],
    },
    'nothing, where it has a time to live that its pool allows': {
      labels: ofWeb,
      given: { [ttlKey]: '600', other: 'x' },
      pools: web,
      want: { [ttlKey]: '600', other: 'x' },
    },
    'the least, where it asks for less': {
      given: { [ttlKey]: '5' },
      want: { [ttlKey]: '60' },
      warnings: ['headstart.dev/ttl-seconds: 5 becomes 60; allowed are 60 to 86400'],
    },
    'the least, where it asks for 0': {
      given: { [ttlKey]: '0' },
      want: { [ttlKey]: '60' },
      warnings: ['headstart.dev/ttl-seconds: 0 becomes 60; allowed are 60 to 86400'],
    },
    'the most of its pool, where it asks for more': {
      labels: ofWeb,
      given: { [ttlKey]: '1801' },
      pools: web,
      want: { [ttlKey]: '1800' },
      warnings: ['headstart.dev/ttl-seconds: 1801 becomes 1800; allowed are 60 to 1800'],
    },
    'a day, where it asks for more than a number can say': {
      given: { [ttlKey]: '9'.repeat(400) },
      want: { [ttlKey]: '86400' },
      warnings: [`headstart.dev/ttl-seconds: ${'9'.repeat(20)} becomes 86400; allowed are 60 to 86400`],
    },
    'the same time written in the one way that the policy knows': {
      given: { [ttlKey]: '0600' },
      want: { [ttlKey]: '600' },
    },
    'the utilisation exit of its pool': {
      labels: ofWeb,
      pools: poolsOf({ web: poolSpec({ utilizationExit: { ...usage, resource: 'memory' } }) }),
      want: { [ttlKey]: '1800', [exitKey]: 'memory=15%/180s' },
    },
    'a utilisation exit by CPU, where its pool does not say by what': {
      labels: ofWeb,
      pools: poolsOf({ web: poolSpec({ utilizationExit: usage }) }),
      want: { [ttlKey]: '1800', [exitKey]: 'cpu=15%/180s' },
    },
    'none, where its pool asks Prometheus': {
      labels: ofWeb,
      pools: poolsOf({ web: poolSpec({ utilizationExit: { ...usage, query: 'up' } }) }),
      want: { [ttlKey]: '1800' },
    },
    'no other utilisation exit than its own': {
      labels: ofWeb,
      given: { [exitKey]: 'cpu=5%/600s' },
      pools: poolsOf({ web: poolSpec({ utilizationExit: usage }) }),
      want: { [ttlKey]: '1800', [exitKey]: 'cpu=5%/600s' },
    },
  };
  test.each(Object.entries(cases))('is %s', (_what, { labels = clone, given, pools = web, want, warnings = [] }) => {
    const decision = decideReview(request({ labels, annotations: given }), pools);
    expect(after(decision, given)).toEqual(want);
    expect(decision).toMatchObject({
      outcome: JSON.stringify(want) === JSON.stringify(given) ? 'Unchanged' : 'Stamped',
      warnings,
      ttlSeconds: Number(want[ttlKey]),
    });
  });

  test('makes the map first where there is none, and escapes the slash', () => {
    expect(decideReview(request(), web)).toMatchObject({
      patch: [
        { op: 'add', path: '/metadata/annotations', value: {} },
        { op: 'add', path: '/metadata/annotations/headstart.dev~1ttl-seconds', value: '3600' },
      ],
    });
  });
  test('touches nothing else of a map that is there', () => {
    expect(decideReview(request({ annotations: { a: 'b' } }), web)).toMatchObject({
      patch: [{ op: 'add', path: '/metadata/annotations/headstart.dev~1ttl-seconds', value: '3600' }],
    });
  });
});

describe('what is left alone', () => {
  const cases: Record<string, [ReviewRequest, string]> = {
    'an update': [request({}, { operation: 'UPDATE' }), 'operation UPDATE'],
    'a deletion': [request({}, { operation: 'DELETE', pod: undefined }), 'there is no object'],
    'a subresource': [request({}, { subResource: 'binding' }), 'subresource binding'],
    'another resource': [request({}, { resource: 'apps/deployments' }), 'not a pod'],
    'a pod without the label': [request({ labels: {} }), 'not marked as a clone'],
    'a pod whose label says otherwise': [
      request({ labels: { 'headstart.dev/clone': 'false' } }),
      'not marked as a clone',
    ],
    'a mirror pod': [request({ annotations: { 'kubernetes.io/config.mirror': 'x' } }), 'a mirror pod'],
    'a DaemonSet’s pod without the label': [
      request({ labels: {}, owners: [owner('apps/v1', 'DaemonSet')] }),
      'not marked as a clone',
    ],
  };
  test.each(Object.entries(cases))('%s', (_what, [given, reason]) => {
    expect(decideReview(given, web)).toEqual({ outcome: 'Ignored', reason, patch: [], warnings: [] });
  });
});

describe('what is refused', () => {
  test.each([
    ['apps/v1', 'ReplicaSet'],
    ['apps/v1', 'StatefulSet'],
    ['apps/v1', 'DaemonSet'],
    ['batch/v1', 'Job'],
    ['v1', 'ReplicationController'],
  ])('a pod of %s %s, with the way out', (apiVersion, kind) => {
    expect(decideReview(request({ owners: [owner(apiVersion, kind)] }), web)).toEqual({
      outcome: 'Denied',
      reason: `metadata.labels[headstart.dev/clone]: got a pod of ${kind} x, which would make it again whenever it ends; remove the label from the pod template, and use a ClonePool`,
    });
  });
  test.each([
    ['of a ClonePool', owner('headstart.dev/v1alpha1', 'ClonePool')],
    ['of a Job that is not Kubernetes’ own', owner('batch.volcano.sh/v1alpha1', 'Job')],
    ['that a ReplicaSet owns without controlling it', owner('apps/v1', 'ReplicaSet', false)],
  ])('not a pod %s', (_what, reference) => {
    expect(decideReview(request({ owners: [reference] }), web).outcome).toBe('Stamped');
  });
  test.each([
    '',
    ' ',
    '1h',
    '-5',
    '3600.5',
    '3600 ',
    'forever',
    '1e3',
    '٣٦٠٠',
    '0x3c',
  ])('a time to live of %j, with what is allowed', (text) => {
    expect(decideReview(request({ labels: ofWeb, annotations: { [ttlKey]: text } }), web)).toEqual({
      outcome: 'Denied',
      reason: `metadata.annotations[${ttlKey}]: got ${JSON.stringify(text)}, want whole seconds, 60 to 1800`,
    });
  });
  test('for the owners that the policy names too', async () => {
    const policy = await readFile(new URL('../../manifests/base/clone-admission.yaml', import.meta.url), 'utf8');
    const named = /- name: remakers\n([\s\S]+?)\n {2}#/.exec(policy)?.[1] ?? '';
    const kinds = named.match(/'[A-Z]\w+'/g)?.map((quoted) => quoted.slice(1, -1)) ?? [];
    expect(new Set(kinds)).toEqual(new Set([...remakers].map((name) => name.split('/')[1])));
  });
});

describe('any pod', () => {
  const ttl = fc.oneof(
    fc.integer({ min: 0, max: 100_000 }).map(String),
    fc.constantFrom('', '1h', '00090', '9'.repeat(30)),
  );
  const pod = fc.record({
    labels: fc.constantFrom(clone, ofWeb, { ...clone, 'headstart.dev/pool': 'x'.repeat(300) }),
    annotations: fc.option(fc.record({ [ttlKey]: ttl, [exitKey]: fc.constant('x') }, { requiredKeys: [] }), {
      nil: undefined,
    }),
  });
  const pools = poolsOf({ web: poolSpec({ utilizationExit: usage }) });

  test('is refused, or has a time to live within bounds; once more changes nothing; warnings are short', () => {
    fc.assert(
      fc.property(pod, (given) => {
        const first = decideReview(request(given), pools);
        if (first.outcome === 'Denied') return;
        const annotations = after(first, given.annotations);
        const seconds = Number(annotations?.[ttlKey]);
        expect(seconds).toBeGreaterThanOrEqual(60);
        expect(seconds).toBeLessThanOrEqual(86_400);
        expect(annotations?.[ttlKey]).toBe(String(seconds));
        expect(decideReview(request({ ...given, annotations }), pools)).toMatchObject({
          outcome: 'Unchanged',
          patch: [],
        });
        for (const warning of first.warnings) expect(warning.length).toBeLessThan(120);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('renderReview', () => {
  test('gives the patch in base64, with the uid of the request', () => {
    const rendered = renderReview('u', decideReview(request({ labels: ofWeb }), poolsOf({})));
    const patch = [
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path: '/metadata/annotations/headstart.dev~1ttl-seconds', value: '3600' },
    ];
    expect(rendered).toEqual({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: {
        uid: 'u',
        allowed: true,
        patchType: 'JSONPatch',
        patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
        warnings: ['headstart.dev/pool: there is no ClonePool web'],
        auditAnnotations: { ttl: '3600' },
      },
    });
  });
  test('has neither patch nor patchType where there is nothing to change', () => {
    expect(renderReview('u', decideReview(request({}, { operation: 'UPDATE' }), web))).toMatchObject({
      response: { uid: 'u', allowed: true },
    });
    expect(JSON.stringify(renderReview('u', decideReview(request({}, { operation: 'UPDATE' }), web)))).not.toContain(
      'patch',
    );
  });
  test('refuses with 422 and the reason', () => {
    const decision: ReviewDecision = { outcome: 'Denied', reason: 'because' };
    expect(renderReview('u', decision)).toMatchObject({
      response: { uid: 'u', allowed: false, status: { code: 422, reason: 'Invalid', message: 'because' } },
    });
  });
});
