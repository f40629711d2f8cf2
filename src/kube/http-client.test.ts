// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ErrorCode } from '../base/errors.ts';
import { createAuthority } from '../testing/certificates.ts';
import { createCredentials } from './credentials.ts';
import { createKubeClient } from './http-client.ts';
import type { KubeClientOptions, KubeRequestObservation } from './http-client.ts';

let dir: string;
const servers: Server[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headstart-http-client-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(async () => await rm(dir, { recursive: true }));

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An apiserver that answers each request with the next of the given answers, the last one for ever. */
async function serve(...answers: ((response: ServerResponse, request: IncomingMessage) => void)[]) {
  const seen: Seen[] = [];
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      answers[Math.min(seen.length, answers.length) - 1]?.(response, request);
    });
  };
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function kubeconfig(cluster: object, user: object = {}, name = 'config'): Promise<string> {
  const path = join(dir, name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

async function clientFor(url: string, options: KubeClientOptions = {}) {
  const path = await kubeconfig({ server: url, 'insecure-skip-tls-verify': true });
  return createKubeClient({ kubeconfig: path, random: () => 0, ...options });
}

const ok = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));
const refuse =
  (code: number, reason: string, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response
      .writeHead(code, headers)
      .end(JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message: `said ${reason}` }));
const path = '/apis/apps/v1/namespaces/shop/deployments/web';

test('a request carries its method, query, body and content type', async () => {
  const { url, seen } = await serve(ok({ spec: { replicas: 3 } }));
  const client = await clientFor(url, { userAgent: 'headstart/1' });
  const answer = await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: 'headstart', force: 'true' },
    body: { a: 1 },
    contentType: 'application/apply-patch+yaml',
  });
  expect(answer).toEqual({ spec: { replicas: 3 } });
  expect(seen[0]).toMatchObject({
    method: 'PATCH',
    url: `${path}?fieldManager=headstart&force=true`,
    body: '{"a":1}',
    headers: {
      'content-type': 'application/apply-patch+yaml',
      accept: 'application/json',
      'user-agent': 'headstart/1',
    },
  });
});

test.each<[number, string, ErrorCode]>([
  [400, 'BadRequest', 'InvalidInput'],
  [401, 'Unauthorized', 'Unauthorized'],
  [403, 'Forbidden', 'Forbidden'],
  [404, 'NotFound', 'NotFound'],
  [409, 'Conflict', 'Conflict'],
  [409, 'AlreadyExists', 'AlreadyExists'],
  [410, 'Expired', 'Gone'],
  [422, 'Invalid', 'InvalidInput'],
  [500, 'InternalError', 'Unavailable'],
  [302, 'Found', 'BadResponse'],
])('HTTP %i %s is %s, with what the server said', async (status, reason, code) => {
  const { url, seen } = await serve(refuse(status, reason));
  const client = await clientFor(url);
  await expect(client.request({ method: 'PUT', path, body: {} })).rejects.toMatchObject({
    code,
    message: `updating ${path}: said ${reason} (HTTP ${status} ${reason})`,
  });
  expect(seen.length).toBe(status === 401 ? 2 : 1);
});

test('a refusal that is no Status keeps its text', async () => {
  const { url } = await serve((response) => response.writeHead(404).end('404 page not found\n'));
  const client = await clientFor(url);
  await expect(client.request({ path: '/apis/nope/v1' })).rejects.toMatchObject({
    code: 'NotFound',
    message: 'reading /apis/nope/v1: 404 page not found (HTTP 404)',
  });
});

test('reading is repeated after 5xx and dropped connections', async () => {
  const { url, seen } = await serve(
    refuse(503, 'ServiceUnavailable'),
    (response) => response.destroy(),
    (response) => response.writeHead(200).write('{"half', () => response.destroy()),
    ok({ done: true }),
  );
  const client = await clientFor(url);
  await expect(client.request({ path })).resolves.toEqual({ done: true });
  expect(seen.length).toBe(4);
});

