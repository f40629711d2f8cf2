// SPDX-License-Identifier: Apache-2.0
import type { FastifyRequest } from 'fastify';
import type { Authenticator } from './authentication.ts';
import type { Authorizer } from './authorization.ts';
import { requestAttributes } from './request-info.ts';
import { StatusError } from './status.ts';

/** Who may come in. */
export interface AccessControl {
  readonly authenticate: Authenticator;
  readonly authorizer: Authorizer;
}

/**
 * An onRequest hook that lets in who is known and allowed. It stands before everything else, so that who is not learns
 * nothing, not even whether a path exists.
 * @throws StatusError Unauthorized, Forbidden or InternalError
 */
export function createAccessHook({ authenticate, authorizer }: AccessControl) {
  return async (request: FastifyRequest): Promise<void> => {
    const user = await authenticate(request.raw);
    if (user === undefined) throw new StatusError('Unauthorized', 'Unauthorized');
    await authorizer.authorize(user, requestAttributes(request.method, request.url));
  };
}
