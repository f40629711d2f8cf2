// SPDX-License-Identifier: Apache-2.0
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

/** What the operations port answers from. */
export interface OperationsOptions {
  readonly registry: Registry;
  /** Undefined when ready, else what is missing. */
  readonly notReady: () => string | undefined;
}

/** The plain HTTP server for Prometheus and the kubelet: /metrics, /livez, /readyz. Not yet listening. */
export function createOperationsServer({ registry, notReady }: OperationsOptions): FastifyInstance {
  const server = fastify({ logger: false });
  server.get('/livez', () => 'ok');
  server.get('/readyz', async (_request, reply) => {
    const missing = notReady();
    return reply.code(missing === undefined ? 200 : 503).send(missing ?? 'ok');
  });
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  return server;
}