test.each([
  ['POST', 503, 'ServiceUnavailable', 1],
  ['DELETE', 500, 'InternalError', 1],
  ['PATCH', 429, 'TooManyRequests', 2],
  ['GET', 429, 'TooManyRequests', 2],
] as const)('%s after HTTP %i %s is sent %i time(s)', async (method, status, reason, times) => {
  const { url, seen } = await serve(refuse(status, reason), ok({}));
  const client = await clientFor(url);
  await client.request({ method, path }).catch(() => undefined);
  expect(seen.length).toBe(times);
});

test('a caller with a backoff of its own gets the first answer', async () => {
  const { url, seen } = await serve(refuse(429, 'TooManyRequests'), ok({}));
  const request = (await clientFor(url)).request({ method: 'POST', path: '/api/v1/pods', retry: false });
  await expect(request).rejects.toMatchObject({ code: 'Throttled' });
  expect(seen).toHaveLength(1);
});

test('a Retry-After within bounds is waited out, a longer one is given to the caller', async () => {
  const short = await serve(refuse(429, 'TooManyRequests', { 'retry-after': '1' }), ok({}));
  const startMs = performance.now();
  await (await clientFor(short.url)).request({ path });
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(1000);

  const long = await serve(refuse(429, 'TooManyRequests', { 'retry-after': '60' }), ok({}));
  await expect((await clientFor(long.url)).request({ path })).rejects.toMatchObject({ code: 'Throttled' });
});

test('a server that is silent is a Timeout, one that is not there is Unavailable with the cause', async () => {
  const silent = await serve(() => undefined);
  const client = await clientFor(silent.url, { timeoutMs: 100 });
  await expect(client.request({ path })).rejects.toMatchObject({
    code: 'Timeout',
    message: `reading ${path}: no answer within 0.1 s`,
  });
  const absent = await clientFor('http://127.0.0.1:1', { timeoutMs: 300 });
  await expect(absent.request({ path })).rejects.toMatchObject({
    code: 'Unavailable',
    cause: { code: 'ECONNREFUSED' },
  });
});

test('the deadline also ends an answer that never ends', async () => {
  const { url } = await serve((response) => response.write('{"items":['));
  const client = await clientFor(url, { timeoutMs: 100 });
  await expect(client.request({ path })).rejects.toMatchObject({ code: 'Timeout' });
});

test('a caller that gives up gets its own reason, also during a wait', async () => {
  const { url } = await serve(refuse(503, 'ServiceUnavailable'));
  const client = await clientFor(url);
  const controller = new AbortController();
  const pending = client.request({ path, signal: controller.signal });
  setTimeout(() => controller.abort(new Error('stopping')), 50);
  await expect(pending).rejects.toThrow('stopping');
  await expect(client.request({ path, signal: controller.signal })).rejects.toThrow('stopping');
});

test('an answer that is too large, or no JSON, is a BadResponse', async () => {
  const large = await serve(ok('x'.repeat(2000)));
  await expect((await clientFor(large.url, { maxBodyBytes: 1000 })).request({ path })).rejects.toMatchObject({
    code: 'BadResponse',
    message: 'the answer is larger than 1000 bytes',
  });
  const html = await serve((response) => response.end('<html>'));
  await expect((await clientFor(html.url)).request({ path })).rejects.toMatchObject({
    code: 'BadResponse',
    message: `reading ${path}: got "<html>", want JSON`,
  });
});

test('a watch yields its lines however they are cut, and ends with the connection', async () => {
  const text = ['ADDED', 'MODIFIED', 'BOOKMARK']
    .map((type) => JSON.stringify({ type, object: { metadata: { name: 'wëb' } } }))
    .join('\n');
  const bytes = Buffer.from(`${text}\n{"type":"ADD`);
  const { url, seen } = await serve((response) => {
    response.write(bytes.subarray(0, 44));
    setImmediate(() => {
      response.write(bytes.subarray(44, 47));
      setImmediate(() => response.end(bytes.subarray(47)));
    });
  });
  const client = await clientFor(url);
  const events: string[] = [];
  const request = { path: '/api/v1/pods', query: { resourceVersion: '7' }, signal: new AbortController().signal };
  for await (const event of client.watch(request)) events.push(`${event.type} ${event.object.metadata.name}`);
  expect(events).toEqual(['ADDED wëb', 'MODIFIED wëb', 'BOOKMARK wëb']);
  expect(seen[0]?.url).toBe('/api/v1/pods?resourceVersion=7&watch=true');
});

