// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import { createAuthority } from '../../testing/certificates.ts';
import { createPrometheusServers } from './prometheus-servers.ts';
import { parsePrometheusSettings } from './prometheus-settings.ts';

const pem = { ca: '', serverCert: '', serverKey: '', cert: '', key: '', foreignCa: '' };
const seen: { authorization: string | undefined; commonName: string | undefined; path: string }[] = [];
let answer: (request: IncomingMessage) => { status: number; body: unknown };
let dir = '';
const open: Server[] = [];
const good = {
  status: 200,
  body: { status: 'success', data: { resultType: 'matrix', result: [{ values: [[0, '7']] }] } },
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headstart-servers-'));
  const authority = await createAuthority('ca');
  const server = await authority.issue({ commonName: 'p', ipAddresses: ['127.0.0.1'], usage: 'server' });
  const client = await authority.issue({ commonName: 'tenant-blue', usage: 'client' });
  Object.assign(pem, {
    ca: authority.certPem,
    serverCert: server.certPem,
    serverKey: server.keyPem,
    cert: client.certPem,
    key: client.keyPem,
    foreignCa: (await createAuthority('foreign')).certPem,
  });
  await writeFile(join(dir, 'ca.crt'), pem.ca);
  await writeFile(join(dir, 'token'), 's3cret-of-the-admin\n');
});

afterAll(async () => await rm(dir, { recursive: true }));

