// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClonePool, ClonePoolSpec } from '../../api/v1alpha1/clone-pool.ts';
import { readClone } from '../../capacity/clones/read-clone.ts';
import { revisionOf } from '../../capacity/clones/target.ts';
import type { TargetDeployment } from '../../capacity/clones/target.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { clonePool } from '../../testing/builders.ts';
import { decide } from './decide.ts';
import type { Decision, DecideOptions } from './decide.ts';
import type { Memory, PlannedWindow, Snapshot } from './snapshot.ts';

const now = 1_790_000_000;
const labels = { app: 'web' };
const window: PlannedWindow = { id: 'w-1', startTime: now - 10, endTime: now + 1200, replicas: 4 };

function poolOf(spec: Partial<ClonePoolSpec> = {}, metadata: Partial<ClonePool['metadata']> = {}): ClonePool {
  const creationTimestamp = formatRfc3339(now - 3600);
  const placement = { strategy: 'Affinity', bucketSeconds: 300 } as const;
  return clonePool({ metadata: { creationTimestamp, ...metadata }, spec: { placement, ...spec } });
}

function deployment(image = 'web:1', spec: Partial<TargetDeployment['spec']> = {}): TargetDeployment {
  const containers = [{ name: 'main', image }];
  return {
    metadata: { name: 'web', namespace: 'shop', uid: 'deployment-uid' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...spec,
    },
  };
}

const calm: Memory = {
  failure: undefined,
  retryAt: 0,
  startFailures: 0,
  startFailedAt: 0,
  dropSince: undefined,
  idle: new Map(),
};

function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    pool: poolOf(),
    target: { kind: 'found', value: deployment() },
    template: undefined,
    forecast: undefined,
    hpas: [],
    finders: { services: [labels], networkPolicies: [], pdbs: [] },
    pods: [],
    memory: calm,
    ...changes,
  };
}

function options(windows: readonly PlannedWindow[] = [window]): DecideOptions {
  return { planWindows: () => ({ windows, reason: 'as told' }), priorityClassName: undefined };
}

/** The pods that a decision makes, as they look a while later. */
function born(decision: Decision, changes: Partial<CloneView> = {}, at = now): CloneView[] {
  return decision.creates.map((pod) => ({
    ...readClone({
      metadata: {
        ...pod.metadata,
        uid: `uid-of-${pod.metadata.name}-${at}`,
        creationTimestamp: formatRfc3339(at),
        ownerReferences: [
          { apiVersion: 'headstart.dev/v1alpha1', kind: 'ClonePool', uid: 'pool-uid', controller: true },
        ],
      },
      spec: { nodeName: 'n1' },
      status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: formatRfc3339(at + 2) }] },
    }),
    ...changes,
  }));
}

function ready(count: number, changes: Partial<CloneView> = {}): CloneView[] {
  return born(decide(snapshot(), now, options([{ ...window, replicas: count }])), changes);
}

function reasonOf(decision: Decision, type: string): string | undefined {
  return decision.status.conditions?.find((condition) => condition.type === type)?.reason;
}

const hpa = (metric: object): HorizontalPodAutoscaler => ({
  metadata: { name: 'web' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    metrics: [metric as { type: string }],
  },
});
const cpuHpa = hpa({ type: 'Resource', resource: { name: 'cpu' } });
const externalHpa = hpa({
  type: 'External',
  external: { metric: { name: 'predicted_demand' }, target: { type: 'AverageValue', averageValue: '35' } },
});