test.each<[string, (response: ServerResponse) => void, ErrorCode]>([
  ['its version is too old', refuse(410, 'Expired'), 'Gone'],
  ['the server is overloaded', refuse(429, 'TooManyRequests'), 'Throttled'],
  ['a line is no JSON', (response) => response.end('oops\n'), 'BadResponse'],
  ['the connection breaks', (response) => response.writeHead(200).write('{}', () => response.destroy()), 'Unavailable'],
  ['an event is too large', (response) => response.end(`"${'x'.repeat(3000)}"\n`), 'BadResponse'],
  ['no headers come', () => undefined, 'Timeout'],
])('a watch fails when %s', async (_, answer, code) => {
  const { url } = await serve(answer);
  const client = await clientFor(url, { timeoutMs: 200, maxBodyBytes: 2000 });
  const drain = async () => {
    for await (const event of client.watch({ path: '/api/v1/pods', signal: new AbortController().signal })) void event;
  };
  await expect(drain()).rejects.toMatchObject({ code });
});

test('leaving a watch, or aborting it, closes its connection', async () => {
  const closed: Promise<void>[] = [];
  const { url } = await serve((response) => {
    closed.push(new Promise((resolve) => response.once('close', resolve)));
    response.write('{"type":"BOOKMARK","object":{"metadata":{"name":""}}}\n');
  });
  const client = await clientFor(url);
  const controller = new AbortController();
  for await (const event of client.watch({ path: '/api/v1/pods', signal: controller.signal })) {
    expect(event.type).toBe('BOOKMARK');
    break;
  }
  await closed[0];
  const drain = async () => {
    for await (const event of client.watch({ path: '/api/v1/pods', signal: controller.signal })) {
      expect(event.type).toBe('BOOKMARK');
      controller.abort(new Error('stopping'));
    }
  };
  await expect(drain()).rejects.toThrow('stopping');
  await closed[1];
});

test('each exchange is observed by verb, resource and outcome', async () => {
  const { url } = await serve(refuse(503, 'ServiceUnavailable'), ok({}), refuse(409, 'Conflict'), ok({}), ok({}));
  const seen: KubeRequestObservation[] = [];
  const client = await clientFor(url, { onRequest: (observation) => seen.push(observation) });
  await client.request({ path });
  await client.request({ method: 'PUT', path: `${path}/status`, body: {} }).catch(() => undefined);
  await client.request({ path: '/api/v1/namespaces/shop' });
  await client.request({ method: 'POST', path: '/api/v1/namespaces/shop/pods', body: {} });
  expect(seen.every(({ seconds }) => seconds > 0)).toBe(true);
  expect(seen).toMatchObject([
    { verb: 'get', resource: 'deployments', outcome: 'Unavailable' },
    { verb: 'get', resource: 'deployments', outcome: 'Success' },
    { verb: 'update', resource: 'deployments/status', outcome: 'Conflict' },
    { verb: 'get', resource: 'namespaces', outcome: 'Success' },
    { verb: 'create', resource: 'pods', outcome: 'Success' },
  ]);
});

