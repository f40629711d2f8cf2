// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance, FastifyReply } from 'fastify';

/** One thing that must be true before requests are welcome. */
export interface ReadinessCheck {
  readonly name: string;
  readonly isReady: () => boolean;
}

/** What the probes look at. */
export interface ProbeOptions {
  readonly checks: readonly ReadinessCheck[];
  readonly isStopping: () => boolean;
}

/**
 * Serves /livez (the process answers), /readyz and /healthz (every check passes, and no shutdown has begun) to anybody
 * by any method, in the words of apiserver (pkg/server/healthz).
 */
export function registerProbes(app: FastifyInstance, { checks, isStopping }: ProbeOptions): void {
  const shutdown: ReadinessCheck = { name: 'shutdown', isReady: () => !isStopping() };
  app.all('/livez', async (_request, reply) => answer(reply, 'livez', []));
  app.all('/readyz', async (_request, reply) => answer(reply, 'readyz', [...checks, shutdown]));
  app.all('/healthz', async (_request, reply) => answer(reply, 'healthz', [...checks, shutdown]));
}

function answer(reply: FastifyReply, probe: string, checks: readonly ReadinessCheck[]): FastifyReply {
  reply
    .header('content-type', 'text/plain; charset=utf-8')
    .header('cache-control', 'no-cache, private')
    .header('x-content-type-options', 'nosniff');
  const results = checks.map(({ name, isReady }) => ({ name, ok: isReady() }));
  if (results.every(({ ok }) => ok)) return reply.send('ok');
  const lines = results.map(({ name, ok }) => (ok ? `[+]${name} ok` : `[-]${name} failed`));
  return reply.code(500).send(`${lines.join('\n')}\n${probe} check failed\n`);
}
