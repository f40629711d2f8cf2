// SPDX-License-Identifier: Apache-2.0
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject, WatchEvent } from './client.ts';
import { linkSignal } from './deadline.ts';
import { statusError } from './status.ts';
import type { Status } from './status.ts';
import { createStore, objectKey } from './store.ts';
import type { Change, MutableStore, ObjectStore } from './store.ts';

/** Follows one collection of the apiserver. */
export interface Reflector<T> {
  readonly store: ObjectStore<T>;
  /** Lists and watches until the signal aborts, whatever fails meanwhile; call it once. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves after the first complete list and its callbacks; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
}

/** What to follow, and whom to tell. */
export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient;
  /** The collection, of one namespace or all: see `resourcePath`. */
  readonly path: string;
  readonly query?: { readonly fieldSelector?: string; readonly labelSelector?: string };
  readonly clock: Clock;
  readonly random: () => number;
  /** Called in order, after the store has changed. An error it throws goes to `onError`. */
  readonly onChange?: (change: Change<T>) => void;
  /** Told of each failure; the reflector goes on by itself. */
  readonly onError?: (error: unknown) => void;
  /**
   * Checks, or cuts down, what came from the apiserver; as it came when left out. When it throws, the store keeps what
   * it has under that name.
   */
  readonly parse?: (object: KubeObject) => T;
  /**
   * The kind may not be installed. While it is not, its list is not found: then there is nothing, which counts as a
   * list, and it is looked for again every half minute. Otherwise a list that is not found is a failure.
   */
  readonly isOptional?: boolean;
  /** A watch without any event or bookmark for so long is opened anew, after a look at the server; 90 s when left out. */
  readonly maxSilenceMs?: number;
}

/** As client-go's pager. */
const pageSize = 500;
/** A page of large objects over a slow link. */
const listTimeoutMs = 60_000;
const probeTimeoutMs = 10_000;
/** client-go's reflector: the server ends a watch after 5 to 10 minutes, at random, which spreads the reconnects. */
const minWatchSeconds = 300;
/** The apiserver sends a bookmark each minute (storage/cacher), unless its version has not moved at all. */
const defaultMaxSilenceMs = 90_000;
const watchdogTicks = 10;
/** A watch that ends sooner and said nothing counts as a failure (client-go: "very short watch"). */
const shortWatchMs = 1_000;
/** After so many failures in a row the version itself is suspect. */
const failuresBeforeRelist = 5;
const backoff = { baseMs: 500, maxMs: 30_000 };
/** Between two looks for a kind that is not installed. */
const absentMs = 30_000;

interface State {
  /** Where the next watch begins; undefined asks for a list. */
  resourceVersion: string | undefined;
  failures: number;
}

interface Context<T extends KubeObject> extends ReflectorOptions<T> {
  readonly mutable: MutableStore<T>;
  readonly state: State;
  readonly synced: PromiseWithResolvers<void>;
  readonly report: (error: unknown) => void;
}

/**
 * A reflector in the manner of client-go (tools/cache/reflector.go), with a watchdog that client-go leaves to HTTP/2
 * pings.
 */
export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
  const mutable = createStore<T>();
  const context: Context<T> = {
    ...options,
    mutable,
    state: { resourceVersion: undefined, failures: 0 },
    synced: Promise.withResolvers<void>(),
    report: options.onError ?? (() => undefined),
  };
  return {
    store: mutable,
    run: async (signal) => await run(context, signal),
    whenSynced: async (signal) => await unlessAborted(context.synced.promise, signal),
  };
}

