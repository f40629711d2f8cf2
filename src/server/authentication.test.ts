// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from 'node:http';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { KubeRequest } from '../kube/client.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { createAuthenticator } from './authentication.ts';
import { parseRequestHeaderConfig } from './request-header.ts';

const proxy = parseRequestHeaderConfig({
  'requestheader-client-ca-file': 'CA',
  'requestheader-username-headers': '["X-Remote-User"]',
  'requestheader-group-headers': '["X-Remote-Group"]',
});

interface Given {
  readonly requestHeader?: typeof proxy | undefined;
  readonly isVerified?: boolean;
  readonly answer?: (request: KubeRequest) => unknown;
}

function setUp({ requestHeader = proxy, isVerified = true, answer = () => ({}) }: Given) {
  const clock = createFakeClock();
  const client = createFakeKubeClient(answer);
  const logger = pino({ level: 'silent' });
  const authenticate = createAuthenticator({
    client,
    clock,
    logger,
    requestHeader: () => requestHeader,
    isVerified: () => isVerified,
  });
  return { clock, client, authenticate };
}

function request(rawHeaders: readonly string[], authorization?: string): IncomingMessage {
  const socket = {};
  return { rawHeaders, headers: { authorization }, socket } as unknown as IncomingMessage;
}

const jane = { status: { authenticated: true, user: { username: 'jane', uid: '7', groups: ['dev'] } } };

describe('the front proxy’s word', () => {
  test('is taken when its certificate is verified', async () => {
    const { authenticate } = setUp({});
    expect(await authenticate(request(['X-Remote-User', 'system:kube-aggregator', 'X-Remote-Group', 'a']))).toEqual({
      name: 'system:kube-aggregator',
      groups: ['a', 'system:authenticated'],
      extra: {},
    });
  });
  test.each<[string, Given]>([
    ['when its certificate is not verified', { isVerified: false }],
    ['when no authority is configured', { requestHeader: { ...proxy, clientCaPem: '' } }],
    ['when its name is not allowed', { requestHeader: { ...proxy, allowedNames: ['front-proxy-client'] } }],
  ])('is not taken %s', async (_when, given) => {
    const { authenticate } = setUp(given);
    expect(await authenticate(request(['X-Remote-User', 'admin', 'X-Remote-Group', 'system:masters']))).toBeUndefined();
  });
  test('is not taken before the configuration is known', async () => {
    const client = createFakeKubeClient(() => ({}));
    const authenticate = createAuthenticator({
      client,
      clock: createFakeClock(),
      logger: pino({ level: 'silent' }),
      requestHeader: () => undefined,
      isVerified: () => true,
    });
    expect(await authenticate(request(['X-Remote-User', 'admin']))).toBeUndefined();
  });
  test.each([
    ['system:anonymous', ['system:unauthenticated'], ['system:unauthenticated']],
    ['system:anonymous', [], []],
    ['jane', ['system:authenticated'], ['system:authenticated']],
    ['jane', [], ['system:authenticated']],
  ])('%s in %j has the groups %j', async (name, groups, result) => {
    const { authenticate } = setUp({});
    const headers = ['X-Remote-User', name, ...groups.flatMap((group) => ['X-Remote-Group', group])];
    expect((await authenticate(request(headers)))?.groups).toEqual(result);
  });
});

describe('a bearer token', () => {
  test('is reviewed, and its user gets system:authenticated', async () => {
    const { authenticate, client } = setUp({ answer: () => jane });
    expect(await authenticate(request([], 'Bearer abc'))).toEqual({
      name: 'jane',
      uid: '7',
      groups: ['dev', 'system:authenticated'],
      extra: {},
    });
    expect(client.requests).toMatchObject([
      {
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 'abc' } },
      },
    ]);
  });
  test('counts for 10 s without another review', async () => {
    const { authenticate, client, clock } = setUp({ answer: () => jane });
    await authenticate(request([], 'Bearer abc'));
    await clock.advance(10_000);
    await authenticate(request([], 'bearer abc'));
    expect(client.requests).toHaveLength(1);
    await clock.advance(1);
    await authenticate(request([], 'Bearer abc'));
    await authenticate(request([], 'Bearer other'));
    expect(client.requests).toHaveLength(3);
  });
  test.each([
    ['a token that is not authenticated', { status: { authenticated: false, error: 'expired' } }],
    ['an answer without a status', {}],
    ['a user without a name', { status: { authenticated: true, user: { username: '' } } }],
    ['authenticated in another type', { status: { authenticated: 'true', user: { username: 'x' } } }],
  ])('is nobody’s: %s', async (_what, answer) => {
    const { authenticate } = setUp({ answer: () => answer });
    expect(await authenticate(request([], 'Bearer abc'))).toBeUndefined();
  });
  test('is nobody’s when the review fails', async () => {
    const { authenticate } = setUp({
      answer: () => {
        throw new HeadstartError('Forbidden', 'cannot create tokenreviews');
      },
    });
    expect(await authenticate(request([], 'Bearer abc'))).toBeUndefined();
  });
  test.each([[undefined], [''], ['Bearer'], ['Bearer '], ['Basic abc'], ['abc']])('is not in %j', async (header) => {
    const { authenticate, client } = setUp({ answer: () => jane });
    expect(await authenticate(request([], header))).toBeUndefined();
    expect(client.requests).toHaveLength(0);
  });
  test('is looked at when the front proxy names nobody', async () => {
    const { authenticate } = setUp({ answer: () => jane });
    expect((await authenticate(request(['X-Remote-Group', 'system:masters'], 'Bearer abc')))?.name).toBe('jane');
  });
  test('made up by the thousand does not flood the apiserver', async () => {
    const { authenticate, client } = setUp({ answer: async () => await new Promise(() => undefined) });
    for (let index = 0; index < 200; index += 1) void authenticate(request([], `Bearer ${index}`));
    expect(await authenticate(request([], 'Bearer last'))).toBeUndefined();
    expect(client.requests).toHaveLength(50);
  });
});
