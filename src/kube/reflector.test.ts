// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { FakeCollection } from '../testing/fake-collection.ts';
import type { KubeObject, KubeRequest } from './client.ts';
import { createReflector } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort(new Error('test is over'));
  stop = new AbortController();
});

/** A reflector that runs on a fake collection holding `names`. */
async function start(names: readonly string[], options: Partial<ReflectorOptions<KubeObject>> = {}) {
  const collection = new FakeCollection();
  for (const name of names) collection.put(name);
  const clock = createFakeClock(1_000_000);
  const changes: string[] = [];
  const errors: string[] = [];
  const reflector = createReflector({
    client: collection,
    path: '/api/v1/things',
    clock,
    random: () => 0.5,
    onChange: ({ type, object }) => changes.push(`${type} ${object.metadata.name}`),
    onError: (error) => errors.push((error as Error).message),
    ...options,
  });
  const running = reflector.run(stop.signal);
  await settle();
  const stored = () =>
    reflector.store
      .list()
      .map(({ metadata }) => metadata.name)
      .sort();
  return { collection, clock, changes, errors, reflector, running, stored };
}

const lists = (requests: readonly KubeRequest[]) => requests.filter(({ query }) => 'limit' in (query ?? {}));

test('it lists page by page, then watches from the version of the list', async () => {
  const { collection, reflector, stored, changes } = await start(['a', 'b', 'c', 'd', 'e']);
  expect(stored()).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(changes).toEqual(['added a', 'added b', 'added c', 'added d', 'added e']);
  expect(reflector.store.hasSynced()).toBe(true);
  expect(collection.requests.map(({ query }) => query)).toEqual([
    { limit: '500' },
    { limit: '500', continue: '105:2' },
    { limit: '500', continue: '105:4' },
    { allowWatchBookmarks: 'true', resourceVersion: '105', timeoutSeconds: '450' },
  ]);
});

test('selectors go with every list and watch', async () => {
  const { collection } = await start(['a', 'b', 'c'], { query: { labelSelector: 'app=web' } });
  expect(collection.requests.map(({ query }) => query?.['labelSelector'])).toEqual(['app=web', 'app=web', 'app=web']);
});

test('the store follows what is added, modified and deleted, and answers by namespace', async () => {
  const { collection, reflector, changes, clock } = await start(['a']);
  changes.length = 0;
  await clock.advance(5000);
  collection.put('b');
  collection.put('a', { v: '2' });
  collection.remove('b');
  await settle();
  expect(changes).toEqual(['added b', 'modified a', 'deleted b']);
  expect(reflector.store.get('shop', 'a')?.metadata.labels).toEqual({ v: '2' });
  expect(reflector.store.get('other', 'a')).toBeUndefined();
  expect(reflector.store.list('shop').length).toBe(1);
  expect(reflector.store.list('other')).toEqual([]);
  expect(reflector.store.lastContactMs()).toBe(1_005_000);
});

test('a watch that the server ends is taken up at the last version, bookmarks included', async () => {
  const { collection, clock, stored, errors } = await start(['a']);
  collection.put('b');
  await settle();
  collection.remove('a');
  collection.bookmark();
  await clock.advance(10_000);
  collection.endWatches();
  await settle();
  expect(collection.requests.at(-1)?.query).toMatchObject({ resourceVersion: '103' });
  expect(stored()).toEqual(['b']);
  expect(errors).toEqual([]);
  expect(lists(collection.requests).length).toBe(1);
});

test('what happened while the connection was away is caught up, without a list', async () => {
  const { collection, clock, changes, errors } = await start(['a']);
  changes.length = 0;
  collection.endWatches(new HeadstartError('Unavailable', 'connection reset'));
  collection.put('b');
  collection.remove('a');
  await clock.advance(1000);
  expect(changes).toEqual(['added b', 'deleted a']);
  expect(errors).toEqual(['connection reset']);
  expect(lists(collection.requests).length).toBe(1);
});

test.each([
  'HTTP status 410',
  'ERROR event with code 410',
])('%s means a new list, which also tells what has gone meanwhile', async (how) => {
  const { collection, clock, changes, errors, stored } = await start(['a', 'b', 'c']);
  changes.length = 0;
  if (how.startsWith('HTTP')) {
    collection.endWatches(new HeadstartError('Unavailable', 'connection reset'));
  } else {
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    collection.send({ type: 'ERROR', object: status as unknown as KubeObject });
  }
  collection.remove('b');
  collection.put('c', { v: '2' });
  collection.put('d');
  collection.compact();
  await settle();
  expect(stored()).toEqual(['a', 'b', 'c']);
  await clock.advance(5000);
  expect(changes).toEqual(['deleted b', 'modified c', 'added d']);
  expect(errors.at(-1)).toContain('410 Expired');
  expect(collection.openWatches()).toBe(1);
});

