// SPDX-License-Identifier: Apache-2.0
import { Agent, request as send } from 'undici';
import type { Dispatcher } from 'undici';
import { backoffMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { errorCode, HeadstartError, invalidInput } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';
import { createBreaker } from './breaker.ts';
import type { Breaker } from './breaker.ts';
import { createLimiter } from './limiter.ts';
import type { Limiter } from './limiter.ts';
import type { LatestRequest, MetricSource, RangeRequest } from './metric-source.ts';
import { readAnswer, severalSeries } from './prometheus-answer.ts';
import type { HttpAnswer, Series } from './prometheus-answer.ts';
import { originOf, parseServerUrl } from './server-url.ts';

/** How to read from one Prometheus server, or from what speaks its HTTP API. */
export interface PrometheusOptions {
  /** Base URL, a path prefix included; without credentials. */
  readonly url: string;
  readonly clock: Clock;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  /** Asked before each request: how to connect, and what to say of oneself; default plain sockets, and nothing. */
  readonly connect?: () => Promise<Connection>;
  /** For one answer; default 10 s. */
  readonly timeoutMs?: number;
  /** Points of one request; default 11,000, the most that Prometheus gives. */
  readonly maxPoints?: number;
  /** Lets requests run; default 8 at a time. */
  readonly limiter?: Limiter;
  /** What several sources of one server know of its failures; default one of its own. */
  readonly breaker?: Breaker;
  /** Of one answer; default 8 MiB, ten times what one series of 11,000 points takes. */
  readonly maxResponseBytes?: number;
  /** Told of every request: `Success` or an error code, and how long it took. */
  readonly onRequest?: (call: { readonly outcome: string; readonly seconds: number }) => void;
}

/** How one request is sent. */
export interface Connection {
  readonly dispatcher: Dispatcher;
  readonly authorization?: string;
  /** What is taken out of every message: the server may repeat what it was sent. */
  readonly secrets: readonly string[];
}

interface Server extends Required<Omit<PrometheusOptions, 'url'>> {
  readonly endpoint: string;
  /** Scheme, host and port, for messages. */
  readonly origin: string;
}

const tries = 3;
const backoff = { baseMs: 250, maxMs: 5_000 };
const retried: ReadonlySet<string> = new Set(['Unavailable', 'Throttled']);

/**
 * A MetricSource over the Prometheus HTTP API v1 (query_range). Long ranges are read in pieces, and connection
 * errors, HTTP 429 and 5xx are tried again, up to three times in all, with jitter.
 * @throws HeadstartError InvalidInput for a URL that is not http(s), or that holds credentials, a query or a fragment
 */
export function createPrometheusSource(options: PrometheusOptions): MetricSource {
  const { url, ...rest } = options;
  const base = parseServerUrl(url, 'Prometheus url');
  const dispatcher = new Agent({ pipelining: 1 });
  const server: Server = {
    connect: () => Promise.resolve({ dispatcher, secrets: [] }),
    limiter: createLimiter(8),
    timeoutMs: 10_000,
    maxPoints: 11_000,
    maxResponseBytes: 8 * 2 ** 20,
    onRequest: () => undefined,
    breaker: createBreaker(rest.clock),
    ...rest,
    endpoint: `${base}/api/v1/query_range`,
    origin: originOf(base),
  };
  return {
    range: async (request) => {
      const samples = await readRange(server, request);
      return samples.filter(({ value }) => !Number.isNaN(value));
    },
    latest: async (request) => await readLatest(server, request),
  };
}

async function readLatest(server: Server, { atSeconds, ...request }: LatestRequest): Promise<Sample | undefined> {
  const [sample] = await readRange(server, {
    ...request,
    fromSeconds: atSeconds,
    toSeconds: atSeconds,
    stepSeconds: 60,
  });
  if (sample !== undefined && Number.isNaN(sample.value)) {
    throw new HeadstartError('NotANumber', 'the query gives NaN or Inf; want a finite number');
  }
  return sample;
}

async function readRange(server: Server, request: RangeRequest): Promise<Sample[]> {
  const { fromSeconds, toSeconds, stepSeconds } = request;
  if (!(stepSeconds > 0 && fromSeconds <= toSeconds && Number.isFinite(toSeconds - fromSeconds))) {
    throw invalidInput('range', `${fromSeconds} to ${toSeconds} by ${stepSeconds}`, 'from ≤ to and a step above 0');
  }
  const samples: Sample[] = [];
  let labels: string | undefined;
  const span = (server.maxPoints - 1) * stepSeconds;
  for (let from = fromSeconds; from <= toSeconds; from += span + stepSeconds) {
    const piece = { ...request, fromSeconds: from, toSeconds: Math.min(from + span, toSeconds) };
    const series = await readWithRetries(server, piece);
    if (series === undefined) continue;
    if (labels !== undefined && labels !== series.labels) throw severalSeries([labels, series.labels]);
    labels = series.labels;
    for (const sample of series.samples) samples.push(sample);
  }
  return samples;
}

async function readWithRetries(server: Server, request: RangeRequest): Promise<Series | undefined> {
  for (let failures = 0; ; failures += 1) {
    server.breaker.check();
    try {
      return await readOnce(server, request);
    } catch (error) {
      const again = failures + 1 < tries && retried.has(errorCode(error)) && !request.signal?.aborted;
      if (!again) throw error;
      await server.clock.sleep(backoffMs(failures, { ...backoff, random: server.random }), request.signal);
    }
  }
}

async function readOnce(server: Server, request: RangeRequest): Promise<Series | undefined> {
  const connection = await server.connect();
  return await server.limiter(async () => await observe(server, { ...request, connection }), request.signal);
}

interface Call extends RangeRequest {
  readonly connection: Connection;
}

async function observe(server: Server, call: Call): Promise<Series | undefined> {
  const startMs = server.clock.nowMs();
  let outcome = 'Success';
  try {
    return readClean(await exchange(server, call), call.connection.secrets);
  } catch (error) {
    outcome = errorCode(error);
    throw error;
  } finally {
    server.onRequest({ outcome, seconds: (server.clock.nowMs() - startMs) / 1000 });
  }
}

/** A message repeats what the server said, and it may say what it was sent: that is taken out before it is shortened. */
function readClean(answer: HttpAnswer, secrets: readonly string[]): Series | undefined {
  try {
    return readAnswer(answer);
  } catch (error) {
    if (secrets.length === 0) throw error;
    const { status, contentType, text } = answer;
    readAnswer({ status, contentType: withoutSecrets(contentType, secrets), text: withoutSecrets(text, secrets) });
    throw new HeadstartError(errorCode(error), 'the answer cannot be read');
  }
}

/** The text without the secrets, in whichever way they were written. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
    .filter((secret) => secret !== '')
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
}

/** One request and its answer, within the time limit and the size limit. */
async function exchange(server: Server, { connection, ...request }: Call): Promise<HttpAnswer> {
  const { clock, timeoutMs, origin } = server;
  const { dispatcher, authorization } = connection;
  const timeout = new AbortController();
  const done = new AbortController();
  const timer = clock.sleep(timeoutMs, done.signal).then(
    () => timeout.abort(new HeadstartError('Timeout', `no answer from ${origin} within ${timeoutMs / 1000} s`)),
    () => undefined,
  );
  const signal = AbortSignal.any(request.signal === undefined ? [timeout.signal] : [timeout.signal, request.signal]);
  try {
    const { statusCode, headers, body } = await send(server.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: formOf(request, timeoutMs),
      dispatcher,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const text = await readText(body, server.maxResponseBytes);
    // Any answer will do: a query that always fails must not stand in the way of others.
    server.breaker.succeeded();
    return { status: statusCode, contentType: String(headers['content-type'] ?? ''), text };
  } catch (cause) {
    if (request.signal?.aborted) throw request.signal.reason;
    if (cause instanceof HeadstartError && cause.code === 'QueryFailed') throw cause;
    const error = timeout.signal.aborted ? timeout.signal.reason : unavailable(origin, cause);
    server.breaker.failed(error);
    throw error;
  } finally {
    done.abort();
    await timer;
  }
}

function formOf(request: RangeRequest, timeoutMs: number): string {
  return new URLSearchParams({
    query: request.query,
    start: String(request.fromSeconds),
    end: String(request.toSeconds),
    step: String(request.stepSeconds),
    timeout: `${timeoutMs}ms`,
    // Two are enough to see that there are several; older servers ignore it.
    limit: '2',
  }).toString();
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      const size = `${maxBytes / 2 ** 20} MiB`;
      throw new HeadstartError(
        'QueryFailed',
        `the answer is larger than ${size}; want one series: aggregate, such as sum(…)`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unavailable(origin: string, cause: unknown): HeadstartError {
  const { message, code } = cause as { readonly message?: unknown; readonly code?: unknown };
  // The error of several addresses that were tried has no text of its own.
  const named = message === '' && typeof code === 'string' ? new Error(code) : cause;
  return new HeadstartError('Unavailable', `no connection to ${origin}`, { cause: named });
}
