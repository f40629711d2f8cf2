// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplateSpec } from '../../api/v1alpha1/clone-template.ts';
import { clonePool } from '../../testing/builders.ts';
import { expiryBucket, preferSameExpiry } from './affinity.ts';
import { buildClone, cloneName } from './build-pod.ts';
import type { BuildInput, PodManifest } from './build-pod.ts';
import { readClone } from './read-clone.ts';
import { refuseTarget, revisionOf, servingLabels } from './target.ts';
import type { TargetDeployment, TemplatePodSpec } from './target.ts';

const now = 1_790_000_000;
const labels = { app: 'web' };

function pool(spec: Partial<ClonePool['spec']> = {}): ClonePool {
  return clonePool({ spec: { mode: 'Scale', ...spec } });
}

function target(
  spec: Partial<TemplatePodSpec> = {},
  metadata: TargetDeployment['spec']['template']['metadata'] = { labels },
): TargetDeployment {
  return {
    metadata: { name: 'web', namespace: 'shop', uid: 'target-uid' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: metadata ?? {}, spec: { containers: [{ name: 'main' }], ...spec } },
    },
  };
}

function build(changes: Partial<BuildInput> = {}): PodManifest {
  const window = { id: 'w-1', deadline: now + 1860 };
  return buildClone({ pool: pool(), target: target(), window, index: 0, generation: 1, now, labels, ...changes });
}

