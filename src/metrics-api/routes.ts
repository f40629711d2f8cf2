// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createAccessHook } from '../server/access-control.ts';
import type { AccessControl } from '../server/access-control.ts';
import { nothingThere, StatusError } from '../server/status.ts';
import { aggregatedDiscoveryType, createDiscovery, version } from './discovery.ts';
import { jsonDocument } from './documents.ts';
import type { Document } from './documents.ts';
import { createMetricHandler } from './metric-handler.ts';
import type { MetricHandlerOptions } from './metric-handler.ts';
import { requireOffer } from './negotiation.ts';
import type { Offer } from './negotiation.ts';
import { createOpenApi } from './openapi.ts';

/** What the metrics API works with. */
export interface MetricsApiOptions extends MetricHandlerOptions {
  readonly access: AccessControl;
  /** Semantic version of the product. */
  readonly productVersion: string;
  /** `external.metrics.k8s.io` alone when left out. */
  readonly groups?: readonly string[];
}

type Get = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

const yearMs = 365 * 86_400_000;
const plain: Offer = {};
const aggregated: Offer = { as: 'APIGroupDiscoveryList', g: 'apidiscovery.k8s.io', v: 'v2' };

/**
 * Serves external.metrics.k8s.io: discovery, OpenAPI, /version and the metrics, each only to who is known and allowed.
 * Every answer comes from memory; the one question on the way, who may do this, is cached.
 */
export function registerMetricsApi(app: FastifyInstance, options: MetricsApiOptions): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', createAccessHook(options.access));
    const groups = options.groups ?? ['external.metrics.k8s.io'];
    registerDiscovery(scope, groups);
    registerOpenApi(scope, groups, options);
    serve(scope, ['/version'], respondWith(jsonDocument(versionInfo(options.productVersion))));
    const metric = createMetricHandler(options);
    for (const group of groups) {
      const path = `/apis/${group}/${version}/namespaces/:namespace/:metric`;
      serve(scope, [path, `${path}/`], metric);
    }
    serve(scope, ['/'], respondWith(jsonDocument({ paths: paths(groups) })));
    // Who may not ask does not learn what there is.
    scope.all('/*', async () => {
      throw nothingThere();
    });
  });
}

function paths(groups: readonly string[]): readonly string[] {
  const discovery = groups.flatMap((group) => [`/apis/${group}`, `/apis/${group}/${version}`]);
  const openApi = groups.map((group) => `/openapi/v3/apis/${group}/${version}`);
  const others = ['/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'];
  return [...others, ...discovery, ...openApi].toSorted();
}

function registerDiscovery(scope: FastifyInstance, groups: readonly string[]): void {
  const discovery = createDiscovery(groups);
  serve(scope, ['/apis', '/apis/'], async (request, reply) => {
    reply.header('vary', 'Accept');
    const offer = requireOffer(request.headers.accept, [plain, aggregated]);
    if (offer === plain) return sendJson(reply, discovery.groupList);
    reply.header('cache-control', 'public');
    return sendCached(request, reply, { document: discovery.aggregated, contentType: aggregatedDiscoveryType });
  });
  // Without ETags: the aggregator's fallback sends the one of `/apis`, and takes a 304 for a failure.
  for (const [group, documents] of discovery.groups) {
    const path = `/apis/${group}`;
    serve(scope, [path, `${path}/`], respondWith(documents.group));
    serve(scope, [`${path}/${version}`, `${path}/${version}/`], respondWith(documents.resources));
  }
}

function registerOpenApi(scope: FastifyInstance, groups: readonly string[], options: MetricsApiOptions): void {
  const openApi = createOpenApi(groups, options.productVersion);
  const cached =
    (document: Document, vary: boolean): Get =>
    async (request, reply) => {
      if (vary) reply.header('vary', 'Accept');
      if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-cache, private');
      requireOffer(request.headers.accept, [plain]);
      return sendCached(request, reply, { document, contentType: 'application/json' });
    };
  serve(scope, ['/openapi/v2'], cached(openApi.v2, true));
  serve(scope, ['/openapi/v3'], cached(openApi.v3Index, false));
  for (const [group, document] of openApi.v3) {
    serve(scope, [`/openapi/v3/apis/${group}/${version}`], async (request, reply) => {
      // An answer to the hash that it has never changes (kube-openapi pkg/handler3). To another hash it is given all the
      // same: the aggregator does not follow redirects.
      if ((request.query as Readonly<Record<string, unknown>>)['hash'] === document.hash) {
        reply.header('cache-control', 'public, immutable');
        reply.header('expires', new Date(options.clock.nowMs() + yearMs).toUTCString());
      }
      return await cached(document, true)(request, reply);
    });
  }
}

/** GET gives the answer; any other method is refused, by name. */
function serve(scope: FastifyInstance, paths: readonly string[], get: Get): void {
  const others = scope.supportedMethods.filter((method) => method !== 'GET');
  for (const url of paths) {
    scope.get(url, get);
    scope.route({
      method: others,
      url,
      onRequest: async (request, reply) => {
        reply.header('allow', 'GET');
        throw new StatusError('MethodNotAllowed', `${request.method} is not supported here, only GET is`, {
          details: {},
        });
      },
      handler: async () => undefined,
    });
  }
}

function respondWith(document: Document): Get {
  return async (request, reply) => {
    requireOffer(request.headers.accept, [plain]);
    return sendJson(reply, document);
  };
}

function sendJson(reply: FastifyReply, { body }: Document): FastifyReply {
  return reply.header('content-type', 'application/json').header('cache-control', 'no-cache, private').send(body);
}

/** 304 only for this very ETag: to an aggregator that has nothing cached a 304 means an empty group. */
function sendCached(
  request: FastifyRequest,
  reply: FastifyReply,
  { document, contentType }: { readonly document: Document; readonly contentType: string },
): FastifyReply {
  const etag = `"${document.hash}"`;
  reply.header('etag', etag);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.header('content-type', contentType).send(document.body);
}

function versionInfo(productVersion: string): unknown {
  const [major = '0', minor = '0'] = productVersion.split('.');
  return { major, minor, gitVersion: `v${productVersion}`, platform: `${process.platform}/${process.arch}` };
}
