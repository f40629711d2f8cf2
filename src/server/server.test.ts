// SPDX-License-Identifier: Apache-2.0
import { Agent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import type { Authority } from '../testing/certificates.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { createAuthenticator } from './authentication.ts';
import { parseRequestHeaderConfig } from './request-header.ts';
import { createServer } from './server.ts';
import type { RequestObservation, Server, ServerOptions } from './server.ts';
import { StatusError } from './status.ts';

type Certificate = Awaited<ReturnType<Authority['issue']>>;

const logger = pino({ level: 'silent' });
const serverName = 'headstart-metrics.headstart-system.svc';
const serving = { commonName: 'headstart', dnsNames: [serverName], usage: 'server' } as const;
const client = { commonName: 'front-proxy-client', usage: 'client' } as const;

interface Keys {
  readonly servingCa: Authority;
  readonly proxyCa: Authority;
  readonly clusterCa: Authority;
  readonly server: Certificate;
  readonly proxy: Certificate;
}

let keys: Keys;
const servers: Server[] = [];
const agents: Agent[] = [];

beforeAll(async () => {
  const [servingCa, proxyCa, clusterCa] = await Promise.all(['serving', 'proxy', 'cluster'].map(createAuthority));
  if (servingCa === undefined || proxyCa === undefined || clusterCa === undefined) throw new Error('no authorities');
  keys = { servingCa, proxyCa, clusterCa, server: await servingCa.issue(serving), proxy: await proxyCa.issue(client) };
});

afterEach(async () => {
  for (const agent of agents.splice(0)) agent.destroy();
  for (const { app } of servers.splice(0)) {
    app.server.closeAllConnections();
    await app.close();
  }
});

function tls(clientCaPem = keys.proxyCa.certPem) {
  return { ...keys.server, clientCaPem };
}

function create(options: Partial<ServerOptions> = {}): Server {
  const server = createServer({ logger, clock: createFakeClock(), tls: tls(), ...options });
  servers.push(server);
  return server;
}

/** A server that says who the front proxy names. */
async function start(config: { clientCaPem?: string; allowedNames?: string } = {}) {
  const { clientCaPem = keys.proxyCa.certPem, allowedNames = '["front-proxy-client"]' } = config;
  const server = create({ tls: tls(clientCaPem) });
  const requestHeader = parseRequestHeaderConfig({
    'requestheader-client-ca-file': clientCaPem,
    'requestheader-allowed-names': allowedNames,
    'requestheader-username-headers': '["X-Remote-User"]',
  });
  const authenticate = createAuthenticator({
    client: createFakeKubeClient(() => ({})),
    clock: createFakeClock(),
    logger,
    requestHeader: () => requestHeader,
    isVerified: (socket) => server.isVerified(socket),
  });
  server.app.get('/who', async ({ raw }) => ({ who: (await authenticate(raw))?.name ?? 'nobody' }));
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return { server, port };
}

interface Answer {
  readonly code: number | undefined;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly reused: boolean;
}

/** As Go's client does, a GET is sent again when a connection that was used before turns out to be closed. */
async function get(port: number, path: string, options: RequestOptions = {}): Promise<Answer> {
  const retry = async (error: unknown): Promise<Answer> => {
    if (!(error instanceof ClosedConnection)) throw error;
    return await getOnce(port, path, options);
  };
  return await getOnce(port, path, options).catch(retry);
}

class ClosedConnection extends Error {}

async function getOnce(port: number, path: string, options: RequestOptions): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const sent = httpsRequest(
      { host: '127.0.0.1', port, path, servername: serverName, ca: keys.servingCa.certPem, agent: false, ...options },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () =>
          resolve({ code: response.statusCode, body, headers: response.headers, reused: sent.reusedSocket }),
        );
      },
    );
    sent.on('error', (error) => reject(sent.reusedSocket ? new ClosedConnection('', { cause: error }) : error)).end();
  });
}

function keepAlive(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return agent;
}

async function who(port: number, certificate?: Certificate, options: RequestOptions = {}): Promise<string> {
  const pair = certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem };
  const headers = { 'x-remote-user': 'jane' };
  const { body } = await get(port, '/who', { ...pair, headers, ...options });
  return (JSON.parse(body) as { who: string }).who;
}

