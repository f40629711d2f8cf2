// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { ServerOptions as HttpsOptions } from 'node:https';
import type { Socket } from 'node:net';
import { fastify, LogController } from 'fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { registerProbes } from './probes.ts';
import type { ReadinessCheck } from './probes.ts';
import { nothingThere, reasonForCode, StatusError } from './status.ts';
import { createPeers, secureContext } from './tls.ts';
import type { TlsSettings } from './tls.ts';

/** One answered request, for metrics. `route` is the pattern, so that there are few of them. */
export interface RequestObservation {
  readonly method: string;
  readonly route: string;
  readonly statusCode: number;
  readonly durationSeconds: number;
}

/** How to serve. */
export interface ServerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Plain HTTP when left out. */
  readonly tls?: TlsSettings;
  readonly readiness?: readonly ReadinessCheck[];
  /** Time between failing readiness and closing, in which the endpoint is taken out everywhere; 15 s when left out. */
  readonly drainDelayMs?: number;
  readonly onResponse?: (observation: RequestObservation) => void;
}

/** An HTTPS server that Kubernetes can call. */
export interface Server {
  /** Where surfaces register their routes, before `listen`. */
  readonly app: FastifyInstance;
  /** Gives the port. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /**
   * Uses another certificate or client authority from now on. A changed authority ends the connections that the old
   * one has judged, each when its request is answered.
   */
  rotate(tls: TlsSettings): void;
  /** Has the peer shown a certificate that the client authority, as it is now, signed for clients? */
  isVerified(socket: Socket): boolean;
  /** Fails readiness, waits for the drain delay, answers what is under way and closes. */
  stop(): Promise<void>;
}

const defaultDrainDelayMs = 15_000;
/**
 * Longer than the 90 s after which Go's HTTP client drops idle connections, so that it never writes to a closed one: a
 * webhook's POST is not sent again.
 */
const keepAliveTimeoutMs = 120_000;
const headersTimeoutMs = 125_000;
const requestTimeoutMs = 30_000;
const handshakeTimeoutMs = 10_000;
const closeTimeoutMs = 30_000;
/** Users may be in hundreds of groups, each in a header of its own. Go takes 1 MiB in any number. */
const maxHeaderBytes = 256 * 1024;
const maxHeaders = 4096;
/** As long as a URL may get: metric and namespace names are checked by what they name. */
const maxParamLength = 4096;

/** A fastify server with probes, Status errors, rotation of certificates and a shutdown that no client notices. */
export function createServer(options: ServerOptions): Server {
  const { logger, clock } = options;
  const drainDelayMs = options.drainDelayMs ?? defaultDrainDelayMs;
  const app = createApp(options);
  app.server.maxHeadersCount = maxHeaders;
  const peers = createPeers(app.server);
  let isStopping = false;

  registerProbes(app, { checks: options.readiness ?? [], isStopping: () => isStopping });
  answerErrors(app, logger);
  if (options.onResponse !== undefined) observe(app, options.onResponse);
  app.addHook('onSend', async (request, reply) => {
    reply.header('audit-id', request.id);
    // The client's next request then goes elsewhere, or gets a new verdict.
    if (isStopping || peers.isOutdated(request.raw.socket)) reply.header('connection', 'close');
  });
  let settings = options.tls;
  return {
    app,
    listen: async ({ host, port }) => {
      await app.listen({ host, port, listenTextResolver: (address) => `listening on ${address}` });
      const address = app.server.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    rotate: (next) => {
      if (!(app.server instanceof HttpsServer)) throw new TypeError('a server without TLS has no certificate');
      app.server.setSecureContext(secureContext(next));
      if (next.clientCaPem !== settings?.clientCaPem) peers.outdate();
      settings = next;
    },
    isVerified: (socket) => peers.isVerified(socket),
    stop: async () => {
      if (isStopping) return;
      isStopping = true;
      logger.info({ drainDelayMs }, 'shutting down: not ready from now on');
      await clock.sleep(drainDelayMs);
      await close(app, clock);
    },
  };
}

function createApp({ logger, tls }: ServerOptions): FastifyInstance {
  const https: HttpsOptions | null =
    tls === undefined
      ? null
      : {
          ...secureContext(tls),
          requestCert: true,
          rejectUnauthorized: false,
          handshakeTimeout: handshakeTimeoutMs,
          headersTimeout: headersTimeoutMs,
          maxHeaderSize: maxHeaderBytes,
        };
  const http = { headersTimeout: headersTimeoutMs, maxHeaderSize: maxHeaderBytes };
  const app = fastify({
    ...(https === null ? { http } : { https }),
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'auditId' }),
    genReqId: requestId,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: requestTimeoutMs,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength },
    frameworkErrors: (error, _request, reply) => void sendStatus(reply, errorStatus(error)),
  }) as unknown as FastifyInstance;
  // So that a surface can say what it does to any method that Node can parse.
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method);
  }
  return app;
}

/** The aggregator's own name for a request, so that both logs can be joined. */
function requestId(request: IncomingMessage | { readonly headers: IncomingMessage['headers'] }): string {
  const id = request.headers['audit-id'];
  return typeof id === 'string' && /^[\w.:-]{1,64}$/.test(id) ? id : randomUUID();
}

function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { status } = errorStatus(error);
    if (status.code >= 500) {
      logger.error({ err: error, auditId: request.id, method: request.method, url: request.url }, status.message);
    }
    return sendStatus(reply, errorStatus(error));
  });
  app.setNotFoundHandler(async (_request: FastifyRequest, reply) => sendStatus(reply, nothingThere()));
}

/** Fastify's own refusals keep their code; anything unexpected is a 500 whose details only the log has. */
function errorStatus(error: Error & { readonly statusCode?: number }): StatusError {
  if (error instanceof StatusError) return error;
  const code = error.statusCode ?? 500;
  if (code >= 500) return new StatusError('InternalError', 'Internal error occurred: see the log of the server');
  return new StatusError(reasonForCode(code), error.message);
}

/** With nosniff where apiserver's authorization filter has it (pkg/endpoints/handlers/responsewriters/errors.go). */
function sendStatus(reply: FastifyReply, { status }: StatusError): FastifyReply {
  if (status.reason === 'Forbidden') reply.header('x-content-type-options', 'nosniff');
  return reply
    .code(status.code)
    .header('content-type', 'application/json')
    .header('cache-control', 'no-cache, private')
    .send(Buffer.from(JSON.stringify(status)));
}

function observe(app: FastifyInstance, onResponse: (observation: RequestObservation) => void): void {
  app.addHook('onResponse', async (request, reply) => {
    onResponse({
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      statusCode: reply.statusCode,
      durationSeconds: reply.elapsedTime / 1000,
    });
  });
}

/** Waits for the requests under way, but not forever. */
async function close(app: FastifyInstance, clock: Clock): Promise<void> {
  const server: HttpServer = app.server;
  const closed = new AbortController();
  const force = clock.sleep(closeTimeoutMs, closed.signal).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await app.close();
  closed.abort();
  await force;
}
