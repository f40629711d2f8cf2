// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import { StatusError } from '../server/status.ts';
import { decideReview, renderReview } from './mutate.ts';
import type { PoolReader, ReviewDecision } from './mutate.ts';
import { parseReview } from './review.ts';
import type { ReviewRequest } from './review.ts';

/** One answered review, for metrics. */
export interface ReviewObservation {
  readonly outcome: ReviewDecision['outcome'];
  /** From the headers of the request to the answer. */
  readonly seconds: number;
}

/** What the webhook works with. */
export interface AdmissionOptions {
  readonly pools: PoolReader;
  readonly onReview?: (observation: ReviewObservation) => void;
}

/** What the MutatingWebhookConfiguration calls. */
export const mutatePath = '/mutate-v1-pod';
/** Twice the largest pod with its former state: etcd takes 1.5 MiB of each, kube-apiserver 3 MiB of a request. */
const bodyLimitBytes = 8 * 1024 * 1024;

/**
 * Serves the mutating webhook. Who calls is not asked: an answer says nothing that the caller did not send, except how
 * long clones of a ClonePool may live, and nothing is written. What is no review is an error, which the apiserver then
 * ignores, as the configuration tells it; the policy decides about the pod in any case.
 */
export function registerAdmission(app: FastifyInstance, options: AdmissionOptions): void {
  app.register(async (scope) => {
    scope.removeContentTypeParser('text/plain');
    scope.post(mutatePath, { bodyLimit: bodyLimitBytes }, async (request, reply) => answer(request, reply, options));
    scope.route({
      method: scope.supportedMethods.filter((method) => method !== 'POST'),
      url: mutatePath,
      onRequest: async (request, reply) => {
        reply.header('allow', 'POST');
        throw new StatusError('MethodNotAllowed', `${request.method} is not supported here, only POST is`);
      },
      handler: async () => undefined,
    });
  });
}

function answer(request: FastifyRequest, reply: FastifyReply, { pools, onReview }: AdmissionOptions): FastifyReply {
  const review = read(request.body);
  const decision = decideReview(review, pools);
  // A Buffer: to a text Fastify adds a charset, which JSON has no need of.
  const body = Buffer.from(JSON.stringify(renderReview(review.uid, decision)));
  reply.header('content-type', 'application/json').send(body);
  onReview?.({ outcome: decision.outcome, seconds: reply.elapsedTime / 1000 });
  return reply;
}

function read(body: unknown): ReviewRequest {
  try {
    return parseReview(body);
  } catch (cause) {
    if (cause instanceof HeadstartError) throw new StatusError('BadRequest', errorMessage(cause), { cause });
    throw cause;
  }
}