test('a token file is read again after a 401, and the request repeated once', async () => {
  const isNew = (request: IncomingMessage) => request.headers.authorization === 'Bearer new';
  const { url, seen } = await serve((response, request) =>
    isNew(request) ? ok({})(response) : refuse(401, 'Unauthorized')(response),
  );
  await writeFile(join(dir, 'token'), 'old\n');
  const file = await kubeconfig({ server: url, 'insecure-skip-tls-verify': true }, { tokenFile: 'token' });
  const client = createKubeClient({ kubeconfig: file });
  await expect(client.request({ method: 'POST', path, body: {} })).rejects.toMatchObject({ code: 'Unauthorized' });
  await writeFile(join(dir, 'token'), 'new');
  await client.request({ method: 'POST', path, body: {} });
  expect(seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
});

test('a token file is read again after a minute; while it is unreadable the old token goes on', async () => {
  let nowMs = 0;
  const cluster = { server: 'http://127.0.0.1:1', 'insecure-skip-tls-verify': true };
  await writeFile(join(dir, 'rotating'), 'one');
  const file = await kubeconfig(cluster, { tokenFile: join(dir, 'rotating') });
  const credentials = createCredentials({ kubeconfig: file, inCluster: 'https://unused', monotonicMs: () => nowMs });
  const token = async () => (await credentials.current()).headers['authorization'];
  expect(await token()).toBe('Bearer one');
  await writeFile(join(dir, 'rotating'), 'two');
  nowMs = 59_000;
  expect(await token()).toBe('Bearer one');
  nowMs = 61_000;
  expect(await token()).toBe('Bearer two');
  await rm(join(dir, 'rotating'));
  nowMs = 130_000;
  expect(await token()).toBe('Bearer two');
  await writeFile(join(dir, 'rotating'), 'three');
  nowMs = 136_000;
  expect(await token()).toBe('Bearer three');
});

test.each([
  ['basic', { username: 'a', password: 'b' }, 'Basic YTpi'],
  ['bearer', { token: 't' }, 'Bearer t'],
])('%s credentials of a kubeconfig are sent', async (_, user, authorization) => {
  const { url, seen } = await serve(ok({}));
  const file = await kubeconfig({ server: `${url}/prefix/`, 'insecure-skip-tls-verify': true }, user);
  await createKubeClient({ kubeconfig: file }).request({ path: '/version' });
  expect(seen[0]).toMatchObject({ url: '/prefix/version', headers: { authorization } });
});

test('the server is verified against the CA, and the client shows its certificate', async () => {
  const authority = await createAuthority('ca');
  const other = await createAuthority('other');
  const serving = await authority.issue({ commonName: 'apiserver', ipAddresses: ['127.0.0.1'], usage: 'server' });
  const client = await authority.issue({ commonName: 'headstart', usage: 'client' });
  const options = { key: serving.keyPem, cert: serving.certPem, ca: authority.certPem, requestCert: true };
  const server = createTlsServer(options, (request, response) =>
    response.end(JSON.stringify((request.socket as TLSSocket).getPeerCertificate().subject.CN)),
  );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const user = { 'client-certificate-data': base64(client.certPem), 'client-key-data': base64(client.keyPem) };
  const right = await kubeconfig({ server: url, 'certificate-authority-data': base64(authority.certPem) }, user);
  await expect(createKubeClient({ kubeconfig: right }).request({ path: '/' })).resolves.toBe('headstart');
  const wrong = await kubeconfig({ server: url, 'certificate-authority-data': base64(other.certPem) }, user);
  await expect(createKubeClient({ kubeconfig: wrong, timeoutMs: 300 }).request({ path: '/' })).rejects.toMatchObject({
    code: 'Unavailable',
    cause: { message: expect.stringMatching(/certificate/) },
  });
});

test('of two kubeconfigs the first holds, the second adds', async () => {
  const { url, seen } = await serve(ok({}));
  const first = await kubeconfig({ server: url, 'insecure-skip-tls-verify': true }, { token: 'first' }, 'first');
  const second = await kubeconfig({ server: 'https://127.0.0.1:1' }, { token: 'second' }, 'second');
  await createKubeClient({ kubeconfig: `${first}:${second}` }).request({ path: '/version' });
  expect(seen[0]?.headers.authorization).toBe('Bearer first');
});

test('a kubeconfig that cannot be used is refused, and nothing of it is shown', async () => {
  const file = join(dir, 'broken');
  expect(() => createKubeClient({ kubeconfig: join(dir, 'absent') })).toThrow(
    /^kubeconfig: got ".*absent", want a file/,
  );
  await writeFile(file, 'users: [ {token: secret\n');
  expect(() => createKubeClient({ kubeconfig: file })).toThrow(
    /^kubeconfig: got ".*broken", want a kubeconfig in YAML/,
  );
  await writeFile(file, 'current-context: nope\nclusters: []\n');
  expect(() => createKubeClient({ kubeconfig: file })).toThrow(/current-context: got "nope", want a context whose/);
  const socks = await kubeconfig({ server: 'https://h', 'proxy-url': 'socks5://me:secret@h' });
  await expect(createKubeClient({ kubeconfig: socks }).request({ path: '/version' })).rejects.toThrow(
    'kubeconfig: proxy-url: got "socks5://…", want an http:// or https:// proxy',
  );
});
