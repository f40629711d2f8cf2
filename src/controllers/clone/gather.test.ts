// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import { createStore } from '../../kube/store.ts';
import { createFakeClock } from '../../testing/fake-clock.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { gather } from './gather.ts';

const { signal } = new AbortController();

test('Services are asked once a minute, and anew for whoever needs them as they are now', async () => {
  const clock = createFakeClock();
  const services = [{ spec: { selector: { app: 'old' } } }];
  const client = createFakeKubeClient(({ path }) => ({ items: path.endsWith('/services') ? services : [] }));
  const store = () => createStore<never>();
  const context = {
    client,
    clock,
    pools: store(),
    clones: store(),
    templates: store(),
    forecasts: store(),
    hpas: store(),
    finders: new Map(),
  };
  const pool = {
    metadata: { namespace: 'shop', name: 'web' },
    spec: { targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, serving: 'ServiceLabels' },
  } as unknown as ClonePool;
  const found = async (sinceMs?: number) => {
    const { finders } = await gather(context, pool, { signal, ...(sinceMs === undefined ? {} : { sinceMs }) });
    return finders?.services.map((selector) => selector?.['app']);
  };
  const asked = () => client.requests.filter(({ path }) => path.endsWith('/services')).length;
  expect(await found()).toEqual(['old']);
  services.push({ spec: { selector: { app: 'new' } } });
  await clock.advance(1_000);
  expect(await found()).toEqual(['old']);
  expect(await found(clock.nowMs())).toEqual(['old', 'new']);
  // What was asked at that very time, or later, is as it is now.
  expect(await found(clock.nowMs())).toEqual(['old', 'new']);
  expect(asked()).toBe(2);
  await clock.advance(61_000);
  await found();
  expect(asked()).toBe(3);
});
