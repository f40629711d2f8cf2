// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { request as send } from 'undici';
import type { Dispatcher } from 'undici';
import { backoffMs } from '../base/backoff.ts';
import { HeadstartError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { KubeClient, KubeRequest, WatchEvent } from './client.ts';
import { createCredentials } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { linkSignal } from './deadline.ts';
import { readLines, readText } from './lines.ts';
import { describeRequest } from './paths.ts';
import { parseStatus, refusal } from './status.ts';

/** One exchange with the apiserver, for metrics; every label has a small number of values. */
export interface KubeRequestObservation {
  readonly verb: string;
  /** `pods`, `demandforecasts/status`, or `other` for a path that names no resource. */
  readonly resource: string;
  readonly outcome: 'Success' | ErrorCode;
  /** To the end of the answer; of a watch, to its headers. */
  readonly seconds: number;
}

/** How to reach the apiserver. */
export interface KubeClientOptions {
  /** Path of a kubeconfig, or several as in KUBECONFIG; else the default places, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** A context of the kubeconfig; its current-context when left out. */
  readonly context?: string | undefined;
  /** The apiserver as a pod with a service account reaches it; by its Service's name when left out. */
  readonly inClusterServer?: string | undefined;
  /** For a whole call, its retries included; 10 s when left out. A request may name its own. */
  readonly timeoutMs?: number;
  /** Of one answer, or one event of a watch; 64 MiB when left out. */
  readonly maxBodyBytes?: number;
  /** Product and version, for the apiserver's audit log. */
  readonly userAgent?: string;
  readonly random?: () => number;
  readonly onRequest?: (observation: KubeRequestObservation) => void;
}

interface Exchange
  extends Required<Omit<KubeClientOptions, 'kubeconfig' | 'context' | 'inClusterServer' | 'onRequest'>> {
  readonly credentials: Credentials;
  readonly onRequest: (observation: KubeRequestObservation) => void;
}

/** Calls beyond the first; with the waits below they fit into the default timeout. */
const maxRetries = 4;
const retryBackoff = { baseMs: 200, maxMs: 3_000 };
/** A server that asks for a longer pause gets it from the caller's own backoff, not inside one call. */
const maxRetryAfterMs = 5_000;

/**
 * A KubeClient over HTTP/1.1 (undici), so that one slow watch cannot hold up other requests.
 * @throws HeadstartError InvalidInput when no usable kubeconfig is found
 */
export function createKubeClient(options: KubeClientOptions = {}): KubeClient {
  const exchange: Exchange = {
    credentials: createCredentials({
      kubeconfig: options.kubeconfig,
      context: options.context,
      inCluster: options.inClusterServer ?? 'https://kubernetes.default.svc',
      monotonicMs: () => performance.now(),
    }),
    timeoutMs: options.timeoutMs ?? 10_000,
    maxBodyBytes: options.maxBodyBytes ?? 64 * 2 ** 20,
    userAgent: options.userAgent ?? 'headstart',
    random: options.random ?? Math.random,
    onRequest: options.onRequest ?? (() => undefined),
  };
  return {
    request: async <T>(request: KubeRequest) => (await requestWithRetries(exchange, request)) as T,
    watch: (request) => watch(exchange, request),
  };
}

async function requestWithRetries(exchange: Exchange, request: KubeRequest): Promise<unknown> {
  const { what } = describeRequest(request);
  const timeoutMs = request.timeoutMs ?? exchange.timeoutMs;
  const endMs = performance.now() + timeoutMs;
  const link = linkSignal(request.signal);
  const timer = setTimeout(() => link.abort(timedOut(what, timeoutMs)), timeoutMs);
  try {
    for (let failures = 0; ; failures += 1) {
      const result = await attempt(exchange, request, link.signal);
      if ('value' in result) return result.value;
      const waitMs = retryWaitMs(exchange, request, { ...result, failures });
      // Out of time: the server's own answer says more than a timeout would.
      if (waitMs === undefined || performance.now() + waitMs >= endMs) throw result.error;
      await delay(waitMs, undefined, { signal: link.signal }).catch(() => {
        throw link.signal.reason;
      });
    }
  } finally {
    clearTimeout(timer);
    link.unlink();
  }
}

interface Failure {
  readonly error: HeadstartError;
  readonly retryAfterMs: number | undefined;
}

/** One exchange. Failures that the loop above may repeat are a value; being aborted throws the signal's reason. */
async function attempt(
  exchange: Exchange,
  request: KubeRequest,
  signal: AbortSignal,
): Promise<{ readonly value: unknown } | Failure> {
  const { what, verb, resource } = describeRequest(request);
  const startMs = performance.now();
  const observe = (outcome: 'Success' | ErrorCode): void =>
    exchange.onRequest({ verb, resource, outcome, seconds: (performance.now() - startMs) / 1000 });
  try {
    const response = await open(exchange, request, signal);
    const text = await readText(response.body, exchange.maxBodyBytes);
    if (response.statusCode < 300) {
      const value = parseBody(what, text);
      observe('Success');
      return { value };
    }
    const error = refusal(what, response.statusCode, text);
    observe(error.code);
    return { error, retryAfterMs: retryAfterMs(response, text) };
  } catch (cause) {
    if (!signal.aborted) {
      const error = failure(what, cause);
      observe(error.code);
      return { error, retryAfterMs: undefined };
    }
    // What the caller gave up is no outcome of the apiserver.
    if (signal.reason instanceof HeadstartError) observe(signal.reason.code);
    throw signal.reason;
  }
}

async function open(
  exchange: Exchange,
  request: KubeRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData<unknown>> {
  const { server, dispatcher, headers } = await exchange.credentials.current();
  const query = new URLSearchParams(request.query).toString();
  const response = await send(`${server}${request.path}${query === '' ? '' : `?${query}`}`, {
    dispatcher,
    method: request.method ?? 'GET',
    headers: {
      accept: 'application/json',
      'user-agent': exchange.userAgent,
      ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
      ...headers,
    },
    body: request.body === undefined ? null : JSON.stringify(request.body),
    signal,
    // The signal bounds the whole; a watch may be silent between its bookmarks.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  if (response.statusCode === 401) exchange.credentials.expire();
  return response;
}

/** The wait before the next try in ms; undefined when the request must not, or need not, be repeated. */
function retryWaitMs(
  exchange: Exchange,
  request: KubeRequest,
  failed: Failure & { readonly failures: number },
): number | undefined {
  if (failed.failures >= maxRetries) return undefined;
  // Once more at once, with what has been read anew.
  if (failed.error.code === 'Unauthorized') return failed.failures === 0 ? 0 : undefined;
  if (!isSafeToRepeat(request, failed.error)) return undefined;
  if (failed.retryAfterMs !== undefined && failed.retryAfterMs > maxRetryAfterMs) return undefined;
  const ownMs = backoffMs(failed.failures, { ...retryBackoff, random: exchange.random });
  return (failed.retryAfterMs ?? 0) + ownMs;
}

/** A request that was throttled was not begun, whatever it was; after other failures only reading is safe. */
function isSafeToRepeat(request: KubeRequest, error: HeadstartError): boolean {
  if (error.code === 'Throttled') return true;
  const isRead = request.method === undefined || request.method === 'GET';
  return isRead && (error.code === 'Unavailable' || error.code === 'Timeout');
}

async function* watch(
  exchange: Exchange,
  request: Pick<KubeRequest, 'path' | 'query'> & { readonly signal: AbortSignal },
): AsyncGenerator<WatchEvent> {
  const full = { path: request.path, query: { ...request.query, watch: 'true' } };
  const { what } = describeRequest(full);
  const link = linkSignal(request.signal);
  try {
    const response = await openWatch(exchange, full, link);
    for await (const line of readLines(response.body, exchange.maxBodyBytes)) {
      if (line !== '') yield parseBody(what, line) as WatchEvent;
    }
  } catch (error) {
    throw link.signal.aborted ? link.signal.reason : failure(what, error);
  } finally {
    // Whoever stops reading early leaves a connection that would go on sending.
    link.abort(new HeadstartError('Unavailable', `${what}: ended`));
    link.unlink();
  }
}

async function openWatch(
  exchange: Exchange,
  request: KubeRequest,
  link: ReturnType<typeof linkSignal>,
): Promise<Dispatcher.ResponseData<unknown>> {
  const { what, verb, resource } = describeRequest(request);
  const startMs = performance.now();
  const observe = (outcome: 'Success' | ErrorCode): void =>
    exchange.onRequest({ verb, resource, outcome, seconds: (performance.now() - startMs) / 1000 });
  const timer = setTimeout(() => link.abort(timedOut(what, exchange.timeoutMs)), exchange.timeoutMs);
  try {
    const response = await open(exchange, request, link.signal);
    if (response.statusCode >= 300) {
      throw refusal(what, response.statusCode, await readText(response.body, exchange.maxBodyBytes));
    }
    observe('Success');
    return response;
  } catch (cause) {
    const error = link.signal.aborted ? link.signal.reason : failure(what, cause);
    if (error instanceof HeadstartError) observe(error.code);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function parseBody(what: string, text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new HeadstartError('BadResponse', `${what}: got ${shown}, want JSON`, { cause });
  }
}

function retryAfterMs(response: Dispatcher.ResponseData<unknown>, text: string): number | undefined {
  const header = response.headers['retry-after'];
  const seconds = typeof header === 'string' ? Number(header) : parseStatus(text).details?.retryAfterSeconds;
  return seconds !== undefined && seconds >= 0 ? seconds * 1000 : undefined;
}

function timedOut(what: string, timeoutMs: number): HeadstartError {
  return new HeadstartError('Timeout', `${what}: no answer within ${timeoutMs / 1000} s`);
}

function failure(what: string, cause: unknown): HeadstartError {
  return cause instanceof HeadstartError ? cause : new HeadstartError('Unavailable', what, { cause });
}