describe('what is written and made', () => {
  test('the clones of a window that has begun are made, named after pool, window and index', () => {
    const decision = decide(snapshot(), now, options());
    expect(decision.spec).toEqual({
      windows: [{ id: 'w-1', startTime: formatRfc3339(now - 10), endTime: formatRfc3339(now + 1200), replicas: 4 }],
      replicas: 4,
    });
    const names = decision.creates.map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(4);
    for (const [index, name] of names.entries()) expect(name).toMatch(new RegExp(`^web-[0-9a-z]{6}-${index}$`));
    expect(decide(snapshot(), now + 5, options()).creates.map(({ metadata }) => metadata.name)).toEqual(names);
    expect(decision.creates[0]?.metadata.annotations['headstart.dev/deadline']).toBe(formatRfc3339(now + 1200));
  });

  test('a window to come is written, and nothing is made yet; the next look is at its start', () => {
    const decision = decide(snapshot(), now, options([{ ...window, startTime: now + 7 }]));
    expect(decision.spec?.replicas).toBe(0);
    expect(decision.creates).toEqual([]);
    expect(decision.nextAt).toBe(now + 7);
  });

  test.each([
    ['nobody wants clones', { mode: 'Scale', replicas: 0 }, 60],
    ['somebody wants them, and the target has no replicas', { mode: 'Scale', replicas: 2 }, 15],
  ] as const)('in mode Scale when the next look is, where %s', (_, spec, seconds) => {
    const target = { kind: 'found', value: deployment('web:1', { replicas: 0 }) } as const;
    expect(decide(snapshot({ pool: poolOf(spec), target }), now, options()).nextAt).toBe(now + seconds);
  });

  test('windows that overlap add up, to maxReplicas', () => {
    const windows = [window, { ...window, id: 'w-2', replicas: 9 }];
    const decision = decide(snapshot(), now, options(windows));
    expect(decision.spec?.replicas).toBe(10);
    expect(decision.creates).toHaveLength(10);
  });

  test('a clone that would end before it is of use is not made', () => {
    const decision = decide(snapshot(), now, options([{ ...window, endTime: now + 20 }]));
    expect(decision.creates).toEqual([]);
    expect(decision.status.conditions?.[0]?.message).toContain('4 more would end before they are of use');
  });

  test('in mode Scale there are as many as spec.replicas says, and the spec is left alone', () => {
    const pool = poolOf({ mode: 'Scale', replicas: 2 });
    const decision = decide(snapshot({ pool }), now, options());
    expect(decision.spec).toBeUndefined();
    expect(decision.creates).toHaveLength(2);
    expect(decision.creates[0]?.metadata.annotations['headstart.dev/deadline']).toBeUndefined();
  });

  test('without a forecast the windows that stand run out', () => {
    const windows = [{ id: 'w-1', startTime: formatRfc3339(now - 5), endTime: formatRfc3339(now + 900), replicas: 3 }];
    const pool = poolOf({ windows });
    const decision = decide(snapshot({ pool }), now, { planWindows: () => undefined, priorityClassName: undefined });
    expect(decision.creates).toHaveLength(3);
    const later = decide(snapshot({ pool }), now + 900, { planWindows: () => undefined, priorityClassName: undefined });
    expect(later.spec).toEqual({ windows: [], replicas: 0 });
    expect(reasonOf(later, 'Ready')).toBe('NoForecast');
  });

  test('a clone that ended idle is not made again in its window', () => {
    const memory = { ...calm, idle: new Map([['w-1', 1]]) };
    const decision = decide(snapshot({ memory, pods: ready(3) }), now, options());
    expect(decision.spec?.replicas).toBe(3);
    expect(decision.creates).toEqual([]);
  });

  test('an index whose pod is still there gets the next generation of its name', () => {
    const [first, ...rest] = ready(4);
    const pods = [{ ...(first as CloneView), state: 'Terminating' as const }, ...rest];
    const decision = decide(snapshot({ pods }), now, options());
    expect(decision.creates.map(({ metadata }) => metadata.name)).toEqual([`${first?.name}-g2`]);
  });

  test('the deadline of clones moves with the end of their window, by whole buckets', () => {
    const pods = ready(4);
    expect(decide(snapshot({ pods }), now, options([{ ...window, endTime: now + 1230 }])).extensions).toEqual([]);
    const { extensions } = decide(snapshot({ pods }), now, options([{ ...window, endTime: now + 2000 }]));
    expect(extensions.map(({ deadline }) => deadline)).toEqual(Array.from({ length: 4 }, () => now + 2000));
  });
});