afterEach(async () => {
  seen.length = 0;
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const listener: RequestListener = (request, response) => {
  request.resume();
  const { subject } = 'getPeerCertificate' in request.socket ? (request.socket as TLSSocket).getPeerCertificate() : {};
  seen.push({
    authorization: request.headers.authorization,
    commonName: typeof subject?.CN === 'string' ? subject.CN : undefined,
    path: request.url ?? '',
  });
  const { status, body } = answer(request);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

async function start(isSecure: boolean): Promise<string> {
  answer = () => good;
  const options = {
    cert: pem.serverCert,
    key: pem.serverKey,
    ca: pem.ca,
    requestCert: true,
    rejectUnauthorized: false,
  };
  const server = isSecure ? createServer(options, listener) : createPlainServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return `http${isSecure ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function serversOf(config: string) {
  const calls: string[] = [];
  const context = {
    clock: {
      ...systemClock,
      sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms > 1000 ? ms : 1, signal),
    },
    random: () => 0,
    onRequest: ({ server, outcome }: { server: string; outcome: string }) => void calls.push(`${server} ${outcome}`),
  };
  return { ...createPrometheusServers(parsePrometheusSettings(config, 'p.yaml'), context), calls };
}

const ask = { query: 'x', atSeconds: 0 };

test("a named server gets the admin's token over the admin's TLS; the token is read anew when its file changes", async () => {
  const url = await start(true);
  const servers = serversOf(`servers: {main: {url: '${url}', tokenFile: ${dir}/token, tls: {caFile: ${dir}/ca.crt}}}`);
  const source = servers.named('main')?.source;
  expect(await source?.latest(ask)).toEqual({ timestamp: 0, value: 7 });
  await writeFile(join(dir, 'token'), 'another');
  await source?.latest(ask);
  await writeFile(join(dir, 'token'), 's3cret-of-the-admin\n');
  expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer s3cret-of-the-admin', 'Bearer another']);
  expect(servers.calls).toEqual(['main Success', 'main Success']);
});

test("with a Secret's credentials nothing of the admin's is sent, and only its authority is used", async () => {
  const url = await start(true);
  const servers = serversOf(`servers: {main: {url: '${url}', tokenFile: ${dir}/token, tls: {caFile: ${dir}/ca.crt}}}`);
  await servers.named('main')?.sourceFor('blue/s', { cert: pem.cert, key: pem.key, secrets: [] }).latest(ask);
  expect(seen).toEqual([{ authorization: undefined, commonName: 'tenant-blue', path: '/api/v1/query_range' }]);
});

test("a Secret's own authority is asked, not the admin's", async () => {
  const url = await start(true);
  const servers = serversOf(`servers: {main: {url: '${url}', tls: {caFile: ${dir}/ca.crt}}}`);
  const source = servers
    .named('main')
    ?.sourceFor('blue/s', { ca: pem.foreignCa, authorization: 'Bearer x', secrets: [] });
  await expect(source?.latest(ask)).rejects.toThrow(/no connection to https:\/\/127\.0\.0\.1/);
  // Its failures are its own: the breaker of the server does not open for others.
  await expect(source?.latest(ask)).rejects.toThrow('no connection');
  expect(await servers.named('main')?.source.latest(ask)).toBeDefined();
  expect(seen).toHaveLength(1);
});

test('a server without a known authority is not talked to', async () => {
  const url = await start(true);
  await expect(serversOf(`servers: {main: {url: '${url}'}}`).named('main')?.source.latest(ask)).rejects.toThrow(
    'no connection',
  );
  expect(seen).toEqual([]);
});

test('a URL of the allow-list is reached below its path, with the most special entry; others are not there', async () => {
  const url = await start(false);
  const servers = serversOf(
    `allowedUrls: [{url: '${url}/tenants'}, {url: '${url}/tenants/blue', enforceNamespaceLabel: ns}]`,
  );
  await servers.at(`${url}/tenants/green/`)?.source.latest(ask);
  expect(servers.at(`${url}/tenants/blue/x`)?.enforceNamespaceLabel).toBe('ns');
  expect(servers.at(`${url}/tenants/green`)?.enforceNamespaceLabel).toBeUndefined();
  for (const other of [url, `${url}/tenantsX`, `${url}/tenants/../admin`, 'http://127.0.0.1:1']) {
    expect(servers.at(other)).toBeUndefined();
  }
  expect(() => servers.at('http://u:p@x')).toThrow('source.prometheus.url: credentials');
  expect(seen.map(({ path }) => path)).toEqual(['/tenants/green/api/v1/query_range']);
});

test.each([
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [400, 'QueryFailed'],
  [200, 'QueryFailed'],
])('a server that repeats the credentials with HTTP %i does not get them into a message', async (status, code) => {
  const url = await start(false);
  const long = 's3cret/tok+en"'.repeat(30);
  const encoded = Buffer.from(`u:${long}`).toString('base64');
  answer = () => ({
    status,
    body: { status: 'error', error: `no ${long}, ${encodeURIComponent(long)}, ${encoded} ${'.'.repeat(200)} ${long}` },
  });
  const servers = serversOf(`servers: {main: {url: '${url}'}}`);
  const source = servers
    .named('main')
    ?.sourceFor('blue/s', { authorization: `Basic ${encoded}`, secrets: [long, encoded] });
  const error: unknown = await source?.latest(ask).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code });
  expect(errorMessage(error)).toContain('no …, …, …');
  expect(errorMessage(error)).not.toMatch(/s3cret|dTpzM2Ny/);
});

test('a file that is not there is named by its field only', async () => {
  const servers = serversOf('servers: {main: {url: "http://127.0.0.1:1", tokenFile: /nowhere/token}}');
  await expect(servers.named('main')?.source.latest(ask)).rejects.toThrow(
    'the tokenFile that the configuration names cannot be read: ENOENT',
  );
});

test('requests to one server wait for each other, whoever asks', async () => {
  const url = await start(false);
  const servers = serversOf(`servers: {main: {url: '${url}', limits: {concurrency: 1}}}`);
  let running = 0;
  let most = 0;
  answer = () => good;
  open[0]?.on('request', (_request, response) => {
    running += 1;
    most = Math.max(most, running);
    response.on('close', () => (running -= 1));
  });
  const server = servers.named('main');
  const own = server?.sourceFor('blue/s', { authorization: 'Bearer x', secrets: ['x'] });
  await Promise.all([server?.source.latest(ask), own?.latest(ask), server?.source.latest(ask), own?.latest(ask)]);
  expect(seen).toHaveLength(4);
  expect(most).toBe(1);
});
