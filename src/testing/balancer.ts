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
 * `readyPorts` gives; refuses when there is none.
 */
export async function startBalancer(
  port: number,
  readyPorts: () => readonly number[],
  host = '127.0.0.1',
): Promise<Balancer> {
  const open = new Set<Socket>();
  let next = 0;
  const server = createServer((client) => {
    const ports = readyPorts();
    const target = ports[next++ % Math.max(1, ports.length)];
    track(open, client);
    if (target === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: target });
    track(open, upstream);
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
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

function track(open: Set<Socket>, socket: Socket): void {
  open.add(socket);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => open.delete(socket));
}
