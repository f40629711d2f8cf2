// SPDX-License-Identifier: Apache-2.0
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** A TCP balancer in place of kube-proxy, which simulated nodes do not have. */
export interface Balancer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Sends each new connection at `host`, which is loopback when left out, to the next of the loopback ports that
 * `readyPorts` gives; refuses when there is none. A port that refuses, as its process died a moment ago, is passed over,
 * as a balancer with outlier detection does.
 */
export async function startBalancer(
  port: number,
  readyPorts: () => readonly number[],
  host = '127.0.0.1',
): Promise<Balancer> {
  const open = new Set<Socket>();
  let next = 0;
  const server = createServer((client) => {
    track(open, client);
    next += 1;
    void connectToOne(rotated(readyPorts(), next)).then((upstream) => {
      if (upstream === undefined || client.destroyed) {
        client.destroy();
        upstream?.destroy();
        return;
      }
      track(open, upstream);
      client.pipe(upstream).pipe(client);
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroy());
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function rotated(ports: readonly number[], by: number): number[] {
  const from = ports.length === 0 ? 0 : by % ports.length;
  return [...ports.slice(from), ...ports.slice(0, from)];
}

/** A connection to the first port that takes one. */
async function connectToOne(ports: readonly number[]): Promise<Socket | undefined> {
  for (const port of ports) {
    const socket = connect({ host: '127.0.0.1', port });
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return socket;
  }
  return undefined;
}

function track(open: Set<Socket>, socket: Socket): void {
  open.add(socket);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => open.delete(socket));
}