describe('what keeps clones from being made', () => {
  const found = (value: TargetDeployment): Partial<Snapshot> => ({ target: { kind: 'found', value } });
  const claim = { name: 'data', persistentVolumeClaim: { claimName: 'data' } };
  const spec = { containers: [{ name: 'main' }], volumes: [claim] };
  test.each<[string, Partial<Snapshot>, string, string]>([
    ['a target that is not there', { target: { kind: 'missing' } }, 'TargetResolved', 'TargetNotFound'],
    [
      'a target that cannot be read',
      { target: { kind: 'unreadable', message: 'forbidden' } },
      'TargetResolved',
      'TargetUnreadable',
    ],
    ['a paused target', found(deployment('a', { paused: true })), 'TargetResolved', 'TargetPaused'],
    ['a target at 0', found(deployment('a', { replicas: 0 })), 'TargetResolved', 'TargetScaledToZero'],
    [
      'a target that is being deleted',
      found({ ...deployment(), metadata: { name: 'web', deletionTimestamp: 'now' } }),
      'TargetResolved',
      'TargetNotFound',
    ],
    [
      'a claim',
      found(deployment('a', { template: { metadata: { labels }, spec } })),
      'TargetResolved',
      'TargetNotCloneable',
    ],
    [
      'no CloneTemplate',
      { pool: poolOf({ templateRef: { name: 'x' } }), template: { kind: 'missing' } },
      'TargetResolved',
      'TemplateNotFound',
    ],
    [
      'a CloneTemplate of another target',
      { template: { kind: 'found', value: { containers: [{ name: 'other' }] } } },
      'TargetResolved',
      'TemplateMismatch',
    ],
    ['an HPA that counts clones', { hpas: [cpuHpa] }, 'HPASelectorOverlap', 'HPACountsClones'],
    ['HPAs that cannot be read', { hpas: undefined }, 'HPASelectorOverlap', 'HPAsUnreadable'],
    ['Services that cannot be read', { finders: undefined }, 'HPASelectorOverlap', 'HPAsUnreadable'],
    [
      'a quota',
      { memory: { ...calm, failure: { reason: 'QuotaExceeded', message: 'exceeded quota' }, retryAt: now + 10 } },
      'CreationBlocked',
      'QuotaExceeded',
    ],
    [
      'clones that do not start',
      { memory: { ...calm, startFailures: 3, startFailedAt: now - 5 } },
      'CreationBlocked',
      'StartsFail',
    ],
    ['suspend', { pool: poolOf({ suspend: true }) }, 'Ready', 'Suspended'],
    ['the end of the pool', { pool: poolOf({}, { deletionTimestamp: formatRfc3339(now) }) }, 'Ready', 'Deleting'],
  ])('%s', (_, changes, type, reason) => {
    const decision = decide(snapshot(changes), now, options());
    expect(reasonOf(decision, type)).toBe(reason);
    expect(decision.creates).toEqual([]);
    expect(decision.status.conditions?.find((item) => item.type === 'Ready')?.status).not.toBe('True');
  });

  test.each<[string, Partial<Snapshot>, string]>([
    ['External AverageValue', { hpas: [externalHpa] }, 'ExternalAverageValue'],
    ['no HPA', {}, 'NoHPA'],
    ['serving Hidden', { hpas: [cpuHpa], pool: poolOf({ serving: 'Hidden' }) }, 'Hidden'],
    [
      'the annotation',
      { hpas: [cpuHpa], pool: poolOf({}, { annotations: { 'headstart.dev/accept-hpa-overlap': 'true' } }) },
      'OverlapAccepted',
    ],
    [
      'a label that only the Deployment selects by',
      {
        hpas: [cpuHpa],
        target: {
          kind: 'found',
          value: deployment('a', {
            selector: { matchLabels: { ...labels, track: 'base' } },
            template: { metadata: { labels: { ...labels, track: 'base' } }, spec: { containers: [{ name: 'main' }] } },
          }),
        },
      },
      'LabelsSplit',
    ],
  ])('an HPA does not, with %s', (_, changes, reason) => {
    const decision = decide(snapshot(changes), now, options());
    expect(reasonOf(decision, 'HPASelectorOverlap')).toBe(reason);
    expect(decision.creates).toHaveLength(4);
  });

  test('a refusal is tried again after its time, and a start after its backoff', () => {
    const refused = { ...calm, failure: { reason: 'QuotaExceeded' as const, message: '' }, retryAt: now + 10 };
    expect(decide(snapshot({ memory: refused }), now, options()).nextAt).toBe(now + 10);
    expect(decide(snapshot({ memory: refused }), now + 10, options()).creates).toHaveLength(4);
    const failing = { ...calm, startFailures: 4, startFailedAt: now };
    expect(decide(snapshot({ memory: failing }), now + 19, options()).creates).toEqual([]);
    expect(decide(snapshot({ memory: failing }), now + 20, options()).creates).toHaveLength(4);
  });
});

