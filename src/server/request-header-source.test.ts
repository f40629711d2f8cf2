// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { KubeRequest } from '../kube/client.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { createRequestHeaderSource } from './request-header-source.ts';

const name = 'extension-apiserver-authentication';
const path = `/api/v1/namespaces/kube-system/configmaps/${name}`;

function configMap(ca: string, resourceVersion = '1', names = '["front-proxy-client"]') {
  return {
    metadata: { name, namespace: 'kube-system', uid: 'u', resourceVersion },
    data: { 'requestheader-client-ca-file': ca, 'requestheader-allowed-names': names },
  };
}

function setUp(answer: (request: KubeRequest) => unknown) {
  const clock = createFakeClock();
  const client = createFakeKubeClient((request) =>
    request.path === path ? answer(request) : { metadata: { resourceVersion: '5' }, items: [answer(request)] },
  );
  const stop = new AbortController();
  const source = createRequestHeaderSource({ client, clock, random: () => 0.5, logger: pino({ level: 'silent' }) });
  const seen: string[] = [];
  source.onChange(({ clientCaPem }) => seen.push(clientCaPem));
  return { clock, client, source, stop, seen };
}

describe('the source', () => {
  test('loads the ConfigMap, then follows it', async () => {
    const { client, source, stop, seen } = setUp(() => configMap('A'));
    expect(source.hasLoaded()).toBe(false);
    await source.start(stop.signal);
    expect(source.current()?.clientCaPem).toBe('A');
    await settle();
    expect(client.requests.map(({ path: asked, query }) => `${asked} ${query?.['fieldSelector'] ?? ''}`)).toEqual([
      `${path} `,
      `/api/v1/namespaces/kube-system/configmaps metadata.name=${name}`,
    ]);
    client.emit({ type: 'MODIFIED', object: configMap('A\nB', '6') });
    client.emit({ type: 'MODIFIED', object: configMap('A\nB', '7') });
    client.emit({ type: 'MODIFIED', object: configMap('C', '8', 'not JSON') });
    client.emit({ type: 'DELETED', object: configMap('A\nB', '9') });
    await settle();
    expect(seen).toEqual(['A', 'A\nB']);
    expect(source.current()?.clientCaPem).toBe('A\nB');
    stop.abort();
  });
  test('without a ConfigMap trusts nobody, and is ready', async () => {
    const { source, stop } = setUp(() => {
      throw new HeadstartError('NotFound', 'not found');
    });
    await source.start(stop.signal);
    expect([source.hasLoaded(), source.current()]).toEqual([true, undefined]);
    stop.abort();
  });
  test('says which RoleBinding is missing', async () => {
    const { source, stop } = setUp(() => {
      throw new HeadstartError('Forbidden', 'forbidden');
    });
    await expect(source.start(stop.signal)).rejects.toThrow(
      /RoleBinding in kube-system to the Role extension-apiserver/,
    );
  });
  test('waits for an apiserver that is not there yet', async () => {
    let calls = 0;
    const { source, clock, stop } = setUp(() => {
      calls += 1;
      if (calls < 4) throw new HeadstartError('Unavailable', 'refused');
      return configMap('A');
    });
    const started = source.start(stop.signal);
    await clock.advance(10_000);
    await started;
    expect(source.current()?.clientCaPem).toBe('A');
    stop.abort();
  });
  test('gives up when it is told to', async () => {
    const { source, stop } = setUp(() => {
      throw new HeadstartError('Unavailable', 'refused');
    });
    const started = source.start(stop.signal);
    await settle();
    stop.abort(new Error('shutting down'));
    await expect(started).rejects.toThrow('shutting down');
  });
});
