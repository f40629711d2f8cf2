// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { cloneLabels } from '../api/clone-labels.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import { scoreBounds, scoreNodes } from '../capacity/clones/placement.ts';
import { readClone } from '../capacity/clones/read-clone.ts';
import { StatusError } from '../server/status.ts';
import { parseExtenderArgs } from './extender-args.ts';
import type { ExtenderArgs } from './extender-args.ts';

/** One answered question, for metrics. */
export interface PrioritizeObservation {
  readonly nodes: number;
  /** From the headers of the request to the answer. */
  readonly seconds: number;
}

/** What the extender works with. */
export interface ExtenderOptions {
  /** Until when each node is needed (`nodeHorizons`); undefined while the pods are not known, which is answered by 503. */
  readonly horizons: () => ReadonlyMap<string, number> | undefined;
  /** Tells the time of the apiserver as well as is known. */
  readonly clock: Clock;
  /** See `placementScore`; 60 when left out. */
  readonly unitSeconds?: number;
  readonly onPrioritize?: (observation: PrioritizeObservation) => void;
}

/** What kube-scheduler calls: `urlPrefix` and `prioritizeVerb` of its configuration. */
export const prioritizePath = '/scheduler/v1/prioritize';
/** 100,000 node names; or some thousand Nodes, where kube-scheduler is not told nodeCacheCapable. */
const bodyLimitBytes = 16 * 1024 * 1024;

/** HostPriority of k8s.io/kube-scheduler/extender/v1, whose Go struct has no JSON names. */
interface HostPriority {
  readonly Host: string;
  readonly Score: number;
}

/**
 * Serves the scheduler extender, which prioritizes and nothing else: it can neither keep a pod from a node nor from
 * being scheduled, and while it does not answer, kube-scheduler goes on without. Who calls is not asked: an answer says
 * for how long, roughly, clones hold the nodes that the caller names, and nothing is written.
 */
export function registerExtender(app: FastifyInstance, options: ExtenderOptions): void {
  app.register(async (scope) => {
    scope.removeContentTypeParser('text/plain');
    scope.post(prioritizePath, { bodyLimit: bodyLimitBytes }, async (request, reply) =>
      answer(request, reply, options),
    );
    scope.route({
      method: scope.supportedMethods.filter((method) => method !== 'POST'),
      url: prioritizePath,
      onRequest: async (request, reply) => {
        reply.header('allow', 'POST');
        throw new StatusError('MethodNotAllowed', `${request.method} is not supported here, only POST is`);
      },
      handler: async () => undefined,
    });
  });
}

function answer(request: FastifyRequest, reply: FastifyReply, options: ExtenderOptions): FastifyReply {
  const args = read(request.body);
  const priorities = prioritize(args, options);
  reply.header('content-type', 'application/json').send(JSON.stringify(priorities));
  options.onPrioritize?.({ nodes: args.nodeNames.length, seconds: reply.elapsedTime / 1000 });
  return reply;
}

/** Of a pod that is no clone nobody knows the end; to it all nodes are the same. */
function prioritize({ pod, nodeNames }: ExtenderArgs, options: ExtenderOptions): readonly HostPriority[] {
  if (pod.metadata.labels?.[cloneLabels.clone] !== 'true') {
    return nodeNames.map((name) => ({ Host: name, Score: scoreBounds.min }));
  }
  const horizons = options.horizons();
  if (horizons === undefined) throw new StatusError('ServiceUnavailable', 'which pods are on which node is not known');
  const scores = scoreNodes({
    names: nodeNames,
    horizons,
    deadline: readClone(pod).effectiveDeadline,
    now: options.clock.nowMs() / 1000,
    ...(options.unitSeconds === undefined ? {} : { unitSeconds: options.unitSeconds }),
  });
  return scores.map(({ name, score }) => ({ Host: name, Score: score }));
}

function read(body: unknown): ExtenderArgs {
  try {
    return parseExtenderArgs(body);
  } catch (cause) {
    if (cause instanceof HeadstartError) throw new StatusError('BadRequest', errorMessage(cause), { cause });
    throw cause;
  }
}