describe('who ends', () => {
  test('those that are too many, first those that are not Ready', () => {
    const pods = ready(6).map((clone, index) =>
      index === 4 ? { ...clone, isReady: false, readyAt: undefined, state: 'Starting' as const } : clone,
    );
    const { victims } = decide(snapshot({ pods }), now, options());
    expect(victims.map(({ reason }) => reason)).toEqual(['Surplus', 'Surplus']);
    expect(victims[0]?.clone.uid).toBe(pods[4]?.uid);
  });

  test('a fall by more than half is believed when it has lasted', () => {
    const pods = ready(6);
    const few = options([{ ...window, replicas: 1 }]);
    const first = decide(snapshot({ pods }), now, few);
    expect(first).toMatchObject({ victims: [], dropSince: now });
    const memory = { ...calm, dropSince: now };
    expect(decide(snapshot({ pods, memory }), now + 29, few).victims).toEqual([]);
    expect(decide(snapshot({ pods, memory }), now + 30, few).victims).toHaveLength(5);
  });

  test('nobody while the target cannot be read', () => {
    const target = { kind: 'unreadable' as const, message: 'timeout' };
    const decision = decide(snapshot({ pods: ready(8), target }), now, options());
    expect(decision.victims).toEqual([]);
  });

  test('all of them when the target is at 0 for a while', () => {
    const target = { kind: 'found' as const, value: deployment('web:1', { replicas: 0 }) };
    const memory = { ...calm, dropSince: now - 30 };
    const decision = decide(snapshot({ pods: ready(4), target, memory }), now, options());
    expect(decision.victims).toHaveLength(4);
    expect(decision.spec?.replicas).toBe(0);
  });

  test('suspended, nobody comes and nobody goes', () => {
    const decision = decide(snapshot({ pods: ready(3), pool: poolOf({ suspend: true }) }), now, options());
    expect(decision).toMatchObject({ creates: [], victims: [] });
  });

  test('after a rollout new clones come first, and old ones go as new ones are Ready', () => {
    const old = ready(4);
    const target = { kind: 'found' as const, value: deployment('web:2') };
    const surge = decide(snapshot({ pods: old, target }), now, options());
    expect(surge.creates).toHaveLength(4);
    expect(surge.victims).toEqual([]);
    expect(reasonOf(surge, 'RevisionCurrent')).toBe('Replacing');
    const fresh = born(surge).map((clone, index) =>
      index < 3 ? clone : { ...clone, isReady: false, readyAt: undefined, state: 'Starting' as const },
    );
    const { victims, creates, room } = decide(snapshot({ pods: [...old, ...fresh], target }), now, options());
    expect(creates).toEqual([]);
    expect(victims.map(({ reason }) => reason)).toEqual(['Outdated', 'Outdated', 'Outdated']);
    expect(victims.every(({ clone }) => old.includes(clone))).toBe(true);
    expect(room).toEqual([]);
  });

  test('where there is no room for both, a quarter makes room', () => {
    const pool = poolOf({ maxReplicas: 4 });
    const target = { kind: 'found' as const, value: deployment('web:2') };
    const decision = decide(snapshot({ pool, pods: ready(4), target }), now, options());
    expect(decision.creates).toEqual([]);
    expect(decision.victims).toHaveLength(1);
    expect(decision.room).toEqual(decision.victims);
  });

  test('with Keep, clones of an earlier template stay', () => {
    const pool = poolOf({ onTargetChange: 'Keep' });
    const target = { kind: 'found' as const, value: deployment('web:2') };
    const decision = decide(snapshot({ pool, pods: ready(4), target }), now, options());
    expect(decision).toMatchObject({ creates: [], victims: [] });
    expect(reasonOf(decision, 'RevisionCurrent')).toBe('OutdatedKept');
  });
});

