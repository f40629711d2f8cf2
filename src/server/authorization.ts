// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { createReview } from './create-review.ts';
import type { RequestAttributes } from './request-info.ts';
import { createReviewCache } from './review-cache.ts';
import { StatusError } from './status.ts';
import type { UserInfo } from './user-info.ts';

/** What the authorizer works with. */
export interface AuthorizerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
}

/** Says whether a user may do something. */
export interface Authorizer {
  /** @throws StatusError Forbidden when not allowed, InternalError when nobody could tell, as Kubernetes answers */
  authorize(user: UserInfo, attributes: RequestAttributes): Promise<void>;
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean; readonly denied?: boolean; readonly reason?: string };
}

interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
}

const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const maxEntries = 8192;
/**
 * An HPA asks every 15 s for each metric. With the 10 s of Kubernetes each sync would wait for a review; so an allow
 * holds for 30 s at most and is renewed behind the answer from 10 s on: a permission that is withdrawn works for up
 * to 30 s more.
 */
const allowLifetime = { ttlMs: 30_000, refreshAfterMs: 10_000 };
const denyLifetime = { ttlMs: 10_000, refreshAfterMs: 10_000 };

/**
 * Asks the apiserver with SubjectAccessReviews, as a delegating extension server does (apiserver
 * plugin/pkg/authorizer/webhook): group system:masters is always allowed, an error denies. The label selector is not
 * sent along: that only ever asks for more than the request needs.
 */
export function createAuthorizer({ client, clock }: AuthorizerOptions): Authorizer {
  const cache = createReviewCache<Verdict>({
    clock,
    maxEntries,
    lifetime: ({ allowed }) => (allowed ? allowLifetime : denyLifetime),
  });
  const review = async (spec: unknown): Promise<Verdict> => {
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
    const { status } = await createReview<SubjectAccessReview>({ client, clock }, path, body);
    return { allowed: status?.allowed === true && status.denied !== true, reason: status?.reason ?? '' };
  };
  return {
    authorize: async (user, attributes) => {
      if (user.groups.includes('system:masters')) return;
      const spec = reviewSpec(user, attributes);
      const verdict = await cache
        .get(JSON.stringify(spec), () => review(spec))
        .catch((cause: unknown) => {
          throw new StatusError(
            'InternalError',
            `Internal error occurred: asking who may do this: ${errorMessage(cause)}`,
            {
              cause,
            },
          );
        });
      if (!verdict.allowed) throw forbidden(user, attributes, verdict.reason);
    },
  };
}

function reviewSpec(user: UserInfo, attributes: RequestAttributes): unknown {
  const { kind, ...rest } = attributes;
  return {
    user: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    extra: user.extra,
    ...(kind === 'resource' ? { resourceAttributes: rest } : { nonResourceAttributes: rest }),
  };
}

/** The words of apiserver (pkg/endpoints/handlers/responsewriters/errors.go). */
function forbidden(user: UserInfo, attributes: RequestAttributes, reason: string): StatusError {
  const why = reason === '' ? '' : `: ${reason}`;
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`;
  if (attributes.kind === 'nonResource') {
    return new StatusError('Forbidden', `forbidden: ${who} path ${JSON.stringify(attributes.path)}${why}`, {
      details: {},
    });
  }
  const { group, resource, subresource, namespace } = attributes;
  const what = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return new StatusError(
    'Forbidden',
    `${resource}.${group} is forbidden: ${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${why}`,
    { details: { group, kind: resource } },
  );
}