describe('what marks a clone', () => {
  test('labels, annotations, and the controlling owner from the first write on', () => {
    const { metadata } = build();
    expect(metadata.labels).toEqual({
      app: 'web',
      'headstart.dev/clone': 'true',
      'headstart.dev/pool': 'web',
      'headstart.dev/revision': revisionOf(target(), undefined),
      'headstart.dev/expiry-bucket': String(Math.floor((now + 1860) / 300)),
    });
    expect(metadata.annotations).toEqual({
      'headstart.dev/deadline': '2026-09-21T14:44:20Z',
      'headstart.dev/ttl-seconds': '3600',
      'headstart.dev/window': 'w-1',
      'karpenter.sh/do-not-disrupt': '31m',
      'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    });
    expect(metadata.ownerReferences).toEqual([
      {
        apiVersion: 'headstart.dev/v1alpha1',
        kind: 'ClonePool',
        name: 'web',
        uid: 'pool-uid',
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
  });

  test('it is read back as the clone that it is', () => {
    const { metadata } = build();
    const view = readClone({ metadata: { ...metadata, creationTimestamp: '2026-09-21T14:13:20Z' } as never });
    expect(view).toMatchObject({ pool: 'web', windowId: 'w-1', effectiveDeadline: now + 1860 });
    expect(view.owner).toEqual({ uid: 'pool-uid', isPool: true });
  });

  test('the exit rule, when it is no query', () => {
    const exit = {
      serverRef: 'default',
      belowPercent: 20,
      clearAbovePercent: 30,
      sustainedSeconds: 240,
      minSamples: 5,
      warmupSeconds: 120,
      maxSampleAgeSeconds: 90,
      poolGuardPercent: 70,
      cooldownSeconds: 60,
    };
    const annotation = (utilizationExit: ClonePool['spec']['utilizationExit']) =>
      build({ pool: pool(utilizationExit === undefined ? {} : { utilizationExit }) }).metadata.annotations[
        'headstart.dev/exit-below'
      ];
    expect(annotation(exit)).toBe('cpu=20%/240s');
    expect(annotation({ ...exit, resource: 'memory' })).toBe('memory=20%/240s');
    expect(annotation({ ...exit, query: 'x' })).toBeUndefined();
    expect(annotation(undefined)).toBeUndefined();
  });

  test('without a window it lives for lifetime.maxSeconds', () => {
    const { labels: own, annotations } = build({ window: undefined }).metadata;
    expect(annotations['headstart.dev/deadline']).toBeUndefined();
    expect(own['headstart.dev/expiry-bucket']).toBe(String(Math.floor((now + 3600) / 300)));
  });
});

describe('what is taken from the template', () => {
  test('not what is for other controllers, nor what only one pod can have', () => {
    const foreign = {
      'pod-template-hash': 'x',
      'controller-revision-hash': 'x',
      'statefulset.kubernetes.io/pod-name': 'x',
      'apps.kubernetes.io/pod-index': '1',
      'batch.kubernetes.io/job-name': 'x',
      'headstart.dev/pool': 'other',
    };
    const given = target(
      {
        nodeName: 'n1',
        hostname: 'web',
        schedulingGates: [{ name: 'x' }],
        activeDeadlineSeconds: 5,
        serviceAccountName: 's',
      },
      { labels: { ...labels, ...foreign }, annotations: { note: 'x', 'headstart.dev/deadline': 'never' } },
    );
    expect(servingLabels(given, undefined)).toEqual(labels);
    const { metadata, spec } = build({ target: given });
    expect(metadata.annotations).toMatchObject({ note: 'x', 'headstart.dev/deadline': '2026-09-21T14:44:20Z' });
    expect(spec).toEqual({
      containers: [{ name: 'main' }],
      serviceAccountName: 's',
      terminationGracePeriodSeconds: 30,
      activeDeadlineSeconds: 3600 + 30 + 300,
    });
  });

  test('with what the CloneTemplate has in place of it', () => {
    const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2' } };
    const given = target({
      containers: [{ name: 'main', env: [{ name: 'A' }, { name: 'B' }], resources }, { name: 'side' }],
      nodeSelector: { zone: 'a', disk: 'ssd' },
      tolerations: [{ key: 'x' }],
      priorityClassName: 'high',
      terminationGracePeriodSeconds: 60,
    });
    const template: CloneTemplateSpec = {
      containers: [
        {
          name: 'main',
          env: [
            { name: 'B', value: '2' },
            { name: 'C', value: '3' },
          ],
          resources: { requests: { cpu: '500m' } },
        },
      ],
      nodeSelector: { zone: 'b' },
      tolerations: [{ key: 'spot', operator: 'Exists' }],
      priorityClassName: 'low',
      annotations: { note: 'clone' },
      terminationGracePeriodSeconds: 5,
    };
    const { metadata, spec } = build({ target: given, template, priorityClassName: 'headstart-clones' });
    expect(metadata.annotations['note']).toBe('clone');
    expect(spec).toEqual({
      containers: [
        {
          name: 'main',
          env: [{ name: 'A' }, { name: 'B', value: '2' }, { name: 'C', value: '3' }],
          resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '2' } },
        },
        { name: 'side' },
      ],
      nodeSelector: { zone: 'b', disk: 'ssd' },
      tolerations: [{ key: 'x' }, { key: 'spot', operator: 'Exists' }],
      priorityClassName: 'low',
      terminationGracePeriodSeconds: 5,
      activeDeadlineSeconds: 3905,
    });
    expect(revisionOf(given, template)).not.toBe(revisionOf(given, undefined));
  });

  test.each([
    ['the one that never preempts', {}, 'headstart-clones'],
    ["the target's, where it has one", { priorityClassName: 'high' }, 'high'],
  ])('its PriorityClass is %s', (_, spec, name) => {
    const given = { target: target(spec), priorityClassName: 'headstart-clones' };
    expect(build(given).spec.priorityClassName).toBe(name);
  });

  test('a revision does not depend on the order of fields', () => {
    const one = target({ a: 1, b: { c: 1, d: [1, 2] } });
    expect(revisionOf(target({ b: { d: [1, 2], c: 1 }, a: 1 }), undefined)).toBe(revisionOf(one, undefined));
    expect(revisionOf(target({ b: { d: [2, 1], c: 1 }, a: 1 }), undefined)).not.toBe(revisionOf(one, undefined));
  });
});

describe('where it is put', () => {
  test('by affinity, with two terms besides those of the template', () => {
    const podAntiAffinity = { x: 1 };
    const own = { weight: 1 };
    const affinity = { podAntiAffinity, podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [own] } };
    const placement = { strategy: 'Affinity' as const, bucketSeconds: 300 };
    const { spec } = build({ pool: pool({ placement }), target: target({ affinity }) });
    const bucket = expiryBucket(now + 1860, 300);
    expect(spec.affinity).toEqual({
      podAntiAffinity,
      podAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          own,
          {
            weight: 100,
            podAffinityTerm: {
              topologyKey: 'kubernetes.io/hostname',
              labelSelector: {
                matchExpressions: [
                  { key: 'headstart.dev/expiry-bucket', operator: 'In', values: [String(bucket), String(bucket + 1)] },
                ],
              },
            },
          },
          {
            weight: 20,
            podAffinityTerm: {
              topologyKey: 'kubernetes.io/hostname',
              labelSelector: { matchLabels: { 'headstart.dev/clone': 'true' } },
            },
          },
        ],
      },
    });
    expect(preferSameExpiry(undefined, 1)).toEqual({ podAffinity: expect.anything() });
  });

  test('by the scheduler extension, or by nothing', () => {
    const placement = { strategy: 'Scheduler' as const, bucketSeconds: 300 };
    expect(build({ pool: pool({ placement }) }).spec['schedulerName']).toBe('headstart-scheduler');
    expect(build({ pool: pool({ placement }), placement: 'Affinity' }).spec['schedulerName']).toBeUndefined();
    expect(build().spec.affinity).toBeUndefined();
  });
});

