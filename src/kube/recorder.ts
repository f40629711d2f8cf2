// SPDX-License-Identifier: Apache-2.0
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient } from './client.ts';
import { resourcePath } from './paths.ts';
import { isNamespaceGoing } from './status.ts';
import { microTime } from './time.ts';

/** The object that an Event is about. */
interface EventRegarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly uid?: string | undefined;
}

/** What happened. */
export interface EventToRecord {
  readonly regarding: EventRegarding;
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase: the reason of the condition it tells of. */
  readonly reason: string;
  /** What was done or failed: one word, such as `Forecast`. */
  readonly action: string;
  /** A sentence; cut at 1 KiB. */
  readonly note: string;
}

/** Writes Kubernetes Events. */
export interface EventRecorder {
  /** Takes an Event to be written later; never throws, never waits. */
  record(event: EventToRecord): void;
  /** Resolves when all that was taken is written or given up. */
  flush(): Promise<void>;
}

/** Who reports, and to whom failures are told. */
export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  /** Shown by `kubectl describe`: `headstart.dev/forecaster`. */
  readonly reportingController: string;
  /** This replica. */
  readonly reportingInstance: string;
  /** Told of each Event that was lost, and why. */
  readonly onError?: (error: unknown) => void;
}

/** The same thing again within this time of the last is a count in the first Event. */
const seriesGapMs = 10 * 60_000;
/** Between two writes of a count; in between it only grows here. */
const seriesWriteMs = 60_000;
/** As client-go's spam filter (tools/record/events_cache.go), per object. */
const burst = 25;
const refillMs = 5 * 60_000;
const maxQueued = 1_000;
const maxKnown = 4_096;
const maxTries = 3;
const retryMs = 2_000;
const maxNoteBytes = 1_024;

const apiVersion = 'events.k8s.io/v1';

interface Series {
  readonly namespace: string;
  readonly name: string;
  readonly body: Record<string, unknown>;
  count: number;
  lastMs: number;
  writtenMs: number;
}

interface Bucket {
  tokens: number;
  refilledMs: number;
}

/** A recorder of Events in events.k8s.io/v1, with client-go's aggregation (tools/events), by note as well. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #known = new LRUCache<string, Series>({ max: maxKnown });
  readonly #buckets = new LRUCache<string, Bucket>({ max: maxKnown });
  readonly #queue: (() => Promise<void>)[] = [];
  #draining: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(event: EventToRecord): void {
    try {
      this.#take(event);
    } catch (error) {
      this.#report(error);
    }
  }

  #take(event: EventToRecord): void {
    const nowMs = this.#options.clock.nowMs();
    const key = JSON.stringify([event.regarding, event.type, event.reason, event.action, event.note]);
    const series = this.#known.get(key);
    if (series !== undefined && nowMs - series.lastMs < seriesGapMs) return this.#repeat(series, nowMs);
    if (!this.#takeToken(JSON.stringify(event.regarding), nowMs)) return this.#lose(event, 'too many Events about it');
    const fresh = this.#describe(event, nowMs);
    if (this.#enqueue(async () => await this.#create(fresh))) this.#known.set(key, fresh);
    else this.#lose(event, `${maxQueued} Events wait already`);
  }

  async flush(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  #repeat(series: Series, nowMs: number): void {
    series.count += 1;
    series.lastMs = nowMs;
    // The first repetition is written at once, then one count a minute.
    if (series.count > 2 && nowMs - series.writtenMs < seriesWriteMs) return;
    series.writtenMs = nowMs;
    this.#enqueue(async () => await this.#update(series));
  }

  #describe(event: EventToRecord, nowMs: number): Series {
    const { random, reportingController, reportingInstance } = this.#options;
    const namespace = event.regarding.namespace ?? 'default';
    const suffix = `${nowMs.toString(16)}${Math.floor(random() * 2 ** 32).toString(16)}`;
    const name = `${event.regarding.name.slice(0, 200).replace(/[-.]+$/, '')}.${suffix}`;
    const body = {
      apiVersion,
      kind: 'Event',
      metadata: { name, namespace },
      eventTime: microTime(nowMs),
      reportingController,
      reportingInstance: reportingInstance.slice(0, 128),
      ...event,
      note: cutBytes(event.note, maxNoteBytes),
    };
    return { namespace, name, body, count: 1, lastMs: nowMs, writtenMs: nowMs };
  }

  async #create({ namespace, body }: Series): Promise<void> {
    const path = resourcePath({ apiVersion, plural: 'events', namespace });
    await this.#options.client.request({ method: 'POST', path, body });
  }

  async #update(series: Series): Promise<void> {
    const { namespace, name, count, lastMs } = series;
    const part = { series: { count, lastObservedTime: microTime(lastMs) } };
    try {
      await this.#options.client.request({
        method: 'PATCH',
        path: resourcePath({ apiVersion, plural: 'events', namespace, name }),
        body: part,
        contentType: 'application/merge-patch+json',
      });
    } catch (error) {
      if (!(error instanceof HeadstartError && error.code === 'NotFound')) throw error;
      // The apiserver drops Events after an hour.
      await this.#create({ ...series, body: { ...series.body, ...part } });
    }
  }

  #takeToken(object: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(object) ?? { tokens: burst, refilledMs: nowMs };
    this.#buckets.set(object, bucket);
    const refills = Math.max(0, Math.floor((nowMs - bucket.refilledMs) / refillMs));
    bucket.tokens = Math.min(burst, bucket.tokens + refills);
    bucket.refilledMs += refills * refillMs;
    if (bucket.tokens === 0) return false;
    bucket.tokens -= 1;
    return true;
  }

  #enqueue(write: () => Promise<void>): boolean {
    if (this.#queue.length >= maxQueued) return false;
    this.#queue.push(write);
    this.#draining ??= this.#drain();
    return true;
  }

  /** One write at a time: Events must never crowd out what the controllers send. */
  async #drain(): Promise<void> {
    for (let write = this.#queue.shift(); write !== undefined; write = this.#queue.shift()) await this.#attempt(write);
    this.#draining = undefined;
  }

  async #attempt(write: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await write();
      } catch (error) {
        // Nobody will miss it.
        if (isNamespaceGoing(error)) return;
        const isWorthIt = error instanceof HeadstartError && error.retryable && tries < maxTries;
        if (!isWorthIt) return this.#report(new HeadstartError('Unavailable', 'writing an Event', { cause: error }));
      }
      await this.#options.clock.sleep(retryMs * tries);
    }
  }

  #lose({ regarding, reason }: EventToRecord, why: string): void {
    const object = `${regarding.kind} ${regarding.namespace ?? ''}/${regarding.name}`;
    this.#report(new HeadstartError('Throttled', `writing Event ${reason} of ${object}: ${why}`));
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch {
      // Whoever listens to failures must not cause one.
    }
  }
}

/** The longest beginning of a text that fits, whole characters only. */
function cutBytes(text: string, maxBytes: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(maxBytes)).read);
}
