// SPDX-License-Identifier: Apache-2.0

/** A signal that follows another one and can also be aborted on its own. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  /** Lets go of the parent; call it when the work is done, or a long-lived parent collects listeners. */
  unlink(): void;
}

/** A signal that aborts with `parent`, or by its own `abort`, whichever comes first. */
export function linkSignal(parent: AbortSignal | undefined): LinkedSignal {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  parent?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => parent?.removeEventListener('abort', follow),
  };
}
