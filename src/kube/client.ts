// SPDX-License-Identifier: Apache-2.0

/** One request to the apiserver; `path` begins with /api or /apis. */
export interface KubeRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default application/json; application/apply-patch+yaml for server-side apply. */
  readonly contentType?: string;
  readonly timeoutMs?: number;
  /** false: one try, whatever comes of it; for callers whose own backoff is longer than one call. */
  readonly retry?: boolean;
  readonly signal?: AbortSignal;
}

/** An event of a watch, as the apiserver sends it; of type ERROR the object is a Status. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
}

/** What every object has. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** What a reflector needs of an object's metadata, where the rest is not kept. */
export function identityOf({ metadata }: KubeObject): KubeObject['metadata'] {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** The port to the apiserver that the rest of this room and the controllers use. */
export interface KubeClient {
  /**
   * Sends one request and gives the decoded JSON body. Retries what is safe to repeat (anything on 429, GET also on
   * 5xx and connection errors, with jitter) while `timeoutMs`, which is for all tries together, lasts.
   * @throws HeadstartError with the code that the Status names, its message inside
   */
  request<T>(request: KubeRequest): Promise<T>;
  /**
   * Streams the events of a watch until the server ends it or the signal aborts.
   * @throws HeadstartError Gone when the resource version is too old (HTTP 410), others as request
   */
  watch(request: Pick<KubeRequest, 'path' | 'query'> & { readonly signal: AbortSignal }): AsyncIterable<WatchEvent>;
}