describe('the name', () => {
  const names = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$/);
  test('is a DNS label of at most 63 characters, the same for the same clone, and for no other', () => {
    fc.assert(
      fc.property(
        fc.record({
          name: names,
          uid: fc.uuid(),
          windowId: fc.option(fc.stringMatching(/^[a-z0-9-]{1,40}$/), { nil: undefined }),
          index: fc.nat(4999),
          generation: fc.integer({ min: 1, max: 999 }),
        }),
        ({ name, uid, ...slot }) => {
          const given = cloneName({ name, uid }, slot);
          if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(given)) throw new Error(given);
          if (given !== cloneName({ name, uid }, { ...slot })) throw new Error(given);
          const others = [
            cloneName({ name, uid }, { ...slot, index: slot.index + 1 }),
            cloneName({ name, uid }, { ...slot, generation: slot.generation + 1 }),
          ];
          if (others.includes(given)) throw new Error(given);
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('is of the pool and window, whatever was of that name before', () => {
    const slot = { windowId: 'w-1', index: 3, generation: 1 };
    const name = cloneName({ name: 'web', uid: 'a' }, slot);
    expect(name).toMatch(/^web-[0-9a-z]{6}-3$/);
    expect(cloneName({ name: 'web', uid: 'a' }, { ...slot, generation: 2 })).toBe(`${name}-g2`);
    expect(cloneName({ name: 'web', uid: 'b' }, slot)).not.toBe(name);
    expect(cloneName({ name: 'web', uid: 'a' }, { ...slot, windowId: 'w-2' })).not.toBe(name);
  });
});

describe('what cannot be cloned', () => {
  test.each<[string, Partial<TemplatePodSpec>, string]>([
    [
      'a claim',
      { volumes: [{ name: 'tmp' }, { name: 'data', persistentVolumeClaim: { claimName: 'x' } }] },
      'volumes[1].persistentVolumeClaim',
    ],
    ['the network of the node', { hostNetwork: true }, 'hostNetwork'],
    [
      'a port of the node',
      { containers: [{ name: 'main', ports: [{}, { hostPort: 80 }] }] },
      'containers[0].ports[1].hostPort',
    ],
    [
      'a port of the node in an init container',
      { initContainers: [{ name: 'init', ports: [{ hostPort: 80 }] }] },
      'initContainers[0].ports[0].hostPort',
    ],
  ])('%s is refused, and the field named', (_, spec, field) => {
    const refusals = refuseTarget(target(spec), undefined);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatchObject({ reason: 'TargetNotCloneable' });
    expect(refusals[0]?.message).toContain(`Deployment web: spec.template.spec.${field}: cannot be cloned: `);
  });

  test('other templates are not, and a CloneTemplate must fit', () => {
    expect(refuseTarget(target({ volumes: [{ name: 'tmp' }], hostNetwork: false }), {})).toEqual([]);
    expect(refuseTarget(target(), { containers: [{ name: 'main' }, { name: 'app' }] })).toEqual([
      {
        reason: 'TemplateMismatch',
        message: 'CloneTemplate: spec.containers[1].name: got "app", want a container of Deployment web: main',
      },
    ]);
  });
});
