// SPDX-License-Identifier: Apache-2.0
import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { createReview } from './create-review.ts';
import { bearerToken, userFromHeaders } from './request-header.ts';
import type { RequestHeaderConfig } from './request-header.ts';
import { createReviewCache } from './review-cache.ts';
import { withAuthenticatedGroup } from './user-info.ts';
import type { UserInfo } from './user-info.ts';

/** Finds out who makes a request; undefined when nobody can tell. Never rejects. */
export type Authenticator = (request: IncomingMessage) => Promise<UserInfo | undefined>;

/** What the authenticator works with. */
export interface AuthenticatorOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Which front proxies to trust now. */
  readonly requestHeader: () => RequestHeaderConfig | undefined;
  /** Has the peer shown a certificate that the front proxies' authority, as it is now, signed? */
  readonly isVerified: (socket: Socket) => boolean;
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const maxTokens = 4096;
const tokenLifetime = { ttlMs: 10_000, refreshAfterMs: 10_000 };
/** Tokens under review at once; made-up tokens must not flood the apiserver. */
const maxReviews = 50;

/**
 * Delegated authentication as in apiserver (pkg/server/options/authentication.go): the front proxy's word for it, when
 * its certificate is verified and its name allowed; else a bearer token by TokenReview, kept for 10 s. The group
 * system:authenticated is added. Anonymous requests and client certificates of the cluster's own authority are not
 * accepted: the latter would need a TLS verdict by a second authority, and kubectl comes through the aggregator.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { requestHeader, isVerified, logger } = options;
  const reviewToken = createTokenReviewer(options);
  const commonNames = new WeakMap<Socket, string>();
  const fromFrontProxy = (request: IncomingMessage): UserInfo | undefined => {
    const config = requestHeader();
    if (config === undefined || config.clientCaPem === '' || !isVerified(request.socket)) return undefined;
    if (config.allowedNames.length > 0) {
      const name = commonNames.get(request.socket) ?? commonName(request.socket);
      commonNames.set(request.socket, name);
      if (!config.allowedNames.includes(name)) {
        logger.warn({ commonName: name, allowedNames: config.allowedNames }, 'a front proxy whose name is not allowed');
        return undefined;
      }
    }
    return userFromHeaders(request.rawHeaders, config);
  };
  return async (request) => {
    const proxied = fromFrontProxy(request);
    if (proxied !== undefined) return withAuthenticatedGroup(proxied);
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) return undefined;
    try {
      const user = await reviewToken(token);
      return user === undefined ? undefined : withAuthenticatedGroup(user);
    } catch (error) {
      logger.warn(`reviewing a bearer token: ${errorMessage(error)}`);
      return undefined;
    }
  };
}

function createTokenReviewer(options: AuthenticatorOptions): (token: string) => Promise<UserInfo | undefined> {
  const { client, clock } = options;
  const cache = createReviewCache<UserInfo | undefined>({
    clock,
    maxEntries: maxTokens,
    lifetime: () => tokenLifetime,
  });
  // Tokens themselves do not stay in memory.
  const secret = randomBytes(32);
  let reviews = 0;
  const review = async (token: string): Promise<UserInfo | undefined> => {
    if (reviews >= maxReviews) throw new Error(`${maxReviews} tokens are under review already`);
    reviews += 1;
    try {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
      const { status } = await createReview<TokenReview>({ client, clock }, path, body);
      return status?.authenticated === true ? userOf(status.user) : undefined;
    } finally {
      reviews -= 1;
    }
  };
  return async (token) => {
    const key = createHmac('sha256', secret).update(token).digest('base64');
    return await cache.get(key, () => review(token));
  };
}

function userOf(user: NonNullable<TokenReview['status']>['user']): UserInfo | undefined {
  if (user?.username === undefined || user.username === '') return undefined;
  const { username, uid, groups, extra } = user;
  return { name: username, ...(uid === undefined ? {} : { uid }), groups: groups ?? [], extra: extra ?? {} };
}

/** The one common name of the peer's certificate; empty when it has none or several. */
function commonName(socket: Socket): string {
  if (!(socket instanceof TLSSocket)) return '';
  // The type says string; a certificate with several names gives an array.
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : '';
}
