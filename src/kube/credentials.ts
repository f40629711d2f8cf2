// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Cluster } from '@kubernetes/client-node';
import { Agent, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import { parse } from 'yaml';
import { HeadstartError, invalidInput } from '../base/errors.ts';

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

/** Which credentials. */
interface CredentialsOptions {
  /** A path, or several as in KUBECONFIG; else the default places. */
  readonly kubeconfig?: string | undefined;
  /** In place of the kubeconfig's own current-context. */
  readonly context?: string | undefined;
}

/** As client-go reads the token file (transport/token_source.go): kubelet replaces it long before it expires. */
const rereadMs = 60_000;
const retryReadMs = 5_000;

/** client-go's values; idle connections behind cloud load balancers die after 60 s. */
const keepAlive = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/**
 * Credentials from a kubeconfig, else from where kubectl and a pod find them.
 * @param monotonicMs a clock that is never set back
 * @throws HeadstartError InvalidInput when there is no usable configuration
 */
export function createCredentials({ kubeconfig, context }: CredentialsOptions, monotonicMs: () => number): Credentials {
  let config = loadConfig(kubeconfig, context);
  let readAtMs = monotonicMs();
  let agent: { readonly key: string; readonly dispatcher: Dispatcher } | undefined;
  let reading: Promise<Connection> | undefined;
  let last: Connection | undefined;

  const read = async (reload: boolean): Promise<Connection> => {
    if (reload) config = loadConfig(kubeconfig, context);
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const cluster = currentCluster(config, kubeconfig);
    const tls = tlsOf(options);
    const key = JSON.stringify(tls);
    if (agent?.key !== key) {
      const old = agent?.dispatcher;
      agent = { key, dispatcher: createDispatcher(cluster, tls) };
      // Watches that run over it end by themselves.
      void old?.close().catch(() => undefined);
    }
    return { server: cluster.server.replace(/\/+$/, ''), dispatcher: agent.dispatcher, headers: headersOf(options) };
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
      reading ??= refresh(last !== undefined && (expired || !keepsOwnCache(config)));
      expired = false;
      return await reading;
    },
    expire: () => {
      expired = true;
    },
  };
}

function loadConfig(kubeconfig: string | undefined, context: string | undefined): KubeConfig {
  const config = new KubeConfig();
  if (kubeconfig === undefined) {
    config.loadFromDefault();
    if (config.getCurrentContext() === 'loaded-context') {
      throw invalidInput('kubeconfig', 'nothing', 'a file, KUBECONFIG, ~/.kube/config or a service account in a pod');
    }
  } else {
    kubeconfig
      .split(delimiter)
      .filter((part) => part !== '')
      .forEach((path) => merge(config, loadFile(path)));
  }
  if (context !== undefined) chooseContext(config, context);
  currentCluster(config, kubeconfig);
  return config;
}

function chooseContext(config: KubeConfig, context: string): void {
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context)) throw invalidInput('kubeconfig: context', context, `one of ${names.join(', ')}`);
  config.setCurrentContext(context);
}

/** Of two entries with one name the first holds, as with kubectl. */
function merge(into: KubeConfig, from: KubeConfig): void {
  into.clusters = mergeNamed(into.clusters, from.clusters);
  into.users = mergeNamed(into.users, from.users);
  into.contexts = mergeNamed(into.contexts, from.contexts);
  into.currentContext ??= from.currentContext;
}

function mergeNamed<T extends { readonly name: string }>(first: readonly T[], second: readonly T[]): T[] {
  const names = new Set(first.map(({ name }) => name));
  return [...first, ...second.filter(({ name }) => !names.has(name))];
}

function loadFile(path: string): KubeConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HeadstartError('InvalidInput', `kubeconfig: got ${JSON.stringify(path)}, want a file that can be read`, {
      cause,
    });
  }
  const config = new KubeConfig();
  try {
    config.loadFromString(text);
    config.makePathsAbsolute(dirname(path));
    addTokenFiles(config, text, dirname(path));
  } catch {
    // The parser's message quotes the line, which may hold a key.
    throw invalidInput('kubeconfig', path, 'a kubeconfig in YAML or JSON');
  }
  return config;
}

/** client-node 2.0.1 does not know `tokenFile` of a user (only the misspelt `token-file`, read once). */
function addTokenFiles(config: KubeConfig, text: string, directory: string): void {
  const { users } = parse(text) as { users?: { name: string; user?: { tokenFile?: string; token?: string } }[] };
  const files = new Map(users?.map(({ name, user }) => [name, user?.tokenFile]));
  config.users = config.users.map((user) => {
    const file = files.get(user.name);
    if (file === undefined) return user;
    const tokenFile = isAbsolute(file) ? file : join(directory, file);
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } };
  });
}

function currentCluster(config: KubeConfig, kubeconfig: string | undefined): Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster !== null && cluster.server !== '') return cluster;
  const where = kubeconfig === undefined ? 'kubeconfig' : `kubeconfig ${kubeconfig}`;
  throw invalidInput(`${where}: current-context`, config.getCurrentContext(), 'a context whose cluster has a server');
}

/** Exec plugins and OIDC hold tokens in memory; loading anew would ask for one each time. */
function keepsOwnCache(config: KubeConfig): boolean {
  const user = config.getCurrentUser();
  const provider: unknown = user?.authProvider?.name;
  return user?.exec !== undefined || (provider !== undefined && provider !== 'tokenFile');
}

interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

function tlsOf({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): Tls {
  const given = { ca: pem(ca), cert: pem(cert), key: pem(key), servername, rejectUnauthorized };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function pem(value: unknown): string | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : (value as string | undefined);
}

function createDispatcher({ proxyUrl }: Cluster, tls: Tls): Dispatcher {
  if (proxyUrl === undefined) return new Agent({ connect: { ...tls, ...keepAlive }, allowH2: false });
  if (/^https?:/.test(proxyUrl)) {
    return new ProxyAgent({ uri: proxyUrl, requestTls: { ...tls }, connect: keepAlive, allowH2: false });
  }
  throw invalidInput('kubeconfig: proxy-url', `${proxyUrl.split(':')[0]}://…`, 'an http:// or https:// proxy');
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const given = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value).trim()]);
  const basic = typeof auth === 'string' ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return { ...basic, ...Object.fromEntries(given) };
}

function unusable(error: unknown): HeadstartError {
  if (error instanceof HeadstartError) return error;
  return new HeadstartError('Unauthorized', "reading the cluster's credentials", { cause: error });
}
