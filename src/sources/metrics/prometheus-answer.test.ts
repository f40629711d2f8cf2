// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { fromOutside, fromOutsideMs } from '../../testing/fuzz.ts';
import { readAnswer } from './prometheus-answer.ts';
import type { Series } from './prometheus-answer.ts';

function read(body: unknown, status = 200): Series | undefined {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readAnswer({ status, contentType: 'application/json', text });
}

function matrix(...result: unknown[]): unknown {
  return { status: 'success', data: { resultType: 'matrix', result } };
}

describe('an answer that is understood', () => {
  test('one series gives its samples, and its labels as PromQL writes them', () => {
    const metric = { __name__: 'demand', zone: 'a"b' };
    expect(
      read(
        matrix({
          metric,
          values: [
            [60, '1.5e+3'],
            [120.5, '0'],
          ],
        }),
      ),
    ).toEqual({
      labels: 'demand{zone="a\\"b"}',
      samples: [
        { timestamp: 60, value: 1500 },
        { timestamp: 120.5, value: 0 },
      ],
    });
  });

  test('no series gives undefined', () => {
    expect(read(matrix())).toBeUndefined();
  });

  test.each(['NaN', '+Inf', '-Inf', '', ' ', 'zero', '0x10'])('the value %j is NaN, never a number', (value) => {
    expect(read(matrix({ metric: {}, values: [[60, value]] }))?.samples).toEqual([
      { timestamp: 60, value: Number.NaN },
    ]);
  });

  test('warnings are left alone', () => {
    const body = { ...(matrix({ metric: {}, values: [[60, '1']] }) as object), warnings: ['partial'], infos: ['x'] };
    expect(read(body)?.samples).toHaveLength(1);
  });
});

test.each([
  {
    name: 'two series are named, shortened, with the remedy',
    body: matrix({ metric: { a: 'x'.repeat(500) }, values: [] }, { metric: { b: '2' }, values: [] }),
    code: 'SeveralSeries',
    message: /^the query gives more than one series, such as \{a="x{100,160}… and \{b="2"\}; want one: aggregate/,
  },
  {
    name: 'a query that Prometheus refuses carries its own text',
    status: 400,
    body: { status: 'error', errorType: 'bad_data', error: '1:5: parse error: unclosed left parenthesis' },
    code: 'QueryFailed',
    message: /^Prometheus answers HTTP 400: 1:5: parse error: unclosed left parenthesis$/,
  },
  {
    name: 'a query that is too expensive is a failed query',
    status: 422,
    body: { status: 'error', errorType: 'execution', error: 'query processing would load too many samples' },
    code: 'QueryFailed',
    message: /HTTP 422: query processing/,
  },
  {
    name: 'a query that takes Prometheus too long is a timeout, whatever the status',
    status: 503,
    body: { status: 'error', errorType: 'timeout', error: 'query timed out in expression evaluation' },
    code: 'Timeout',
    message: /query timed out/,
  },
  {
    name: 'a gateway in the way is unavailable',
    status: 502,
    body: '<html>',
    code: 'Unavailable',
    message: /HTTP 502/,
  },
  { name: 'a throttled request is throttled', status: 429, body: '', code: 'Throttled', message: /HTTP 429/ },
  { name: 'a redirect is not followed', status: 302, body: '', code: 'BadResponse', message: /HTTP 302/ },
  { name: 'a page of something else', body: '<html></html>', code: 'BadResponse', message: /is this the URL of Pro/ },
  { name: 'JSON of something else', body: '[]', code: 'BadResponse', message: /want JSON/ },
  { name: 'an error with status 200', body: { status: 'error', error: 'x' }, code: 'QueryFailed', message: /: x$/ },
  {
    name: 'another result type',
    body: { status: 'success', data: { resultType: 'vector' } },
    code: 'BadResponse',
    message: /matrix/,
  },
  {
    name: 'native histograms',
    body: matrix({ metric: {}, histograms: [] }),
    code: 'QueryFailed',
    message: /histogram/,
  },
  { name: 'a series without values', body: matrix({ metric: {} }), code: 'BadResponse', message: /want values/ },
  {
    name: 'a number in place of a string',
    body: matrix({ metric: {}, values: [[60, 1]] }),
    code: 'BadResponse',
    message: /want \[t/,
  },
  {
    name: 'time that goes back',
    body: matrix({
      metric: {},
      values: [
        [60, '1'],
        [60, '1'],
      ],
    }),
    code: 'BadResponse',
    message: /60 follows 60/,
  },
])('$name', ({ body, status, code, message }) => {
  const error = caught(() => read(body, status));
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
});

test(
  'whatever comes, the result is a series or an error of the closed table, and a short one',
  () => {
    const statuses = fc.constantFrom(200, 200, 200, 302, 400, 404, 429, 500);
    const values = fc.array(fc.tuple(fc.double(), fc.oneof(fc.string(), fc.double().map(String))));
    const series = fc.record({
      metric: fc.dictionary(fc.string(), fc.string()),
      values: fc.oneof(values, fc.jsonValue()),
    });
    const bodies = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(series, { maxLength: 3 }).map((result) => JSON.stringify(matrix(...result))),
    );
    fc.assert(
      fc.property(statuses, bodies, (status, text) => {
        const error = caught(() => readAnswer({ status, contentType: '', text }));
        if (error === undefined) return;
        expect(error).toBeInstanceOf(HeadstartError);
        expect((error as HeadstartError).message.length).toBeLessThan(600);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);

function caught(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}
