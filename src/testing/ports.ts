// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:net';

/** Below the ranges from which Linux and macOS take the local ports of outgoing connections. */
const lowest = 15_000;
const count = 17_000;
const given = new Set<number>();

/**
 * A loopback port that nobody listens on, and that this process has not handed out before. Chosen at random, so that
 * runs that overlap do not fight for the same one.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * count);
    if (!given.has(port) && (await canListen(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error(`no free port from ${lowest} to ${lowest + count} in 100 tries`);
}

async function canListen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
