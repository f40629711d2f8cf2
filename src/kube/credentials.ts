// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { Agent, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import { HeadstartError, invalidInput } from '../base/errors.ts';
import { loadClusterAccess } from './kubeconfig.ts';
import type { AccessOptions, ClusterAccess, Material, UserCredentials } from './kubeconfig.ts';

/** What a request needs to reach the apiserver now. */
interface Connection {
  /** `https://host:port`, with the path prefix that a proxy in front may ask for; no slash at the end. */
  readonly server: string;
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where connections come from; tokens, certificates and CAs are read again as they rotate. */
export interface Credentials {
  /** @throws HeadstartError when nothing usable was ever read */
  current(): Promise<Connection>;
  /** Makes the next `current` read everything again: the server did not take what it was given. */
  expire(): void;
}

/** Where to look for credentials. */
export interface CredentialsOptions extends AccessOptions {
  /** A clock that is never set back. */
  readonly monotonicMs: () => number;
}

/** What a user shows: in the handshake, and in each request. */
interface Shown {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** As client-go reads the token file (transport/token_source.go): kubelet replaces it long before it expires. */
const rereadMs = 60_000;
const retryReadMs = 5_000;

/** client-go's values; idle connections behind cloud load balancers die after 60 s. */
const keepAlive = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/**
 * Credentials from a kubeconfig, else from where kubectl and a pod find them.
 * @throws HeadstartError InvalidInput when there is no usable configuration
 */
export function createCredentials({ monotonicMs, ...where }: CredentialsOptions): Credentials {
  let access = loadClusterAccess(where);
  let shows = createShows(access.user);
  let readAtMs = monotonicMs();
  let agent: { readonly key: string; readonly dispatcher: Dispatcher } | undefined;
  let reading: Promise<Connection> | undefined;
  let last: Connection | undefined;

  const read = async (reload: boolean): Promise<Connection> => {
    if (reload) {
      access = loadClusterAccess(where);
      shows = createShows(access.user);
    }
    const { headers, ...shown } = await shows();
    const tls = await tlsOf(access, shown);
    const key = JSON.stringify(tls);
    if (agent?.key !== key) {
      const old = agent?.dispatcher;
      agent = { key, dispatcher: createDispatcher(access, tls) };
      // Watches that run over it end by themselves.
      void old?.close().catch(() => undefined);
    }
    return { server: access.server, dispatcher: agent.dispatcher, headers };
  };
  const refresh = async (reload: boolean): Promise<Connection> => {
    try {
      last = await read(reload);
      readAtMs = monotonicMs();
      return last;
    } catch (error) {
      if (last === undefined) throw unusable(error);
      // A file in the middle of its replacement; what was read before still holds for a while.
      readAtMs = monotonicMs() - rereadMs + retryReadMs;
      return last;
    } finally {
      reading = undefined;
    }
  };
  let expired = false;
  return {
    current: async () => {
      const isFresh = !expired && monotonicMs() - readAtMs < rereadMs;
      if (last !== undefined && isFresh) return last;
      // Whoever hands out tokens keeps them; to load anew would ask for one each time.
      reading ??= refresh(last !== undefined && (expired || access.user.kind === 'own'));
      expired = false;
      return await reading;
    },
    expire: () => {
      expired = true;
    },
  };
}

function createShows(user: UserCredentials): () => Promise<Shown> {
  return user.kind === 'own' ? async () => await showOwn(user) : createDelegate(user.kubeconfig);
}

async function showOwn(user: Extract<UserCredentials, { kind: 'own' }>): Promise<Shown> {
  const { basic } = user;
  const token = (await read(user.token))?.trim();
  const headers: Record<string, string> = {};
  if (basic !== undefined) {
    headers['authorization'] = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
  }
  if (token !== undefined && token !== '') headers['authorization'] = `Bearer ${token}`;
  return { cert: await read(user.certificate), key: await read(user.key), headers };
}

/** Programs and identity providers are client-node's; it is loaded for them alone, as it takes 50 MiB and a second. */
function createDelegate(kubeconfig: string): () => Promise<Shown> {
  const loading = async () => {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    return config;
  };
  let config: ReturnType<typeof loading> | undefined;
  return async () => {
    config ??= loading();
    const options: RequestOptions = {};
    await (await config).applyToHTTPSOptions(options);
    const given = Object.entries(options.headers ?? {}).map(([name, value]) => [
      name.toLowerCase(),
      String(value).trim(),
    ]);
    return { cert: pem(options.cert), key: pem(options.key), headers: Object.fromEntries(given) };
  };
}

async function read(material: Material | undefined): Promise<string | undefined> {
  if (material === undefined) return undefined;
  return 'text' in material ? material.text : await readFile(material.file, 'utf8');
}

interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

async function tlsOf(access: ClusterAccess, { cert, key }: Omit<Shown, 'headers'>): Promise<Tls> {
  const rejectUnauthorized = access.skipVerify ? false : undefined;
  const given = { ca: await read(access.ca), cert, key, servername: access.serverName, rejectUnauthorized };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function pem(value: unknown): string | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : (value as string | undefined);
}

function createDispatcher({ proxyUrl }: ClusterAccess, tls: Tls): Dispatcher {
  if (proxyUrl === undefined) return new Agent({ connect: { ...tls, ...keepAlive }, allowH2: false });
  if (/^https?:/.test(proxyUrl)) {
    return new ProxyAgent({ uri: proxyUrl, requestTls: { ...tls }, connect: keepAlive, allowH2: false });
  }
  throw invalidInput('kubeconfig: proxy-url', `${proxyUrl.split(':')[0]}://…`, 'an http:// or https:// proxy');
}

function unusable(error: unknown): HeadstartError {
  if (error instanceof HeadstartError) return error;
  return new HeadstartError('Unauthorized', "reading the cluster's credentials", { cause: error });
}