describe('status', () => {
  test('counts, and says what clones carry and until when', () => {
    const [first, second, third] = ready(3);
    const pods = [
      first as CloneView,
      { ...(second as CloneView), effectiveDeadline: now + 600 },
      { ...(third as CloneView), state: 'Retiring' as const },
    ];
    const { status } = decide(snapshot({ pods }), now, options());
    expect(status).toMatchObject({
      replicas: 2,
      readyReplicas: 2,
      retiringReplicas: 1,
      selector: 'headstart.dev/pool=web',
      nextDeadline: formatRfc3339(now + 600),
      targetRevision: revisionOf(deployment(), undefined),
      carrying: {
        perClone: '50000m',
        ready: 2,
        steps: [
          { until: formatRfc3339(now + 600), replicas: 1 },
          { until: formatRfc3339(now + 1200), replicas: 1 },
        ],
      },
    });
  });

  test('a pool without anything to do says so, with a selector from the first write on', () => {
    const { status, events } = decide(snapshot(), now, options([]));
    expect(status).toMatchObject({ replicas: 0, selector: 'headstart.dev/pool=web' });
    expect(events.map(({ type }) => type)).not.toContain('Warning');
  });
});

describe('whatever there is', () => {
  const states = ['Pending', 'Starting', 'Serving', 'Retiring', 'Terminating', 'Ended'] as const;
  const pod = fc.record({
    index: fc.nat(12),
    generation: fc.integer({ min: 1, max: 3 }),
    state: fc.constantFrom(...states),
    owner: fc.constantFrom('pool-uid', 'pool-uid', 'pool-uid', 'other-pool', undefined),
    window: fc.constantFrom('w-1', 'w-2', 'w-9'),
    isCurrent: fc.boolean(),
    left: fc.integer({ min: -100, max: 3000 }),
    node: fc.constantFrom('n1', 'n2'),
  });
  const windows = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom('w-1', 'w-2', 'w-3'),
      start: fc.integer({ min: -500, max: 100 }),
      length: fc.integer({ min: 101, max: 3000 }),
      replicas: fc.integer({ min: 1, max: 8 }),
    }),
    { selector: ({ id }) => id, maxLength: 3 },
  );
  const revision = revisionOf(deployment(), undefined);
  const views = fc
    .uniqueArray(pod, {
      selector: ({ index, generation, window: id }) => `${id} ${index} ${generation}`,
      maxLength: 20,
    })
    .map((items) =>
      items.map(
        (item): CloneView => ({
          namespace: 'shop',
          name: `web-${item.window}-${item.index}${item.generation > 1 ? `-g${item.generation}` : ''}`,
          uid: `${item.window}-${item.index}-${item.generation}`,
          resourceVersion: '1',
          pool: 'web',
          owner: item.owner === undefined ? undefined : { uid: item.owner, isPool: true },
          createdAt: now - 100,
          effectiveDeadline: now + item.left,
          windowId: item.window,
          revision: item.isCurrent ? revision : 'old',
          node: item.node,
          state: item.state,
          isReady: item.state === 'Serving',
          readyAt: item.state === 'Serving' ? now - 90 : undefined,
          requests: { cpu: 1, memory: 1 },
          exitBelow: undefined,
        }),
      ),
    );
  const settings = fc.record({
    maxReplicas: fc.integer({ min: 1, max: 12 }),
    onTargetChange: fc.constantFrom('Retire' as const, 'Keep' as const),
    dropSince: fc.constantFrom(undefined, now - 60),
  });
  const given = fc.record({ pods: views, windows, settings }).map(({ pods, windows: items, settings: set }) => ({
    snapshot: snapshot({ pods, pool: poolOf(set), memory: { ...calm, dropSince: set.dropSince } }),
    options: options(
      items.map(({ id, start, length, replicas }) => ({
        id,
        startTime: now + start,
        endTime: now + start + length,
        replicas,
      })),
    ),
    maxReplicas: set.maxReplicas,
  }));

  test('there are never more than maxReplicas, no name is used twice, and no foreign pod is touched', () => {
    fc.assert(
      fc.property(given, (input) => {
        const { pods } = input.snapshot;
        const decision = decide(input.snapshot, now, input.options);
        const mine = pods.filter((clone) => clone.owner?.uid === 'pool-uid');
        const alive = mine.filter(isAlive).length;
        if (decision.creates.length > Math.max(0, input.maxReplicas - alive)) throw new Error('too many');
        if ((decision.spec?.replicas ?? 0) > input.maxReplicas) throw new Error('too many wanted');
        const names = [...pods.map(({ name }) => name), ...decision.creates.map(({ metadata }) => metadata.name)];
        if (new Set(names).size !== names.length) throw new Error('a name twice');
        const touched = [...decision.victims, ...decision.extensions].map(({ clone }) => clone);
        if (touched.some((clone) => !mine.includes(clone) || !isAlive(clone))) throw new Error('a foreign pod');
        if (new Set(decision.victims.map(({ clone }) => clone.uid)).size !== decision.victims.length) {
          throw new Error('twice');
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('it converges, and then nothing is done any more', () => {
    fc.assert(
      fc.property(given, (input) => {
        const grown = (clones: readonly CloneView[]): CloneView[] =>
          clones.map((clone) =>
            isAlive(clone) ? { ...clone, state: 'Serving', isReady: true, readyAt: now - 40 } : clone,
          );
        let pods = grown(input.snapshot.pods.filter((clone) => clone.effectiveDeadline > now));
        let decision = decide({ ...input.snapshot, pods }, now, input.options);
        for (let round = 0; round < 40 && decision.creates.length + decision.victims.length > 0; round += 1) {
          const gone = new Set(decision.victims.map(({ clone }) => clone.uid));
          pods = grown([...pods.filter(({ uid }) => !gone.has(uid)), ...born(decision, {}, now - 50)]);
          const memory = { ...calm, dropSince: now - 60 };
          decision = decide({ ...input.snapshot, pods, memory }, now, input.options);
        }
        if (decision.creates.length + decision.victims.length > 0) throw new Error('does not converge');
        const alive = pods.filter((clone) => clone.owner?.uid === 'pool-uid' && isAlive(clone));
        // Who would end before it is of use is not made.
        const isLate = (decision.spec?.windows ?? []).some(({ endTime }) => Date.parse(endTime) / 1000 < now + 200);
        const wanted = decision.spec?.replicas ?? 0;
        const held = decision.dropSince !== undefined;
        if (!isLate && !held && alive.length !== wanted) throw new Error(`${alive.length} of ${wanted}`);
      }),
      { numRuns: 500 },
    );
  });
});