async function run<T extends KubeObject>(context: Context<T>, signal: AbortSignal): Promise<void> {
  const { state, clock, random } = context;
  while (!signal.aborted) {
    try {
      if (state.resourceVersion === undefined) await listIfThere(context, signal);
      else await watch(context, state.resourceVersion, signal);
    } catch (error) {
      if (signal.aborted) return;
      noteFailure(context, error);
      const waitMs = backoffMs(state.failures - 1, { ...backoff, random });
      // Aborted: the loop's condition ends it.
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }
}

function noteFailure<T extends KubeObject>({ state, report }: Context<T>, error: unknown): void {
  state.failures += 1;
  report(error);
  const isGone = error instanceof HeadstartError && error.code === 'Gone';
  if (isGone || state.failures >= failuresBeforeRelist) state.resourceVersion = undefined;
}

/** A kind that is taken away while it is watched ends the watch, and soon its list is not found. */
async function listIfThere<T extends KubeObject>(context: Context<T>, signal: AbortSignal): Promise<void> {
  try {
    await list(context, signal);
  } catch (error) {
    const isAbsent = context.isOptional === true && error instanceof HeadstartError && error.code === 'NotFound';
    if (!isAbsent) throw error;
    context.mutable.touch(context.clock.nowMs());
    fill(context, [], new Set());
    await context.clock.sleep(absentMs * (0.5 + context.random()), signal);
  }
}

function fill<T extends KubeObject>(context: Context<T>, objects: readonly T[], kept: ReadonlySet<string>): void {
  for (const change of context.mutable.replace(objects, kept)) notify(context, change);
  context.mutable.markSynced();
  context.synced.resolve();
}

interface Page {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubeObject[] | null;
}

/**
 * Reads every page before it touches the store: half a list would look like mass deletion. Each is cut down before the
 * next is read, so that a large collection is never in memory as it came.
 */
async function list<T extends KubeObject>(context: Context<T>, signal: AbortSignal): Promise<void> {
  const objects: T[] = [];
  /** What is there but could not be parsed. */
  const kept = new Set<string>();
  let resourceVersion = '';
  let next = '';
  do {
    const page = await readPage(context, { limit: pageSize, next, timeoutMs: listTimeoutMs }, signal);
    for (const item of page.items ?? []) {
      const object = parseOne(context, item);
      if (object === undefined) kept.add(objectKey(item.metadata.namespace, item.metadata.name));
      else objects.push(object);
    }
    resourceVersion = page.metadata?.resourceVersion ?? '';
    next = page.metadata?.continue ?? '';
    context.mutable.touch(context.clock.nowMs());
  } while (next !== '');
  context.state.resourceVersion = resourceVersion;
  fill(context, objects, kept);
}

async function readPage<T extends KubeObject>(
  { client, path, query }: Context<T>,
  { limit, next, timeoutMs }: { readonly limit: number; readonly next: string; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Page> {
  const page = await client.request<Page | undefined>({
    path,
    query: { ...query, limit: String(limit), ...(next === '' ? {} : { continue: next }) },
    timeoutMs,
    signal,
  });
  if (!Array.isArray(page?.items ?? []) || !page?.metadata?.resourceVersion) {
    throw new HeadstartError('BadResponse', `listing ${path}: got no items and resourceVersion, want a list`);
  }
  return page;
}

function parseOne<T extends KubeObject>({ parse, path, report }: Context<T>, item: KubeObject): T | undefined {
  try {
    const object = withoutManagedFields(item);
    return parse === undefined ? (object as T) : parse(object);
  } catch (cause) {
    const { namespace, name } = item.metadata;
    report(new HeadstartError('BadResponse', `reading ${objectKey(namespace, name)} of ${path}`, { cause }));
    return undefined;
  }
}

/** They are a third of many objects, and nobody here reads them (client-go: TransformStripManagedFields). */
function withoutManagedFields(item: KubeObject): KubeObject {
  if (!('managedFields' in item.metadata)) return item;
  const { managedFields: _, ...metadata } = item.metadata;
  return { ...item, metadata };
}

/** Follows the collection from a version on, until the server ends the watch in good order or has gone silent. */
async function watch<T extends KubeObject>(context: Context<T>, from: string, signal: AbortSignal): Promise<void> {
  const { client, path, query, clock, random, state } = context;
  const timeoutSeconds = Math.floor(minWatchSeconds * (1 + random()));
  const startMs = clock.nowMs();
  const watchdog = startWatchdog(context, signal);
  let events = 0;
  try {
    const parameters = { allowWatchBookmarks: 'true', resourceVersion: from, timeoutSeconds: String(timeoutSeconds) };
    for await (const event of client.watch({ path, query: { ...query, ...parameters }, signal: watchdog.signal })) {
      handleEvent(context, event);
      events += 1;
      state.failures = 0;
      watchdog.feed();
    }
  } catch (error) {
    if (!watchdog.hasBarked()) throw error;
    return await probe(context, signal);
  } finally {
    watchdog.stop();
  }
  if (events === 0 && clock.nowMs() - startMs < shortWatchMs) {
    throw new HeadstartError('Unavailable', `watching ${path}: ended at once`);
  }
  // A quiet watch that the server ended in good order.
  state.failures = 0;
}

/**
 * Asks a server whose watch went silent whether it is there, and where. A server that is behind us was restored from a
 * backup: it takes a watch from the future, and says nothing until it gets there.
 */
async function probe<T extends KubeObject>(context: Context<T>, signal: AbortSignal): Promise<void> {
  const { metadata } = await readPage(context, { limit: 1, next: '', timeoutMs: probeTimeoutMs }, signal);
  context.mutable.touch(context.clock.nowMs());
  const isBehind = Number(metadata?.resourceVersion) < Number(context.state.resourceVersion);
  if (isBehind) context.state.resourceVersion = undefined;
}

function handleEvent<T extends KubeObject>(context: Context<T>, { type, object }: WatchEvent): void {
  if (type === 'ERROR') throw statusError(`watching ${context.path}`, object as unknown as Status);
  const { namespace, name, resourceVersion } = object.metadata;
  context.mutable.touch(context.clock.nowMs());
  if (type !== 'BOOKMARK') notify(context, applyEvent(context, { type, object }, { namespace, name }));
  if (resourceVersion !== undefined) context.state.resourceVersion = resourceVersion;
}

function applyEvent<T extends KubeObject>(
  context: Context<T>,
  { type, object }: WatchEvent,
  { namespace, name }: { readonly namespace: string | undefined; readonly name: string },
): Change<T> | undefined {
  if (type === 'DELETED') {
    const change = context.mutable.remove(namespace, name);
    const last = change === undefined ? undefined : parseOne(context, object);
    return last === undefined ? change : { type: 'deleted', object: last };
  }
  const parsed = parseOne(context, object);
  return parsed === undefined ? undefined : context.mutable.set(parsed);
}

function notify<T extends KubeObject>({ onChange, report }: Context<T>, change: Change<T> | undefined): void {
  if (change === undefined) return;
  try {
    onChange?.(change);
  } catch (error) {
    report(error);
  }
}

interface Watchdog {
  readonly signal: AbortSignal;
  feed(): void;
  /** Was it the watchdog that aborted? */
  hasBarked(): boolean;
  stop(): void;
}

/** Aborts a watch that has gone silent: a connection may be dead without either end having been told. */
function startWatchdog<T extends KubeObject>(context: Context<T>, parent: AbortSignal): Watchdog {
  const { clock, path, maxSilenceMs = defaultMaxSilenceMs } = context;
  const link = linkSignal(parent);
  let silentTicks = 0;
  let barked = false;
  const guard = async (): Promise<void> => {
    // Sleeps are counted, as the wall clock may be set back.
    for (; silentTicks < watchdogTicks; silentTicks += 1) await clock.sleep(maxSilenceMs / watchdogTicks, link.signal);
    barked = true;
    link.abort(new HeadstartError('Timeout', `watching ${path}: nothing for ${maxSilenceMs / 1000} s`));
  };
  // It rejects only when the watch is over.
  guard().catch(() => undefined);
  return {
    signal: link.signal,
    feed: () => {
      silentTicks = -1;
    },
    hasBarked: () => barked,
    stop: () => {
      link.abort(undefined);
      link.unlink();
    },
  };
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
