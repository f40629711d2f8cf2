// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';

const timeoutMs = 5000;
const attempts = 3;
const retryAfterMs = 200;

/**
 * Posts a TokenReview or a SubjectAccessReview and gives what the apiserver made of it, within 5 s. It changes
 * nothing, so it is sent again where a retry can help, though it is a POST.
 * @throws HeadstartError of the last try
 */
export async function createReview<T>(
  { client, clock }: { readonly client: KubeClient; readonly clock: Clock },
  path: string,
  body: unknown,
): Promise<T> {
  const endMs = clock.nowMs() + timeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    const leftMs = Math.max(1, endMs - clock.nowMs());
    try {
      return await client.request<T>({ method: 'POST', path, body, timeoutMs: leftMs });
    } catch (error) {
      const mayRetry = error instanceof HeadstartError && error.retryable && attempt < attempts;
      if (!mayRetry || clock.nowMs() + retryAfterMs * attempt >= endMs) throw error;
      await clock.sleep(retryAfterMs * attempt);
    }
  }
}
