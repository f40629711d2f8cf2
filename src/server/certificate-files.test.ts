// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createCertificateFiles } from './certificate-files.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headstart-certificates-'));
});
afterAll(async () => await rm(dir, { recursive: true, force: true }));

async function issue() {
  const authority = await createAuthority('ca');
  return await authority.issue({ commonName: 'headstart', dnsNames: ['headstart'], usage: 'server' });
}

async function write(name: string, pair: { readonly certPem: string; readonly keyPem: string }) {
  await writeFile(join(dir, `${name}.crt`), pair.certPem);
  await writeFile(join(dir, `${name}.key`), pair.keyPem);
}

function createSource(name: string) {
  const clock = createFakeClock();
  const warnings: string[] = [];
  const logger = pino({}, { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) });
  const source = createCertificateFiles({
    certPath: join(dir, `${name}.crt`),
    keyPath: join(dir, `${name}.key`),
    clock,
    logger,
  });
  return { clock, source, warnings, stop: new AbortController() };
}

describe('certificate files', () => {
  test('are read at once, and again when they have changed', async () => {
    const [first, second] = await Promise.all([issue(), issue()]);
    await write('good', first);
    const { clock, source, stop, warnings } = createSource('good');
    const seen: string[] = [];
    source.onChange(({ certPem }) => seen.push(certPem));
    await source.start(stop.signal);
    expect(source.current()).toEqual({ ...first, caBundlePem: '' });
    await write('good', { ...second, keyPem: first.keyPem });
    await clock.advance(15_000);
    await vi.waitFor(() => expect(warnings.at(-1)).toMatch(/the key is not the one of the certificate$/));
    expect(source.current().certPem).toBe(first.certPem);
    await write('good', second);
    await clock.advance(15_000);
    await vi.waitFor(() => expect(seen).toEqual([first.certPem, second.certPem]));
    stop.abort();
  });
  test.each([
    ['are not there', undefined, 'ENOENT'],
    ['are no certificates', { certPem: 'x', keyPem: 'y' }, 'PEM'],
  ])('that %s stop the start, by name', async (_what, pair, reason) => {
    if (pair !== undefined) await write('bad', pair);
    const { source, stop } = createSource('bad');
    expect(() => source.current()).toThrow('there is no serving certificate yet');
    await expect(source.start(stop.signal)).rejects.toThrow(/^serving certificate .*bad\.crt with key .*bad\.key$/);
    const cause = await source.start(stop.signal).catch((error: unknown) => (error as Error).cause);
    expect(String(cause)).toMatch(new RegExp(reason, 'i'));
  });
});
