// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { HeadstartError, invalidInput } from '../base/errors.ts';

/** Bytes that a kubeconfig holds itself (PEM), or the file that they are in. */
export type Material = { readonly text: string } | { readonly file: string };

/** How a user is known to the apiserver. */
export type UserCredentials =
  | {
      readonly kind: 'own';
      readonly certificate?: Material | undefined;
      readonly key?: Material | undefined;
      readonly token?: Material | undefined;
      readonly basic?: { readonly username: string; readonly password: string } | undefined;
    }
  /** A program or an identity provider hands out tokens; `kubeconfig` holds nothing else, with absolute paths. */
  | { readonly kind: 'delegated'; readonly kubeconfig: string };

/** The current context of a kubeconfig. */
export interface ClusterAccess {
  /** `https://host:port`, with a path prefix where a proxy asks for it; no slash at the end. */
  readonly server: string;
  readonly proxyUrl?: string | undefined;
  readonly ca?: Material | undefined;
  readonly serverName?: string | undefined;
  readonly skipVerify: boolean;
  readonly user: UserCredentials;
}

type Fields = Readonly<Record<string, unknown>>;

/** Entries of a kubeconfig by name; file names in them are absolute. */
interface Entries {
  readonly clusters: ReadonlyMap<string, Fields>;
  readonly users: ReadonlyMap<string, Fields>;
  readonly contexts: ReadonlyMap<string, Fields>;
  readonly currentContext: string | undefined;
}

const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';
const fileFields = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];

/** Where to look for an access. */
export interface AccessOptions {
  /** A path, or several as in KUBECONFIG; else where kubectl and a pod find it. */
  readonly kubeconfig: string | undefined;
  /** In place of the kubeconfig's own current-context. */
  readonly context?: string | undefined;
  /** The apiserver as pods reach it. */
  readonly inCluster: string;
}

/**
 * The access that a kubeconfig gives; without one, that of `~/.kube/config`, then that of the pod's service account at
 * `inCluster`. Of two entries with one name the first holds, as with kubectl.
 * @throws HeadstartError InvalidInput when there is none, without a word of what stands in the file
 */
export function loadClusterAccess({ kubeconfig, context, inCluster }: AccessOptions): ClusterAccess {
  const standard = join(homedir(), '.kube', 'config');
  if (kubeconfig === undefined && context === undefined && !existsSync(standard)) {
    return serviceAccountAccess(inCluster);
  }
  const paths = (kubeconfig ?? standard).split(delimiter).filter((path) => path !== '');
  const entries = paths.map(readEntries);
  const where = kubeconfig === undefined ? 'kubeconfig' : `kubeconfig ${kubeconfig}`;
  const contexts = firstOf(entries.map((entry) => entry.contexts));
  if (context !== undefined && !contexts.has(context)) {
    throw invalidInput('kubeconfig: context', context, `one of ${[...contexts.keys()].join(', ')}`);
  }
  return describeAccess(
    {
      clusters: firstOf(entries.map(({ clusters }) => clusters)),
      users: firstOf(entries.map(({ users }) => users)),
      contexts,
      currentContext: context ?? entries.find(({ currentContext }) => currentContext !== undefined)?.currentContext,
    },
    where,
  );
}

function serviceAccountAccess(server: string): ClusterAccess {
  const token = join(accountDirectory, 'token');
  if (!existsSync(token)) {
    throw invalidInput('kubeconfig', 'nothing', 'a file, KUBECONFIG, ~/.kube/config or a service account in a pod');
  }
  const user: UserCredentials = { kind: 'own', token: { file: token } };
  return { server, ca: { file: join(accountDirectory, 'ca.crt') }, skipVerify: false, user };
}

function firstOf(maps: readonly ReadonlyMap<string, Fields>[]): ReadonlyMap<string, Fields> {
  return new Map(maps.toReversed().flatMap((map) => [...map]));
}

function readEntries(path: string): Entries {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HeadstartError('InvalidInput', `kubeconfig: got ${JSON.stringify(path)}, want a file that can be read`, {
      cause,
    });
  }
  const root = fields(parseText(text));
  if (root === undefined) throw unreadable(path);
  const named = (list: unknown, key: string): ReadonlyMap<string, Fields> =>
    new Map(
      (Array.isArray(list) ? (list as unknown[]) : []).flatMap((item) => {
        const entry = fields(item);
        const name = word(entry?.['name']);
        return name === undefined ? [] : [[name, absolute(fields(entry?.[key]) ?? {}, dirname(path))] as const];
      }),
    );
  return {
    clusters: named(root['clusters'], 'cluster'),
    users: named(root['users'], 'user'),
    contexts: named(root['contexts'], 'context'),
    currentContext: word(root['current-context']),
  };
}

function parseText(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    // The parser's message quotes the line, which may hold a key.
    return undefined;
  }
}

function unreadable(path: string): HeadstartError {
  return invalidInput('kubeconfig', path, 'a kubeconfig in YAML or JSON');
}

/** File names in a kubeconfig are relative to it. */
function absolute(entry: Fields, directory: string): Fields {
  const paths = fileFields.flatMap((field) => {
    const path = word(entry[field]);
    return path === undefined || isAbsolute(path) ? [] : [[field, join(directory, path)] as const];
  });
  return { ...entry, ...Object.fromEntries(paths) };
}

function describeAccess({ clusters, users, contexts, currentContext }: Entries, where: string): ClusterAccess {
  const context = contexts.get(currentContext ?? '');
  const cluster = clusters.get(word(context?.['cluster']) ?? '');
  const server = word(cluster?.['server']);
  if (cluster === undefined || server === undefined) {
    throw invalidInput(
      `${where}: current-context`,
      currentContext ?? 'nothing',
      'a context whose cluster has a server',
    );
  }
  return {
    server: server.replace(/\/+$/, ''),
    proxyUrl: word(cluster['proxy-url']),
    ca: material(cluster, 'certificate-authority'),
    serverName: word(cluster['tls-server-name']),
    skipVerify: cluster['insecure-skip-tls-verify'] === true,
    user: describeUser(users.get(word(context?.['user']) ?? '') ?? {}, cluster),
  };
}

function describeUser(user: Fields, cluster: Fields): UserCredentials {
  if (fields(user['exec']) !== undefined || fields(user['auth-provider']) !== undefined) {
    const only = {
      clusters: [{ name: 'only', cluster }],
      users: [{ name: 'only', user }],
      contexts: [{ name: 'only', context: { cluster: 'only', user: 'only' } }],
      'current-context': 'only',
    };
    return { kind: 'delegated', kubeconfig: JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...only }) };
  }
  const tokenFile = word(user['tokenFile']);
  const token = word(user['token']);
  const username = word(user['username']);
  return {
    kind: 'own',
    certificate: material(user, 'client-certificate'),
    key: material(user, 'client-key'),
    // The file wins, as it is the one that is renewed (client-go clientcmd).
    token: tokenFile === undefined ? (token === undefined ? undefined : { text: token }) : { file: tokenFile },
    basic: username === undefined ? undefined : { username, password: word(user['password']) ?? '' },
  };
}

/** Data in the kubeconfig wins over a file that it names (client-go clientcmd). */
function material(entry: Fields, field: string): Material | undefined {
  const data = word(entry[`${field}-data`]);
  if (data !== undefined) return { text: Buffer.from(data, 'base64').toString('utf8') };
  const file = word(entry[field]);
  return file === undefined ? undefined : { file };
}

function fields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