describe('the certificates of front proxies', () => {
  test('right authority, right name: its word counts', async () => {
    const { port } = await start();
    expect(await who(port, keys.proxy)).toBe('jane');
  });
  test('right authority, any name where none is configured', async () => {
    const { port } = await start({ allowedNames: '[]' });
    expect(await who(port, await keys.proxyCa.issue({ commonName: 'other', usage: 'client' }))).toBe('jane');
  });
  test('right authority, wrong name', async () => {
    const { port } = await start();
    expect(await who(port, await keys.proxyCa.issue({ commonName: 'other', usage: 'client' }))).toBe('nobody');
  });
  test('wrong authority, right name', async () => {
    const { port } = await start();
    expect(await who(port, await keys.clusterCa.issue(client))).toBe('nobody');
  });
  test('right authority and name, but a server certificate', async () => {
    const { port } = await start();
    expect(await who(port, await keys.proxyCa.issue({ ...client, usage: 'server' }))).toBe('nobody');
  });
  test('no certificate', async () => {
    const { port } = await start();
    expect(await who(port)).toBe('nobody');
  });
  test('no authority is configured: not even a public one is trusted', async () => {
    const { port, server } = await start({ clientCaPem: '' });
    expect(await who(port, keys.proxy)).toBe('nobody');
    expect(server.app.server.listening).toBe(true);
  });
  test('TLS 1.1 is refused, 1.2 is not', async () => {
    const { port } = await start();
    await expect(get(port, '/livez', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow(/protocol/i);
    expect((await get(port, '/livez', { maxVersion: 'TLSv1.2' })).code).toBe(200);
  });
});

describe('rotation', () => {
  test('another serving certificate is shown to new connections, and drops none', async () => {
    const { port, server } = await start();
    const agent = keepAlive();
    const mtls = { cert: keys.proxy.certPem, key: keys.proxy.keyPem, agent };
    await get(port, '/who', mtls);
    const nextCa = await createAuthority('next');
    server.rotate({ ...(await nextCa.issue(serving)), clientCaPem: keys.proxyCa.certPem });
    expect((await get(port, '/livez', mtls)).reused).toBe(true);
    await expect(get(port, '/livez')).rejects.toThrow('unable to verify');
    expect((await get(port, '/livez', { ca: nextCa.certPem })).code).toBe(200);
  });
  test('an authority that is taken away judges no more, on open connections neither', async () => {
    const { port, server } = await start();
    const agent = keepAlive();
    expect(await who(port, keys.proxy, { agent })).toBe('jane');
    server.rotate(tls(keys.clusterCa.certPem));
    expect(await who(port, keys.proxy, { agent })).toBe('nobody');
    expect(await who(port, await keys.clusterCa.issue(client))).toBe('jane');
  });
  test('an authority that is added judges connections that were open before', async () => {
    const { port, server } = await start();
    const agent = keepAlive();
    const other = await keys.clusterCa.issue(client);
    expect(await who(port, other, { agent })).toBe('nobody');
    server.rotate(tls(keys.proxyCa.certPem + keys.clusterCa.certPem));
    expect(await who(port, other, { agent })).toBe('jane');
    expect(await who(port, keys.proxy)).toBe('jane');
  });
  test('a TLS session from before is not resumed with the old verdict', async () => {
    const { port, server } = await start();
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
    agents.push(agent);
    expect(await who(port, keys.proxy, { agent })).toBe('jane');
    server.rotate(tls(keys.clusterCa.certPem));
    expect(await who(port, keys.proxy, { agent })).toBe('nobody');
  });
  test('a request that is under way is answered, and its connection then ends', async () => {
    const server = create();
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    server.app.get('/slow', async () => {
      entered.resolve();
      await gate.promise;
      return { ok: true };
    });
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    const answer = get(port, '/slow', { agent: keepAlive() });
    await entered.promise;
    server.rotate(tls(keys.clusterCa.certPem));
    gate.resolve();
    expect(await answer).toMatchObject({ code: 200, headers: { connection: 'close' } });
  });
});

describe('probes', () => {
  test('readiness names what is missing; liveness does not care', async () => {
    let synced = false;
    const { app } = create({ readiness: [{ name: 'forecasts', isReady: () => synced }] });
    expect(await app.inject('/readyz')).toMatchObject({
      statusCode: 500,
      body: '[-]forecasts failed\n[+]shutdown ok\nreadyz check failed\n',
    });
    expect(await app.inject('/healthz')).toMatchObject({ statusCode: 500 });
    expect(await app.inject('/livez')).toMatchObject({ statusCode: 200, body: 'ok' });
    synced = true;
    expect(await app.inject('/readyz?verbose')).toMatchObject({ statusCode: 200, body: 'ok' });
  });
});

describe('shutdown', () => {
  test('readiness fails first, requests are answered through the drain delay and to their end', async () => {
    const clock = createFakeClock();
    const server = create({ clock, drainDelayMs: 5000 });
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    server.app.get('/slow', async () => {
      entered.resolve();
      await gate.promise;
      return { ok: true };
    });
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    const agent = keepAlive();
    await get(port, '/livez', { agent });
    const stopped = server.stop();
    const readyz = await get(port, '/readyz', { agent });
    expect(readyz).toMatchObject({ code: 500, reused: true, headers: { connection: 'close' } });
    expect((await get(port, '/livez')).code).toBe(200);
    const slow = get(port, '/slow');
    await entered.promise;
    await clock.advance(5000);
    await expect(get(port, '/livez')).rejects.toThrow('ECONNREFUSED');
    gate.resolve();
    expect((await slow).code).toBe(200);
    await stopped;
    await server.stop();
  });
  test('a request that never ends is cut off', async () => {
    const clock = createFakeClock();
    const server = create({ clock, drainDelayMs: 0 });
    const entered = Promise.withResolvers<void>();
    server.app.get('/stuck', async () => {
      entered.resolve();
      return await new Promise(() => undefined);
    });
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    const stuck = get(port, '/stuck');
    const cut = stuck.catch((error: unknown) => error);
    await entered.promise;
    const stopped = server.stop();
    await clock.advance(30_000);
    await stopped;
    expect(await cut).toBeInstanceOf(Error);
  });
});

describe('answers', () => {
  test('an unexpected error is a 500 that gives nothing away', async () => {
    const { app } = create();
    app.get('/broken', async () => await Promise.reject(new Error('password: hunter2')));
    const answer = await app.inject('/broken');
    expect(answer.json()).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Internal error occurred: see the log of the server',
      reason: 'InternalError',
      code: 500,
    });
  });
  test.each([
    ['a Status of its own', '/gone', { code: 404, reason: 'NotFound', message: 'not here' }],
    [
      'an unknown path',
      '/nothing',
      { code: 404, reason: 'NotFound', message: 'the server could not find the requested resource' },
    ],
    [
      'a bad URL',
      '/%E0%A4%A',
      { code: 400, reason: 'BadRequest', message: "'/%E0%A4%A' is not a valid url component" },
    ],
  ])('%s', async (_what, url, status) => {
    const { app } = create();
    app.get('/gone', async () => await Promise.reject(new StatusError('NotFound', 'not here')));
    const answer = await app.inject(url);
    expect(answer.json()).toMatchObject({ kind: 'Status', ...status });
    expect(answer.statusCode).toBe(status.code);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    expect(answer.headers).not.toHaveProperty('retry-after');
  });
  test('a body that is too large or of a foreign type is refused by its code', async () => {
    const { app } = create();
    app.post('/in', async () => ({}));
    const headers = { 'content-type': 'application/json' };
    const large = await app.inject({ method: 'POST', url: '/in', headers, payload: `"${'x'.repeat(1_100_000)}"` });
    expect(large.json()).toMatchObject({ code: 413, reason: 'RequestEntityTooLarge' });
    const foreign = await app.inject({ method: 'POST', url: '/in', headers: { 'content-type': 'a/b' }, payload: 'x' });
    expect(foreign.json()).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' });
  });
  test('carry the audit id of the aggregator, or one of their own', async () => {
    const { app } = create();
    const id = '0d9b5f4e-7a0c-4f27-8e0d-2f1f1c1a2b3c';
    expect((await app.inject({ url: '/livez', headers: { 'audit-id': id } })).headers['audit-id']).toBe(id);
    const own = (await app.inject({ url: '/livez', headers: { 'audit-id': 'a b\t<c>' } })).headers['audit-id'];
    expect(own).toMatch(/^[-0-9a-f]{36}$/);
  });
  test('are told to whom counts them, by route', async () => {
    const seen: RequestObservation[] = [];
    const { app } = create({ onResponse: (observation) => seen.push(observation) });
    app.get('/things/:id', async () => ({}));
    await app.inject('/things/7');
    await app.inject('/nothing');
    expect(seen.map(({ method, route, statusCode }) => [method, route, statusCode])).toEqual([
      ['GET', '/things/:id', 200],
      ['GET', 'none', 404],
    ]);
    expect(seen[0]?.durationSeconds).toBeGreaterThanOrEqual(0);
  });
  test('leave the connection open for longer than a Go client does', () => {
    const { server } = create().app;
    expect(server.keepAliveTimeout).toBeGreaterThan(90_000);
    expect(server.headersTimeout).toBeGreaterThan(server.keepAliveTimeout);
  });
  test('a user in very many groups fits', async () => {
    const { port } = await start();
    const headers = {
      'x-remote-user': 'jane',
      'x-remote-group': Array.from({ length: 1500 }, (_, i) => `group-${i}-${'x'.repeat(80)}`),
    };
    const { body } = await get(port, '/who', { cert: keys.proxy.certPem, key: keys.proxy.keyPem, headers });
    expect(body).toBe('{"who":"jane"}');
  });
});

test('plain HTTP has no certificate to rotate', async () => {
  const server = createServer({ logger, clock: createFakeClock() });
  servers.push(server);
  expect(() => server.rotate(tls())).toThrow(TypeError);
  expect((await server.app.inject('/livez')).statusCode).toBe(200);
});
