// SPDX-License-Identifier: Apache-2.0
import type { KubeClient, KubeRequest, WatchEvent } from '../kube/client.ts';

/** A KubeClient whose answers a test gives. */
export interface FakeKubeClient extends KubeClient {
  /** What was asked, in order; watches apart. */
  readonly requests: KubeRequest[];
  /** Sends an event to every open watch. */
  emit(event: WatchEvent): void;
}

/** Answers each request with what `answer` gives, or fails with what it throws. */
export function createFakeKubeClient(answer: (request: KubeRequest) => unknown): FakeKubeClient {
  const requests: KubeRequest[] = [];
  const watches = new Set<(event: WatchEvent) => void>();
  return {
    requests,
    request: async <T>(request: KubeRequest) => {
      requests.push(request);
      return (await answer(request)) as T;
    },
    watch: ({ signal }) => follow(watches, signal),
    emit: (event) => {
      for (const send of watches) send(event);
    },
  };
}

async function* follow(watches: Set<(event: WatchEvent) => void>, signal: AbortSignal): AsyncGenerator<WatchEvent> {
  const waiting: WatchEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const send = (event: WatchEvent): void => {
    waiting.push(event);
    wake.resolve();
  };
  signal.addEventListener('abort', () => wake.reject(signal.reason), { once: true });
  watches.add(send);
  try {
    for (;;) {
      for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) yield event;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    watches.delete(send);
  }
}
