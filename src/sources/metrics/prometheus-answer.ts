// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';

/** The one series of an answer; its samples are in time order, and NaN where Prometheus gives no finite number. */
export interface Series {
  /** As PromQL writes them: `{instance="a", job="b"}`. */
  readonly labels: string;
  readonly samples: Sample[];
}

/** An HTTP answer, read to its end. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

const maxLabels = 160;
const maxText = 300;

/**
 * The series of an answer to query_range (Prometheus HTTP API v1); undefined when it holds none. Warnings and infos
 * are left alone.
 * @throws HeadstartError SeveralSeries, QueryFailed, Timeout, Throttled, Unavailable, BadResponse
 */
export function readAnswer(answer: HttpAnswer): Series | undefined {
  const body = parseObject(answer.text);
  if (answer.status !== 200) throw refusal(answer, body);
  if (body === undefined) throw notPrometheus(answer);
  if (body['status'] !== 'success') throw refusal(answer, body);
  const data = asObject(body['data']);
  const result: unknown = data?.['result'];
  if (data?.['resultType'] !== 'matrix' || !Array.isArray(result)) throw bad('want a matrix in data.result');
  if (result.length > 1) throw severalSeries(result.map((series) => formatLabels(asObject(series)?.['metric'])));
  return result.length === 0 ? undefined : readSeries(asObject(result[0]));
}

/** Names two of the series; how many there are is not known, as no more than two are asked for. */
export function severalSeries(labels: readonly string[]): HeadstartError {
  const [first = '{}', second = '{}'] = labels;
  return new HeadstartError(
    'SeveralSeries',
    `the query gives more than one series, such as ${first} and ${second}; want one: aggregate, such as sum(…)`,
  );
}

function readSeries(series: Fields | undefined): Series {
  const values: unknown = series?.['values'];
  if (!Array.isArray(values)) {
    if (series?.['histograms'] === undefined) throw bad('want values in data.result[0]');
    throw new HeadstartError('QueryFailed', 'the query gives a native histogram; want a number');
  }
  const samples: Sample[] = [];
  let previous = Number.NEGATIVE_INFINITY;
  for (const point of values) {
    const sample = readPoint(point);
    if (!(sample.timestamp > previous)) throw bad(`timestamp ${sample.timestamp} follows ${previous}`);
    previous = sample.timestamp;
    samples.push(sample);
  }
  return { labels: formatLabels(series?.['metric']), samples };
}

function readPoint(point: unknown): Sample {
  const [timestamp, text]: unknown[] = Array.isArray(point) ? point : [];
  if (typeof timestamp !== 'number' || typeof text !== 'string') throw bad('want [timestamp, "value"] in values');
  // Number('') is 0, and unknown must never become 0.
  const value = /^[-+.\de]+$/i.test(text) ? Number(text) : Number.NaN;
  return { timestamp, value: Number.isFinite(value) ? value : Number.NaN };
}

/** What a status other than 200, or a body that says error, means (web/api/v1/api.go, respondError). */
function refusal(answer: HttpAnswer, body: Fields | undefined): HeadstartError {
  const said = typeof body?.['error'] === 'string' ? shorten(body['error'], maxText) : `a body of ${kindOf(answer)}`;
  const code = refusalCode(answer.status, body?.['errorType']);
  return new HeadstartError(code, `Prometheus answers HTTP ${answer.status}: ${said}`);
}

function refusalCode(status: number, errorType: unknown): ErrorCode {
  if (errorType === 'timeout' || errorType === 'canceled' || status === 504) return 'Timeout';
  if (status === 429) return 'Throttled';
  if (status === 401) return 'Unauthorized';
  if (status === 403) return 'Forbidden';
  if (status >= 500) return 'Unavailable';
  // A redirect could lead anywhere; the admin names the server.
  return status === 200 || status >= 400 ? 'QueryFailed' : 'BadResponse';
}

function notPrometheus(answer: HttpAnswer): HeadstartError {
  return bad(`got ${kindOf(answer)}, want JSON; is this the URL of Prometheus?`);
}

function kindOf({ contentType, text }: HttpAnswer): string {
  return `${text.length} characters of ${contentType === '' ? 'unknown type' : shorten(contentType, 60)}`;
}

function bad(message: string): HeadstartError {
  return new HeadstartError('BadResponse', `answer of Prometheus: ${message}`);
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string): Fields | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function formatLabels(metric: unknown): string {
  const { __name__: name, ...labels } = asObject(metric) ?? {};
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return shorten(`${typeof name === 'string' ? name : ''}{${pairs.join(', ')}}`, maxLabels);
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