test('a continue token that expired means a list from its beginning; the store stays whole meanwhile', async () => {
  const { collection, clock, changes, stored, errors } = await start(['a', 'b', 'c']);
  changes.length = 0;
  const gone = (where: string) => new HeadstartError('Gone', `${where} (HTTP 410 Expired)`);
  // A page is answered before the second one fails: the collection is compacted in between.
  const ask = collection.request.bind(collection);
  let pages = 0;
  collection.request = async (request) => {
    const page = await ask<never>(request);
    pages += 1;
    if (pages === 1) collection.compact();
    expect(stored()).toEqual(['a', 'b', 'c']);
    return page;
  };
  collection.endWatches(gone('watching'));
  await clock.advance(5000);
  expect(errors).toEqual(['watching (HTTP 410 Expired)', 'listing: the token is too old (HTTP 410 Expired)']);
  expect(lists(collection.requests).map(({ query }) => query?.['continue'])).toEqual([
    undefined,
    '103:2',
    undefined,
    '103:2',
    undefined,
    '104:2',
  ]);
  expect(changes).toEqual([]);
  expect(collection.openWatches()).toBe(1);
});

test('a silent watch is opened anew, one with bookmarks is left alone', async () => {
  const { collection, clock, errors, stored, reflector } = await start(['a'], { maxSilenceMs: 100_000 });
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(60_000);
    collection.bookmark();
    await settle();
  }
  expect(errors).toEqual([]);
  expect(collection.requests.length).toBe(2);
  await clock.advance(99_000);
  expect(collection.requests.length).toBe(2);
  collection.dropWatches();
  collection.put('b');
  await clock.advance(12_000);
  expect(collection.requests.slice(2).map(({ query }) => query)).toMatchObject([
    { limit: '1' },
    { resourceVersion: '101' },
  ]);
  expect(stored()).toEqual(['a', 'b']);
  expect([collection.openWatches(), errors]).toEqual([1, []]);
  expect(reflector.store.lastContactMs()).toBeGreaterThan(clock.nowMs() - 12_000);
});

test('a silent server that is behind was restored from a backup: the reflector lists anew', async () => {
  const { collection, clock, stored } = await start(['a', 'b', 'c'], { maxSilenceMs: 100_000 });
  collection.restoreEmpty();
  await clock.advance(99_000);
  expect(stored()).toEqual(['a', 'b', 'c']);
  await clock.advance(12_000);
  expect(stored()).toEqual([]);
  collection.put('d');
  await settle();
  expect(stored()).toEqual(['d']);
});

test('a silent server that does not answer is reported', async () => {
  const { collection, clock, errors } = await start(['a'], { maxSilenceMs: 100_000 });
  collection.failNext(new HeadstartError('Timeout', 'listing: no answer within 60 s'));
  await clock.advance(111_000);
  expect(errors).toEqual(['listing: no answer within 60 s']);
  expect(collection.openWatches()).toBe(1);
});

test('failures are repeated ever more slowly, up to 30 s, and the first event forgets them', async () => {
  const { collection, clock, errors } = await start([], { maxSilenceMs: 10_000_000 });
  const away = Array.from({ length: 30 }, () => new HeadstartError('Unavailable', 'connection refused'));
  collection.failNext(...away);
  const triesIn = async (ms: number) => {
    const before = collection.requests.length;
    await clock.advance(ms);
    return collection.requests.length - before;
  };
  collection.endWatches(new HeadstartError('Unavailable', 'connection reset'));
  expect(await triesIn(10_000)).toBe(4);
  await clock.advance(60_000);
  expect(await triesIn(90_000)).toBe(4);
  await clock.advance(900_000);
  expect(errors.length).toBe(31);
  expect(collection.openWatches()).toBe(1);
  collection.bookmark();
  await settle();
  collection.endWatches(new HeadstartError('Unavailable', 'connection reset'));
  expect(await triesIn(400)).toBe(1);
});

test('after several failures in a row the version is no longer trusted', async () => {
  const { collection, clock, stored } = await start(['a']);
  const tooLarge = () => new HeadstartError('Timeout', 'watching: Too large resource version (HTTP 504 Timeout)');
  collection.failNext(tooLarge(), tooLarge(), tooLarge(), tooLarge());
  collection.endWatches(tooLarge());
  collection.put('b');
  await clock.advance(60_000);
  expect(lists(collection.requests).length).toBe(2);
  expect(stored()).toEqual(['a', 'b']);
});

test('a server that ends each watch at once is not asked in a tight loop', async () => {
  const { collection, clock, errors } = await start(['a']);
  for (let round = 0; round < 200; round += 1) {
    collection.endWatches();
    await clock.advance(100);
  }
  expect(collection.requests.length).toBeLessThan(12);
  expect(errors[0]).toBe('watching /api/v1/things: ended at once');
});

test('a list that fails at first is synced later; whenSynced waits for it, or for the signal', async () => {
  const { collection, clock, reflector } = await start([]);
  collection.failNext(new HeadstartError('NotFound', 'listing: no such resource'));
  const other = createReflector({ client: collection, path: '/x', clock, random: () => 0 });
  const controller = new AbortController();
  const given = other.whenSynced(controller.signal);
  const kept = other.whenSynced(stop.signal);
  void other.run(stop.signal);
  await settle();
  expect(other.store.hasSynced()).toBe(false);
  controller.abort(new Error('too long'));
  await expect(given).rejects.toThrow('too long');
  await clock.advance(2000);
  await kept;
  await reflector.whenSynced(stop.signal);
  expect(other.store.hasSynced()).toBe(true);
});

