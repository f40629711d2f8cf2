// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KubeObject } from '../../kube/client.ts';
import { parseSweptClone } from './swept-clone.ts';

function pod(parts: {
  readonly spec?: object;
  readonly status?: object;
  readonly annotations?: Record<string, string>;
}) {
  const metadata = { name: 'a', namespace: 'shop', uid: 'u', annotations: parts.annotations ?? {} };
  return parseSweptClone({ metadata, spec: parts.spec, status: parts.status } as KubeObject);
}

const requests = (cpu: string, memory = '1Gi') => ({ requests: { cpu, memory } });

test('containers and sidecars are kept with requests, restarts and whether they run; other init containers are not', () => {
  const { measured } = pod({
    spec: {
      resources: requests('3'),
      initContainers: [{ name: 'setup' }, { name: 'proxy', restartPolicy: 'Always', resources: requests('100m') }],
      containers: [
        { name: 'app', resources: requests('2') },
        { name: 'odd', resources: requests('two') },
      ],
    },
    status: {
      initContainerStatuses: [{ name: 'proxy', restartCount: 2, state: { running: {} } }],
      containerStatuses: [{ name: 'app', restartCount: 0, state: { waiting: {} } }],
    },
  });
  const memory = 2 ** 30;
  expect(measured).toEqual({
    cpu: 3,
    memory,
    containers: [
      { name: 'proxy', isRunning: true, restarts: 2, cpu: 0.1, memory },
      { name: 'app', isRunning: false, restarts: 0, cpu: 2, memory },
      { name: 'odd', isRunning: false, restarts: 0, cpu: undefined, memory },
    ],
  });
});

test.each<readonly [string, string, string, string | undefined]>([
  ['that never was Ready has not lost it', 'False', '2026-01-01T00:00:10Z', undefined],
  ['that is unready since much later has', 'False', '2026-01-01T00:05:00Z', '2026-01-01T00:05:00Z'],
  ['that is Ready has not', 'True', '2026-01-01T00:05:00Z', undefined],
])('a clone %s', (_, status, lastTransitionTime, want) => {
  const conditions = [{ type: 'Ready', status, lastTransitionTime }];
  const { lostReadinessAt } = pod({ status: { startTime: '2026-01-01T00:00:00Z', conditions } });
  expect(lostReadinessAt).toBe(want === undefined ? undefined : Date.parse(want) / 1000);
});

test('the reason that was written is read, if it is one', () => {
  expect(pod({ annotations: { 'headstart.dev/exit-reason': 'Idle' } }).exitReason).toBe('Idle');
  expect(pod({ annotations: { 'headstart.dev/exit-reason': 'Boredom' } }).exitReason).toBeUndefined();
});

test('no text in a pod makes it fail, or makes a number of what is none', () => {
  const text = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(text, text, text, (request, startTime, lastTransitionTime) => {
      const { measured, lostReadinessAt } = pod({
        spec: { resources: requests(request), containers: [{ name: request, resources: requests(request) }] },
        status: { startTime, conditions: [{ type: 'Ready', status: 'False', lastTransitionTime }] },
      });
      const numbers = [measured.cpu, measured.containers[0]?.cpu, lostReadinessAt];
      expect(numbers.every((value) => value === undefined || Number.isFinite(value))).toBe(true);
    }),
    { numRuns: 3000 },
  );
});
