// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import { createCredentials } from './credentials.ts';
import { loadClusterAccess } from './kubeconfig.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headstart-kubeconfig-'));
});
afterAll(async () => await rm(dir, { recursive: true, force: true }));

async function write(name: string, cluster: object, user: object): Promise<string> {
  const path = join(dir, name);
  const config = {
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const load = (kubeconfig: string, context?: string) =>
  loadClusterAccess({ kubeconfig, context, inCluster: 'https://kubernetes.default.svc' });

/** The server, or the code of the refusal. */
function outcome(path: string): string {
  try {
    return load(path).server;
  } catch (error) {
    return error instanceof HeadstartError ? error.code : String(error);
  }
}

describe('a kubeconfig', () => {
  test('files are relative to it, data wins over a file, a token file over a token', async () => {
    const cluster = {
      server: 'https://api.example:6443/',
      'certificate-authority': 'ca.crt',
      'tls-server-name': 'api',
      'proxy-url': 'http://proxy:3128',
    };
    const user = {
      'client-certificate': '/keys/client.crt',
      'client-key-data': base64('KEY'),
      'client-key': 'client.key',
      token: 'old',
      tokenFile: 'token',
    };
    expect(load(await write('files', cluster, user))).toEqual({
      server: 'https://api.example:6443',
      proxyUrl: 'http://proxy:3128',
      ca: { file: join(dir, 'ca.crt') },
      serverName: 'api',
      skipVerify: false,
      user: {
        kind: 'own',
        certificate: { file: '/keys/client.crt' },
        key: { text: 'KEY' },
        token: { file: join(dir, 'token') },
        basic: undefined,
      },
    });
  });
  test.each([
    ['a list', '[]'],
    ['a word', 'hello'],
    ['nothing', ''],
  ])('%s is none', async (_, text) => {
    const path = join(dir, 'other');
    await writeFile(path, text);
    expect(() => load(path)).toThrow('other", want a kubeconfig in YAML or JSON');
  });
  test('a context is chosen by its name; one that is not there is refused with the names that are', async () => {
    const path = join(dir, 'contexts');
    const config = {
      clusters: ['a', 'b'].map((name) => ({ name, cluster: { server: `https://${name}` } })),
      contexts: ['a', 'b'].map((name) => ({ name, context: { cluster: name } })),
      'current-context': 'a',
    };
    await writeFile(path, JSON.stringify(config));
    expect(load(path).server).toBe('https://a');
    expect(load(path, 'b').server).toBe('https://b');
    expect(() => load(path, 'c')).toThrow('kubeconfig: context: got "c", want one of a, b');
  });
  test('whatever it holds, it is read or refused as InvalidInput', async () => {
    const path = join(dir, 'any');
    const names = ['clusters', 'users', 'contexts', 'current-context', 'cluster', 'user', 'context', 'name', 'server'];
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        fc.constantFrom('c', 'u', 'x', 'https://h', ''),
        fc.integer(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    await fc.assert(
      fc.asyncProperty(value, async (config) => {
        await writeFile(path, JSON.stringify(config));
        expect(outcome(path)).toMatch(/^https:\/\/h$|^c$|^u$|^x$|^InvalidInput$/);
      }),
    );
  });
});

describe('a user whose token a program hands out', () => {
  test('shows what the program says, and asks it again when the apiserver refuses', async () => {
    const program = join(dir, 'program.sh');
    const counter = join(dir, 'calls');
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
    const text = `#!/bin/sh\necho x >> ${counter}\nn=$(wc -l < ${counter})\necho '${JSON.stringify(credential).slice(0, -1)},"status":{"token":"t'$n'"}}'\n`;
    await writeFile(program, text, { mode: 0o755 });
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: program, interactiveMode: 'Never' };
    const kubeconfig = await write('exec', { server: 'https://127.0.0.1:1' }, { exec });
    const credentials = createCredentials({ kubeconfig, inCluster: 'https://unused', monotonicMs: () => 0 });
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer t1' });
    credentials.expire();
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer t2' });
  });
});