test('an object that cannot be parsed is reported, and the last good state of it stays', async () => {
  const parse = (object: KubeObject) => {
    if (object.metadata.labels?.['bad'] !== undefined) throw new Error('spec.target: got nothing');
    return object;
  };
  const { collection, clock, errors, stored, changes } = await start(['a'], { parse });
  collection.put('a', { bad: 'yes' });
  collection.put('b', { bad: 'yes' });
  await settle();
  collection.endWatches(new HeadstartError('Gone', 'watching (HTTP 410 Expired)'));
  await clock.advance(1000);
  expect(stored()).toEqual(['a']);
  expect(changes).toEqual(['added a']);
  expect(errors.slice(0, 2)).toEqual(['reading shop/a of /api/v1/things', 'reading shop/b of /api/v1/things']);
  collection.remove('a');
  await settle();
  expect(stored()).toEqual([]);
  expect(changes).toEqual(['added a', 'deleted a']);
});

test('a page is cut down before the next one is asked for, and so is what a watch brings', async () => {
  const seen: string[] = [];
  const cut = ({ metadata: { namespace = '', name, resourceVersion = '' } }: KubeObject): KubeObject => {
    seen.push(name);
    return { metadata: { namespace, name, resourceVersion } };
  };
  const collection = new FakeCollection();
  for (const name of ['a', 'b', 'c']) collection.put(name, { large: 'x' });
  const asked: number[] = [];
  const ask = collection.request.bind(collection);
  collection.request = async <T>(request: KubeRequest) => {
    asked.push(seen.length);
    return await ask<T>(request);
  };
  const reflector = createReflector({
    client: collection,
    path: '/x',
    clock: createFakeClock(),
    random: () => 0,
    parse: cut,
  });
  void reflector.run(stop.signal);
  await settle();
  expect(asked).toEqual([0, 2]);
  collection.put('d', { large: 'x' });
  await settle();
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
  for (const { metadata } of reflector.store.list()) {
    expect(Object.keys(metadata)).toEqual(['namespace', 'name', 'resourceVersion']);
  }
});

test('a callback that throws is reported and stops nothing', async () => {
  const { stored, errors } = await start(['a', 'b'], {
    onChange: () => {
      throw new Error('consumer');
    },
  });
  expect(stored()).toEqual(['a', 'b']);
  expect(errors).toEqual(['consumer', 'consumer']);
});

test('an answer that is no list is reported and tried again', async () => {
  const { collection, clock, stored, errors } = await start(['a']);
  const ask = collection.request.bind(collection);
  collection.request = async <T>() => ({ metadata: {}, items: [] }) as T;
  collection.endWatches(new HeadstartError('Gone', 'gone'));
  await clock.advance(2000);
  expect(errors.at(-1)).toBe('listing /api/v1/things: got no items and resourceVersion, want a list');
  expect(stored()).toEqual(['a']);
  collection.request = ask;
  await clock.advance(10_000);
  expect(collection.openWatches()).toBe(1);
});

test('an aborted reflector ends, and lets go of everything', async () => {
  const { collection, clock, running } = await start(['a']);
  stop.abort(new Error('stopping'));
  await running;
  await settle();
  expect(collection.openWatches()).toBe(0);
  expect(clock.sleepers()).toBe(0);
});

test('a kind that need not be installed counts as empty while its list is not found, and is found later', async () => {
  const collection = new FakeCollection();
  const absent = new HeadstartError('NotFound', 'listing: the server could not find the requested resource');
  collection.failNext(absent, absent);
  const { clock, reflector, errors, stored } = await start([], { client: collection, isOptional: true });
  expect(reflector.store.hasSynced()).toBe(true);
  expect(reflector.store.lastContactMs()).toBe(1_000_000);
  collection.put('a');
  await clock.advance(29_000);
  expect(stored()).toEqual([]);
  await clock.advance(1000);
  expect(stored()).toEqual([]);
  await clock.advance(30_000);
  expect(stored()).toEqual(['a']);
  expect(errors).toEqual([]);
});

test('of a kind that is taken away nothing is left', async () => {
  const collection = new FakeCollection();
  collection.put('a');
  const { clock, stored, changes } = await start([], { client: collection, isOptional: true });
  expect(stored()).toEqual(['a']);
  const absent = new HeadstartError('NotFound', 'the server could not find the requested resource');
  collection.failNext(...Array.from({ length: 9 }, () => absent));
  collection.endWatches(absent);
  for (let second = 0; second < 60; second += 1) await clock.advance(1000);
  expect(stored()).toEqual([]);
  expect(changes).toEqual(['added a', 'deleted a']);
});

test('of a kind that must be there, a list that is not found is a failure', async () => {
  const collection = new FakeCollection();
  collection.failNext(new HeadstartError('NotFound', 'listing: not found'));
  const { reflector, errors } = await start([], { client: collection });
  expect(reflector.store.hasSynced()).toBe(false);
  expect(errors).toEqual(['listing: not found']);
});
