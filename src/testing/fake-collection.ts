// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject, KubeRequest, WatchEvent } from '../kube/client.ts';

interface Stream {
  push(event: WatchEvent): void;
  end(error?: Error): void;
}

const pageSize = 2;

/** A KubeClient that serves one collection, of namespace `shop`, from memory: versions, pages, watches, compaction. */
export class FakeCollection implements KubeClient {
  readonly requests: KubeRequest[] = [];
  readonly #objects = new Map<string, KubeObject>();
  readonly #history: WatchEvent[] = [];
  readonly #streams = new Set<Stream>();
  readonly #failures: Error[] = [];
  #version = 100;
  #oldest = 100;

  async request<T>(request: KubeRequest): Promise<T> {
    this.requests.push(request);
    this.#failIfTold();
    const token = (request.query?.['continue'] ?? '').split(':').filter(Boolean).map(Number);
    const [at = this.#version, offset = 0] = token;
    if (at < this.#oldest) throw new HeadstartError('Gone', 'listing: the token is too old (HTTP 410 Expired)');
    const end = offset + pageSize;
    const items = [...this.#objects.values()].slice(offset, end);
    const more = end < this.#objects.size ? { continue: `${at}:${end}` } : {};
    return { metadata: { resourceVersion: String(at), ...more }, items } as T;
  }

  watch(request: Pick<KubeRequest, 'path' | 'query'> & { readonly signal: AbortSignal }): AsyncIterable<WatchEvent> {
    this.requests.push(request);
    return createStream(this.#streams, request.signal, (stream) => {
      this.#failIfTold();
      const from = Number(request.query?.['resourceVersion']);
      if (from < this.#oldest) throw new HeadstartError('Gone', 'watching: too old (HTTP 410 Expired)');
      const missed = this.#history.filter(({ object }) => Number(object.metadata.resourceVersion) > from);
      for (const event of missed) stream.push(event);
    });
  }

  put(name: string, labels: Readonly<Record<string, string>> = {}): void {
    this.#version += 1;
    const old = this.#objects.get(name);
    const resourceVersion = String(this.#version);
    const uid = old?.metadata.uid ?? `uid-${resourceVersion}`;
    const object = { metadata: { namespace: 'shop', name, uid, resourceVersion, labels } };
    this.#objects.set(name, object);
    this.#emit({ type: old === undefined ? 'ADDED' : 'MODIFIED', object });
  }

  remove(name: string): void {
    this.#version += 1;
    const metadata = { name, namespace: 'shop', resourceVersion: String(this.#version) };
    this.#objects.delete(name);
    this.#emit({ type: 'DELETED', object: { metadata } });
  }

  /** Sends one event to each open watch, history apart. */
  send(event: WatchEvent): void {
    for (const stream of this.#streams) stream.push(event);
  }

  bookmark(): void {
    this.send({ type: 'BOOKMARK', object: { metadata: { name: '', resourceVersion: String(this.#version) } } });
  }

  /** Ends each open watch, in good order or with an error. */
  endWatches(error?: Error): void {
    for (const stream of this.#streams) stream.end(error);
  }

  /** Leaves each open watch open, but sends it nothing more: the connection is dead, and nobody was told. */
  dropWatches(): void {
    for (const stream of this.#streams) stream.end = () => undefined;
    for (const stream of this.#streams) stream.push = () => undefined;
  }

  /** As from a backup made before there was anything: the version falls, open watches hear nothing of it. */
  restoreEmpty(): void {
    this.dropWatches();
    this.#objects.clear();
    this.#history.length = 0;
    this.#version = 50;
    this.#oldest = 0;
  }

  /** Forgets the past: older versions, and continue tokens, are gone from now on. */
  compact(): void {
    this.#version += 1;
    this.#oldest = this.#version;
    this.#history.length = 0;
  }

  /** The next lists and watches fail with these. */
  failNext(...errors: Error[]): void {
    this.#failures.push(...errors);
  }

  openWatches(): number {
    return this.#streams.size;
  }

  #failIfTold(): void {
    const failure = this.#failures.shift();
    if (failure !== undefined) throw failure;
  }

  #emit(event: WatchEvent): void {
    this.#history.push(event);
    this.send(event);
  }
}

/** A stream that is in `streams` while somebody reads it. */
async function* createStream(
  streams: Set<Stream>,
  signal: AbortSignal,
  open: (stream: Stream) => void,
): AsyncGenerator<WatchEvent> {
  const queue: WatchEvent[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const end = (error?: unknown): void => {
    ended ??= { error };
    wake.resolve();
  };
  const stream: Stream = {
    end,
    push: (event) => {
      if (ended === undefined) queue.push(event);
      wake.resolve();
    },
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', () => end(signal.reason), { once: true });
  open(stream);
  streams.add(stream);
  try {
    for (;;) {
      yield* queue.splice(0);
      if (ended?.error !== undefined) throw ended.error;
      if (ended !== undefined) return;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    streams.delete(stream);
  }
}
