// SPDX-License-Identifier: Apache-2.0
import { Server as HttpsServer } from 'node:https';
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';

/** What a server shows, and which authority judges its clients. */
export interface TlsSettings {
  readonly certPem: string;
  readonly keyPem: string;
  /**
   * The front proxies' authority and nothing else: a certificate that another authority signed for the same name would
   * pass as a front proxy. Empty or left out, no client is verified.
   */
  readonly clientCaPem?: string | undefined;
}

/** The part of TLS that can be replaced while the server runs. */
export function secureContext({ certPem, keyPem, clientCaPem = '' }: TlsSettings): SecureContextOptions {
  return {
    cert: certPem,
    key: keyPem,
    // Without `ca` Node would trust every public authority.
    ca: clientCaPem === '' ? [] : [clientCaPem],
    minVersion: 'TLSv1.2',
  };
}

/** The open connections, and whether the authority that judged each still is the one. */
export interface Peers {
  isVerified(socket: Socket): boolean;
  /** The verdict about this connection is by a former authority. */
  isOutdated(socket: Socket): boolean;
  /** The authority has changed: ends what is idle, and marks what is not. */
  outdate(): void;
}

/** Follows the connections of a server. */
export function createPeers(server: HttpServer): Peers {
  const open = new Set<Socket>();
  const outdated = new WeakSet<Socket>();
  if (server instanceof HttpsServer) {
    server.on('secureConnection', (socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    });
  }
  return {
    isVerified: (socket) => socket instanceof TLSSocket && socket.authorized && !outdated.has(socket),
    isOutdated: (socket) => outdated.has(socket),
    outdate: () => {
      for (const socket of open) outdated.add(socket);
      server.closeIdleConnections();
    },
  };
}
