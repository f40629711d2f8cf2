// SPDX-License-Identifier: Apache-2.0
import type { Logger } from 'pino';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import { createReflector } from '../kube/reflector.ts';
import { parseRequestHeaderConfig } from './request-header.ts';
import type { RequestHeaderConfig } from './request-header.ts';

/** Follows which front proxies the apiserver says to trust. */
export interface RequestHeaderSource {
  /** Undefined until it is known; nobody may speak for users then. */
  current(): RequestHeaderConfig | undefined;
  /** True once the apiserver has said what to trust, even if that is nobody. */
  hasLoaded(): boolean;
  /** Calls back after each change. */
  onChange(listener: (config: RequestHeaderConfig) => void): void;
  /**
   * Resolves when the configuration is loaded; it is then followed until the signal aborts.
   * @throws HeadstartError Forbidden, with the RoleBinding that is missing; other failures are tried again
   */
  start(signal: AbortSignal): Promise<void>;
}

/** What the source works with. */
export interface RequestHeaderSourceOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';
const collection = resourcePath({ apiVersion: 'v1', plural: 'configmaps', namespace });
const backoff = { baseMs: 500, maxMs: 10_000 };

/** Reads and follows the ConfigMap kube-system/extension-apiserver-authentication, as every extension server does. */
export function createRequestHeaderSource(options: RequestHeaderSourceOptions): RequestHeaderSource {
  const { client, clock, random, logger } = options;
  const listeners: ((config: RequestHeaderConfig) => void)[] = [];
  let config: RequestHeaderConfig | undefined;
  let loaded = false;

  const apply = (configMap: ConfigMap): void => {
    const next = parseRequestHeaderConfig(configMap.data ?? {});
    const isSame = JSON.stringify(next) === JSON.stringify(config);
    config = next;
    loaded = true;
    if (isSame) return;
    logger.info({ allowedNames: next.allowedNames }, 'loaded which front proxies to trust');
    for (const listener of listeners) listener(next);
  };
  const reflector = createReflector<ConfigMap>({
    client,
    clock,
    random,
    path: collection,
    query: { fieldSelector: `metadata.name=${name}` },
    onChange: (change) => {
      // When it is deleted the last word stands: an apiserver that restarts writes it anew.
      if (change.type !== 'deleted') apply(change.object);
    },
    onError: (error) => logger.warn({ code: errorCode(error) }, `following ${name}: ${errorMessage(error)}`),
  });
  const load = async (signal: AbortSignal): Promise<void> => {
    try {
      apply(await client.request<ConfigMap>({ path: `${collection}/${name}`, signal }));
    } catch (error) {
      if (errorCode(error) !== 'NotFound') throw error;
      loaded = true;
      logger.warn(`no ConfigMap ${namespace}/${name}: requests through the aggregator cannot be authenticated`);
    }
  };
  return {
    current: () => config,
    hasLoaded: () => loaded,
    onChange: (listener) => void listeners.push(listener),
    start: async (signal) => {
      for (let failures = 0; !loaded; failures += 1) {
        await load(signal).catch(async (error: unknown) => {
          signal.throwIfAborted();
          if (errorCode(error) === 'Forbidden') throw missingBinding(error);
          logger.warn({ code: errorCode(error) }, errorMessage(error));
          await clock.sleep(backoffMs(failures, { ...backoff, random }), signal);
        });
      }
      void reflector.run(signal);
    },
  };
}

function missingBinding(cause: unknown): HeadstartError {
  return new HeadstartError(
    'Forbidden',
    `the service account may not read ConfigMap ${namespace}/${name}; it needs a RoleBinding in ${namespace} to the Role extension-apiserver-authentication-reader (kubectl create rolebinding -n ${namespace} NAME --role=extension-apiserver-authentication-reader --serviceaccount=NAMESPACE:ACCOUNT)`,
    { cause },
  );
}
