// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { Agent } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { HeadstartError } from '../../base/errors.ts';
import { createBreaker } from './breaker.ts';
import type { Breaker } from './breaker.ts';
import { createLimiter } from './limiter.ts';
import type { MetricSource } from './metric-source.ts';
import { createPrometheusSource } from './prometheus.ts';
import type { Connection, PrometheusOptions } from './prometheus.ts';
import { basic, bearer, checkTls } from './prometheus-secret.ts';
import type { Credentials } from './prometheus-secret.ts';
import type { CredentialFiles, PrometheusSettings, ServerSettings } from './prometheus-settings.ts';
import { covers, parseServerUrl } from './server-url.ts';

/** A place that the admin allows to read from. */
export interface PrometheusServer {
  readonly url: string;
  /** The label that must be the reader's namespace in each selector. */
  readonly enforceNamespaceLabel: string | undefined;
  /** Reads with the server's own credentials. */
  readonly source: MetricSource;
  /**
   * Reads with these credentials in place of the server's own.
   * @param owner whose they are (`namespace/name` of the Secret): its failures are its own
   */
  sourceFor(owner: string, credentials: Credentials): MetricSource;
}

/** Every Prometheus server there is for DemandForecasts. */
export interface PrometheusServers {
  readonly names: readonly string[];
  /** The server that the admin gave this name. */
  named(name: string): PrometheusServer | undefined;
  /**
   * The server at this URL, if the allow-list has it.
   * @throws HeadstartError InvalidInput for what is no URL of a server
   */
  at(url: string): PrometheusServer | undefined;
}

interface Context extends Pick<PrometheusOptions, 'clock' | 'random'> {
  readonly clock: Clock;
  /** `server` is the configured name, `url` for all that have none. */
  readonly onRequest: (call: { readonly server: string; readonly outcome: string; readonly seconds: number }) => void;
}

const maxOwn = 1000;
const maxAgents = 200;

/** The servers of a configuration. Limits are each server's own, whoever reads from it. */
export function createPrometheusServers(settings: PrometheusSettings, context: Context): PrometheusServers {
  const named = new Map([...settings.servers].map(([name, server]) => [name, createServer(server, name, context)]));
  const allowed = settings.allowedUrls.map((server) => createServer(server, 'url', context));
  return {
    names: [...named.keys()],
    named: (name) => named.get(name),
    at: (text) => {
      const url = parseServerUrl(text, 'source.prometheus.url');
      const server = allowed
        .filter((candidate) => covers(candidate.url, url))
        .toSorted((a, b) => b.url.length - a.url.length)[0];
      return server?.at(url);
    },
  };
}

interface ConfiguredServer extends PrometheusServer {
  /** The same server, at a URL below its own. */
  at(url: string): PrometheusServer;
}

function createServer(settings: ServerSettings, name: string, context: Context): ConfiguredServer {
  const { concurrency, maxPoints, timeoutSeconds, credentials: files, enforceNamespaceLabel } = settings;
  const limiter = createLimiter(concurrency);
  const agents = createAgents();
  const breakers = new LRUCache<string, Breaker>({ max: maxOwn });
  const open = (url: string, owner: string, connect: () => Promise<Connection>): MetricSource => {
    const key = `${owner} ${url}`;
    const breaker = breakers.get(key) ?? createBreaker(context.clock);
    breakers.set(key, breaker);
    return createPrometheusSource({
      url,
      clock: context.clock,
      random: context.random,
      timeoutMs: timeoutSeconds * 1000,
      maxPoints,
      limiter,
      breaker,
      connect,
      onRequest: (call) => context.onRequest({ ...call, server: name }),
    });
  };
  const connectTo = (credentials: Credentials): Connection => {
    const { authorization, secrets } = credentials;
    return { dispatcher: agents(credentials), secrets, ...(authorization === undefined ? {} : { authorization }) };
  };
  const at = (url: string): PrometheusServer => ({
    url,
    enforceNamespaceLabel,
    source: open(url, '', async () => connectTo(await readCredentials(files))),
    sourceFor: (owner, own) =>
      open(url, owner, async () => {
        // The authority is the server's, whoever asks; everything else of it is not for others to use.
        const { ca } = own.ca === undefined ? await readCredentials({ ...pick(files.caFile) }) : own;
        return connectTo({ ...own, ...(ca === undefined ? {} : { ca }) });
      }),
  });
  return { ...at(settings.url), at };
}

function pick(caFile: string | undefined): CredentialFiles {
  return caFile === undefined ? {} : { caFile };
}

/** Connections are kept for as long as certificates and key stay the same. */
function createAgents(): (tls: Pick<Credentials, 'ca' | 'cert' | 'key'>) => Agent {
  const agents = new LRUCache<string, Agent>({
    max: maxAgents,
    dispose: (agent) => void agent.close().catch(() => undefined),
  });
  return ({ ca, cert, key }) => {
    const id = createHash('sha256')
      .update(JSON.stringify([ca, cert, key]))
      .digest('hex');
    const known = agents.get(id);
    if (known !== undefined) return known;
    const agent = new Agent({ pipelining: 1, connect: { ca, cert, key } });
    agents.set(id, agent);
    return agent;
  };
}

/** Files may be rotated at any time; they are small. */
async function readCredentials(files: CredentialFiles): Promise<Credentials> {
  const read = async (what: string, path: string | undefined): Promise<string | undefined> => {
    if (path === undefined) return undefined;
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      // A path of the admin is none of a tenant's business.
      const { code = 'unreadable' } = cause as { readonly code?: string };
      throw new HeadstartError('Unavailable', `the ${what} that the configuration names cannot be read: ${code}`);
    }
  };
  const [token, username, password, ca, cert, key] = await Promise.all([
    read('tokenFile', files.tokenFile),
    read('usernameFile', files.usernameFile),
    read('passwordFile', files.passwordFile),
    read('caFile', files.caFile),
    read('certFile', files.certFile),
    read('keyFile', files.keyFile),
  ]);
  const tls = defined({ ca, cert, key });
  if (Object.keys(tls).length > 0) checkTls(tls);
  const authorization = authorizationOf({ token, username, password });
  const secrets = [token, password, key, authorization?.split(' ')[1]].filter((value) => value !== undefined);
  return { ...tls, ...defined({ authorization }), secrets: secrets.map((secret) => secret.trim()) };
}

function authorizationOf(given: Readonly<Record<'token' | 'username' | 'password', string | undefined>>) {
  const { token, username, password } = given;
  if (token !== undefined) return bearer(token);
  return username === undefined || password === undefined ? undefined : basic(username, password);
}

function defined<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
